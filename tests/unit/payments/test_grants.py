"""A grant's equation, its lines, its donor's second thoughts."""

from dataclasses import replace
from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import GrantId
from aidmesh_contracts.restriction import Restriction, Use
from aidmesh_payments.domain import grants
from aidmesh_payments.domain.grants import (
    Grant,
    Granted,
    GrantRefusal,
    Line,
    Override,
)

MAKER, CHECKER = UUID(int=1), UUID(int=2)


def _grant(received: int = 1_000, amount: int = 1_000) -> Grant:
    grant = grants.receive(Grant(GrantId(UUID(int=9)), "EUR", amount, "pledged"), received)
    assert isinstance(grant, Grant)
    assert grant.status == "active"
    return grant


def test_only_received_money_is_allotted_whoever_overrides() -> None:
    line = Line("aid", 1_000, 10)
    override = Override(CHECKER, "winter")
    assert grants.allot(_grant(600), line, 601, MAKER, override) is GrantRefusal.NOT_RECEIVED
    assert grants.allot(_grant(600), None, 1, MAKER) is GrantRefusal.LINE_UNKNOWN


def test_a_line_is_exceeded_only_by_two_people() -> None:
    line = Line("aid", 500, 10)
    assert isinstance(grants.allot(_grant(), line, 550, MAKER), tuple)
    assert grants.allot(_grant(), line, 551, MAKER) is GrantRefusal.LINE_EXCEEDED
    alone = Override(MAKER, "winter")
    assert grants.allot(_grant(), line, 551, MAKER, alone) is GrantRefusal.SAME_PERSON
    assert isinstance(grants.allot(_grant(), line, 551, MAKER, Override(CHECKER, "w")), tuple)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "receive",
                    "allot",
                    "back",
                    "demand",
                    "refund",
                    "unrefund",
                    "difference",
                    "unreceive",
                    "undemand",
                ]
            ),
            st.integers(1, 500),
        ),
        max_size=30,
    )
)
def test_the_equation_holds_whatever_happens(acts: list[tuple[str, int]]) -> None:
    # The equation itself is asserted in Grant; here nothing may break it or vanish.
    grant, line, granted = _grant(100), Line("aid", 10**6, 0), Granted(0, 0)
    shortfall = 0
    came: list[tuple[int, int]] = []  # instalments, and what was set aside of each
    after: Grant | GrantRefusal
    for what, amount in acts:
        if what == "receive":
            received = grants.receive(grant, amount)
            # Whoever waits for money is served first.
            after, still = grants.demand_back(received, shortfall)
            came.append((amount, shortfall - still))
            shortfall = still
            grant = replace(grant, version=grant.version + 1)
        elif what == "allot":
            decided = grants.allot(grant, line, amount, MAKER)
            if isinstance(decided, GrantRefusal):
                continue
            after, line = decided
            granted = Granted(
                granted.amount_minor + 3 * amount,
                granted.granted_minor + amount,
                granted.returned_minor,
                granted.returned_granted_minor,
            )
        elif what == "back":
            left = granted.amount_minor - granted.returned_minor
            if not left:
                continue
            taken = grants.take_back(
                grant,
                line,
                granted,
                min(amount, left),
                worth_minor=amount // 2 if amount % 3 else None,
                shortfall_minor=shortfall,
            )
            after, line, granted = taken.grant, taken.line, taken.granted
            shortfall -= taken.set_aside_minor
            assert shortfall >= 0
        elif what == "demand":
            after, missing = grants.demand_back(grant, amount)
            shortfall += missing
            assert after.refund_due_minor == grant.refund_due_minor + amount - missing
        elif what == "unreceive":
            if not came:
                continue
            wrong, aside = came[amount % len(came)]
            reversed_ = grants.reverse_instalment(grant, wrong, aside)
            lacking = max(0, wrong - grant.unallotted_minor)
            if isinstance(reversed_, GrantRefusal):
                # Given on, or sent back to the donor.
                assert lacking > min(aside, grant.refund_due_minor)
                continue
            came.pop(amount % len(came))
            after, missing = reversed_
            assert after.received_minor == grant.received_minor - wrong
            # What the donor is to have back stays the same, due or missing again.
            assert grant.refund_due_minor - after.refund_due_minor == missing == lacking
            shortfall += missing
        elif what == "undemand":
            less = grants.withdraw_demand(grant, amount, shortfall)
            if isinstance(less, GrantRefusal):
                assert amount > shortfall + grant.refund_due_minor
                continue
            after, forgotten = less
            # Together what is due and what is missing goes down by what is not wanted.
            shortfall -= forgotten
            assert shortfall >= 0
            assert after.refund_due_minor == grant.refund_due_minor - (amount - forgotten)
            assert after.refund_due_minor == grant.refund_due_minor or shortfall == 0
        elif what == "refund":
            after = grants.refund(grant, amount)
        elif what == "unrefund":
            after = grants.reverse_refund(grant, amount)
            assert isinstance(after, Grant) is (amount <= grant.refunded_minor)
        else:
            after = grants.book_exchange_difference(grant, amount - 250)
        if isinstance(after, Grant):
            assert after.version == grant.version + 1
            grant = after


