"""Whoever was told to come for what is gone is shown to a person until they know better."""

from dataclasses import replace

import pytest

from aidmesh_intake.domain import commands, parting, saga
from aidmesh_intake.domain.need import State
from unit.intake.builders import NOW, need
from unit.intake.play import Play, message_left


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
    unaware, looked_after = play.need, saga.decide(play.need, message_left(1), NOW)
    assert (unaware.attention, looked_after.need.attention) == (None, "told_to_come")
    play.record(looked_after)
    assert saga.decide(play.need, message_left(1), NOW).need is play.need
    play.settle()
    assert (play.need.state, play.need.attention) == (State.READY, "told_to_come")
    # They are told anew, by a message of what holds now.
    play.record(saga.decide(play.need, message_left(play.need.attempt_no), NOW))
    assert (play.need.attention, play.need.told_how) == (None, "message")


@pytest.mark.parametrize("reason", ["no_longer_needed", "person_erased"])
def test_nobody_looks_for_whom_nothing_is_known_of(reason: str) -> None:
    play = Play(need())
    play.record(commands.approve(play.need, NOW))
    play.settle()
    play.record(commands.end(play.need, State.CANCELLED, reason))
    attention = saga.decide(play.need, message_left(1), NOW).need.attention
    assert attention == (None if reason == "person_erased" else "told_to_come")


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


def test_nobody_is_told_to_come_again_before_it_is_known_who_it_was() -> None:
    """Whoever was told to come for what is gone may be either of two who are parted."""
    waiting = replace(
        commands.approve(need(), NOW).need, state=State.WAITLISTED, attention="told_to_come"
    )
    doubted = parting.doubt(waiting).need
    assert doubted.attention == "parted"
    served_twice = replace(waiting, attention="served_by_two_attempts")
    assert parting.doubt(served_twice).need.attention == "served_by_two_attempts"
