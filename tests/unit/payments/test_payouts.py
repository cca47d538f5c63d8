"""The payout's way and who may take which step; purchases; payees."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.accounts import compact, is_card, is_iban
from aidmesh_contracts.days import day_of
from aidmesh_payments.domain import purchase as buying
from aidmesh_payments.domain.payout import (
    LIVE,
    RETURN_REASONS,
    Payout,
    PayoutRefusal,
    PayoutState,
    Verb,
    correct,
    review,
    step,
    stop,
    uncollected,
)
from aidmesh_payments.domain.purchase import Line, Purchase, PurchaseRefusal

NOW = datetime(2024, 6, 1, tzinfo=UTC)
PEOPLE = [UUID(int=number) for number in (1, 2, 3)]
LIMIT = 1_000
verbs: tuple[Verb, ...] = get_args(Verb)
moves = st.lists(st.tuples(st.sampled_from(verbs), st.sampled_from(PEOPLE)), max_size=12)


people = st.sampled_from([None, *PEOPLE])
corrections = st.lists(st.tuples(st.just("correct"), st.sampled_from(PEOPLE)), max_size=3)


@given(
    st.integers(1, 3 * LIMIT),
    people,
    people,
    st.tuples(moves, corrections).flatmap(lambda both: st.permutations(both[0] + both[1])),
    st.booleans(),
)
def test_no_way_around_the_second_person(
    amount: int,
    maker: UUID | None,
    sealer: UUID | None,
    moves: list[tuple[Verb | Literal["correct"], UUID]],
    cash: bool,
) -> None:
    payout = Payout(amount, "UAH", maker=maker, sealed_by=sealer)
    seen = [payout.state]
    for verb, by in moves:
        if verb == "correct":
            corrected = correct(payout, by)
            assert (corrected is None) == (payout.state not in ("draft", "approved"))
            if corrected is not None:
                assert (corrected.state, corrected.sealed_by) == ("draft", by)
                payout = corrected
            continue
        after = step(payout, verb, by, NOW, float_limit_minor=LIMIT, reason="AC04", is_cash=cash)
        if isinstance(after, PayoutRefusal):
            continue
        assert after.version == payout.version + 1
        payout = after
        seen.append(payout.state)
    if payout.state == "settled" or "returned" in seen:
        people = {payout.maker, payout.approver, payout.settler} - {None}
        if amount > LIMIT:
            assert len(people) >= 2
            assert payout.approver not in (payout.maker, payout.sealed_by)
            assert payout.review_due_at is None
        else:
            assert (payout.review_due_at is None) == (len(people) >= 2)
    if payout.state in ("rejected", "returned"):
        assert payout.reason in RETURN_REASONS
        assert payout.state not in LIVE
    assert seen.count("settled") <= 1
    assert cash or payout.reason != "not_collected"
    if "settled" in seen:
        # Once the money went out, it is nothing that nobody fetched.
        assert payout.state in ("settled", "returned")


@given(st.integers(1, 3 * LIMIT), people, people, st.sampled_from(PEOPLE), st.booleans())
def test_what_was_paid_and_forgotten_is_recorded_and_reviewed_where_two_are_not_on_record(
    amount: int, maker: UUID | None, approver: UUID | None, by: UUID, cash: bool
) -> None:
    state: PayoutState = "draft" if approver is None else "approved"
    before = Payout(amount, "UAH", state=state, maker=maker, approver=approver)

    def settled(*, forgotten: bool) -> Payout | PayoutRefusal:
        return step(
            before, "settle", by, NOW,
            float_limit_minor=LIMIT, is_cash=cash, is_forgotten=forgotten,
        )  # fmt: skip

    after, usual = settled(forgotten=True), settled(forgotten=False)
    assert isinstance(after, Payout)
    assert (after.state, after.settler) == ("settled", by)
    if isinstance(usual, Payout):
        assert after == usual
    else:
        assert amount > LIMIT
        assert after.review_due_at == NOW + timedelta(days=7)
        assert review(after, by) == PayoutRefusal.SECOND_PERSON
    over = replace(before, state="settled")
    assert isinstance(
        step(over, "settle", by, NOW, float_limit_minor=LIMIT, is_forgotten=True), PayoutRefusal
    )


@given(
    st.integers(1, 3 * LIMIT), people, st.sampled_from([None, *PEOPLE[1:]]),
    st.sampled_from(PEOPLE), st.booleans(), st.booleans(),
)  # fmt: skip
def test_what_was_cancelled_in_doubt_is_settled_like_what_was_not(
    amount: int, maker: UUID | None, approver: UUID | None, by: UUID, forgotten: bool, doubted: bool
) -> None:
    state: PayoutState = "draft" if approver is None else "approved"
    before = Payout(amount, "UAH", state=state, maker=maker, approver=approver)

    def settled(payout: Payout) -> Payout | PayoutRefusal:
        return step(
            payout, "settle", by, NOW,
            float_limit_minor=LIMIT, is_doubted=doubted, is_forgotten=doubted and forgotten,
        )  # fmt: skip

    live, late = settled(before), settled(replace(before, state="cancelled"))
    assert late == (live if doubted else PayoutRefusal.WRONG_STATE)


WAYS: dict[PayoutState, set[Verb]] = {
    "draft": {"approve", "settle", "cancel", "not_collected"},
    "approved": {"export", "settle", "reject", "cancel", "not_collected"},
    "exported": {"accept", "settle", "reject", "not_collected"},
    "accepted": {"settle", "reject", "not_collected"},
    "settled": {"return"},
    "rejected": set(),
    "returned": set(),
    "cancelled": {"settle"},
}
"""Steps of cash."""


@pytest.mark.parametrize("state", get_args(PayoutState))
def test_what_has_left_is_not_called_back_and_nothing_that_is_over_goes_on(
    state: PayoutState,
) -> None:
    before = replace(Payout(LIMIT, "UAH"), state=state)
    allowed = {
        verb
        for verb in verbs
        if isinstance(
            step(
                before, verb, PEOPLE[0], NOW, float_limit_minor=LIMIT, reason="AC04", is_cash=True
            ),
            Payout,
        )
    }
    assert allowed == WAYS[state]


@pytest.mark.parametrize("maker", [None, *PEOPLE])
@pytest.mark.parametrize("sealer", [None, *PEOPLE])
@pytest.mark.parametrize("by", PEOPLE)
def test_who_drew_it_up_or_said_where_it_goes_approves_only_little(
    maker: UUID | None, sealer: UUID | None, by: UUID
) -> None:
    for amount in (LIMIT, LIMIT + 1):
        draft = Payout(amount, "UAH", maker=maker, sealed_by=sealer)
        approved = step(draft, "approve", by, NOW, float_limit_minor=LIMIT)
        unseen = step(draft, "approve", by, NOW, float_limit_minor=LIMIT, has_details=False)
        assert unseen == (PayoutRefusal.NO_DETAILS if amount > LIMIT else approved)
        if amount > LIMIT and by in (maker, sealer):
            assert approved is PayoutRefusal.SECOND_PERSON
        else:
            assert isinstance(approved, Payout)
            assert approved.approver == by


@given(st.sampled_from(get_args(PayoutState)))
def test_time_takes_back_cash_that_waits_and_nothing_else(state: PayoutState) -> None:
    before = replace(Payout(LIMIT, "UAH"), state=state)
    after = uncollected(before)
    by_hand = step(before, "not_collected", PEOPLE[0], NOW, float_limit_minor=LIMIT, is_cash=True)
    if state in ("draft", "approved", "exported", "accepted"):
        assert after == by_hand
        assert after is not None
        assert (after.state, after.reason) == ("cancelled", "not_collected")
        late = step(after, "settle", PEOPLE[0], NOW, float_limit_minor=LIMIT, is_cash=True)
        assert isinstance(late, Payout)
        assert (late.state, late.reason) == ("settled", None)
    else:
        assert after is None
        assert by_hand is PayoutRefusal.WRONG_STATE
    assert isinstance(
        step(before, "not_collected", PEOPLE[0], NOW, float_limit_minor=LIMIT), PayoutRefusal
    )


def ended(payout: Payout, how: str) -> Payout:
    """It is given up, in one of the ways that there are."""
    if how == "stopped":
        return stop(payout)
    if how == "not fetched in time":
        after: Payout | PayoutRefusal | None = uncollected(payout)
    else:
        verb: Verb = "cancel" if how == "cancelled" else "not_collected"
        after = step(payout, verb, PEOPLE[2], NOW, float_limit_minor=LIMIT, is_cash=True)
    assert isinstance(after, Payout)
    return after


@given(
    st.integers(1, 3 * LIMIT), people, st.sampled_from([None, *PEOPLE]), st.sampled_from(PEOPLE),
    st.sampled_from(["stopped", "not fetched in time", "cancelled", "not collected"]),
)  # fmt: skip
def test_cash_that_was_given_up_may_have_been_handed_over_by_whoever_could_before(
    amount: int, maker: UUID | None, approver: UUID | None, by: UUID, how: str
) -> None:
    """Much money that nobody had approved was let go to nobody, and is no payment afterwards."""
    state: PayoutState = "draft" if approver is None else "approved"
    before = Payout(amount, "UAH", state=state, maker=maker, approver=approver)
    over = ended(before, how)
    assert (over.state, over.version) == ("cancelled", before.version + 1)

    def settled(payout: Payout, *, is_cash: bool) -> Payout | PayoutRefusal:
        return step(payout, "settle", by, NOW, float_limit_minor=LIMIT, is_cash=is_cash)

    live, late = settled(before, is_cash=True), settled(over, is_cash=True)
    if isinstance(live, Payout):
        assert isinstance(late, Payout)
        assert late == replace(live, version=over.version + 1)
    else:
        assert late is live
    if state == "draft" and amount > LIMIT:
        assert late is PayoutRefusal.WRONG_STATE
    # What a bank was to send, and was stopped before it left, nobody has.
    assert settled(over, is_cash=False) is PayoutRefusal.WRONG_STATE


def test_the_usual_way() -> None:
    payout = Payout(5_000, "UAH")
    for verb, by in (
        ("approve", PEOPLE[0]),
        ("export", PEOPLE[0]),
        ("accept", PEOPLE[0]),
        ("settle", PEOPLE[1]),
    ):
        after = step(payout, verb, by, NOW, float_limit_minor=LIMIT)  # type: ignore[arg-type]
        assert isinstance(after, Payout)
        payout = after
    assert payout.state == "settled"
    refused = step(payout, "return", PEOPLE[0], NOW, float_limit_minor=LIMIT, reason="lost")
    assert refused is PayoutRefusal.REASON_UNKNOWN


def test_one_person_alone_is_reviewed_by_another() -> None:
    settled = step(Payout(10, "UAH"), "settle", PEOPLE[0], NOW, float_limit_minor=LIMIT)
    assert isinstance(settled, Payout)
    assert settled.review_due_at is not None
    assert review(settled, PEOPLE[0]) is PayoutRefusal.SECOND_PERSON
    # Nor by whoever said where it goes.
    sealed = replace(settled, sealed_by=PEOPLE[1])
    assert review(sealed, PEOPLE[1]) is PayoutRefusal.SECOND_PERSON
    assert isinstance(review(sealed, PEOPLE[2]), Payout)
    reviewed = review(settled, PEOPLE[1])
    assert isinstance(reviewed, Payout)
    assert review(reviewed, PEOPLE[2]) is PayoutRefusal.ALREADY_REVIEWED


@given(
    st.integers(-3, 3),
    st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes)),
)
def test_a_payout_is_settled_on_a_day_that_has_come(days: int, now: datetime) -> None:
    on = day_of(now) + timedelta(days=days)
    draft = Payout(LIMIT, "UAH")
    settled = step(draft, "settle", PEOPLE[0], now, float_limit_minor=LIMIT, settled_on=on)
    assert (settled is PayoutRefusal.DAY_IN_FUTURE) == (days > 0)
    assert isinstance(settled, Payout) == (days <= 0)


def iban_check_digits(country: str, account: str) -> str:
    """The two digits that make `country` + digits + `account` an IBAN."""
    moved = compact(account) + country.upper() + "00"
    return f"{98 - int(''.join(str(int(character, 36)) for character in moved)) % 97:02d}"


@given(st.sampled_from(["UA", "DE"]), st.integers(0, 10**18 - 1), st.integers(0, 9))
def test_one_wrong_digit_of_an_iban_is_found(country: str, number: int, wrong: int) -> None:
    account = f"{number:0{25 if country == 'UA' else 18}d}"
    good = country + iban_check_digits(country, account) + account
    assert is_iban(good)
    place = 4 + wrong
    changed = str((int(good[place]) + 1) % 10)
    assert not is_iban(good[:place] + changed + good[place + 1 :])


@pytest.mark.parametrize(
    ("number", "good"),
    [
        ("UA21 3223 1300 0002 6007 2335 6600 1", True),  # the registry's example
        ("DE89 3704 0044 0532 0130 00", True),
        ("DE89 3704 0044 0532 0130 0", False),
        ("ua213223130000026007233566001", True),
        ("", False),
        ("DE893704004405320130ÄÖ", False),
    ],
)
def test_ibans(number: str, good: bool) -> None:
    assert is_iban(compact(number)) is good


def test_cards() -> None:
    assert is_card(compact("4242 4242 4242 4242"))
    assert not is_card(compact("4242 4242 4242 4241"))


def _ordered(*lines: Line) -> Purchase:
    ordered = buying.order(buying.draft(lines, PEOPLE[0]), PEOPLE[1], float_limit_minor=0)
    assert isinstance(ordered, Purchase)
    return ordered


counts = st.lists(
    st.dictionaries(st.sampled_from(["soap", "bed", "lamp"]), st.integers(1, 9)), max_size=6
)


@given(counts)
def test_whatever_is_counted_in_is_kept(counted: list[dict[str, int]]) -> None:
    purchase = _ordered(
        Line("soap", "soap", 5, 10), Line("bed", "beds", 2, 900), Line("soap", "more soap", 3, 11)
    )
    for receipt in counted:
        purchase = buying.count_in(purchase, receipt)
    for item in ("soap", "bed"):
        came = sum(receipt.get(item, 0) for receipt in counted)
        assert sum(line.received for line in purchase.lines if line.item == item) == came
    complete = all(line.received >= line.quantity for line in purchase.lines)
    assert (purchase.state == "received") == (complete and bool(counted))
    # Whatever of it was counted by mistake goes out again, in any order.
    for place, receipt in enumerate(reversed(counted), start=1):
        purchase = buying.count_out(purchase, receipt)
        for item in ("soap", "bed"):
            kept = sum(each.get(item, 0) for each in counted[: len(counted) - place])
            assert sum(line.received for line in purchase.lines if line.item == item) == kept
    assert purchase.state == ("ordered" if counted else purchase.state)
    assert all(line.received == 0 for line in purchase.lines)


def test_an_order_of_which_something_has_come_is_not_given_up() -> None:
    ordered = _ordered(Line("soap", "soap", 5, 10))
    came = buying.count_in(ordered, {"soap": 1})
    assert came.state == "ordered"
    assert buying.cancel(came) is PurchaseRefusal.WRONG_STATE
    cancelled = buying.cancel(buying.count_out(came, {"soap": 1}))
    assert isinstance(cancelled, Purchase)
    assert cancelled.state == "cancelled"


acts = st.lists(
    st.tuples(
        st.sampled_from(["receive", "invoice", "correct_bill", "pay", "reverse_payment", "cancel"]),
        st.sampled_from(PEOPLE),
        st.integers(1, 3 * LIMIT),
    ),
    max_size=15,
)


@given(acts)
def test_a_purchase_is_paid_once_and_put_right_by_two(acts: list[tuple[str, UUID, int]]) -> None:
    purchase = _ordered(Line(None, "rent", 1, 5_000))
    spent = 0
    for what, by, amount in acts:
        before = purchase
        if what in ("pay", "reverse_payment"):
            after = getattr(buying, what)(purchase, by, float_limit_minor=LIMIT)
        elif what in ("invoice", "correct_bill"):
            after = getattr(buying, what)(purchase, by, amount)
        else:
            after = getattr(buying, what)(purchase)
        if isinstance(after, PurchaseRefusal):
            continue
        purchase = after
        if what == "pay":
            spent += purchase.amount_minor
            # Whoever alone has seen that more is asked for than was ordered does not pay it.
            more = purchase.amount_minor > max(LIMIT, purchase.ordered_minor)
            assert not (more and by == purchase.biller)
        elif what == "reverse_payment":
            spent -= purchase.amount_minor
            assert purchase.amount_minor <= LIMIT or by != before.payer
        elif what == "cancel":
            assert before.state != "paid"
        # What is spent is what is paid now: nothing is corrected while it counts as paid.
        assert spent == (purchase.amount_minor if purchase.state == "paid" else 0)
        assert (purchase.payer is not None) == (purchase.state == "paid")


@given(st.integers(1, 3 * LIMIT), st.integers(1, 3 * LIMIT), *[st.sampled_from(PEOPLE)] * 3)
def test_what_a_restore_ordered_is_billed_and_paid_by_two(
    ordered_minor: int, billed_minor: int, biller: UUID, corrector: UUID, payer: UUID
) -> None:
    drawn = buying.draft([Line(None, "unproven", 1, ordered_minor)], buying.RESTORE)
    purchase: Purchase | PurchaseRefusal = buying.receive(replace(drawn, state="ordered"))
    assert isinstance(purchase, Purchase)
    purchase = buying.invoice(purchase, biller, ordered_minor)
    assert isinstance(purchase, Purchase)
    purchase = buying.correct_bill(purchase, corrector, billed_minor)
    assert isinstance(purchase, Purchase)
    paid = buying.pay(purchase, payer, float_limit_minor=LIMIT)
    assert isinstance(paid, Purchase) is (billed_minor <= LIMIT or payer != corrector)
    # Who entered older bills is not known.
    older = buying.pay(replace(purchase, biller=None), payer, float_limit_minor=LIMIT)
    assert isinstance(older, Purchase) is (billed_minor <= LIMIT)


def test_a_purchase_takes_two_people_above_the_limit() -> None:
    drawn = buying.draft([Line(None, "rent", 1, 5_000)], PEOPLE[0])
    assert buying.order(drawn, PEOPLE[0], float_limit_minor=LIMIT) is PurchaseRefusal.SECOND_PERSON
    purchase: Purchase | PurchaseRefusal = buying.order(drawn, PEOPLE[1], float_limit_minor=LIMIT)
    assert isinstance(purchase, Purchase)
    purchase = buying.receive(purchase)
    assert isinstance(purchase, Purchase)
    purchase = buying.invoice(purchase, PEOPLE[0], 4_800)
    assert isinstance(purchase, Purchase)
    raised = buying.correct_bill(purchase, PEOPLE[0], 900_000)
    assert isinstance(raised, Purchase)
    assert buying.pay(raised, PEOPLE[0], float_limit_minor=LIMIT) is PurchaseRefusal.SECOND_PERSON
    assert isinstance(buying.pay(raised, PEOPLE[1], float_limit_minor=LIMIT), Purchase)
    paid = buying.pay(replace(purchase), PEOPLE[0], float_limit_minor=LIMIT)
    assert isinstance(paid, Purchase)
    assert buying.cancel(paid) is PurchaseRefusal.WRONG_STATE
