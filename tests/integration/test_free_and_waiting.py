"""A need that waits though there is some of it: what is there is told, and what was not heard."""

from pathlib import Path
from uuid import UUID

import asyncpg

from aidmesh.meshfile import MeshFile
from aidmesh.story.read import read_story
from aidmesh.story.there import ENOUGH, GROWING
from aidmesh_contracts.restriction import Restriction
from integration.chassis.parts import opened
from integration.intake.world import open_world, refused
from integration.inventory.world import World as Stock
from integration.test_lacks import asked_for, closed, region_of
from support.servers import DatabaseFactory

REFUSED_BEFORE = "UPDATE need SET decided_at = now() - interval '2 hours'"
GREW_BEFORE = """
    UPDATE outbox SET created_at = now() - interval '1 hour', status = 'acked', ack_seq = 1,
           acked_at = now(), stream_created = now()
    WHERE subject LIKE '%.supply.grew.v1' RETURNING event_id
"""
HEARD = """
    INSERT INTO inbox (event_id, occurred_at, content_hash) VALUES ($1, inbox_time($1), '\\x00')
"""


async def run(dsn: str, query: str, *args: object) -> list[UUID]:
    conn = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await conn.fetch(query, *args)]
    finally:
        await conn.close()


async def test_goods_that_came_are_told_with_whether_intake_heard_of_them(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    entry = await region_of(database)
    intake, inventory = entry.admin_dsn("intake"), entry.admin_dsn("inventory")
    world = await open_world(intake, tmp_path)
    try:
        need_id, asked = await asked_for(world, "food_parcel")
        await world.feed(refused(asked))
    finally:
        await closed(world)
    await run(intake, REFUSED_BEFORE)
    mesh = MeshFile(regions={"kyiv": entry})
    stock = Stock(await opened(inventory, "inventory"))
    try:
        site_id = await stock.site(area=asked.place_area)
        await stock.item("food_parcel")
        for_others = Restriction(programmes=("nobody",))
        await stock.stock(site_id, 9, "food_parcel", restriction=for_others)
        (of_others,) = await run(inventory, GREW_BEFORE)
        await run(intake, HEARD, of_others)
        told = await read_story(mesh, need_id)
        assert told.now[0].endswith("waits for stock food_parcel (short)"), "others' goods"

        await stock.stock(site_id, 3, "food_parcel")
    finally:
        await stock.database.close()
    (came,) = {*await run(inventory, GREW_BEFORE)} - {of_others}
    told = await read_story(mesh, need_id)
    assert told.now[0].endswith("; more of it came since, and intake has not taken that in")
    assert told.todo == (GROWING,)
    (line,) = [line for line in told.trouble if "supply.grew" in line]
    assert "was not taken in by kyiv intake-local" in line
    (step,) = [step for step in told.steps if step.said.event_id == came]
    assert step.fields == {}, "it would tell what a need is about"

    await run(intake, HEARD, came)
    told = await read_story(mesh, need_id)
    assert told.now[0].endswith("; one site there has 3, and it needs 1")
    assert told.todo == (ENOUGH,)
    assert [line for line in told.trouble if "supply.grew" in line] == []