def test_an_instalment_that_worked_off_a_demand_is_taken_out_and_the_demand_stands_again() -> None:
    allotted = grants.allot(_grant(500), Line("aid", 500, 0), 500, MAKER)
    assert isinstance(allotted, tuple)
    grant, missing = grants.demand_back(allotted[0], 300)
    assert missing == 300
    received = grants.receive(grant, 400)
    assert isinstance(received, Grant)
    grant, still = grants.demand_back(received, missing)
    assert (grant.refund_due_minor, grant.unallotted_minor, still) == (300, 100, 0)
    undone = grants.reverse_instalment(grant, 400, 300)
    assert isinstance(undone, tuple)
    assert (undone[0].received_minor, undone[0].refund_due_minor, undone[1]) == (500, 0, 300)
    # Not what went back to the donor already, nor what was set aside of other money.
    refunded = grants.refund(grant, 1)
    assert isinstance(refunded, Grant)
    assert grants.reverse_instalment(refunded, 400, 300) is GrantRefusal.GIVEN_ON
    assert grants.reverse_instalment(grant, 400, 299) is GrantRefusal.GIVEN_ON


@given(
    st.integers(1, 3_000),
    st.dictionaries(st.sampled_from(["aid", "rent"]), st.integers(1, 2_000)),
    st.integers(0, 600),
)
def test_an_amendment_moves_no_money_and_cuts_nothing_that_was_allotted(
    amount: int, line_amounts: dict[str, int], allotted: int
) -> None:
    before = _grant()
    lines = [Line("aid", 500, 20, allotted), Line("overhead", 100, 0), Line("rent", 400, 0)]
    amended = grants.amend(before, lines, amount, line_amounts, 1_000)
    if isinstance(amended, GrantRefusal):
        assert amended in (
            GrantRefusal.BELOW_ALLOTTED,
            GrantRefusal.NOTHING,
            GrantRefusal.LINES_EXCEED_GRANT,
        )
        return
    grant, changed = amended
    assert replace(grant, amount_minor=before.amount_minor, version=before.version) == before
    assert grant.amount_minor == amount
    assert sum(line.amount_minor for line in changed) <= amount
    for was, line in zip(lines, changed, strict=True):
        assert line.amount_minor >= min(was.amount_minor, was.allotted_minor)
        assert replace(line, amount_minor=was.amount_minor) == was
    assert changed[1].amount_minor == grants.overhead_minor(amount, 1_000)
    assert changed[2].amount_minor == line_amounts.get("rent", 400)


days = st.none() | st.dates(date(2024, 1, 1), date(2024, 1, 5))


@given(days, days, st.sampled_from(["pledged", "active", "suspended", "closed"]))
def test_amended_terms_wake_needs_only_of_days_that_can_be_paid_now(
    before: date | None, after: date | None, status: str
) -> None:
    terms, new = Restriction(valid_to=before), Restriction(valid_to=after)
    uses = [
        Use(programme="relief", kind="cash", on=date(2024, 1, day), service_area="UA80")
        for day in range(1, 8)
    ]
    gained = any(new.fits(use) and not terms.fits(use) for use in uses)
    assert grants.wakes(status, terms, new) == (gained and status == "active")


