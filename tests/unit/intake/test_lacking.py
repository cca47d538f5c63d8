"""What a need waits for when it was refused, and what else it lacked."""

from dataclasses import replace

import pytest

from aidmesh_contracts.intake import NeedWaitlistedV1
from aidmesh_contracts.inventory import ReservationRefusedV1
from aidmesh_contracts.payments import CommitmentRefusedV1
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.domain import commands, saga
from aidmesh_intake.domain.need import Lack, State, Wait
from unit.intake.builders import CASH, NOW, PAID, need
from unit.intake.play import NEED

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


def test_the_more_often_it_was_asked_for_the_longer_it_waits_up_to_a_bound() -> None:
    def waits_s(attempt_no: int) -> float:
        asked = replace(commands.approve(need(CASH), NOW).need, attempt_no=attempt_no)
        refusal = CommitmentRefusedV1(
            need_id=NEED, attempt_no=attempt_no, reason="expired", blocked_by=None, decided_at=NOW
        )
        retry_at = saga.decide(asked, refusal, NOW).need.retry_at
        assert retry_at is not None
        return (retry_at - NOW).total_seconds()

    waits = [waits_s(attempt_no) for attempt_no in (1, 2, 59, 60, 61, 10_000)]
    assert waits[:2] == [saga.RETRY_S, 2 * saga.RETRY_S]
    assert waits[2] < saga.RETRY_S_MAX
    assert waits[3:] == [saga.RETRY_S_MAX] * 3
