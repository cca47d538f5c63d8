"""Goods of other regions for those who wait here, on a real database."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.peers import LinkOf, LinkState
from aidmesh_contracts.ids import ShipmentId, SiteId, TransferId
from aidmesh_contracts.intake import WaitingChangedV1
from aidmesh_contracts.inventory import SiteChangedV1, StockChangedV1
from aidmesh_contracts.inventory_shipments import (
    ShipmentChangedV1,
    ShipmentLine,
    TransferAnsweredV1,
    TransferAskedV1,
)
from aidmesh_inventory.domain.proposing import Proposal
from aidmesh_inventory.handlers import proposing, transfers
from aidmesh_inventory.handlers.moving import Move, Moved, move
from aidmesh_inventory.store import ask_rules
from integration.inventory.test_accepting import ask as asked_of_us
from integration.inventory.test_accepting import set_rule as accept
from integration.inventory.world import DAY, World

NOW = datetime.now(UTC)
ODESA_SITE = SiteId(UUID(int=5))
LEAD = uuid4()


def heard(*dark: str) -> LinkOf:
    return lambda region: LinkState(state="dark" if region in dark else "up", since=NOW)


def waits(
    quantity: int,
    version: int = 1,
    *,
    area: str = "UA80",
    sensitive: bool = False,
    item: str = "parcel",
) -> WaitingChangedV1:
    return WaitingChangedV1(
        waiting_key=f"stock/{item}/{area}/{sensitive}",
        resource="stock",
        code=item,
        area=area,
        sensitive=sensitive,
        needs=min(quantity, 3),
        quantity=quantity,
        version=version,
        as_of=NOW,
    )


def told(free: int, version: int = 1, *, as_of: datetime = NOW) -> StockChangedV1:
    return StockChangedV1(
        stock_key="x",
        site_id=ODESA_SITE,
        area="UA51",
        item="parcel",
        on_hand=free,
        free=free,
        version=version,
        as_of=as_of,
    )


async def proposed(world: World, *dark: str) -> list[Proposal]:
    async with world.database.read() as conn:
        found, _ = await proposing.proposals(conn, "kyiv", heard(*dark))
    return found


async def quantities(world: World, *dark: str) -> list[int]:
    return [each.quantity for each in await proposed(world, *dark)]


async def take(
    world: World, site_id: UUID, quantity: int, *, sensitive_too: bool = False
) -> str | None:
    async with world.database.transaction() as tx:
        return await proposing.take(
            tx,
            "kyiv",
            heard(),
            item="parcel",
            from_region="odesa",
            quantity=quantity,
            to_site_id=site_id,
            transfer_id=uuid4(),
            by=LEAD,
            sensitive_too=sensitive_too,
        )


async def sweep(world: World, *dark: str) -> int:
    async with world.database.transaction() as tx:
        return await proposing.ask_by_rule("kyiv", heard(*dark), tx)


async def asks(world: World) -> Sequence[TransferAskedV1]:
    return await world.emitted(TransferAskedV1)


async def answer(world: World, quantity: int | None) -> None:
    """Odesa answers the last ask."""
    last = (await asks(world))[-1]
    said = TransferAnsweredV1(
        transfer_id=last.transfer_id,
        from_region="odesa",
        to_region="kyiv",
        answer="refused" if quantity is None else "accepted",
        quantity=quantity,
        reason="own_needs" if quantity is None else None,
    )
    await world.take(said, region="odesa")


@pytest.fixture
async def site_id(world: World) -> UUID:
    """Twelve pieces wait in kyiv, and odesa has forty."""
    await world.item()
    await world.take(waits(12))
    await world.take(told(40), region="odesa")
    return await world.site()


async def test_what_waits_is_proposed_until_it_is_asked_for(world: World, site_id: UUID) -> None:
    (found,) = await proposed(world)
    assert (found.from_region, found.quantity, found.free) == ("odesa", 12, 40)
    assert await take(world, site_id, 13) == "no-proposal"
    assert await take(world, uuid4(), 1) == "unknown-site"
    elsewhere = await world.site("lviv-1", "UA46")
    assert await take(world, elsewhere, 1) == "no-proposal"
    assert await take(world, site_id, 8) is None
    assert await quantities(world) == [4]
    assert await take(world, site_id, 4) is None
    assert await quantities(world) == []
    # More wait, then fewer than were asked for.
    await world.take(waits(15, 3), waits(13, 2))
    assert await quantities(world) == [3]
    await world.take(waits(2, 4))
    assert await quantities(world) == []
    assert [each.quantity for each in await asks(world)] == [8, 4]


async def test_the_answer_and_the_way_there_count(world: World, site_id: UUID) -> None:
    assert await take(world, site_id, 12) is None
    await answer(world, 9)
    assert await quantities(world) == [3]
    transfer_id = (await asks(world))[0].transfer_id
    line = ShipmentLine(line_id=uuid4(), item="parcel", quantity=5, currency="UAH")
    sent = ShipmentChangedV1(
        shipment_id=ShipmentId(uuid4()),
        from_region="odesa",
        to_region="kyiv",
        from_site_id=ODESA_SITE,
        to_site_id=SiteId(site_id),
        transfer_id=TransferId(transfer_id),
        state="dispatched",
        lines=(line,),
        dispatched_on=DAY,
        version=2,
    )
    await world.take(sent, region="odesa")
    # Five on their way and four still to leave: nothing is counted twice, nothing forgotten.
    assert await quantities(world) == [3]


async def test_what_has_just_come_in_finds_those_who_wait_first(
    world: World, site_id: UUID
) -> None:
    await world.stock(site_id, 7)
    assert await quantities(world) == [5]
    # They could not use it: donors had other ideas, say.
    await world.execute("UPDATE receipt SET recorded_at = now() - interval '1 minute'")
    assert await quantities(world) == [12]


async def test_what_was_just_moved_in_finds_those_who_wait_first(
    world: World, site_id: UUID
) -> None:
    lot_id = await world.stock(await world.site("lviv-1", "UA46"), 7)
    assert await quantities(world) == [12]
    wanted = Move(uuid4(), lot_id, 5, site_id, DAY, None)
    async with world.database.transaction() as tx:
        assert isinstance(await move(tx, wanted, None), Moved)
    assert await quantities(world) == [7]
    await world.execute("UPDATE movement SET recorded_at = now() - interval '1 minute'")
    assert await quantities(world) == [12]


async def test_whoever_refused_is_asked_again_once_their_figure_has_changed(
    world: World, site_id: UUID
) -> None:
    assert await take(world, site_id, 12) is None
    await answer(world, None)
    assert await quantities(world) == []
    await world.take(told(50, 2, as_of=datetime.now(UTC) + timedelta(seconds=1)), region="odesa")
    assert await quantities(world) == [12]


async def test_only_what_is_heard_and_open_is_proposed(world: World, site_id: UUID) -> None:
    assert await quantities(world, "odesa") == []
    closed = SiteChangedV1(
        site_id=ODESA_SITE, area="UA51", site_type="center", status="closed", version=2
    )
    await world.take(closed, region="odesa")
    assert await quantities(world) == []


async def test_two_who_take_the_same_proposal_get_it_once(world: World, site_id: UUID) -> None:
    await ask_rule_for(world, site_id, 12)
    faults = await asyncio.gather(
        *(take(world, site_id, 12) for _ in range(3)), *(sweep(world) for _ in range(2))
    )
    assert len(faults) == 5
    assert sum(each.quantity for each in await asks(world)) == 12


async def ask_rule_for(world: World, site_id: UUID, open_max: int, **more: object) -> UUID:
    """A rule that asks for parcels."""
    rule_id = uuid4()
    values: dict[str, object] = {
        "item": "parcel",
        "to_site_id": site_id,
        "regions": None,
        "open_max": open_max,
        "sensitive_too": False,
        "chosen_only": False,
    }
    async with world.database.transaction() as tx:
        assert await ask_rules.put(tx.conn, rule_id, values | more, LEAD)
    return rule_id


async def test_a_rule_asks_by_itself_within_its_bound(world: World, site_id: UUID) -> None:
    rule_id = await ask_rule_for(world, site_id, 10)
    assert await sweep(world, "odesa") == 0
    assert await sweep(world) == 1
    assert await sweep(world) == 0
    assert [each.quantity for each in await asks(world)] == [10]
    (row,) = await world.rows("SELECT ask_rule_id, asked_by FROM transfer")
    assert (row["ask_rule_id"], row["asked_by"]) == (rule_id, None)
    await answer(world, 6)
    assert await sweep(world) == 1
    assert [each.quantity for each in await asks(world)] == [10, 4]
    async with world.database.transaction() as tx:
        assert await ask_rules.end(tx.conn, rule_id, LEAD)
    await world.take(waits(40, 2))
    assert await sweep(world) == 0
    await world.books_are_right()


async def test_what_only_some_may_see_is_taken_by_them_alone(world: World, site_id: UUID) -> None:
    await world.take(waits(12, 2), waits(5, sensitive=True))
    assert sorted(await quantities(world)) == [5, 12]
    assert await take(world, site_id, 13) == "no-proposal"
    assert await take(world, site_id, 17, sensitive_too=True) is None
    assert await quantities(world) == []
    await world.take(waits(8, 2, sensitive=True))
    await ask_rule_for(world, site_id, 50)
    assert await sweep(world) == 0


async def test_set_aside_it_comes_again_once_it_is_more(world: World, site_id: UUID) -> None:
    async with world.database.transaction() as tx:
        assert await proposing.set_aside(
            tx, "kyiv", heard(), item="parcel", from_region="odesa", by=LEAD, sensitive_too=False
        )
    assert await quantities(world) == []
    await world.take(waits(13, 2))
    assert await quantities(world) == [13]


@pytest.mark.parametrize("others", [3, 9])
async def test_of_chosen_needs_and_others_neither_comes_again_by_itself(
    world: World, site_id: UUID, others: int
) -> None:
    chosen = waits(5).model_copy(update={"waiting_key": "stock/parcel/chosen", "chosen": True})
    await world.take(waits(others, 2), chosen, waits(2, area="UA46"))
    assert sorted(await quantities(world)) == sorted([others, 5, 2])
    for _ in range(2):  # one that was set aside before is set aside anew
        async with world.database.transaction() as tx:
            await proposing.set_aside(
                tx, "kyiv", heard(), item="parcel", from_region="odesa", by=LEAD,
                sensitive_too=False,
            )  # fmt: skip
        assert await quantities(world) == []
        others += 10
        await world.take(waits(others, 3 + others))
        assert await quantities(world) == [others]


async def test_nothing_is_given_away_by_rule_while_somebody_here_waits(
    world: World, site_id: UUID
) -> None:
    await world.stock(site_id, 30)
    await accept(world)
    while_waiting = asked_of_us(5)
    await world.take(while_waiting, region="lviv")
    assert await state_of(world, while_waiting) == "asked"
    await world.take(waits(0, 2))
    later = asked_of_us(5)
    await world.take(later, region="lviv")
    assert await state_of(world, later) == "accepted"


async def state_of(world: World, asked: TransferAskedV1) -> str:
    return str(await world.value("SELECT state FROM transfer WHERE id = $1", asked.transfer_id))


async def test_an_ask_by_hand_counts_as_well(world: World, site_id: UUID) -> None:
    async with world.database.transaction() as tx:
        fault = await transfers.ask(
            tx, region="kyiv", transfer_id=uuid4(), owner="odesa", item="parcel", quantity=20,
            to_site_id=site_id, reason="low_stock", by=LEAD,
        )  # fmt: skip
    assert fault is None
    assert await quantities(world) == []
    await ask_rule_for(world, site_id, 50)
    assert await sweep(world) == 0
