"""Random interleavings: whatever comes in whatever order, a need ends right and never sticks.

The holders are played by small honest models: they answer every message they get, their answers
travel as a bag from which any may come next, any number of times, and late.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import (
    AllotmentId,
    CommitmentId,
    GrantId,
    MessageId,
    NeedId,
    ReservationId,
    SiteId,
)
from aidmesh_contracts.intake import (
    NeedApprovedV1,
    NeedConfirmedV1,
    NeedFulfilledV1,
    NeedReadyV1,
    NeedReversedV1,
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
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import LIVE, Decision, Leg, Need, NotAllowed, State, Wait
from unit.intake.builders import CASH, DAY, NOTHING, NOW, PAID, STOCK, need

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
                return [_issued(attempt, self.issues[attempt])]
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
        body = {"need_id": NEED, "attempt_no": attempt, "cause": cause}
        if self.side == "supply":
            return ReservationReleasedV1.model_validate(body | {"reservation_id": RESERVATION})
        return CommitmentReleasedV1.model_validate(body | {"commitment_id": COMMITMENT})


NEED = need().id


def _issued(attempt: int, issue_no: int) -> ReservationIssuedV1:
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


@dataclass
class Play:
    """A need, its holders, and all that is on its way between them."""

    need: Need
    supply: Holder = field(default_factory=lambda: Holder("supply"))
    money: Holder = field(default_factory=lambda: Holder("money"))
    to_intake: list[saga.Answer] = field(default_factory=list)
    to_holders: list[tuple[Holder, Event]] = field(default_factory=list)
    services: Counter[int] = field(default_factory=Counter)
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


@settings(max_examples=400, deadline=None)
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
        sent = MessageSentV1(
            message_id=MessageId(uuid4()),
            need_id=NEED,
            attempt_no=max(1, play.need.attempt_no - index % 2),
            sent_at=NOW,
        )
        play.record(saga.decide(play.need, sent, play.now))


def test_cancel_while_asked_leaves_a_tombstone() -> None:
    asked = commands.approve(need(), NOW).need
    ended = commands.end(asked, State.CANCELLED, "moved")
    assert [type(event).__name__ for event in ended.events] == ["NeedWithdrawnV1", "NeedClosedV1"]
    with pytest.raises(NotAllowed):
        commands.end(ended.need, State.CANCELLED, "again")


def test_what_inventory_does_not_know_is_declined() -> None:
    asked = commands.approve(need(), NOW).need
    refusal = ReservationRefusedV1(
        need_id=NEED, attempt_no=1, reason="unknown_item", blocked_by=None, decided_at=NOW
    )
    assert saga.decide(asked, refusal, NOW).need.state is State.DECLINED


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
    assert saga.decide(waiting, _issued(1, 1), NOW).need is waiting

    served = commands.serve(waiting, DAY + timedelta(days=3))
    (event,) = served.events
    assert isinstance(event, NeedFulfilledV1)
    assert event.served_on == DAY + timedelta(days=3)
    assert (event.quantity, event.unit) == (waiting.attended.quantity, waiting.attended.unit)
    assert saga.decide(served.need, _issued(1, 1), NOW).need is served.need


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
    assert saga.decide(not_there, _issued(1, 1), NOW).need is not_there
    assert saga.decide(not_there, _issued(1, 2), NOW).need.attended is not None

    both = saga.decide(served, undone, NOW)
    assert [type(event).__name__ for event in both.events] == ["NeedReversedV1"]
    assert (both.need.state, both.need.attended) == (State.READY, None)
    again = saga.decide(served, _issued(1, 2), NOW)
    assert (again.need.state, again.events) == (State.FULFILLED, ())
    assert saga.decide(again.need, undone, NOW).need is again.need


def test_an_appointment_of_an_older_attempt_was_kept_all_the_same() -> None:
    first = commands.approve(replace(need(PAID), confirmed_start=True), NOW).need
    second = commands.ask_anew(first, NOW).need
    kept = saga.decide(second, _issued(1, 1), NOW)
    assert kept.need.attended is not None
    assert (kept.need.state, kept.need.supply) == (State.READY, Leg.NONE)
    assert isinstance(kept.events[0], NeedWithdrawnV1)
    assert commands.serve(kept.need, DAY).need.state is State.FULFILLED
    undone = ReservationReversedV1(
        reservation_id=RESERVATION, need_id=NEED, attempt_no=1, issue_no=1, reason="mistake"
    )
    assert saga.decide(kept.need, undone, NOW).need.state is State.REQUESTED


def test_two_attempts_that_both_went_out_are_shown_to_a_person() -> None:
    first = commands.approve(need(), NOW).need
    second = commands.ask_anew(first, NOW).need
    served = saga.decide(second, _issued(1, 1), NOW)
    assert served.need.state is State.FULFILLED
    assert any(isinstance(event, NeedWithdrawnV1) for event in served.events)
    twice = saga.decide(served.need, _issued(2, 1), NOW).need
    assert twice.attention == "served_by_two_attempts"
    assert twice.service_no == 1


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
