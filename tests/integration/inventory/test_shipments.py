"""Shipments between two real databases, with messages doubled, reordered and held back."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aidmesh_chassis.db import Database
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.outbox import Origin
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.base import Event
from aidmesh_contracts.inventory import KeyChangedV1, SupplyGrewV1
from aidmesh_contracts.inventory_shipments import (
    ShipmentChangedV1,
    ShipmentCountedV1,
    ShipmentLine,
    TransferAnsweredV1,
    TransferAskedV1,
    TransferWithdrawnV1,
)
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.domain.shipments import Counted
from aidmesh_inventory.handlers import (
    arrivals,
    manifests,
    restoring,
    reversals,
    shipping,
    transfers,
)
from aidmesh_inventory.store import shipments as store
from aidmesh_inventory.store.shipments import Book, NewLine
from integration.inventory.world import DAY, World, approved
from support.servers import DatabaseFactory

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
            return await shipping.prepare(tx, self.region, order, _new(lines))

    async def send(
        self, to: "Side", *lines: tuple[UUID, int], transfer_id: UUID | None = None
    ) -> Book:
        """A shipment that is being prepared."""
        book = await self.prepare(to, *lines, transfer_id=transfer_id)
        assert isinstance(book, Book), book
        return book

    async def add(self, shipment_id: UUID, *lines: tuple[UUID, int]) -> Book | str:
        async with self.world.database.transaction() as tx:
            return await shipping.add_lines(tx, self.region, shipment_id, _new(lines))

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


def _new(lines: Sequence[tuple[UUID, int]]) -> list[NewLine]:
    return [NewLine(uuid4(), lot_id, quantity) for lot_id, quantity in lines]


@pytest.fixture
async def pair(database: DatabaseFactory) -> AsyncIterator[tuple[Side, Side]]:
    """kyiv and lviv."""
    sides = []
    for region, area in (("kyiv", "UA80"), ("lviv", "UA46")):
        opened = Database(await database("inventory"), Origin(region, "inventory"))
        await opened.open()
        world = World(opened, region=region)
        await world.item()
        sides.append(Side(region, world, await world.site(f"{region}-1", area)))
    yield sides[0], sides[1]
    for side in sides:
        await side.world.books_are_right()
        await side.world.database.close()


async def exchange(one: Side, other: Side) -> None:
    """Deliver until nothing more is said."""
    while True:
        from_one, from_other = await one.said(), await other.said()
        if not from_one and not from_other:
            return
        await other.hear(from_one, one.region)
        await one.hear(from_other, other.region)


async def test_goods_are_asked_for_sent_and_credited_by_the_count(pair: tuple[Side, Side]) -> None:
    kyiv, lviv = pair
    grant_id = uuid4()
    lot_id = await kyiv.world.stock(
        kyiv.site_id,
        20,
        expiry=date(2099, 1, 31),
        restriction=WINTER,
        grant_id=grant_id,
        unit_value_minor=450,
    )
    transfer_id = await lviv.ask(kyiv, 15)
    await exchange(kyiv, lviv)
    assert await kyiv.accept(transfer_id, 16) == "more-than-asked"
    assert await kyiv.accept(transfer_id, 12) is None
    assert await kyiv.accept(transfer_id, 1) == "already-answered"
    book = await kyiv.send(kyiv, (lot_id, 12), transfer_id=transfer_id)
    assert (book.to_region, book.to_site_id) == ("lviv", lviv.site_id)
    await exchange(kyiv, lviv)
    assert await lviv.world.value("SELECT accepted FROM transfer") == 12
    assert (await lviv.book(book.shipment_id)).shipment.state == "preparing"
    assert await kyiv.on_hand() == 20
    assert isinstance(await kyiv.dispatch(book.shipment_id), Book)
    assert await kyiv.on_hand() == 8
    await exchange(kyiv, lviv)
    for side in pair:
        assert (await side.book(book.shipment_id)).shipment.in_transit == {"parcel": 12}
    line_id = book.shipment.lines[0].line_id
    # 9 good, 2 wet, 1 missing.
    taken = await lviv.count(book.shipment_id, {line_id: Counted(9, 2, "wet")})
    assert isinstance(taken, Book)
    assert await lviv.count(book.shipment_id, {line_id: Counted(9, 2, "wet")}) == "already-counted"
    await exchange(kyiv, lviv)
    for side in pair:
        known = (await side.book(book.shipment_id)).shipment
        count = known.counts[line_id]
        assert (count.good, count.damaged, count.short, count.surplus) == (9, 2, 1, 0)
        assert (known.state, known.in_transit) == ("received", {})
        found = await side.world.rows("SELECT why, quantity, status FROM discrepancy ORDER BY why")
        assert found == [
            {"why": "damaged", "quantity": 2, "status": "open"},
            {"why": "short", "quantity": 1, "status": "open"},
        ]
    # The lot keeps what its donor said, and whoever waits is woken.
    lot = (await lviv.world.rows("SELECT * FROM lot"))[0]
    assert (lot["expiry"], lot["grant_id"]) == (date(2099, 1, 31), grant_id)
    assert (lot["unit_value_minor"], lot["currency"], lot["on_hand"]) == (450, "UAH", 9)
    assert Restriction.model_validate_json(lot["restriction"]) == WINTER
    assert [each.quantity for each in await lviv.world.emitted(SupplyGrewV1)] == [9]
    # What was credited by a count is corrected by one.
    async with lviv.world.database.transaction() as tx:
        reversal = await reversals.reverse_receipt(tx, lot["receipt_id"], "mistake", None)
    assert reversal == "came-by-shipment"


async def test_what_left_after_a_backup_is_in_the_books_again(pair: tuple[Side, Side]) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 9)
    prepared = await kyiv.send(lviv, (lot_id, 4))
    forgotten = prepared.shipment.lines[0].model_copy(update={"line_id": uuid4(), "quantity": 2})
    await exchange(kyiv, lviv)

    def left(shipment_id: UUID, line: ShipmentLine) -> ShipmentChangedV1:
        """As kyiv had told it before it lost its books."""
        told = shipping.as_event(prepared)
        return told.model_copy(
            update={
                "shipment_id": shipment_id,
                "state": "dispatched",
                "dispatched_on": DAY,
                "lines": (line,),
                "version": told.version + 1,
            }
        )

    lost = [left(prepared.shipment_id, prepared.shipment.lines[0]), left(uuid4(), forgotten)]
    await lviv.hear(lost, "kyiv")
    for said in lost:
        done = await lviv.count(said.shipment_id, {said.lines[0].line_id: all_good(said)})
        assert isinstance(done, Book)
    for _ in range(2):
        for said in lost:
            async with kyiv.world.database.transaction() as tx:
                assert await restoring.redo(tx, "kyiv", said)
    async with kyiv.world.database.transaction() as tx:
        assert not await restoring.redo(tx, "kyiv", shipping.as_event(prepared))
    # The lot of what was prepared is known; of the other a person has to find it.
    assert await kyiv.on_hand() == 5
    await exchange(kyiv, lviv)
    for side in pair:
        for said in lost:
            assert (await side.book(said.shipment_id)).shipment.state == "received"
    found = await kyiv.world.rows("SELECT why, quantity, shipment_id FROM discrepancy")
    assert found == [
        {"why": "not_in_books", "quantity": 2, "shipment_id": lost[1].shipment_id},
    ]


def all_good(said: ShipmentChangedV1) -> Counted:
    return Counted(said.lines[0].quantity, 0, None)


async def test_only_what_is_free_leaves_and_nothing_is_added_afterwards(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 5)
    book = await kyiv.send(lviv, (lot_id, 3), (lot_id, 2))
    # Somebody comes for one of them before the truck leaves.
    await kyiv.world.take(approved(quantity=1))
    assert await kyiv.dispatch(book.shipment_id) == "not-free"
    assert await kyiv.on_hand() == 5
    # No more is prepared than is free, in one go or bit by bit.
    assert await kyiv.prepare(lviv, (lot_id, 5)) == "not-free"
    assert await kyiv.prepare(lviv, (lot_id, 2), (lot_id, 3)) == "not-free"
    assert isinstance(await kyiv.cancel(book.shipment_id), Book)
    assert await kyiv.dispatch(book.shipment_id) == "not-preparing"
    other = await kyiv.send(lviv, (lot_id, 3))
    assert await kyiv.add(other.shipment_id, (lot_id, 2)) == "not-free"
    assert isinstance(await kyiv.add(other.shipment_id, (lot_id, 1)), Book)
    assert isinstance(await kyiv.dispatch(other.shipment_id), Book)
    assert await kyiv.add(other.shipment_id, (lot_id, 1)) == "not-preparing"
    assert await kyiv.cancel(other.shipment_id) == "not-preparing"
    assert await kyiv.on_hand() == 1
    assert await kyiv.dispatch(other.shipment_id) == "not-preparing"
    await exchange(kyiv, lviv)
    first = await lviv.book(book.shipment_id)
    assert first.shipment.state == "cancelled"
    line_id = first.shipment.lines[0].line_id
    wrong = await lviv.count(book.shipment_id, {line_id: Counted(3, 0, None)})
    assert wrong == "not-dispatched"


async def test_no_more_is_sent_for_an_ask_than_was_promised_and_nothing_else(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    await kyiv.world.item("blanket")
    lot_id = await kyiv.world.stock(kyiv.site_id, 30)
    blankets = await kyiv.world.stock(kyiv.site_id, 5, item="blanket")
    transfer_id = await lviv.ask(kyiv, 15)
    await exchange(kyiv, lviv)
    early = await kyiv.prepare(lviv, (lot_id, 1), transfer_id=transfer_id)
    assert early == "not-accepted"
    assert await kyiv.accept(transfer_id, 12) is None
    other = await kyiv.prepare(lviv, (lot_id, 1), (blankets, 1), transfer_id=transfer_id)
    assert other == "not-what-was-asked"
    first = await kyiv.send(lviv, (lot_id, 7), transfer_id=transfer_id)
    assert await kyiv.add(first.shipment_id, (blankets, 1)) == "not-what-was-asked"
    assert await kyiv.prepare(lviv, (lot_id, 6), transfer_id=transfer_id) == "more-than-accepted"
    second = await kyiv.send(lviv, (lot_id, 4), transfer_id=transfer_id)
    assert await kyiv.add(second.shipment_id, (lot_id, 2)) == "more-than-accepted"
    assert isinstance(await kyiv.add(second.shipment_id, (lot_id, 1)), Book)
    assert isinstance(await kyiv.dispatch(second.shipment_id), Book)
    # What is given up is free for another shipment, what left is not.
    assert isinstance(await kyiv.cancel(first.shipment_id), Book)
    assert await kyiv.prepare(lviv, (lot_id, 8), transfer_id=transfer_id) == "more-than-accepted"
    await kyiv.send(lviv, (lot_id, 7), transfer_id=transfer_id)
    # Unasked anything can be sent.
    await kyiv.send(lviv, (lot_id, 9), (blankets, 5))


async def test_two_who_prepare_for_one_ask_do_not_promise_it_twice(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 30)
    transfer_id = await lviv.ask(kyiv, 10)
    await exchange(kyiv, lviv)
    assert await kyiv.accept(transfer_id, 10) is None
    made = await asyncio.gather(
        *(kyiv.prepare(lviv, (lot_id, 6), transfer_id=transfer_id) for _ in range(4))
    )
    assert sorted(str(each) for each in made if isinstance(each, str)) == ["more-than-accepted"] * 3


async def test_an_ask_is_withdrawn_by_whoever_asked_and_what_left_comes_all_the_same(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 30)
    transfer_id = await lviv.ask(kyiv, 10)
    await exchange(kyiv, lviv)
    assert await kyiv.withdraw(transfer_id) == "unknown-transfer"
    assert await kyiv.accept(transfer_id, 10) is None
    left = await kyiv.send(lviv, (lot_id, 4), transfer_id=transfer_id)
    assert isinstance(await kyiv.dispatch(left.shipment_id), Book)
    waits = await kyiv.send(lviv, (lot_id, 5), transfer_id=transfer_id)
    assert await lviv.withdraw(transfer_id) is None
    assert await lviv.withdraw(transfer_id) == "ask-withdrawn"
    await exchange(kyiv, lviv)
    for side in pair:
        assert await side.world.value("SELECT state FROM transfer") == "withdrawn"
    # What was prepared for it stays, until somebody cancels it.
    assert await kyiv.dispatch(waits.shipment_id) == "ask-withdrawn"
    assert await kyiv.add(waits.shipment_id, (lot_id, 1)) == "ask-withdrawn"
    assert await kyiv.prepare(lviv, (lot_id, 1), transfer_id=transfer_id) == "ask-withdrawn"
    assert await kyiv.accept(transfer_id, 1) == "ask-withdrawn"
    assert isinstance(await kyiv.cancel(waits.shipment_id), Book)
    line_id = left.shipment.lines[0].line_id
    assert isinstance(await lviv.count(left.shipment_id, {line_id: Counted(4, 0, None)}), Book)


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("seed", range(3))
async def test_both_ends_agree_on_an_ask_that_is_answered_while_it_is_withdrawn(
    pair: tuple[Side, Side], seed: int, *, accepted: bool
) -> None:
    kyiv, lviv = pair
    transfer_id = await lviv.ask(kyiv, 10)
    first = await lviv.said()
    await kyiv.hear(first, "lviv")
    async with kyiv.world.database.transaction() as tx:
        fault = await transfers.answer(
            tx,
            region="kyiv",
            transfer_id=transfer_id,
            accepted=10 if accepted else None,
            reason=None if accepted else "own_needs",
            by=None,
        )
    assert fault is None
    assert await lviv.withdraw(transfer_id) is None
    late = [(kyiv, each, "lviv") for each in (*first, *await lviv.said())]
    late += [(lviv, each, "kyiv") for each in await kyiv.said()]
    random.Random(seed).shuffle(late)
    for at, event, region in (*late, *late):
        await at.hear([event], region)
    for side in pair:
        assert await side.world.value("SELECT state FROM transfer") == "withdrawn"


async def test_a_withdrawal_may_come_before_its_ask(pair: tuple[Side, Side]) -> None:
    kyiv, lviv = pair
    transfer_id = await lviv.ask(kyiv, 10)
    assert await lviv.withdraw(transfer_id) is None
    asked, withdrawn = await lviv.said()
    with pytest.raises(Poison):
        await kyiv.hear([withdrawn], "odesa")
    await kyiv.hear([withdrawn], "lviv")
    other = withdrawn.model_copy(update={"to_region": "odesa"})
    with pytest.raises(Poison):
        await kyiv.hear([other], "odesa")
    await kyiv.hear([asked], "lviv")
    assert await kyiv.accept(transfer_id, 1) == "ask-withdrawn"


async def test_nobody_speaks_for_another_region(pair: tuple[Side, Side]) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 5)
    book = await kyiv.send(lviv, (lot_id, 5))
    await kyiv.dispatch(book.shipment_id)
    said = await kyiv.said()
    for event in said:
        with pytest.raises(Poison):
            await lviv.hear([event], "odesa")
    await lviv.hear(said, "kyiv")
    taken_over = said[-1].model_copy(update={"from_region": "odesa"})
    with pytest.raises(Poison):
        await lviv.hear([taken_over], "odesa")
    line_id = book.shipment.lines[0].line_id
    await lviv.count(book.shipment_id, {line_id: Counted(5, 0, None)})
    counted = (await lviv.said())[0]
    with pytest.raises(Poison):
        await kyiv.hear([counted], "odesa")
    with pytest.raises(Poison):
        await kyiv.hear([counted.model_copy(update={"to_region": "odesa"})], "odesa")


@pytest.mark.parametrize("seed", range(4))
async def test_no_piece_is_lost_whatever_the_wire_does(pair: tuple[Side, Side], seed: int) -> None:
    dice = random.Random(seed)
    lots = {each.region: await each.world.stock(each.site_id, 200) for each in pair}
    wire: list[tuple[Side, Side, Event]] = []
    sent: list[tuple[Side, Side, Book]] = []
    delivered: set[int] = set()
    damaged = short = surplus = 0

    async def listen() -> None:
        for one, other in (pair, (pair[1], pair[0])):
            wire.extend((one, other, event) for event in await one.said())

    for _ in range(60):
        act = dice.random()
        one, other = pair if dice.random() < 0.5 else (pair[1], pair[0])
        if act < 0.2:
            pieces = [(lots[one.region], dice.randint(1, 9)) for _ in range(dice.randint(1, 3))]
            sent.append((one, other, await one.send(other, *pieces)))
        elif act < 0.4 and sent:
            origin, _, book = dice.choice(sent)
            await origin.dispatch(book.shipment_id)
        elif act < 0.6 and sent:
            _, target, book = dice.choice(sent)
            line = dice.choice(book.shipment.lines)
            counted = Counted(dice.randint(0, line.quantity + 1), dice.randint(0, 1), "wet")
            taken = await target.count(book.shipment_id, {line.line_id: counted})
            if isinstance(taken, Book):
                count = taken.shipment.counts[line.line_id]
                damaged, short = damaged + count.damaged, short + count.short
                surplus += count.surplus
        elif wire:
            # Any message, any time, also again under another event id.
            place = dice.randrange(len(wire))
            delivered.add(place)
            origin, target, event = wire[place]
            await target.hear([event], origin.region)
        await listen()
        # In transit is what the senders' books say, less what the receivers have counted.
        transit = 0
        for origin, target, book in sent:
            left = (await origin.book(book.shipment_id)).shipment
            if left.sent != "dispatched":
                continue
            arrived = await target.world.rows(
                "SELECT line_id FROM shipment_line WHERE shipment_id = $1 AND good IS NOT NULL",
                book.shipment_id,
            )
            known = {row["line_id"] for row in arrived}
            transit += sum(each.quantity for each in left.lines if each.line_id not in known)
        total = await pair[0].on_hand() + await pair[1].on_hand()
        assert total + transit + damaged + short - surplus == 400
    # In the end everything arrives.
    while len(delivered) < len(wire):
        for place, (origin, target, event) in enumerate(list(wire)):
            if place not in delivered:
                delivered.add(place)
                await target.hear([event], origin.region)
        await listen()
    for origin, target, book in sent:
        ours, theirs = await origin.book(book.shipment_id), await target.book(book.shipment_id)
        assert (ours.shipment.state, ours.shipment.counts, ours.shipment.lines) == (
            theirs.shipment.state,
            theirs.shipment.counts,
            theirs.shipment.lines,
        )


async def know_key(of: Side, at: Side, key: Ed25519PrivateKey, version: int = 1) -> None:
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    told = KeyChangedV1(purpose="sign", public=public, version=version)
    await at.world.take(told, region=of.region)


async def take(at: Side, texts: Sequence[str]) -> Book | str:
    async with at.world.database.transaction() as tx:
        return await manifests.take(tx, at.region, texts)


async def test_goods_are_counted_by_their_manifest_and_the_event_matches(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    key = Ed25519PrivateKey.generate()
    lot_id = await kyiv.world.stock(kyiv.site_id, 9, expiry=date(2099, 1, 31), restriction=WINTER)
    prepared = await kyiv.send(lviv, (lot_id, 4), (lot_id, 5))
    sent = await kyiv.dispatch(prepared.shipment_id)
    assert isinstance(sent, Book)
    texts = manifests.sign(sent, key)
    with pytest.raises(Problem):
        await take(lviv, texts)
    await know_key(kyiv, lviv, Ed25519PrivateKey.generate())
    assert await take(lviv, texts) == "manifest-forged"
    await lviv.world.execute("DELETE FROM peer_key")
    await know_key(kyiv, lviv, key)
    assert await take(kyiv, texts) == "manifest-elsewhere"
    taken = await take(lviv, texts)
    assert isinstance(taken, Book)
    assert (taken.by_manifest, taken.matched, taken.shipment.lines) == (
        True,
        False,
        sent.shipment.lines,
    )
    line_id = sent.shipment.lines[0].line_id
    quantity = sent.shipment.lines[0].quantity
    await lviv.count(sent.shipment_id, {line_id: Counted(quantity, 0, None)})
    # Its two events, the older one last.
    for event in reversed(await kyiv.said()):
        await lviv.hear([event], "kyiv")
        await take(lviv, texts)
    known = await lviv.book(sent.shipment_id)
    assert (known.matched, known.shipment.state) == (True, "receiving")
    assert await lviv.on_hand() == quantity
    assert await lviv.world.value("SELECT count(*) FROM discrepancy") == 0
    await exchange(kyiv, lviv)
    assert (await kyiv.book(sent.shipment_id)).shipment == known.shipment


async def test_a_manifest_printed_before_its_key_was_replaced_counts_for_a_month(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    former, newer, newest = (Ed25519PrivateKey.generate() for _ in range(3))
    lot_id = await kyiv.world.stock(kyiv.site_id, 9)
    prepared = await kyiv.send(lviv, (lot_id, 4))
    sent = await kyiv.dispatch(prepared.shipment_id)
    assert isinstance(sent, Book)
    for version, key in ((1, former), (3, newest), (2, newer)):  # the links keep no order
        await know_key(kyiv, lviv, key, version)
    assert await take(lviv, manifests.sign(sent, Ed25519PrivateKey.generate())) == "manifest-forged"
    await lviv.world.execute(
        "UPDATE peer_key_told SET told_at = told_at - interval '31 days' WHERE version < 3"
    )
    assert await take(lviv, manifests.sign(sent, former)) == "manifest-forged"
    for key in (newer, newest):
        assert isinstance(await take(lviv, manifests.sign(sent, key)), Book)


async def test_an_event_that_contradicts_its_manifest_is_for_a_person(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    key = Ed25519PrivateKey.generate()
    await know_key(kyiv, lviv, key)
    lot_id = await kyiv.world.stock(kyiv.site_id, 9)
    prepared = await kyiv.send(lviv, (lot_id, 4))
    sent = await kyiv.dispatch(prepared.shipment_id)
    assert isinstance(sent, Book)
    assert isinstance(await take(lviv, manifests.sign(sent, key)), Book)
    told = shipping.as_event(sent)
    more = told.lines[0].model_copy(update={"quantity": 5})
    for _ in range(2):
        await lviv.hear([told.model_copy(update={"lines": (more,)})], "kyiv")
    found = await lviv.world.rows("SELECT why, shipment_id FROM discrepancy")
    assert found == [{"why": "manifest_differs", "shipment_id": sent.shipment_id}]
    assert (await lviv.book(sent.shipment_id)).shipment.lines == sent.shipment.lines
