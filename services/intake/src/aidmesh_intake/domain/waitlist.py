"""Whom growth wakes, and who queues behind whom.

Growth is offered in the order of the waitlist: priority, then who asked first, then whose need
was recorded first. It wakes no more needs than it serves, and the one after them: that one wants
more than is left, but what grew may complete what was there. If it does not, it waits whole, what
grew is kept for it, and those behind it wait with it, unless it may be served in parts. Each need
is woken by a growth once. What a woken need could not use otherwise is offered to the next.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from aidmesh_contracts.pickup import end_of
from aidmesh_contracts.values import BlockedBy, CapacityDemand
from aidmesh_intake.domain.need import IN_LINE, Need, State, Wait

Rank = tuple[int, date, int, UUID]
"""Sorts the waitlist. The id decides only between the parts that one need was split into."""

_FIRST_ID: Final = UUID(int=0)
_QUEUE_NO_MAX: Final = 2**63 - 1
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
SLACK: Final = timedelta(seconds=5)
"""A refusal decided so shortly after growth may not have seen it yet: transactions overlap."""


@dataclass(slots=True)
class Growth:
    """More of something, as far as nobody was woken for it yet.

    Attributes:
        code: item or kind of place; None for money, which `currency` and `programmes` name.
        cap: needs that want more than this cannot use it (None: any can).
        on: the day of its slots; None where it is of use on any.
        is_total: it is all that is free on that day; what was told of it before counts no longer.
        grew_at: by the clock of who reported it.
        received_at: by intake's, of when its queue was locked: whoever queued before that is older.
    """

    id: UUID
    resource: str
    code: str | None
    currency: str | None
    programmes: frozenset[str] | None
    site_id: UUID | None
    area: str | None
    left: int
    cap: int | None
    freed_by: UUID | None
    grew_at: datetime
    received_at: datetime
    on: date | None = None
    is_total: bool = False

    def concerns(self, blocked: BlockedBy) -> bool:
        """Whether it is growth of exactly what is waited for."""
        if blocked.resource != self.resource:
            return False
        if self.code is None:
            programme, _, currency = blocked.code.rpartition("/")
            return currency == self.currency and (
                self.programmes is None or programme in self.programmes
            )
        return (
            blocked.code == self.code
            and (blocked.site_id is None or self.site_id is None or blocked.site_id == self.site_id)
            and (blocked.area is None or self.area is None or self.area.startswith(blocked.area))
        )


@dataclass(frozen=True, slots=True)
class Waiter:
    """A waiting need.

    Attributes:
        decided_at: when it was refused or let go; None if it queued behind others without asking.
        short: there was too little of it, rather than something that did not fit.
        let_go: something was set aside for it and let go since; that overlooked no growth.
        piece: the smallest part it may be served in, None if only whole.
        tried: growth that it was woken for before.
        first_on, last_on: the days on which it can use a place, as things stand today; None
            without an end.
    """

    need_id: UUID
    priority: int
    asked_on: date
    queue_no: int
    blocked_by: BlockedBy
    decided_at: datetime | None
    waiting_since: datetime
    short: bool = False
    let_go: bool = False
    piece: int | None = None
    tried: frozenset[UUID] = field(default_factory=frozenset)
    first_on: date | None = None
    last_on: date | None = None

    @property
    def rank(self) -> Rank:
        """Its place in line."""
        return (-self.priority, self.asked_on, self.queue_no, self.need_id)

    def may_use(self, growth: Growth) -> bool:
        """Whether this growth could be what it waits for."""
        if growth.id in self.tried or not self._wants(growth):
            return False
        if growth.cap is not None and self.blocked_by.quantity > growth.cap:
            return False
        if self.decided_at is None:
            return growth.received_at >= self.waiting_since
        return growth.grew_at + (timedelta() if self.let_go else SLACK) > self.decided_at

    def keeps(self, growth: Growth) -> bool:
        """Whether it waits for more of this growth than there is, and those behind wait for it."""
        return (
            self.short
            and self.piece is None
            and growth.left < self.blocked_by.quantity
            and self._wants(growth)
        )

    def _wants(self, growth: Growth) -> bool:
        """Whether it is growth of what it waits for, on a day that will do, and not its own."""
        if growth.freed_by == self.need_id or not growth.concerns(self.blocked_by):
            return False
        return growth.on is None or (
            (self.first_on or date.min) <= growth.on <= (self.last_on or date.max)
        )


@dataclass(frozen=True, slots=True)
class Wake:
    """A need to be asked for again, and what it takes of which growth."""

    need_id: UUID
    taken: tuple[tuple[UUID, int], ...]
    pieces: int | None = None
    """Only so much of it, the rest goes on waiting; None for the whole."""


def offer(growths: Sequence[Growth], waiters: Iterable[Waiter]) -> list[Wake]:
    """Wake those whom the growth serves; `left` of the growths goes down by what they take."""
    oldest_first = sorted(growths, key=lambda growth: (growth.grew_at, growth.id))
    kept: set[UUID] = set()
    wakes: list[Wake] = []
    for waiter in sorted(waiters, key=lambda each: each.rank):
        there = [growth for growth in oldest_first if growth.left > 0 and growth.id not in kept]
        usable = [growth for growth in there if waiter.may_use(growth) or waiter.keeps(growth)]
        if not any(waiter.may_use(growth) for growth in usable):
            kept.update(growth.id for growth in usable)
            continue
        wake = _wake(waiter, usable)
        wakes.append(wake)
        if wake.pieces is not None:
            kept.update(growth.id for growth in usable)
    return wakes


def _wake(waiter: Waiter, usable: Sequence[Growth]) -> Wake:
    credit = sum(growth.left for growth in usable)
    wanted = waiter.blocked_by.quantity
    if credit < wanted and waiter.piece is not None and credit >= waiter.piece:
        pieces = credit // waiter.piece * waiter.piece
        return Wake(waiter.need_id, _take(usable, pieces), pieces)
    return Wake(waiter.need_id, _take(usable, min(credit, wanted)))


def _take(growths: Sequence[Growth], quantity: int) -> tuple[tuple[UUID, int], ...]:
    taken: list[tuple[UUID, int]] = []
    for growth in growths:
        part = min(growth.left, quantity)
        if part:
            growth.left -= part
            quantity -= part
            taken.append((growth.id, part))
    assert quantity == 0
    return tuple(taken)


@dataclass(frozen=True, slots=True)
class Queue:
    """Needs that wait for the same in the same place: there is too little of it, or it is closed.

    Attributes:
        first: whoever is served first of them.
        first_on, last_on: of the stay or the days looked at, None for goods and money.
        starts_before: the instant before which a slot has to start, where hours count.
        needs: how many they are.
        closed: they were told that their site is closed.
    """

    blocked_by: BlockedBy
    first: Rank
    first_on: date | None = None
    last_on: date | None = None
    starts_before: datetime | None = None
    needs: int = 1
    closed: bool = False


class Behind(NamedTuple):
    """What a need waits for because others do already, and why they do."""

    blocked_by: BlockedBy
    why: Wait = Wait.BEHIND


def place_of(need: Need) -> Rank:
    """Where a need stands among those who wait: by its age if it was in line before.

    A new need stands behind everyone of its priority, whenever it was asked for.
    """
    if need.state is State.REQUESTED:
        return (-need.priority, date.max, _QUEUE_NO_MAX, need.id)
    return (-need.priority, need.asked_on, need.queue_no, need.id)


def queue_behind(need: Need, queues: Sequence[Queue], today: date) -> Behind | None:
    """What a need has to wait for because others before it do, or None if it may ask.

    It goes behind those who could use whatever it would take: the same thing, in a place and on
    days that would do for them.
    """
    place, wanted = place_of(need), need.place_on(today)
    for blocker in need.blockers:
        before = [
            queue
            for queue in queues
            if queue.first <= place and _takes_from(blocker, wanted, need.place_area, queue)
        ]
        if before:
            is_closed = all(queue.closed for queue in before)
            return Behind(blocker, Wait.SITE_CLOSED if is_closed else Wait.BEHIND)
    return None


def is_next(need: Need, queues: Sequence[Queue], today: date) -> bool:
    """Whether nobody who is served before a need waits for what it would take.

    The parts that one need was split into may go in any order.
    """
    first_of_parts = (*place_of(need)[:3], _FIRST_ID)
    before = [queue for queue in queues if queue.first < first_of_parts]
    return queue_behind(need, before, today) is None


def queue_of(need: Need) -> Queue | None:
    """The queue that a need makes by itself, where it waits in line for goods or money."""
    if need.wait not in IN_LINE or need.blocked_by is None:
        return None
    return Queue(need.blocked_by, place_of(need), closed=need.wait is Wait.SITE_CLOSED)


def ahead_of(need: Need, before: Sequence[Queue], today: date) -> int:
    """How many of those who came before a waiting need are served first: it queues behind them.

    Args:
        before: those of a higher rank who wait for the same kind of thing, wherever.
    """
    assert need.blocked_by is not None
    wanted = need.place_on(today)
    return sum(
        queue.needs
        for queue in before
        if _takes_from(need.blocked_by, wanted, need.place_area, queue)
    )


def _takes_from(mine: BlockedBy, capacity: CapacityDemand | None, area: str, queue: Queue) -> bool:
    theirs = queue.blocked_by
    if (mine.resource, mine.code) != (theirs.resource, theirs.code):
        return False
    if theirs.site_id is not None and mine.site_id != theirs.site_id:
        return False
    if theirs.area is not None and not area.startswith(theirs.area):
        return False
    if mine.resource == "bed" and capacity is not None:
        # They could use my bed if all their nights are among mine.
        last = capacity.to_on or date.max
        return (
            queue.first_on is not None
            and capacity.from_on <= queue.first_on
            and (queue.last_on or date.max) <= last
        )
    if mine.resource == "slot" and capacity is not None:
        # They could use any slot that I could, if my days are among theirs.
        return (
            queue.first_on is not None
            and queue.first_on <= capacity.from_on
            and _end(capacity.to_on, capacity.starts_before)
            <= _end(queue.last_on, queue.starts_before)
        )
    return True


def _end(last_on: date | None, starts_before: datetime | None) -> datetime:
    """Until when a slot may start."""
    ends = [_NEVER if last_on is None else end_of(last_on), starts_before or _NEVER]
    return min(ends)