def test_each_amount_that_is_too_much_is_refused_for_a_reason_of_its_own() -> None:
    grant, _ = grants.demand_back(_grant(), 300)
    for refused, why in (
        (grants.refund(grant, 301), "refund-above-set-aside"),
        (grants.withdraw_demand(grant, 301, 0), "refunded-already"),
        (grants.reverse_refund(grant, 1), "more-than-refunded"),
        (grants.book_exchange_difference(grant, 701), "difference-above-unallotted"),
        (grants.reverse_instalment(grant, 1_000, 299), "instalment-given-on"),
        (grants.amend(_grant(), [Line("aid", 500, 0, 500)], 1_000, {"aid": 9}, 0),
         "line-below-allotted"),
        (grants.amend(_grant(), [Line("aid", 500, 0)], 1_000, {"aid": 0}, 0), "amount-is-zero"),
    ):  # fmt: skip
        assert refused == GrantRefusal(why)


def test_what_cannot_be_amended() -> None:
    lines = [Line("aid", 500, 0, 500)]
    assert grants.amend(_grant(), lines, 1_000, {"aid": 499}, 0) is GrantRefusal.BELOW_ALLOTTED
    assert grants.amend(_grant(), lines, 1_000, {"food": 1}, 0) is GrantRefusal.LINE_UNKNOWN
    assert grants.amend(_grant(), lines, 499, {}, 0) is GrantRefusal.LINES_EXCEED_GRANT
    # A line that was exceeded with an override may grow without reaching what is allotted.
    exceeded = [Line("aid", 500, 0, 600)]
    assert isinstance(grants.amend(_grant(), exceeded, 1_000, {"aid": 550}, 0), tuple)
    assert grants.amend(_grant(), exceeded, 1_000, {"aid": 499}, 0) is GrantRefusal.BELOW_ALLOTTED
    closed = replace(_grant(), status="closed")
    assert grants.amend(closed, lines, 1_000, {}, 0) is GrantRefusal.WRONG_STATE


def test_overhead_is_part_of_the_grant() -> None:
    assert grants.overhead_minor(999, 700) == 70
    lines = [Line("aid", 931, 0), Line("overhead", 70, 0)]
    assert grants.check_lines(999, lines) is GrantRefusal.LINES_EXCEED_GRANT
    assert grants.check_lines(1_001, lines) is None


def test_states() -> None:
    active = _grant()
    suspended = grants.change_status(active, "suspend")
    assert isinstance(suspended, Grant)
    assert grants.allot(suspended, Line("aid", 1, 0), 1, MAKER) is GrantRefusal.NOT_ACTIVE
    assert grants.change_status(active, "resume") is GrantRefusal.WRONG_STATE
    closed = grants.change_status(suspended, "close")
    assert isinstance(closed, Grant)
    # What a donor pays after the last report has come all the same.
    late = grants.receive(closed, 7)
    assert (late.status, late.unallotted_minor) == ("closed", closed.unallotted_minor + 7)
    assert grants.allot(late, Line("aid", 1, 0), 1, MAKER) is GrantRefusal.NOT_ACTIVE
    for verb in ("activate", "suspend", "close"):
        assert grants.change_status(late, verb) is GrantRefusal.WRONG_STATE
    resumed = grants.change_status(late, "resume")
    assert isinstance(resumed, Grant)
    assert resumed.status == "active"


def test_a_donor_who_waits_is_served_from_all_that_is_free_when_money_comes_back() -> None:
    line = Line("aid", 1_000, 0, allotted_minor=100)
    gained = replace(_grant(100), unallotted_minor=30, allotted_minor=100,
                     exchange_difference_minor=-30)  # fmt: skip
    taken = grants.take_back(
        gained, line, Granted(100, 100), 10, worth_minor=None, shortfall_minor=35
    )
    assert (taken.set_aside_minor, taken.grant.unallotted_minor) == (35, 5)
