"""The waitlist against a naive model: fair, never more than grew, nobody forgotten."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aidmesh_contracts.values import BlockedBy, CapacityDemand
from aidmesh_intake.domain.waitlist import SLACK, Growth, Queue, Waiter, offer, queue_behind
from unit.intake.builders import DAY, NOW

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
    for wake in wakes:
        waiter = by_id[wake.need_id]
        sizes = sum(quantity for _, quantity in wake.taken)
        assert 0 < sizes <= waiter.blocked_by.quantity
        if sizes < waiter.blocked_by.quantity:
            # What grew may complete what was there; but then nothing of it is left for others.
            assert all(g.left == 0 for g in more if waiter.may_use(g)) or sizes == 0
        for growth_id, quantity in wake.taken:
            taken[growth_id] += quantity
    for growth in more:
        assert growth.left == before[growth.id] - taken[growth.id] >= 0
    woken = {wake.need_id for wake in wakes}
    assert len(woken) == len(wakes), "nobody is woken twice"
    ranks = [by_id[wake.need_id].rank for wake in wakes]
    assert ranks == sorted(ranks)
    for waiter in some:
        if waiter.need_id in woken:
            continue
        # Whoever could have used something finds that it is kept for somebody before them.
        for growth in more:
            if growth.left > 0 and waiter.may_use(growth):
                assert any(
                    other.rank < waiter.rank and other.keeps(growth) and other.need_id not in woken
                    for other in some
                )


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
        blocked_by=BlockedBy(resource="stock", code="parcel", area="UA80", quantity=quantity),
        decided_at=NOW - timedelta(hours=1),
        waiting_since=NOW - timedelta(hours=1),
        piece=piece,
        tried=tried,
    )


def test_queueing_behind() -> None:
    mine = BlockedBy(resource="stock", code="parcel", area="UA80", quantity=1)
    elsewhere = BlockedBy(resource="stock", code="parcel", area="UA46", quantity=1)
    one_site = BlockedBy(resource="stock", code="parcel", site_id=SITES[0], quantity=1)
    for theirs, priority, behind in [
        (mine, 10, True),
        (mine, 9, False),
        (elsewhere, 10, False),
        (one_site, 10, False),
    ]:
        found = queue_behind([mine], None, "UA80", 10, [Queue(theirs, priority)])
        assert (found is not None) is behind
    # One who wants a certain site queues behind those who would take it anywhere in the area.
    assert queue_behind([one_site], None, "UA80", 10, [Queue(mine, 10)]) is not None


def test_queueing_behind_on_the_same_days_only() -> None:
    bed = BlockedBy(resource="bed", code="shelter", area="UA80", quantity=1)
    tonight = CapacityDemand(
        resource="bed", code="shelter", from_on=DAY, to_on=DAY + timedelta(days=1)
    )
    other_night = Queue(bed, 10, DAY + timedelta(days=30), DAY + timedelta(days=31))
    same_night = Queue(bed, 10, DAY, DAY + timedelta(days=1))
    assert queue_behind([bed], tonight, "UA80", 10, [other_night]) is None
    assert queue_behind([bed], tonight, "UA80", 10, [same_night]) == bed
    slot = BlockedBy(resource="slot", code="legal", area="UA80", quantity=1)
    this_week = CapacityDemand(
        resource="slot", code="legal", from_on=DAY, to_on=DAY + timedelta(days=7)
    )
    month = Queue(slot, 10, DAY, DAY + timedelta(days=30))
    one_day = Queue(slot, 10, DAY, DAY)
    assert queue_behind([slot], this_week, "UA80", 10, [month]) == slot
    assert queue_behind([slot], this_week, "UA80", 10, [one_day]) is None


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
    need takes of it, a refused one gives back, and every refusal or growth offers anew.
    """

    @initialize()
    def start(self) -> None:
        self.clock = NOW
        self.stock = 0
        self.waiting: dict[UUID, Waiter] = {}
        self.asking: dict[UUID, tuple[Waiter, tuple[tuple[UUID, int], ...]]] = {}
        self.refusals: list[tuple[Waiter, tuple[tuple[UUID, int], ...]]] = []
        self.holds: list[tuple[tuple[UUID, int], ...]] = []
        self.news: list[Growth] = []
        self.growths: list[Growth] = []
        self.number = 0

    def tick(self) -> None:
        self.clock += SLACK + timedelta(seconds=1)

    @rule(quantity=st.integers(1, 3), priority=st.integers(0, 2))
    def ask(self, quantity: int, priority: int) -> None:
        self.number += 1
        waiter = Waiter(
            need_id=UUID(int=self.number),
            priority=priority,
            asked_on=DAY,
            blocked_by=BlockedBy(resource="stock", code="parcel", area="UA80", quantity=quantity),
            decided_at=None,
            waiting_since=self.clock,
        )
        if any(each.priority >= priority for each in self.waiting.values()):
            self.waiting[waiter.need_id] = waiter
            self.offer()
        else:
            self.asking[waiter.need_id] = (waiter, ())

    @rule(quantity=st.integers(1, 4))
    def receive(self, quantity: int) -> None:
        self.tick()
        self.stock += quantity
        growth = _growth(quantity)
        growth.id = UUID(int=10_000 + self.number + len(self.growths) + len(self.news) * 1000)
        self.number += 1
        growth.grew_at = self.clock
        self.news.append(growth)

    @rule(index=st.integers(0, 100))
    def inventory_decides(self, index: int) -> None:
        if not self.asking:
            return
        self.tick()
        waiter, taken = self.asking.pop(sorted(self.asking)[index % len(self.asking)])
        if self.stock >= waiter.blocked_by.quantity:
            self.stock -= waiter.blocked_by.quantity
            self.holds.append(taken)
        else:
            refused = Waiter(
                waiter.need_id,
                waiter.priority,
                waiter.asked_on,
                waiter.blocked_by,
                self.clock,
                waiter.waiting_since,
                short=True,
                tried=waiter.tried | {growth_id for growth_id, _ in taken},
            )
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
            self.asking[waiter.need_id] = (waiter, wake.taken)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        if not hasattr(self, "waiting") or self.asking or self.refusals or self.news:
            return
        if self.holds:
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
            else:
                self.nobody_is_forgotten()
                return
        raise AssertionError("asking and refusing never ends")


TestWaitlist = Waitlist.TestCase
TestWaitlist.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
