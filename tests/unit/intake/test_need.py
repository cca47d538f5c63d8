"""Random interleavings: whatever comes in whatever order, a need ends right and never sticks."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aidmesh_contracts.ids import MessageId, NeedId
from aidmesh_contracts.intake import NeedFulfilledV1, NeedWaitlistedV1, NeedWithdrawnV1
from aidmesh_contracts.inventory import (
    ReservationRefusedV1,
    ReservationReleasedV1,
    ReservationReversedV1,
)
from aidmesh_contracts.notification import MessageSentV1
from aidmesh_contracts.payments import (
    CommitmentRefusedV1,
    CommitmentReleasedV1,
    CommitmentReversedV1,
    CommitmentSpentV1,
)
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.domain import commands, saga
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import Lack, Leg, Need, NotAllowed, State, Wait
from unit.intake.builders import CASH, DAY, NOTHING, NOW, PAID, STOCK, need
from unit.intake.play import COMMITMENT, GRANT, NEED, RESERVATION, Play, issued

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["answer"] * 6
            + ["event"] * 6
            + ["expire_supply", "expire_money", "not_collected", "relocate", "issue", "undo"]
            + ["cancel", "overdue", "wake", "tell", "message"]
        ),
        st.integers(0, 1000),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(st.sampled_from([STOCK, PAID]), STEPS)
def test_any_interleaving_ends_right(ask: Ask, steps: list[tuple[str, int, bool, bool]]) -> None:
    play = Play(need(ask))
    play.record(commands.approve(play.need, NOW))
    for name, index, keep, refuses in steps:
        _step(play, name, index, keep, refuses)
    play.settle()
    final = play.need
    assert final.state in (
        State.READY,
        State.FULFILLED,
        State.CANCELLED,
        State.REQUESTED,
    ), final.state
    in_force = [number for number, count in play.services.items() if count]
    assert len(in_force) <= 1
    assert (final.state is State.FULFILLED) == bool(in_force)
    out = [attempt for attempt, state in play.supply.held.items() if state == "issued"]
    assert (final.state is State.FULFILLED) == bool(out)
    assert len(out) <= 1 or final.attention == "served_by_two_attempts"
    if final.state is State.READY:
        assert play.supply.held[final.attempt_no] == "firm"
    if final.state is State.CANCELLED:
        for holder in (play.supply, play.money):
            assert not [each for each in holder.held.values() if each in ("held", "firm")]


def _step(play: Play, name: str, index: int, keep: bool, refuses: bool) -> None:
    if name == "answer" and play.to_intake:
        play.deliver_answer(index, keep=keep)
    elif name == "event" and play.to_holders:
        play.deliver_event(index, keep=keep, refuses=refuses)
    elif name in ("expire_supply", "expire_money"):
        holder = play.supply if name == "expire_supply" else play.money
        if holder.held.get(play.need.attempt_no) == "held":
            play.answer(holder.release(play.need.attempt_no, "hold_expired"))
    elif name in ("not_collected", "relocate"):
        cause = "not_collected" if name == "not_collected" else "relocated"
        if play.supply.held.get(play.need.attempt_no) == "firm":
            play.answer(play.supply.release(play.need.attempt_no, cause))
    elif name == "issue":
        play.answer(play.supply.issue())
    elif name == "undo":
        play.answer(play.supply.undo())
    elif name == "cancel" and play.need.state in commands.OPEN and index % 4 == 0:
        play.record(commands.end(play.need, State.CANCELLED, "no_longer_needed"))
    elif name == "overdue" and play.need.state in (State.APPROVED, State.HELD):
        play.record(commands.ask_anew(play.need, play.now))
    elif name == "wake" and play.need.state is State.WAITLISTED:
        play.record(commands.approve(play.need, play.now, note="woken", woken=True))
    elif name == "tell" and play.need.state is State.READY and play.need.told_at is None:
        play.record(commands.tell(play.need, play.now))
    elif name == "message":
        sent = _left(max(1, play.need.attempt_no - index % 2))
        play.record(saga.decide(play.need, sent, play.now))


LATE = st.lists(
    st.tuples(
        st.sampled_from(
            ["answer"] * 4
            + ["event"] * 4
            + ["leaves"] * 4
            + ["reported"] * 4
            + ["relocate"] * 3
            + ["expire_supply", "not_collected", "issue", "undo", "cancel"]
            + ["overdue", "wake", "tell"]
        ),
        st.integers(0, 1000),
        st.booleans(),
        st.booleans(),
    ),
    max_size=80,
)


@settings(max_examples=400)
@given(st.sampled_from([STOCK, PAID]), LATE)
def test_whoever_was_told_knows_better_is_served_or_is_looked_after(
    ask: Ask, steps: list[tuple[str, int, bool, bool]]
) -> None:
    """A message leaves at once; that it did is heard of late, whatever happened meanwhile."""
    play = Play(need(ask))
    play.record(commands.approve(play.need, NOW))
    play.settle()
    left: list[int] = []
    heard: set[int] = set()
    for name, index, keep, refuses in steps:
        before = play.need
        if name == "leaves":
            is_due = before.state is State.READY and before.told_at is None
            if is_due and before.attempt_no not in {*left, *heard}:
                left.append(before.attempt_no)
        elif name != "reported":
            _step(play, name, index, keep, refuses)
        elif left:
            attempt_no = left.pop(index % len(left))
            heard.add(attempt_no)
            play.record(saga.decide(before, _left(attempt_no), play.now))
            after = play.need
            knows_better = after.told_at is not None
            is_served = after.state is State.FULFILLED
            assert knows_better or is_served or after.attention is not None
        after = play.need
        if before.attention is not None and after.attention is None:
            assert after.told_at is not None or after.state is State.FULFILLED


def _left(attempt_no: int) -> MessageSentV1:
    return MessageSentV1(
        message_id=MessageId(uuid4()), need_id=NEED, attempt_no=attempt_no, sent_at=NOW
    )


def test_a_message_that_left_before_the_site_was_closed_is_followed_up() -> None:
    play = Play(need())
    play.record(commands.approve(play.need, NOW))
    play.settle()
    play.answer(play.supply.release(1, "relocated"))
    play.deliver_answer(0, keep=False)
    while play.to_holders:  # there is nothing elsewhere
        play.deliver_event(0, keep=False, refuses=True)
    play.deliver_answer(0, keep=False)
    assert (play.need.state, play.need.attempt_no) == (State.WAITLISTED, 2)
    unaware, looked_after = play.need, saga.decide(play.need, _left(1), NOW)
    assert (unaware.attention, looked_after.need.attention) == (None, "told_to_come")
    play.record(looked_after)
    assert saga.decide(play.need, _left(1), NOW).need is play.need
    play.settle()
    assert (play.need.state, play.need.attention) == (State.READY, "told_to_come")
    # They are told anew, by a message of what holds now.
    play.record(saga.decide(play.need, _left(play.need.attempt_no), NOW))
    assert (play.need.attention, play.need.told_how) == (None, "message")


@pytest.mark.parametrize("reason", ["no_longer_needed", "person_erased"])
def test_nobody_looks_for_whom_nothing_is_known_of(reason: str) -> None:
    play = Play(need())
    play.record(commands.approve(play.need, NOW))
    play.settle()
    play.record(commands.end(play.need, State.CANCELLED, reason))
    attention = saga.decide(play.need, _left(1), NOW).need.attention
    assert attention == (None if reason == "person_erased" else "told_to_come")


def test_cancel_while_asked_leaves_a_tombstone() -> None:
    asked = commands.approve(need(), NOW).need
    ended = commands.end(asked, State.CANCELLED, "moved")
    assert [type(event).__name__ for event in ended.events] == ["NeedWithdrawnV1", "NeedClosedV1"]
    with pytest.raises(NotAllowed):
        commands.end(ended.need, State.CANCELLED, "again")


PARCEL = BlockedBy(resource="stock", code="food_parcel", area="UA80", quantity=1)
TALK = BlockedBy(resource="slot", code="counseling", area="UA80", quantity=1)
FEE = BlockedBy(resource="money", code="food/UAH", quantity=100)


def no_slot(attempt_no: int = 1, blocked_by: BlockedBy | None = TALK) -> ReservationRefusedV1:
    return ReservationRefusedV1(
        need_id=NEED,
        attempt_no=attempt_no,
        reason="short",
        blocked_by=blocked_by,
        decided_at=NOW,
    )


def no_money(attempt_no: int = 1, reason: str = "restricted") -> CommitmentRefusedV1:
    return CommitmentRefusedV1.model_validate(
        {
            "need_id": NEED,
            "attempt_no": attempt_no,
            "reason": reason,
            "blocked_by": None if reason == "withdrawn" else FEE,
            "decided_at": NOW,
        }
    )


def test_what_nobody_has_entered_is_waited_for_like_any_shortage() -> None:
    asked = commands.approve(need(), NOW).need
    refusal = ReservationRefusedV1(
        need_id=NEED, attempt_no=1, reason="unknown_item", blocked_by=PARCEL, decided_at=NOW
    )
    decision = saga.decide(asked, refusal, NOW)
    waiting = decision.need
    assert (waiting.state, waiting.wait) == (State.WAITLISTED, Wait.SHORT)
    assert (waiting.blocked_by, waiting.retry_at) == (PARCEL, None)
    assert [type(event) for event in decision.events] == [NeedWaitlistedV1]


def test_an_unknown_item_that_is_not_named_is_asked_for_anew() -> None:
    asked = commands.approve(need(), NOW).need
    refusal = ReservationRefusedV1(
        need_id=NEED, attempt_no=1, reason="unknown_item", blocked_by=None, decided_at=NOW
    )
    waiting = saga.decide(asked, refusal, NOW).need
    assert (waiting.state, waiting.blocked_by) == (State.WAITLISTED, PARCEL)
    assert waiting.retry_at is not None


@pytest.mark.parametrize("supply_first", [True, False])
def test_both_refusals_of_an_attempt_are_known(supply_first: bool) -> None:
    asked = commands.approve(need(PAID), NOW).need
    first, second = (no_slot(), no_money()) if supply_first else (no_money(), no_slot())
    waiting = saga.decide(asked, first, NOW).need
    assert waiting.also_lacks is None
    decision = saga.decide(waiting, second, NOW)
    slot, money = Lack(blocked_by=TALK, wait=Wait.SHORT), Lack(blocked_by=FEE, wait=Wait.RESTRICTED)
    assert decision.need == replace(
        waiting,
        also_lacks=money if supply_first else slot,
        version=waiting.version + 1,
    ), "it waits for what it waited for"
    assert (decision.events, decision.note) == ((), "lacks_too")
    assert saga.decide(decision.need, second, NOW).need is decision.need
    woken = commands.approve(decision.need, NOW, note="woken", woken=True).need
    assert woken.also_lacks is None, "it is asked for anew"


@pytest.mark.parametrize(
    "late",
    [
        no_money(attempt_no=2),
        no_money(reason="withdrawn"),
        no_money(reason="expired"),
        no_slot(blocked_by=TALK.model_copy(update={"code": "other"})),
    ],
    ids=["of_another_attempt", "withdrawn", "expired", "of_the_same_side"],
)
def test_only_the_other_refusal_of_the_attempt_is_noted(late: saga.Answer) -> None:
    waiting = saga.decide(commands.approve(need(PAID), NOW).need, no_slot(), NOW).need
    assert saga.decide(waiting, late, NOW).need is waiting


def test_what_it_lacked_is_forgotten_when_it_waits_for_something_else_or_ends() -> None:
    waiting = saga.decide(commands.approve(need(PAID), NOW).need, no_slot(), NOW).need
    lacking = saga.decide(waiting, no_money(), NOW).need
    assert commands.end(lacking, State.DECLINED, "not_eligible").need.also_lacks is None
    again = commands.approve(lacking, NOW).need
    assert saga.decide(again, no_slot(2), NOW).need.also_lacks is None


def test_a_refusal_without_a_blocker_is_retried() -> None:
    asked = commands.approve(need(CASH), NOW).need
    refusal = CommitmentRefusedV1(
        need_id=NEED, attempt_no=1, reason="expired", blocked_by=None, decided_at=NOW
    )
    waiting = saga.decide(asked, refusal, NOW).need
    assert waiting.state is State.WAITLISTED
    assert waiting.wait is Wait.HOLD_EXPIRED
    assert waiting.retry_at is not None
    assert waiting.retry_at > NOW


def test_a_payment_that_comes_back_asks_a_person() -> None:
    play = Play(need(CASH))
    play.record(commands.approve(play.need, NOW))
    play.settle()
    assert play.need.state is State.READY
    back = CommitmentReleasedV1(
        commitment_id=COMMITMENT, need_id=NEED, attempt_no=1, cause="returned"
    )
    decision = saga.decide(play.need, back, NOW)
    assert (decision.need.state, decision.need.reason) == (State.REQUESTED, "payment_returned")


@pytest.mark.parametrize("first", [0, 1], ids=["in_order", "let_go_first"])
def test_what_was_undone_and_let_go_is_not_ready_in_whatever_order_it_is_heard(first: int) -> None:
    play = Play(need(PAID))
    play.record(commands.approve(play.need, NOW))
    play.settle()
    play.answer(play.supply.issue())
    play.settle()
    assert play.need.state is State.FULFILLED
    play.answer([*play.supply.undo(), *play.supply.release(1, "not_collected")])
    play.deliver_answer(first, keep=True)
    play.deliver_answer(1 - first, keep=True)
    waiting = play.need
    assert (waiting.state, waiting.wait) == (State.WAITLISTED, Wait.NOT_COLLECTED)
    assert not any(play.services.values())
    play.deliver_answer(first, keep=True)
    assert play.need is waiting, "heard twice"
    play.settle()
    assert (play.need.state, play.need.attempt_no) == (State.READY, 2)
    assert (play.supply.held, play.money.held) == ({1: "over", 2: "firm"}, {1: "over", 2: "firm"})


def test_a_release_of_before_the_service_in_force_does_not_undo_it() -> None:
    play = Play(need())
    play.record(commands.approve(play.need, NOW))
    play.settle()
    served = saga.decide(play.need, issued(1, 2), NOW).need
    late = ReservationReleasedV1(
        reservation_id=RESERVATION,
        need_id=NEED,
        attempt_no=1,
        cause="not_collected",
        undone_no=1,
    )
    assert saga.decide(served, late, NOW).need is served
    never_issued = late.model_copy(update={"undone_no": None})
    assert saga.decide(served, never_issued, NOW).need is served


@pytest.mark.parametrize("unfunded", [True, False])
def test_cash_that_comes_back_leaves_ready_only_what_holds_money(unfunded: bool) -> None:
    play = Play(need(CASH))
    play.record(commands.approve(play.need, NOW))
    play.settle()
    paid = CommitmentSpentV1(
        commitment_id=COMMITMENT,
        need_id=NEED,
        attempt_no=1,
        spend_no=1,
        grant_id=GRANT,
        amount_minor=100,
        currency="UAH",
        spent_on=DAY,
        fulfils=True,
        unfunded=unfunded,
    )
    play.record(saga.decide(play.need, paid, NOW))
    lapsed = CommitmentReleasedV1(
        commitment_id=COMMITMENT, need_id=NEED, attempt_no=1, cause="not_collected"
    )
    assert saga.decide(play.need, lapsed, NOW).need is play.need, "it had been let go before"
    assert play.need.state is State.FULFILLED
    back = CommitmentReversedV1(
        commitment_id=COMMITMENT,
        need_id=NEED,
        attempt_no=1,
        spend_no=1,
        fulfils=True,
        reason="ac04",
    )
    play.record(saga.decide(play.need, back, NOW))
    assert play.need.state is (State.REQUESTED if unfunded else State.READY)


def test_a_need_that_takes_nothing_is_ready_at_once() -> None:
    decision = commands.approve(need(NOTHING), NOW)
    assert decision.need.state is State.READY
    served = commands.serve(decision.need, DAY)
    assert served.need.service_no == 1
    assert commands.take_back(served.need, "mistake").need.state is State.READY


def awaiting_start() -> Need:
    """A need of PrEP whose appointment was kept: attempt and issue 1."""
    play = Play(replace(need(PAID), confirmed_start=True))
    play.record(commands.approve(play.need, NOW))
    play.settle()
    with pytest.raises(NotAllowed, match="not_attended"):
        commands.serve(play.need, DAY)
    play.answer(play.supply.issue())
    play.settle()
    assert not play.services
    return play.need


def test_an_appointment_is_not_yet_the_start() -> None:
    waiting = awaiting_start()
    assert (waiting.state, waiting.served_on, waiting.service_no) == (State.READY, None, 0)
    assert waiting.attended is not None
    assert waiting.told_how == "in_person"  # whoever was there is not told to come
    assert saga.decide(waiting, issued(1, 1), NOW).need is waiting

    served = commands.serve(waiting, DAY + timedelta(days=3))
    (event,) = served.events
    assert isinstance(event, NeedFulfilledV1)
    assert event.served_on == DAY + timedelta(days=3)
    assert (event.quantity, event.unit) == (waiting.attended.quantity, waiting.attended.unit)
    assert saga.decide(served.need, issued(1, 1), NOW).need is served.need


def test_what_did_not_start_ends_with_a_reason() -> None:
    waiting = awaiting_start()
    ended = commands.end(waiting, State.CANCELLED, "not_started").need
    assert (ended.state, ended.reason) == (State.CANCELLED, "not_started")
    assert not commands.is_past(replace(waiting, needed_by=DAY - timedelta(days=9)), NOW)
    with pytest.raises(NotAllowed, match="already_attended"):
        commands.move(waiting, NOW, "UA46", None)


def test_a_start_and_an_appointment_are_taken_back_each_by_itself() -> None:
    waiting = awaiting_start()
    served = commands.serve(waiting, DAY).need
    back = commands.take_back(served, "mistake")
    assert [type(event).__name__ for event in back.events] == ["NeedReversedV1"]
    assert (back.need.state, back.need.attended) == (State.READY, waiting.attended)
    assert commands.serve(back.need, DAY).need.service_no == 2

    undone = ReservationReversedV1(
        reservation_id=RESERVATION, need_id=NEED, attempt_no=1, issue_no=1, reason="mistake"
    )
    not_there = saga.decide(waiting, undone, NOW).need
    assert (not_there.state, not_there.attended) == (State.READY, None)
    assert saga.decide(not_there, issued(1, 1), NOW).need is not_there
    assert saga.decide(not_there, issued(1, 2), NOW).need.attended is not None

    both = saga.decide(served, undone, NOW)
    assert [type(event).__name__ for event in both.events] == ["NeedReversedV1"]
    assert (both.need.state, both.need.attended) == (State.READY, None)
    again = saga.decide(served, issued(1, 2), NOW)
    assert (again.need.state, again.events) == (State.FULFILLED, ())
    assert saga.decide(again.need, undone, NOW).need is again.need


def test_an_appointment_of_an_older_attempt_was_kept_all_the_same() -> None:
    first = commands.approve(replace(need(PAID), confirmed_start=True), NOW).need
    second = commands.ask_anew(first, NOW).need
    kept = saga.decide(second, issued(1, 1), NOW)
    assert kept.need.attended is not None
    assert (kept.need.state, kept.need.supply) == (State.READY, Leg.NONE)
    assert isinstance(kept.events[0], NeedWithdrawnV1)
    assert commands.serve(kept.need, DAY).need.state is State.FULFILLED
    undone = ReservationReversedV1(
        reservation_id=RESERVATION, need_id=NEED, attempt_no=1, issue_no=1, reason="mistake"
    )
    assert saga.decide(kept.need, undone, NOW).need.state is State.REQUESTED


def undone(issue_no: int) -> ReservationReversedV1:
    return ReservationReversedV1(
        reservation_id=RESERVATION, need_id=NEED, attempt_no=1, issue_no=issue_no, reason="mistake"
    )


def test_late_word_of_an_earlier_issue_changes_nothing_about_the_one_in_force() -> None:
    kept = saga.decide(awaiting_start(), issued(1, 2), NOW).need
    after = saga.decide(kept, undone(1), NOW).need
    assert after.attended == kept.attended is not None
    assert saga.decide(kept, undone(2), NOW).need.attended is None

    given = saga.decide(commands.approve(need(), NOW).need, issued(1, 2), NOW).need
    assert (given.state, given.issued) == (State.FULFILLED, (1, 2))
    # The same goods, handed over, undone and handed over again: one service, nothing to look at.
    assert saga.decide(given, issued(1, 1), NOW).need is given
    assert saga.decide(given, undone(1), NOW).need is given


def test_two_attempts_that_both_went_out_are_shown_to_a_person() -> None:
    first = commands.approve(need(), NOW).need
    second = commands.ask_anew(first, NOW).need
    served = saga.decide(second, issued(1, 1), NOW)
    assert served.need.state is State.FULFILLED
    assert any(isinstance(event, NeedWithdrawnV1) for event in served.events)
    twice = saga.decide(served.need, issued(2, 1), NOW).need
    assert twice.attention == "served_by_two_attempts"
    assert twice.service_no == 1


@pytest.mark.parametrize("told", [True, False])
def test_who_may_come_for_what_is_gone_is_shown_to_a_person_until_they_know(told: bool) -> None:
    play = Play(need())
    play.record(commands.approve(play.need, NOW))
    play.settle()
    if told:
        play.record(commands.tell(play.need, NOW))
    play.answer(play.supply.release(1, "relocated"))
    play.settle()
    assert (play.need.state, play.need.attempt_no) == (State.READY, 2)
    assert play.need.attention == ("told_to_come" if told else None)
    # They are told anew, or came and were served.
    assert commands.tell(play.need, NOW).need.attention is None
    play.answer(play.supply.issue())
    play.settle()
    assert (play.need.state, play.need.attention) == (State.FULFILLED, None)


def test_that_something_is_gone_hides_no_other_conflict() -> None:
    play = Play(need())
    play.record(commands.approve(play.need, NOW))
    play.settle()
    play.record(commands.tell(play.need, NOW))
    play.need = replace(play.need, attention="served_by_two_attempts")
    play.answer(play.supply.release(1, "relocated"))
    play.settle()
    assert commands.tell(play.need, NOW).need.attention == "served_by_two_attempts"


@given(st.integers(2, 50), st.data())
def test_split_parts_make_the_whole(quantity: int, data: st.DataObject) -> None:
    per_unit = data.draw(st.integers(1, 5))
    demand = STOCK.stock[0].model_copy(update={"quantity": quantity * per_unit})
    whole = need(STOCK.model_copy(update={"stock": (demand,)}), quantity=quantity, splittable=True)
    waiting = replace(whole, state=State.WAITLISTED, blocked_by=whole.blockers[0])
    units = data.draw(st.integers(1, quantity - 1))
    first, rest = commands.split(waiting, units)
    assert first.quantity + rest.quantity == quantity
    assert first.ask.stock[0].quantity + rest.ask.stock[0].quantity == quantity * per_unit
    assert first.id == waiting.id != rest.id
    assert rest.blocked_by is not None
    assert rest.blocked_by.quantity == rest.ask.stock[0].quantity
    assert NeedId(rest.id) == commands.split(waiting, units)[1].id
