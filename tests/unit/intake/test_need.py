"""A need that is cancelled, served, paid for, taken back, or served twice."""

import pytest

from aidmesh_contracts.intake import NeedWithdrawnV1
from aidmesh_contracts.inventory import ReservationReleasedV1
from aidmesh_contracts.payments import CommitmentReleasedV1, CommitmentReversedV1, CommitmentSpentV1
from aidmesh_intake.domain import commands, saga
from aidmesh_intake.domain.need import NotAllowed, State, Wait
from unit.intake.builders import CASH, DAY, NOTHING, NOW, PAID, need
from unit.intake.play import COMMITMENT, GRANT, NEED, RESERVATION, Play, issued


def test_cancel_while_asked_leaves_a_tombstone() -> None:
    asked = commands.approve(need(), NOW).need
    ended = commands.end(asked, State.CANCELLED, "moved")
    assert [type(event).__name__ for event in ended.events] == ["NeedWithdrawnV1", "NeedClosedV1"]
    with pytest.raises(NotAllowed):
        commands.end(ended.need, State.CANCELLED, "again")


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


def test_two_attempts_that_both_went_out_are_shown_to_a_person() -> None:
    first = commands.approve(need(), NOW).need
    second = commands.ask_anew(first, NOW).need
    served = saga.decide(second, issued(1, 1), NOW)
    assert served.need.state is State.FULFILLED
    assert any(isinstance(event, NeedWithdrawnV1) for event in served.events)
    twice = saga.decide(served.need, issued(2, 1), NOW).need
    assert twice.attention == "served_by_two_attempts"
    assert twice.service_no == 1
