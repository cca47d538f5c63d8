"""Those who wait for parcels, and what grows for them."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.values import BlockedBy, StockDemand
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import Need
from aidmesh_intake.domain.waitlist import Growth, Rank, Waiter
from unit.intake.builders import DAY, NOW, need

SITES = [UUID(int=100), UUID(int=101)]


def growth_of(quantity: int) -> Growth:
    """So many new parcels at the first site."""
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


def waiter_of(
    number: int, quantity: int, piece: int | None = None, tried: frozenset[UUID] = frozenset()
) -> Waiter:
    """Who waits for so many parcels, `piece` at a time if it may be split."""
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


def parcel_need(
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


def rank_of(priority: int = 10, asked_on: date = DAY, queue_no: int = 5) -> Rank:
    """The rank of the first who waits."""
    return (-priority, asked_on, queue_no, UUID(int=77))
