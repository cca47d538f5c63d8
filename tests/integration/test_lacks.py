"""What is lacking for needs that wait is told by trace and doctor, from real databases."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from aidmesh.doctor.items import entered
from aidmesh.meshfile import WITH_DATABASE, MeshFile, NatsEntry, RegionEntry, ServiceEntry
from aidmesh.story.read import read_story
from aidmesh.story.standing import BY_WAIT, ENTER, MORE_OF, WAKES
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.payments import CommitmentRefusedV1
from aidmesh_contracts.values import BlockedBy
from integration.intake.world import World, only, open_world, refused
from support.servers import DatabaseFactory

ADD_ITEM = """
    INSERT INTO item (code, names, unit, pack, tracking)
    VALUES ($1, '{"uk": "-", "en": "-", "de": "-"}', 'piece', 1, 'lot')
"""


async def region_of(database: DatabaseFactory) -> RegionEntry:
    """A region whose databases are there; nothing else of it answers."""
    return RegionEntry(
        keys=Path("/nowhere"),
        nats=NatsEntry(client_port=1, monitor_port=1, leaf_port=1),
        services={each: ServiceEntry(database_url=await database(each)) for each in WITH_DATABASE},
    )


async def closed(world: World) -> None:
    await world.client.aclose()
    await world.db.close()


async def asked_for(world: World, kind: str) -> tuple[UUID, NeedApprovedV1]:
    need_id = await world.request(kind)
    (asked,) = only(await world.published(), NeedApprovedV1)
    return need_id, asked


async def enter(entry: RegionEntry, item: str) -> None:
    conn = await asyncpg.connect(entry.admin_dsn("inventory"))
    try:
        await conn.execute(ADD_ITEM, item)
    finally:
        await conn.close()


async def test_a_need_that_lacks_two_things_is_told_with_both(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    entry = await region_of(database)
    world = await open_world(entry.admin_dsn("intake"), tmp_path)
    try:
        need_id, asked = await asked_for(world, "counseling_paid")
        assert asked.money is not None
        fee = BlockedBy(
            resource="money",
            code=f"{asked.programme}/{asked.money.currency}",
            quantity=asked.money.amount_minor,
        )
        no_money = CommitmentRefusedV1(
            need_id=asked.need_id,
            attempt_no=1,
            reason="restricted",
            blocked_by=fee,
            decided_at=datetime.now(UTC),
        )
        await world.feed(refused(asked))
        await world.feed(no_money)
    finally:
        await closed(world)
    told = await read_story(MeshFile(regions={"kyiv": entry}), need_id)
    (line,) = told.now
    assert line.endswith("waits for slot (short); besides it lacked money (restricted)"), (
        "what it is for is sensitive"
    )
    assert told.todo == (MORE_OF["slot"] + WAKES, BY_WAIT["restricted"])


async def test_what_nobody_has_entered_is_named_until_it_is(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    entry = await region_of(database)
    world = await open_world(entry.admin_dsn("intake"), tmp_path)
    try:
        need_id, asked = await asked_for(world, "food_parcel")
        await world.feed(refused(asked, reason="unknown_item"))
    finally:
        await closed(world)
    mesh = MeshFile(regions={"kyiv": entry})
    told = await read_story(mesh, need_id)
    assert told.now[0].endswith("waits for stock food_parcel (not entered)")
    assert told.todo == (ENTER.format(item="item food_parcel") + WAKES,)
    first, *others = await entered("kyiv", entry, 30)
    assert first.what == "kind food_parcel needs item food_parcel, which inventory does not know"
    assert first.why.startswith("Waiting for it: 1 need;")
    assert ["hygiene_kit" in each.what for each in others] == [True]

    await enter(entry, "food_parcel")
    told = await read_story(mesh, need_id)
    assert told.todo == (MORE_OF["stock"] + WAKES,)
    assert not [each for each in await entered("kyiv", entry, 30) if "food_parcel" in each.what]
