"""A need of which an appointment is only the first step is served when its start is confirmed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aidmesh_contracts.intake import NeedFulfilledV1, NeedWithdrawnV1
from aidmesh_contracts.inventory import ReservationReversedV1
from aidmesh_intake.domain import commands, saga
from aidmesh_intake.domain.need import Leg, Need, NotAllowed, State
from unit.intake.builders import DAY, NOW, PAID, need
from unit.intake.play import NEED, RESERVATION, Play, issued


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


def undone(issue_no: int) -> ReservationReversedV1:
    return ReservationReversedV1(
        reservation_id=RESERVATION, need_id=NEED, attempt_no=1, issue_no=issue_no, reason="mistake"
    )


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

    not_there = saga.decide(waiting, undone(1), NOW).need
    assert (not_there.state, not_there.attended) == (State.READY, None)
    assert saga.decide(not_there, issued(1, 1), NOW).need is not_there
    assert saga.decide(not_there, issued(1, 2), NOW).need.attended is not None

    both = saga.decide(served, undone(1), NOW)
    assert [type(event).__name__ for event in both.events] == ["NeedReversedV1"]
    assert (both.need.state, both.need.attended) == (State.READY, None)
    again = saga.decide(served, issued(1, 2), NOW)
    assert (again.need.state, again.events) == (State.FULFILLED, ())
    assert saga.decide(again.need, undone(1), NOW).need is again.need


def test_an_appointment_of_an_older_attempt_was_kept_all_the_same() -> None:
    first = commands.approve(replace(need(PAID), confirmed_start=True), NOW).need
    second = commands.ask_anew(first, NOW).need
    kept = saga.decide(second, issued(1, 1), NOW)
    assert kept.need.attended is not None
    assert (kept.need.state, kept.need.supply) == (State.READY, Leg.NONE)
    assert isinstance(kept.events[0], NeedWithdrawnV1)
    assert commands.serve(kept.need, DAY).need.state is State.FULFILLED
    assert saga.decide(kept.need, undone(1), NOW).need.state is State.REQUESTED


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
