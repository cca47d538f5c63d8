"""The waitlist against a naive model: fair, never more than grew, nobody forgotten."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.values import BlockedBy, StockDemand
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import State
from aidmesh_intake.domain.waitlist import SLACK, Growth, Queue, Waiter, offer, queue_behind
from unit.intake.builders import DAY, NOW
from unit.intake.line import growth_of, parcel_need


def test_what_was_there_before_is_found_by_those_behind() -> None:
    play = Waitlist()
    play.start()
    play.receive(2)
    play.intake_hears_of_growth()
    play.ask(3, 1)
    play.inventory_decides(0)
    play.intake_hears_of_refusal()
    for _ in range(2):
        play.ask(1, 1)
    play.receive(2)
    play.intake_hears_of_growth()
    play.teardown()
    assert play.stock == 0
    assert len(play.waiting) == 1


class Waitlist(RuleBasedStateMachine):
    """One item at one site. Inventory is a number; asks and answers are on their way for long.

    The model keeps the rules of the handlers: growth is kept with what is left of it, a woken
    need takes of it, a refused one gives back, and every refusal or growth offers anew. A hold
    may run out: its need goes back to the waitlist, where it is asked for again after a while.
    """

    @initialize()
    def start(self) -> None:
        self.clock = NOW
        self.stock = 0
        self.waiting: dict[UUID, Waiter] = {}
        self.lapsed: set[UUID] = set()
        self.asking: dict[UUID, tuple[Waiter, tuple[tuple[UUID, int], ...]]] = {}
        self.refusals: list[tuple[Waiter, tuple[tuple[UUID, int], ...]]] = []
        self.holds: list[tuple[tuple[UUID, int], ...]] = []
        self.held: dict[UUID, Waiter] = {}
        self.news: list[Growth] = []
        self.growths: list[Growth] = []
        self.number = 0

    def tick(self) -> None:
        self.clock += SLACK + timedelta(seconds=1)

    def in_line(self) -> list[Waiter]:
        """Those whom others queue behind."""
        return [each for each in self.waiting.values() if each.need_id not in self.lapsed]

    def ask_or_queue(self, waiter: Waiter, state: State) -> None:
        wanted = StockDemand(item="parcel", quantity=waiter.blocked_by.quantity)
        subject = replace(
            parcel_need(Ask(stock=(wanted,)), priority=waiter.priority, asked_on=waiter.asked_on),
            id=NeedId(waiter.need_id),
            queue_no=waiter.queue_no,
            state=state,
        )
        line = self.in_line()
        first = min((each.rank for each in line), default=None)
        queues = [] if first is None else [Queue(subject.blockers[0], first)]
        if queue_behind(subject, queues, DAY) is None:
            assert all(each.priority < waiter.priority for each in line) or (
                state is State.WAITLISTED and all(waiter.rank < each.rank for each in line)
            ), "nobody overtakes those who wait"
            self.asking[waiter.need_id] = (waiter, ())
        else:
            self.waiting[waiter.need_id] = replace(
                waiter, decided_at=None, waiting_since=self.clock, short=False
            )
            self.offer()

    @rule(quantity=st.integers(1, 3), priority=st.integers(0, 2))
    def ask(self, quantity: int, priority: int) -> None:
        self.number += 1
        waiter = Waiter(
            need_id=UUID(int=self.number),
            priority=priority,
            asked_on=DAY,
            queue_no=self.number,
            blocked_by=BlockedBy(resource="stock", code="parcel", area="UA80", quantity=quantity),
            decided_at=None,
            waiting_since=self.clock,
        )
        self.ask_or_queue(waiter, State.REQUESTED)

    @rule(index=st.integers(0, 100))
    def hold_runs_out(self, index: int) -> None:
        if not self.held:
            return
        self.tick()
        waiter = self.held.pop(sorted(self.held)[index % len(self.held)])
        self.stock += waiter.blocked_by.quantity
        self.grow(waiter.blocked_by.quantity, waiter.need_id)
        self.waiting[waiter.need_id] = replace(
            waiter, decided_at=self.clock, waiting_since=self.clock, short=False
        )
        self.lapsed.add(waiter.need_id)
        self.offer()

    @rule()
    def retry(self) -> None:
        for need_id in sorted(self.lapsed & self.waiting.keys()):
            self.lapsed.discard(need_id)
            self.ask_or_queue(self.waiting.pop(need_id), State.WAITLISTED)

    @rule(index=st.integers(0, 100))
    def cancel(self, index: int) -> None:
        if not self.waiting:
            return
        self.tick()
        waiter = self.waiting.pop(sorted(self.waiting)[index % len(self.waiting)])
        if waiter.need_id in self.lapsed:
            self.lapsed.discard(waiter.need_id)
            return
        # It leaves its place in line: what was kept for it is offered to those behind.
        self.grow(waiter.blocked_by.quantity, waiter.need_id)
        growth = self.news.pop()
        growth.received_at = self.clock
        self.growths.append(growth)
        self.offer()

    def grow(self, quantity: int, freed_by: UUID | None = None) -> None:
        growth = growth_of(quantity)
        growth.id = UUID(int=10_000 + self.number + len(self.growths) + len(self.news) * 1000)
        self.number += 1
        growth.grew_at = self.clock
        growth.freed_by = freed_by
        self.news.append(growth)

    @rule(quantity=st.integers(1, 4))
    def receive(self, quantity: int) -> None:
        self.tick()
        self.stock += quantity
        self.grow(quantity)

    @rule(index=st.integers(0, 100))
    def inventory_decides(self, index: int) -> None:
        if not self.asking:
            return
        self.tick()
        waiter, taken = self.asking.pop(sorted(self.asking)[index % len(self.asking)])
        if self.stock >= waiter.blocked_by.quantity:
            self.stock -= waiter.blocked_by.quantity
            self.holds.append(taken)
            self.held[waiter.need_id] = waiter
        else:
            tried = waiter.tried | {growth_id for growth_id, _ in taken}
            refused = replace(waiter, decided_at=self.clock, short=True, tried=tried)
            self.refusals.append((refused, taken))

    @rule()
    def intake_hears_of_growth(self) -> None:
        if self.news:
            growth = self.news.pop(0)
            growth.received_at = self.clock
            self.growths.append(growth)
            self.offer()

    @rule()
    def intake_hears_of_hold(self) -> None:
        if self.holds:
            # It wanted no more than was missing before, so all but one piece may be there still.
            for growth_id, quantity in self.holds.pop(0):
                for growth in self.growths:
                    if growth.id == growth_id:
                        growth.left += quantity - 1
            self.offer()

    @rule()
    def intake_hears_of_refusal(self) -> None:
        if self.refusals:
            waiter, taken = self.refusals.pop(0)
            for growth in self.growths:
                for growth_id, quantity in taken:
                    if growth.id == growth_id:
                        growth.left += quantity
                        cap = waiter.blocked_by.quantity - 1
                        growth.cap = cap if growth.cap is None else min(growth.cap, cap)
            self.waiting[waiter.need_id] = waiter
            self.offer()

    def offer(self) -> None:
        since = [each.decided_at or each.waiting_since for each in self.waiting.values()]
        fresh = [
            growth
            for growth in self.growths
            if since and max(growth.grew_at, growth.received_at) + SLACK > min(since)
        ]
        for wake in offer(fresh, self.waiting.values()):
            waiter = self.waiting.pop(wake.need_id)
            self.lapsed.discard(wake.need_id)
            self.asking[waiter.need_id] = (waiter, wake.taken)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        if not hasattr(self, "waiting") or self.asking or self.refusals or self.news:
            return
        if self.holds or self.lapsed:
            return
        # Quiet: whoever is first in line does not fit into what there is.
        if self.waiting:
            first = min(self.waiting.values(), key=lambda each: each.rank)
            assert self.stock < first.blocked_by.quantity

    def teardown(self) -> None:
        if not hasattr(self, "waiting"):
            return
        for _ in range(1000):
            if self.news:
                self.intake_hears_of_growth()
            elif self.refusals:
                self.intake_hears_of_refusal()
            elif self.holds:
                self.intake_hears_of_hold()
            elif self.asking:
                self.inventory_decides(0)
            elif self.lapsed:
                self.retry()
            else:
                self.nobody_is_forgotten()
                return
        raise AssertionError("asking and refusing never ends")


TestWaitlist = Waitlist.TestCase
TestWaitlist.settings = settings(max_examples=200, stateful_step_count=40)
