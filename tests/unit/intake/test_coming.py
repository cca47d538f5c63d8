"""Who has to come for what is ready for them, and what follows when that changes."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args
from uuid import UUID

import pytest

from aidmesh_contracts.accounts import Mechanism, is_sent
from aidmesh_contracts.ids import CommitmentId, GrantId, MessageId, PayeeRef
from aidmesh_contracts.intake import NeedReadyV1
from aidmesh_contracts.notification import MessageSentV1, MessageSuppressedV1
from aidmesh_contracts.payments import CommitmentMadeV1
from aidmesh_contracts.values import CapacityDemand, MoneyDemand, StockDemand
from aidmesh_intake.domain import commands, saga
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import Leg, Need, State
from unit.intake.builders import DAY, NOW, need

REF, OTHER = PayeeRef(UUID(int=7)), PayeeRef(UUID(int=8))
PAYOUT = MoneyDemand(amount_minor=5, currency="UAH", cost_category="cash", by="payout")
BILL = MoneyDemand(amount_minor=5, currency="UAH", cost_category="fees", by="provider")
GOODS = (StockDemand(item="food_parcel", quantity=1),)
BED = CapacityDemand(resource="bed", code="shelter", from_on=DAY, to_on=None, places=1)


def ready(*, sent: bool | None, payee: bool = True, told: bool = False) -> Need:
    """Money for somebody is committed."""
    return replace(
        need(Ask(money=PAYOUT)), state=State.READY, attempt_no=1, money=Leg.FIRM,
        payee_ref=REF if payee else None, sent=sent,
        told_at=NOW if told else None, told_how="message" if told else None,
        message="sent" if told else None,
    )  # fmt: skip


@pytest.mark.parametrize("mechanism", get_args(Mechanism))
def test_whoever_is_paid_by_bank_card_or_post_need_not_come(mechanism: Mechanism) -> None:
    sent = is_sent(mechanism)
    assert sent == (mechanism in {"iban", "card", "post"})
    assert ready(sent=sent).to_come == (mechanism == "cash")
    # There is something else that they have to come for.
    for also in (Ask(stock=GOODS, money=PAYOUT), Ask(capacity=BED, money=PAYOUT)):
        assert replace(ready(sent=sent), ask=also).to_come is True


def test_everybody_else_comes() -> None:
    for ask in (Ask(), Ask(stock=GOODS), Ask(capacity=BED), Ask(capacity=BED, money=BILL)):
        assert need(ask).to_come is True
    assert ready(sent=None, payee=False).to_come is True, "nobody said how: it is cash"
    assert ready(sent=None).to_come is None, "asked for before it was kept how"


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    ("before", "sent", "changes"),
    [
        (True, True, False),
        (True, False, True),
        (False, True, True),
        (False, False, False),
        (None, True, True),  # whoever was told before that was known was told to come
        (None, False, False),
    ],
)
def test_a_correction_that_changes_it_is_told_by_a_person(
    before: bool | None, sent: bool, changes: bool, told: bool
) -> None:
    one = ready(sent=before, told=told)
    decision = commands.correct_payee(one, OTHER, sent=sent)
    after = decision.need
    assert (after.payee_ref, after.sent, after.version) == (OTHER, sent, one.version + 1)
    if not changes:
        assert decision.events == ()
        assert (after.told_at, after.message) == (one.told_at, one.message)
        return
    (news,) = decision.events
    assert isinstance(news, NeedReadyV1)
    assert (news.attempt_no, news.in_person, news.to_come) == (1, True, not sent)
    assert (after.told_at, after.told_how, after.message) == (None, None, "changed")

    # A message may have been leaving: it said something else.
    about = {"message_id": MessageId(UUID(int=9)), "need_id": one.id, "attempt_no": 1}
    left = MessageSentV1.model_validate(about | {"channel": "sms", "sent_at": NOW})
    stopped = MessageSuppressedV1.model_validate(about | {"reason": "superseded"})
    for answer in (left, stopped):
        assert saga.decide(after, answer, NOW).need is after
    knows = commands.tell(after, NOW + timedelta(hours=1)).need
    assert (knows.told_at, knows.told_how) == (NOW + timedelta(hours=1), "in_person")


def test_what_is_corrected_before_anybody_is_told_is_told_right() -> None:
    one = replace(ready(sent=False), state=State.HELD, money=Leg.HELD, deadline_at=NOW)
    decision = commands.correct_payee(one, OTHER, sent=True)
    assert decision.events == ()
    news = made(decision.need, sent=False)
    assert (news.to_come, news.in_person) == (False, False)


@pytest.mark.parametrize("sent", [True, False, None])
def test_payments_says_how_it_pays_where_intake_does_not_know(sent: bool | None) -> None:
    one = replace(ready(sent=None), state=State.HELD, money=Leg.HELD, deadline_at=NOW)
    assert made(one, sent=sent).to_come == (None if sent is None else not sent)
    # Cash of which nobody said whom it is for: there is nothing to keep.
    cash = replace(one, payee_ref=None)
    decision = saga.decide(cash, commitment(cash, sent=False), NOW)
    assert (decision.need.state, decision.need.sent) == (State.READY, None)
    for own in (True, False):
        assert made(replace(one, sent=own), sent=sent).to_come is not own


def commitment(one: Need, *, sent: bool | None) -> CommitmentMadeV1:
    """Payments commits."""
    return CommitmentMadeV1(
        commitment_id=CommitmentId(UUID(int=4)), need_id=one.id, attempt_no=1,
        grant_id=GrantId(UUID(int=5)), amount_minor=5, currency="UAH", sent=sent,
    )  # fmt: skip


def made(one: Need, *, sent: bool | None) -> NeedReadyV1:
    """Payments commits: the need is ready."""
    decision = saga.decide(one, commitment(one, sent=sent), NOW)
    (news,) = decision.events
    assert isinstance(news, NeedReadyV1)
    return news
