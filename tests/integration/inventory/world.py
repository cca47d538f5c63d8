"""Inventory's parts on a real database, and what other services would send it."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from aidmesh_chassis.checks import Check
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.envelope import Received, new_event_id
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import CommitmentId, GrantId, NeedId, PurchaseId, RequestId, SiteId
from aidmesh_contracts.intake import NeedApprovedV1, NeedConfirmedV1, NeedWithdrawnV1
from aidmesh_contracts.payments import CommitmentMadeV1, PurchaseOrderedV1
from aidmesh_contracts.registry import REGISTRY
from aidmesh_contracts.restriction import Restriction
from aidmesh_contracts.streams import event_type_of
from aidmesh_contracts.values import CapacityDemand, StockDemand
from aidmesh_inventory import consumers
from aidmesh_inventory.checks import CHECKS
from aidmesh_inventory.domain.requests import Way
from aidmesh_inventory.handlers import handover, places, receipts, sites
from aidmesh_inventory.handlers.hold import reservation_id_of
from aidmesh_inventory.handlers.receipts import Line, Receipt
from aidmesh_inventory.store import sites as site_store
from aidmesh_inventory.store.beds import NewBed
from aidmesh_inventory.store.slots import NewSlot

DAY = date(2026, 3, 2)
E = TypeVar("E", bound=Event)


class World:
    """One region's inventory; several may share a database, as replicas do."""

    def __init__(
        self, database: Database, new_id: Callable[[], UUID] = uuid4, region: str = "kyiv"
    ) -> None:
        self.database = database
        self.new_id = new_id
        self.handlers = {
            event: handler
            for subscription in consumers.subscriptions(region)
            for event, handler in subscription.handlers.items()
        }
        self._seen = 0

    async def take(self, *events: Event, region: str = "kyiv") -> None:
        """Hand a batch of events of one class, told by a region, to its handler."""
        async with self.database.transaction() as tx:
            await self.handle(tx, *events, region=region)

    async def handle(self, tx: Tx, *events: Event, region: str = "kyiv") -> None:
        """The same in a transaction that the test keeps open."""
        batch = [received(tx, event, region) for event in events]
        await self.handlers[type(events[0])](tx, batch)

    async def emitted(self, kind: type[E]) -> list[E]:
        """All events of a class that were published, as a reader parses them."""
        async with self.database.read() as conn:
            rows = await conn.fetch("SELECT subject, payload FROM outbox ORDER BY seq")
        return [
            parsed
            for row in rows
            if REGISTRY[event_type_of(row["subject"])] is kind
            and isinstance(parsed := kind.model_validate_json(row["payload"]), kind)
        ]

    async def rows(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """What a query finds."""
        async with self.database.read() as conn:
            return [dict(row) for row in await conn.fetch(sql, *arguments)]

    async def value(self, sql: str, *arguments: object) -> Any:
        """The one value that a query finds."""
        async with self.database.connection() as conn:
            return await conn.fetchval(sql, *arguments)

    async def execute(self, sql: str, *arguments: object) -> None:
        """Change something behind the service's back, such as a deadline."""
        async with self.database.connection() as conn:
            await conn.execute(sql, *arguments)

    async def run(self, sweep: Callable[[Tx], Any]) -> int:
        """Run a sweep once."""
        async with self.database.transaction() as tx:
            return int(await sweep(tx))

    async def site(self, code: str = "kyiv-1", area: str = "UA80") -> UUID:
        """An open site."""
        site_id = self.new_id()
        row = site_store.SiteRow(
            site_id, code, code, area, "UA-30", "center", "open", None, None, 1
        )
        async with self.database.transaction() as tx:
            assert await sites.add(tx, row)
        return site_id

    async def item(
        self, code: str = "parcel", tracking: str = "lot", *, prescription: bool = False
    ) -> str:
        """An item."""
        names = {"uk": code, "en": code, "de": code}
        async with self.database.transaction() as tx:
            await site_store.put_item(
                tx.conn,
                site_store.ItemRow(code, names, "piece", 1, tracking, prescription=prescription),
            )
        return code

    async def stock(
        self,
        site_id: UUID,
        quantity: int,
        item: str = "parcel",
        *,
        expiry: date | None = None,
        restriction: Restriction | None = None,
        grant_id: UUID | None = None,
        unit_value_minor: int = 0,
    ) -> UUID:
        """Goods that came in; returns the lot."""
        receipt = Receipt(
            self.new_id(),
            site_id,
            DAY,
            (
                Line(
                    item,
                    quantity,
                    expiry=expiry,
                    restriction=restriction,
                    grant_id=grant_id,
                    unit_value_minor=unit_value_minor,
                ),
            ),
        )
        async with self.database.transaction() as tx:
            assert await receipts.receive(tx, [receipt], None) == {}
        lot_id = await self.value("SELECT id FROM lot WHERE receipt_id = $1", receipt.receipt_id)
        assert isinstance(lot_id, UUID)
        return lot_id

    async def goes_off(self, lot_id: UUID, last_on: date = DAY) -> None:
        """Let the last good day of a lot go by, without sweeping it."""
        await self.execute("UPDATE lot SET expiry = $2 WHERE id = $1", lot_id, last_on)

    async def beds(self, site_id: UUID, count: int, *features: str, room: str = "1") -> list[UUID]:
        """Beds of kind `shelter`."""
        new = [
            (
                NewBed(
                    self.new_id(),
                    site_id,
                    self.new_id().hex[-8:],
                    room,
                    "shelter",
                    "own",
                    None,
                    0,
                    "UAH",
                ),
                features,
            )
            for _ in range(count)
        ]
        async with self.database.transaction() as tx:
            assert await places.add_beds(tx, new) == {}
        return [bed.bed_id for bed, _ in new]

    async def slot(
        self, site_id: UUID, day: date, hour: int = 10, seats: int = 1, code: str = "counseling"
    ) -> UUID:
        """A slot of that kind."""
        slot_id = self.new_id()
        async with self.database.transaction() as tx:
            starts_at = await tx.conn.fetchval(
                "SELECT $1::date + make_interval(hours => $2)", day, hour
            )
            starts_at = starts_at.replace(tzinfo=tx.now.tzinfo)
            new = NewSlot(
                slot_id,
                site_id,
                code,
                f"pro-{slot_id.hex[:8]}",
                starts_at,
                starts_at + timedelta(minutes=50),
                50,
                seats,
            )
            assert await places.add_slots(tx, [new]) == {}
        return slot_id

    async def issue(
        self,
        need_id: UUID,
        way: Way = "handover",
        on: date = DAY,
        attempt_no: int = 1,
        **more: Any,
    ) -> str | None:
        """Hand over, check in or attend; returns what is wrong, if anything is."""
        reservation_id = reservation_id_of(need_id, attempt_no)
        async with self.database.transaction() as tx:
            faults = await handover.issue(
                tx, [handover.Issue(reservation_id, way, on, **more)], None
            )
        return faults.get(reservation_id)

    async def undo(self, need_id: UUID) -> bool:
        """Take an issue back."""
        async with self.database.transaction() as tx:
            found = await handover.undo(tx, reservation_id_of(need_id, 1), "mistake", None)
        return found is not None

    async def state(self, need_id: UUID, attempt_no: int = 1) -> str | None:
        """State of the reservation of an attempt."""
        found = await self.value(
            "SELECT state FROM reservation WHERE need_id = $1 AND attempt_no = $2",
            need_id,
            attempt_no,
        )
        return None if found is None else str(found)

    async def expire(self, need_id: UUID) -> None:
        """Let a hold run out, without sweeping it."""
        await self.execute(
            "UPDATE reservation SET hold_until = now() - interval '1 s' WHERE need_id = $1", need_id
        )

    async def books_are_right(self) -> None:
        """Every invariant of the books holds."""
        for check in CHECKS:
            assert await self._broken(check) == [], check.name

    async def _broken(self, check: Check) -> list[str]:
        async with self.database.read() as conn:
            return [str(row[0]) for row in await conn.fetch(check.sql)]


def received(tx: Tx, event: E, region: str = "kyiv") -> Received[E]:
    """An event as it comes in."""
    return Received(
        event=event,
        event_id=new_event_id(),
        correlation_id=uuid4(),
        occurred_at=tx.now,
        region=region,
        epoch=1,
        version=None,
        content_hash=b"",
    )


def approved(
    *,
    need_id: UUID | None = None,
    attempt_no: int = 1,
    quantity: int = 1,
    items: Sequence[str] = ("parcel",),
    priority: int = 0,
    asked_on: date = DAY,
    planned_on: date = DAY,
    area: str = "UA80",
    site_id: UUID | None = None,
    to_site_id: UUID | None = None,
    capacity: CapacityDemand | None = None,
    hold_s: int = 900,
    sensitive: bool = False,
) -> NeedApprovedV1:
    """An approved need."""
    return NeedApprovedV1(
        need_id=NeedId(need_id or uuid4()),
        attempt_no=attempt_no,
        request_id=RequestId(uuid4()),
        kind="food_parcel",
        programme="food",
        priority=priority,
        asked_on=asked_on,
        planned_on=planned_on,
        place_area=area,
        stay_area=area,
        site_id=None if site_id is None else SiteId(site_id),
        to_site_id=None if to_site_id is None else SiteId(to_site_id),
        stock=tuple(StockDemand(item=item, quantity=quantity) for item in items),
        capacity=capacity,
        hold_s=hold_s,
        sensitive=sensitive,
    )


def night(
    from_on: date = DAY, nights: int | None = 3, places_wanted: int = 1, *features: str
) -> CapacityDemand:
    """Beds from a day on; days gone by are meant as they are written."""
    return CapacityDemand(
        resource="bed",
        code="shelter",
        from_on=from_on,
        to_on=None if nights is None else from_on + timedelta(days=nights),
        places=places_wanted,
        features=features,
        as_written=True,
    )


def confirmed(need_id: UUID, attempt_no: int = 1, *, money: bool = False) -> NeedConfirmedV1:
    """Intake says that every hold said yes."""
    return NeedConfirmedV1(
        need_id=NeedId(need_id), attempt_no=attempt_no, with_money=money, with_supply=True
    )


def withdrawn(need_id: UUID, attempt_no: int = 1) -> NeedWithdrawnV1:
    """Intake ends an attempt."""
    return NeedWithdrawnV1(need_id=NeedId(need_id), attempt_no=attempt_no, reason="cancelled")


def paid(need_id: UUID, attempt_no: int = 1) -> CommitmentMadeV1:
    """Payments committed the money."""
    return CommitmentMadeV1(
        commitment_id=CommitmentId(uuid4()),
        need_id=NeedId(need_id),
        attempt_no=attempt_no,
        grant_id=GrantId(uuid4()),
        amount_minor=100,
        currency="UAH",
    )


def ordered(purchase_id: PurchaseId, **quantities: int) -> PurchaseOrderedV1:
    """Payments ordered so many pieces of each item, for whatever need."""
    return PurchaseOrderedV1(
        purchase_id=purchase_id,
        grant_id=GrantId(uuid4()),
        restriction=Restriction(),
        currency="UAH",
        lines=tuple(
            PurchaseOrderedV1.Line(item=item, quantity=quantity, unit_value_minor=700)
            for item, quantity in quantities.items()
        ),
    )
