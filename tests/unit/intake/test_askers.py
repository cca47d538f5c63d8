"""Whoever asked for a household left it: what was asked for goes on as no one member's."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import HouseholdId, MessageId, PayeeRef
from aidmesh_contracts.intake import NeedReadyV1, NeedUnlistedV1, NeedWithdrawnV1
from aidmesh_contracts.notification import MessageSentV1, MessageSuppressedV1
from aidmesh_intake.domain import commands, saga
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.kinds import ForWhom
from aidmesh_intake.domain.need import Attended, Leg, Need, NotAllowed, State, Wait
from aidmesh_intake.domain.steps import begin_attempt, wait_for
from unit.intake.builders import CASH, DAY, NOTHING, NOW, PAID, STOCK, need

HOME = HouseholdId(UUID(int=20))
REF = PayeeRef(UUID(int=7))


def at(ask: Ask, state: State, *, told: bool = False) -> Need:
    """A household's need that somebody asked for."""
    one = replace(need(ask), for_whom=ForWhom.HOUSEHOLD, household_id=HOME)
    one = replace(one, payee_ref=REF if ask is CASH else None, needed_until=NOW + timedelta(days=1))
    if state is State.REQUESTED:
        return one
    asked, _ = begin_attempt(one, NOW)
    if state is State.WAITLISTED:
        waiting, _ = wait_for(asked, asked.blockers[0], Wait.SHORT, NOW, decided_at=NOW)
        return waiting
    leg = {State.APPROVED: Leg.ASKED, State.HELD: Leg.HELD}.get(state, Leg.FIRM)
    return replace(
        asked,
        state=state,
        supply=leg if ask.of_supply else Leg.NONE,
        money=leg if ask.of_money else Leg.NONE,
        deadline_at=NOW if state in {State.APPROVED, State.HELD} else None,
        told_at=NOW if told else None,
        told_how="message" if told else None,
        message="sent" if told else None,
    )


OPEN = sorted(commands.OPEN)


@given(st.sampled_from([STOCK, PAID, CASH]), st.sampled_from(OPEN), st.booleans(), st.booleans())
def test_it_stays_the_households_and_open(ask: Ask, state: State, told: bool, erased: bool) -> None:
    one = at(ask, state, told=told and state is State.READY)
    decision = commands.part(one, erased=erased)
    after = decision.need
    assert (after.person_id, after.household_id, after.state in commands.OPEN) == (None, HOME, True)
    assert (after.asked_on, after.queue_no, after.version) == (
        one.asked_on, one.queue_no, one.version + 1,
    )  # fmt: skip
    assert after.needed_until == (None if erased else one.needed_until)
    assert after.payee_ref == one.payee_ref, "a person says whether it is still the right one"
    if ask is CASH:
        assert (after.state, after.reason) == (State.REQUESTED, "asker_left")
        assert (after.supply, after.money, after.deadline_at) == (Leg.NONE, Leg.NONE, None)
        assert (after.blocked_by, after.wait) == (None, None)
        kinds = {type(event) for event in decision.events}
        ends = {NeedWithdrawnV1} if state in {State.APPROVED, State.HELD, State.READY} else set()
        assert kinds == ends | ({NeedUnlistedV1} if state is State.WAITLISTED else set())
        return
    assert after.state is state
    if state is not State.READY:
        assert decision.events == ()
        return
    (news,) = decision.events
    assert isinstance(news, NeedReadyV1)
    assert (news.in_person, news.person_id, news.attempt_no) == (True, None, one.attempt_no)
    assert (after.told_at, after.told_how, after.message) == (None, None, "asker_left")
    # Whatever becomes of the message that was leaving: the others do not know.
    about = {"message_id": MessageId(UUID(int=9)), "need_id": one.id, "attempt_no": one.attempt_no}
    left = MessageSentV1.model_validate(about | {"sent_at": NOW})
    stopped = MessageSuppressedV1.model_validate(about | {"reason": "superseded"})
    failed = MessageSuppressedV1.model_validate(about | {"reason": "failed"})
    for answer in (left, stopped, failed):
        assert saga.decide(after, answer, NOW).need is after
    assert commands.tell(after, NOW).need.told_how == "in_person"


def test_what_becomes_ready_later_is_no_ones_message() -> None:
    asked = commands.part(at(NOTHING, State.REQUESTED)).need
    (news,) = commands.approve(asked, NOW).events
    assert isinstance(news, NeedReadyV1)
    assert (news.person_id, news.in_person) == (None, False)


def test_whoever_kept_the_appointment_knows() -> None:
    kept = Attended(on=DAY, area="UA80", site_id=None, quantity=1, unit="minute")
    one = replace(at(PAID, State.READY, told=True), attended=kept)
    decision = commands.part(one)
    assert (decision.need.told_at, decision.events) == (NOW, ())


@pytest.mark.parametrize("state", [State.FULFILLED, State.CANCELLED, State.DECLINED, State.EXPIRED])
def test_what_is_over_stays_as_it_was(state: State) -> None:
    with pytest.raises(NotAllowed):
        commands.part(replace(at(STOCK, State.READY), state=state))


def test_what_is_a_persons_own_stays_theirs() -> None:
    for one in (need(STOCK), replace(at(STOCK, State.READY), person_id=None)):
        with pytest.raises(NotAllowed):
            commands.part(one)
