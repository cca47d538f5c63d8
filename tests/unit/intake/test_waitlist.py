"""The waitlist against a naive model: fair, never more than grew, nobody forgotten."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aidmesh_contracts.ids import NeedId, SiteId
from aidmesh_contracts.values import BlockedBy, CapacityDemand, StockDemand
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import LIVE, Need, State, Wait
from aidmesh_intake.domain.waitlist import (
    SLACK,
    Growth,
    Queue,
    Rank,
    Waiter,
    offer,
    place_of,
    queue_behind,
)
from unit.intake.builders import DAY, NOW, need

SITES = [UUID(int=100), UUID(int=101)]
AREAS = ["UA80", "UA8012", "UA46"]

blockers = st.builds(
    BlockedBy,
    resource=st.just("stock"),
    code=st.sampled_from(["parcel", "kit"]),
    site_id=st.sampled_from([None, *SITES]),
    area=st.sampled_from([None, "UA80", "UA46"]),
    quantity=st.integers(1, 4),
)
waiters = st.builds(
    Waiter,
    need_id=st.uuids(),
    priority=st.integers(0, 3),
    asked_on=st.dates(date(2024, 1, 1), date(2024, 1, 5)),
    queue_no=st.integers(1, 3),
    blocked_by=blockers,
    decided_at=st.sampled_from([None, NOW - timedelta(hours=1), NOW + timedelta(hours=1)]),
    waiting_since=st.just(NOW - timedelta(minutes=30)),
    short=st.booleans(),
)
growths = st.builds(
    Growth,
    id=st.uuids(),
    resource=st.just("stock"),
    code=st.sampled_from(["parcel", "kit"]),
    currency=st.none(),
    programmes=st.none(),
    site_id=st.sampled_from(SITES),
    area=st.sampled_from(AREAS),
    left=st.integers(1, 8),
    cap=st.none(),
    freed_by=st.none(),
    grew_at=st.just(NOW),
    received_at=st.just(NOW),
)


@settings(deadline=None)
@given(
    st.lists(waiters, max_size=12, unique_by=lambda each: each.need_id),
    st.lists(growths, max_size=4, unique_by=lambda each: each.id),
)
def test_an_offer_is_fair_and_within_what_grew(some: list[Waiter], more: list[Growth]) -> None:
    before = {growth.id: growth.left for growth in more}
    wakes = offer(more, some)
    by_id = {waiter.need_id: waiter for waiter in some}
    taken = dict.fromkeys(before, 0)
    woken = {wake.need_id for wake in wakes}

    def is_kept(growth: Growth, waiter: Waiter) -> bool:
        return any(
            other.rank < waiter.rank and other.keeps(growth) and other.need_id not in woken
            for other in some
        )

    for wake in wakes:
        waiter = by_id[wake.need_id]
        sizes = sum(quantity for _, quantity in wake.taken)
        assert 0 < sizes <= waiter.blocked_by.quantity
        if sizes < waiter.blocked_by.quantity:
            # What grew may complete what was there; but then nothing of it is left for others.
            assert all(g.left == 0 or is_kept(g, waiter) for g in more if waiter.may_use(g))
        for growth_id, quantity in wake.taken:
            taken[growth_id] += quantity
    for growth in more:
        assert growth.left == before[growth.id] - taken[growth.id] >= 0
    assert len(woken) == len(wakes), "nobody is woken twice"
    ranks = [by_id[wake.need_id].rank for wake in wakes]
    assert ranks == sorted(ranks)
    for waiter in some:
        if waiter.need_id in woken:
            continue
        # Whoever could have used something finds that it is kept for somebody before them.
        for growth in more:
            if growth.left > 0 and waiter.may_use(growth):
                assert is_kept(growth, waiter)


def test_a_splittable_need_takes_what_there_is() -> None:
    growth = _growth(5)
    wakes = offer([growth], [_waiter(1, 8, piece=2)])
    assert (wakes[0].pieces, growth.left) == (4, 1)


def test_growth_is_not_offered_to_whom_it_came_from_or_who_tried_it() -> None:
    growth = _growth(5)
    growth.freed_by = UUID(int=1)
    assert offer([growth], [_waiter(1, 1)]) == []
    tried = _waiter(2, 1, tried=frozenset({growth.id}))
    assert offer([growth], [tried]) == []
    growth.cap = 2
    assert offer([growth], [_waiter(3, 3)]) == []
    assert len(offer([growth], [_waiter(4, 2)])) == 1


def test_money_is_matched_by_programme_and_currency() -> None:
    growth = Growth(
        id=UUID(int=7),
        resource="money",
        code=None,
        currency="UAH",
        programmes=frozenset({"cash"}),
        site_id=None,
        area=None,
        left=100,
        cap=None,
        freed_by=None,
        grew_at=NOW,
        received_at=NOW,
    )
    for code, fits in [("cash/UAH", True), ("cash/EUR", False), ("food/UAH", False)]:
        blocked = BlockedBy(resource="money", code=code, quantity=10)
        assert growth.concerns(blocked) is fits


def _growth(quantity: int) -> Growth:
    return Growth(
        id=UUID(int=50),
        resource="stock",
        code="parcel",
        currency=None,
        programmes=None,
        site_id=SITES[0],
        area="UA80",
        left=quantity,
        cap=None,
        freed_by=None,
        grew_at=NOW,
        received_at=NOW,
    )


def _waiter(
    number: int, quantity: int, piece: int | None = None, tried: frozenset[UUID] = frozenset()
) -> Waiter:
    return Waiter(
        need_id=UUID(int=number),
        priority=1,
        asked_on=DAY,
        queue_no=number,
        blocked_by=BlockedBy(resource="stock", code="parcel", area="UA80", quantity=quantity),
        decided_at=NOW - timedelta(hours=1),
        waiting_since=NOW - timedelta(hours=1),
        piece=piece,
        tried=tried,
    )


def _need(
    ask: Ask | None = None, site: UUID | None = None, *, priority: int = 10, asked_on: date = DAY
) -> Need:
    """A new need for a parcel, or for something else."""
    parcel = Ask(stock=(StockDemand(item="parcel", quantity=1),))
    return replace(
        need(parcel if ask is None else ask),
        site_id=None if site is None else SiteId(site),
        priority=priority,
        asked_on=asked_on,
    )


def _first(priority: int = 10, asked_on: date = DAY, queue_no: int = 5) -> Rank:
    return (-priority, asked_on, queue_no, UUID(int=77))


def test_queueing_behind() -> None:
    mine = BlockedBy(resource="stock", code="parcel", area="UA80", quantity=1)
    elsewhere = BlockedBy(resource="stock", code="parcel", area="UA46", quantity=1)
    one_site = BlockedBy(resource="stock", code="parcel", site_id=SITES[0], quantity=1)
    for theirs, priority, behind in [
        (mine, 11, True),
        (mine, 10, True),
        (mine, 9, False),
        (elsewhere, 10, False),
        (one_site, 10, False),
    ]:
        found = queue_behind(_need(), [Queue(theirs, _first(priority))], DAY)
        assert (found is not None) is behind
    # One who wants a certain site queues behind those who would take it anywhere in the area.
    assert queue_behind(_need(site=SITES[0]), [Queue(mine, _first())], DAY) is not None


def test_a_new_need_goes_behind_those_who_asked_later_but_wait_already() -> None:
    mine = BlockedBy(resource="stock", code="parcel", area="UA80", quantity=1)
    long_ago = _need(asked_on=DAY - timedelta(days=30))
    assert queue_behind(long_ago, [Queue(mine, _first())], DAY) is not None


@given(
    st.integers(0, 2),
    st.sampled_from([DAY - timedelta(days=1), DAY]),
    st.integers(1, 3),
    st.sampled_from([each for each in State if each is not State.REQUESTED]),
    st.builds(
        _first,
        st.integers(0, 2),
        st.sampled_from([DAY - timedelta(days=1), DAY]),
        st.integers(1, 3),
    ),
)
def test_whoever_was_in_line_before_goes_where_priority_and_age_put_them(
    priority: int, asked_on: date, queue_no: int, state: State, first: Rank
) -> None:
    back = replace(
        _need(priority=priority, asked_on=asked_on),
        id=NeedId(UUID(int=78)),
        queue_no=queue_no,
        state=state,
    )
    theirs = BlockedBy(resource="stock", code="parcel", area="UA80", quantity=1)
    behind = queue_behind(back, [Queue(theirs, first)], DAY)
    before_me = (-first[0], -first[1].toordinal(), -first[2]) >= (
        priority,
        -asked_on.toordinal(),
        -queue_no,
    )
    assert (behind is not None) is before_me


def test_queueing_behind_on_the_same_days_only() -> None:
    bed = BlockedBy(resource="bed", code="shelter", area="UA80", quantity=1)
    tonight = _need(
        Ask(
            capacity=CapacityDemand(
                resource="bed", code="shelter", from_on=DAY, to_on=DAY + timedelta(days=1)
            )
        )
    )
    other_night = Queue(bed, _first(), DAY + timedelta(days=30), DAY + timedelta(days=31))
    same_night = Queue(bed, _first(), DAY, DAY + timedelta(days=1))
    assert queue_behind(tonight, [other_night], DAY) is None
    assert queue_behind(tonight, [same_night], DAY) == bed
    slot = BlockedBy(resource="slot", code="legal", area="UA80", quantity=1)
    this_week = _need(
        Ask(
            capacity=CapacityDemand(
                resource="slot", code="legal", from_on=DAY, to_on=DAY + timedelta(days=7)
            )
        )
    )
    month = Queue(slot, _first(), DAY, DAY + timedelta(days=30))
    one_day = Queue(slot, _first(), DAY, DAY)
    assert queue_behind(this_week, [month], DAY) == slot
    assert queue_behind(this_week, [one_day], DAY) is None
    # Its first days have gone by: it asks for what is still to come, as they do.
    rest = Queue(slot, _first(), DAY + timedelta(days=5), DAY + timedelta(days=30))
    assert queue_behind(this_week, [rest], DAY) is None
    assert queue_behind(this_week, [rest], DAY + timedelta(days=5)) == slot


def test_whoever_can_use_an_hour_that_others_cannot_does_not_queue_behind_them() -> None:
    slot = BlockedBy(resource="slot", code="legal", area="UA80", quantity=1)
    today_only = CapacityDemand(resource="slot", code="legal", from_on=DAY, to_on=DAY)
    all_day = _need(Ask(capacity=today_only))
    until_noon = replace(all_day, needed_until=NOW + timedelta(hours=3))
    until_one = replace(all_day, needed_until=NOW + timedelta(hours=4))
    theirs = Queue(slot, _first(), DAY, DAY, starts_before=NOW + timedelta(hours=3))
    assert queue_behind(all_day, [theirs], DAY) is None
    assert queue_behind(until_one, [theirs], DAY) is None
    assert queue_behind(until_noon, [theirs], DAY) == slot
    assert queue_behind(until_noon, [Queue(slot, _first(), DAY, DAY)], DAY) == slot
    assert queue_behind(all_day, [Queue(slot, _first(), DAY, date.max)], DAY) == slot


@given(
    st.sampled_from([State.REQUESTED, State.APPROVED, State.HELD, State.READY, State.WAITLISTED]),
    st.sampled_from(list(Wait)),
    st.booleans(),
)
def test_a_moved_need_asks_there_or_queues_there_with_its_age(
    state: State, wait: Wait, someone_waits: bool
) -> None:
    before = _need(asked_on=DAY - timedelta(days=9))
    attempt_no = 0
    if state is not State.REQUESTED:
        attempt_no = 3
        before = replace(before, state=state, attempt_no=attempt_no)
    if state is State.WAITLISTED:
        before = replace(before, wait=wait, blocked_by=before.blockers[0], waiting_since=NOW)
    there = BlockedBy(resource="stock", code="parcel", area="UA46", quantity=1)
    behind = there if someone_waits else None
    decision = commands.move(before, NOW, "UA46", None, behind=behind)
    after = decision.need
    assert (after.place_area, after.asked_on, after.queue_no) == (
        "UA46",
        before.asked_on,
        before.queue_no,
    )
    names = [type(event).__name__ for event in decision.events]
    assert ("NeedWithdrawnV1" in names) is (state in LIVE), "what was set aside is let go"
    if state is State.REQUESTED:
        assert (after.state, names) == (State.REQUESTED, [])
    elif someone_waits:
        assert (after.state, after.wait, after.blocked_by) == (
            State.WAITLISTED,
            Wait.BEHIND,
            there,
        )
        assert after.attempt_no == attempt_no
        assert "NeedApprovedV1" not in names
        assert place_of(after) == (-10, before.asked_on, before.queue_no, before.id)
    else:
        assert (after.state, after.attempt_no) == (State.APPROVED, attempt_no + 1)
        assert "NeedApprovedV1" in names


def test_a_waiting_need_that_is_moved_to_where_it_is_keeps_its_place() -> None:
    before = replace(
        _need(),
        state=State.WAITLISTED,
        wait=Wait.SHORT,
        blocked_by=_need().blockers[0],
        waiting_since=NOW,
    )
    assert commands.move(before, NOW, "UA80", None).need is before


def test_the_first_is_asked_again_and_those_behind_wait_with_it() -> None:
    growth = _growth(1)
    large, small = _waiter(1, 3), _waiter(2, 1)
    (wake,) = offer([growth], [large, small])
    assert (wake.need_id, growth.left) == (large.need_id, 0)
    growth.left = 1  # it was refused and gave it back
    refused = replace(
        large, short=True, decided_at=NOW + timedelta(minutes=1), tried=frozenset({growth.id})
    )
    assert offer([growth], [refused, small]) == []
    more = _growth(1)
    more.id, more.grew_at = UUID(int=51), NOW + timedelta(minutes=2)
    (wake,) = offer([growth, more], [refused, small])
    assert wake.taken == ((growth.id, 1), (more.id, 1))


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
            _need(Ask(stock=(wanted,)), priority=waiter.priority, asked_on=waiter.asked_on),
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
        growth = _growth(quantity)
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
TestWaitlist.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
