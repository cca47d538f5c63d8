"""A need between its two holders.

The holders are played by small honest models: they answer every message they get, their answers
travel as a bag from which any may come next, any number of times, and late.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import (
    AllotmentId,
    CommitmentId,
    GrantId,
    MessageId,
    ReservationId,
    SiteId,
)
from aidmesh_contracts.intake import (
    NeedApprovedV1,
    NeedConfirmedV1,
    NeedFulfilledV1,
    NeedReadyV1,
    NeedReversedV1,
    NeedUnlistedV1,
    NeedWaitlistedV1,
    NeedWithdrawnV1,
)
from aidmesh_contracts.inventory import (
    ReservationConfirmedV1,
    ReservationHeldV1,
    ReservationIssuedV1,
    ReservationRefusedV1,
    ReservationReleasedV1,
    ReservationReversedV1,
)
from aidmesh_contracts.notification import MessageSentV1
from aidmesh_contracts.payments import (
    CommitmentHeldV1,
    CommitmentMadeV1,
    CommitmentRefusedV1,
    CommitmentReleasedV1,
)
from aidmesh_intake.domain import commands, saga
from aidmesh_intake.domain.need import LIVE, Decision, Leg, Need, State
from unit.intake.builders import DAY, NOW, PAID, need

SITE = SiteId(UUID(int=9))
RESERVATION = ReservationId(UUID(int=10))
COMMITMENT = CommitmentId(UUID(int=11))
GRANT = GrantId(UUID(int=12))
Side = Literal["supply", "money"]


@dataclass
class Holder:
    """Inventory or payments as the protocol wants them, for one need."""

    side: Side
    held: dict[int, str] = field(default_factory=dict)  # attempt → held | firm | issued | over
    over_to: int = 0
    issues: Counter[int] = field(default_factory=Counter)

    def take(self, event: Event, *, refuses: bool) -> list[saga.Answer]:
        """Answer what intake or the other holder says."""
        if isinstance(event, NeedApprovedV1):
            owed = event.money if self.side == "money" else (event.stock or event.capacity)
            attempt = event.attempt_no
            if not owed or attempt <= self.over_to or attempt in self.held:
                return []
            if refuses:
                self.held[attempt] = "over"
                return [self._refused(attempt)]
            self.held[attempt] = "held"
            return [self._held(attempt)]
        if isinstance(event, NeedConfirmedV1):
            if self.side == "money" or not event.with_money:
                return self._confirm(event.attempt_no)
            return []
        if isinstance(event, CommitmentMadeV1) and self.side == "supply":
            return self._confirm(event.attempt_no)
        if isinstance(event, NeedWithdrawnV1):
            self.over_to = max(self.over_to, event.attempt_no)
            return [
                answer
                for attempt in list(self.held)
                if attempt <= self.over_to
                for answer in self.release(attempt, "withdrawn")
            ]
        return []

    def _confirm(self, attempt: int) -> list[saga.Answer]:
        if self.held.get(attempt) == "held":
            self.held[attempt] = "firm"
            return [self._confirmed(attempt)]
        if self.held.get(attempt) == "over":
            return [self._released(attempt, "hold_expired")]
        return []

    def release(self, attempt: int, cause: str) -> list[saga.Answer]:
        """Let go of what is not issued."""
        if self.held.get(attempt) not in ("held", "firm"):
            return []
        self.held[attempt] = "over"
        return [self._released(attempt, cause)]

    def issue(self) -> list[saga.Answer]:
        """Hand over what is firm."""
        for attempt, state in self.held.items():
            if state == "firm" and self.side == "supply":
                self.held[attempt] = "issued"
                self.issues[attempt] += 1
                return [issued(attempt, self.issues[attempt])]
        return []

    def undo(self) -> list[saga.Answer]:
        """Take a handover back; what was withdrawn meanwhile is released at once."""
        for attempt, state in self.held.items():
            if state == "issued":
                self.held[attempt] = "firm"
                answers: list[saga.Answer] = [
                    ReservationReversedV1(
                        reservation_id=RESERVATION,
                        need_id=NEED,
                        attempt_no=attempt,
                        issue_no=self.issues[attempt],
                        reason="mistake",
                    )
                ]
                if attempt <= self.over_to:
                    answers += self.release(attempt, "withdrawn")
                return answers
        return []

    def _held(self, attempt: int) -> saga.Answer:
        until = NOW + timedelta(minutes=15)
        if self.side == "supply":
            return ReservationHeldV1(
                reservation_id=RESERVATION,
                need_id=NEED,
                attempt_no=attempt,
                hold_until=until,
                site_id=SITE,
            )
        return CommitmentHeldV1(
            commitment_id=COMMITMENT,
            need_id=NEED,
            attempt_no=attempt,
            grant_id=GRANT,
            allotment_id=AllotmentId(GRANT),
            amount_minor=100,
            currency="UAH",
            hold_until=until,
        )

    def _confirmed(self, attempt: int) -> saga.Answer:
        if self.side == "supply":
            return ReservationConfirmedV1(
                reservation_id=RESERVATION, need_id=NEED, attempt_no=attempt, site_id=SITE
            )
        return CommitmentMadeV1(
            commitment_id=COMMITMENT,
            need_id=NEED,
            attempt_no=attempt,
            grant_id=GRANT,
            amount_minor=100,
            currency="UAH",
        )

    def _refused(self, attempt: int) -> saga.Answer:
        blocked = need(PAID).blockers[-1 if self.side == "money" else 0]
        if self.side == "supply":
            return ReservationRefusedV1(
                need_id=NEED,
                attempt_no=attempt,
                reason="short",
                blocked_by=blocked,
                decided_at=NOW,
            )
        return CommitmentRefusedV1(
            need_id=NEED, attempt_no=attempt, reason="short", blocked_by=blocked, decided_at=NOW
        )

    def _released(self, attempt: int, cause: str) -> saga.Answer:
        undone_no = self.issues[attempt] or None
        body = {"need_id": NEED, "attempt_no": attempt, "cause": cause, "undone_no": undone_no}
        if self.side == "supply":
            return ReservationReleasedV1.model_validate(body | {"reservation_id": RESERVATION})
        return CommitmentReleasedV1.model_validate(body | {"commitment_id": COMMITMENT})


NEED = need().id


def issued(attempt: int, issue_no: int) -> ReservationIssuedV1:
    """The news that an attempt was issued, for which time."""
    return ReservationIssuedV1(
        reservation_id=RESERVATION,
        need_id=NEED,
        attempt_no=attempt,
        issue_no=issue_no,
        how="handover",
        served_on=DAY,
        site_id=SITE,
        area="UA80",
        quantity=1,
        unit="piece",
    )


def message_left(attempt_no: int) -> MessageSentV1:
    """A message that asked them to come has left."""
    return MessageSentV1(
        message_id=MessageId(uuid4()), need_id=NEED, attempt_no=attempt_no, sent_at=NOW
    )


@dataclass
class Play:
    """A need, its holders, and all that is on its way between them."""

    need: Need
    supply: Holder = field(default_factory=lambda: Holder("supply"))
    money: Holder = field(default_factory=lambda: Holder("money"))
    to_intake: list[saga.Answer] = field(default_factory=list)
    to_holders: list[tuple[Holder, Event]] = field(default_factory=list)
    services: Counter[int] = field(default_factory=Counter)
    waits: dict[int, bool] = field(default_factory=dict)
    now: datetime = NOW

    def record(self, decision: Decision) -> None:
        """Take a decision over and send what it publishes."""
        self.check(decision)
        self.need = decision.need
        for event in decision.events:
            for holder in (self.supply, self.money):
                self.to_holders.append((holder, event))
            if isinstance(event, NeedFulfilledV1):
                assert event.service_no not in self.services, "a service is numbered once"
                self.services[event.service_no] = 1
            if isinstance(event, NeedReversedV1):
                assert self.services[event.service_no] == 1, "only what is in force is undone"
                self.services[event.service_no] = 0
            if isinstance(event, NeedWaitlistedV1 | NeedUnlistedV1):
                self.waits[event.version] = isinstance(event, NeedWaitlistedV1)
        said = self.waits[max(self.waits)] if self.waits else False
        assert said == (self.need.state is State.WAITLISTED), "the last word on waiting is right"

    def check(self, decision: Decision) -> None:
        """What holds after every step."""
        before, after = self.need, decision.need
        if after is before:
            assert not decision.events, "an ignored message publishes nothing"
            return
        assert after.version == before.version + 1
        assert after.attempt_no >= before.attempt_no
        if after.state in (State.HELD, State.READY):
            assert all(leg is not Leg.ASKED for leg in (after.supply, after.money)), (
                "held and ready mean that everyone said yes"
            )
        if after.state is State.READY:
            assert Leg.HELD not in (after.supply, after.money)
        assert (after.state is State.WAITLISTED) == (after.blocked_by is not None)
        assert (after.state in (State.APPROVED, State.HELD)) == (after.deadline_at is not None)
        ready = [e for e in decision.events if isinstance(e, NeedReadyV1)]
        assert not ready or after.state is State.READY
        if before.state in LIVE and after.state not in (*LIVE, State.FULFILLED):
            others = [leg for leg in (before.supply, before.money) if leg is not Leg.NONE]
            told = any(isinstance(e, NeedWithdrawnV1) for e in decision.events)
            assert told or len(others) == 1, "whoever else holds something is told"

    def deliver_answer(self, index: int, *, keep: bool) -> None:
        """One answer arrives; `keep` leaves a copy on its way."""
        place = index % len(self.to_intake)
        answer = self.to_intake[place] if keep else self.to_intake.pop(place)
        self.record(saga.decide(self.need, answer, self.now))

    def deliver_event(self, index: int, *, keep: bool, refuses: bool) -> None:
        """One event of intake arrives at a holder."""
        place = index % len(self.to_holders)
        holder, event = self.to_holders[place] if keep else self.to_holders.pop(place)
        self.answer(holder.take(event, refuses=refuses))

    def answer(self, answers: list[saga.Answer]) -> None:
        """Send answers; the supply side hears of commitments too."""
        self.to_intake += answers
        self.to_holders += [
            (self.supply, each) for each in answers if isinstance(each, CommitmentMadeV1)
        ]

    def settle(self) -> None:
        """Everything arrives, time passes, sweeps run, nobody refuses any more."""
        for _ in range(2000):
            if self.to_holders:
                self.deliver_event(0, keep=False, refuses=False)
            elif self.to_intake:
                self.deliver_answer(0, keep=False)
            elif self.need.deadline_at is not None:
                self.now = max(self.now, self.need.deadline_at)
                for holder in (self.supply, self.money):
                    for attempt, state in list(holder.held.items()):
                        if state == "held":
                            self.answer(holder.release(attempt, "hold_expired"))
                if not self.to_intake:
                    self.record(commands.ask_anew(self.need, self.now))
            elif self.need.state is State.WAITLISTED:
                self.record(commands.approve(self.need, self.now, note="woken"))
            else:
                return
        raise AssertionError(f"it never settles: {self.need.state}")
