"""Two regions that send each other goods, each with a database of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from aidmesh_contracts.base import Event
from aidmesh_contracts.inventory_shipments import (
    ShipmentChangedV1,
    ShipmentCountedV1,
    TransferAnsweredV1,
    TransferAskedV1,
    TransferWithdrawnV1,
)
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.domain.shipments import Counted
from aidmesh_inventory.handlers import arrivals, shipping, transfers
from aidmesh_inventory.store import shipments as store
from aidmesh_inventory.store.shipments import Book, NewLine
from integration.inventory.world import DAY, World

TRAVELS = (
    TransferAskedV1,
    TransferAnsweredV1,
    TransferWithdrawnV1,
    ShipmentChangedV1,
    ShipmentCountedV1,
)

WINTER = Restriction(programmes=("food",))


@dataclass
class Side:
    """One region, with a site and what the others have heard of it."""

    region: str
    world: World
    site_id: UUID
    dsn: str
    heard: dict[type[Event], int] = field(default_factory=dict)

    async def said(self) -> list[Event]:
        """What the others were not told yet."""
        new: list[Event] = []
        for kind in TRAVELS:
            told = await self.world.emitted(kind)
            new += told[self.heard.get(kind, 0) :]
            self.heard[kind] = len(told)
        return new

    async def hear(self, events: Sequence[Event], region: str) -> None:
        for event in events:
            await self.world.take(event, region=region)

    async def ask(self, owner: "Side", quantity: int) -> UUID:
        """Parcels of another region, which is not told yet."""
        transfer_id = uuid4()
        async with self.world.database.transaction() as tx:
            fault = await transfers.ask(
                tx,
                region=self.region,
                transfer_id=transfer_id,
                owner=owner.region,
                item="parcel",
                quantity=quantity,
                to_site_id=self.site_id,
                reason="waiting_needs",
                by=uuid4(),
            )
        assert fault is None
        return transfer_id

    async def accept(self, transfer_id: UUID, quantity: int) -> str | None:
        async with self.world.database.transaction() as tx:
            return await transfers.answer(
                tx,
                region=self.region,
                transfer_id=transfer_id,
                accepted=quantity,
                reason=None,
                by=None,
            )

    async def withdraw(self, transfer_id: UUID) -> str | None:
        async with self.world.database.transaction() as tx:
            return await transfers.withdraw(tx, self.region, transfer_id)

    async def prepare(
        self, to: "Side", *lines: tuple[UUID, int], transfer_id: UUID | None = None
    ) -> Book | str:
        async with self.world.database.transaction() as tx:
            order = shipping.Order(uuid4(), to.region, to.site_id, transfer_id)
            return await shipping.prepare(tx, self.region, order, new_lines(lines))

    async def send(
        self, to: "Side", *lines: tuple[UUID, int], transfer_id: UUID | None = None
    ) -> Book:
        """A shipment that is being prepared."""
        book = await self.prepare(to, *lines, transfer_id=transfer_id)
        assert isinstance(book, Book), book
        return book

    async def add(self, shipment_id: UUID, *lines: tuple[UUID, int]) -> Book | str:
        async with self.world.database.transaction() as tx:
            return await shipping.add_lines(tx, self.region, shipment_id, new_lines(lines))

    async def cancel(self, shipment_id: UUID) -> Book | str:
        async with self.world.database.transaction() as tx:
            return await shipping.cancel(tx, self.region, shipment_id)

    async def dispatch(self, shipment_id: UUID) -> Book | str:
        async with self.world.database.transaction() as tx:
            return await shipping.dispatch(tx, self.region, shipment_id, DAY, None)

    async def count(self, shipment_id: UUID, counted: dict[UUID, Counted]) -> Book | str:
        async with self.world.database.transaction() as tx:
            return await arrivals.count(
                tx, self.region, shipment_id, counted, site_id=None, on=DAY, by=None
            )

    async def book(self, shipment_id: UUID) -> Book:
        async with self.world.database.read() as conn:
            return (await store.books(conn, [shipment_id]))[shipment_id]

    async def on_hand(self) -> int:
        return int(await self.world.value("SELECT COALESCE(sum(on_hand), 0) FROM lot"))


def new_lines(lines: Sequence[tuple[UUID, int]]) -> list[NewLine]:
    """Lots and pieces, each under an id of its own."""
    return [NewLine(uuid4(), lot_id, quantity) for lot_id, quantity in lines]


async def exchange(one: Side, other: Side) -> None:
    """Deliver until nothing more is said."""
    while True:
        from_one, from_other = await one.said(), await other.said()
        if not from_one and not from_other:
            return
        await other.hear(from_one, one.region)
        await one.hear(from_other, other.region)
