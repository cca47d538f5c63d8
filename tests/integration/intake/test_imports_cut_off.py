"""A file that was cut off half-way is told by the doctor until it was sent again."""

from pathlib import Path
from typing import Any

import pytest

from aidmesh.doctor import examine
from aidmesh.doctor.imports import cut_off
from aidmesh.meshfile import MeshFile
from aidmesh.status import RegionStatus
from aidmesh_intake.handlers import importing, registering
from integration.intake.files import HEAD, line, send
from integration.intake.world import open_world
from integration.test_lacks import closed, region_of
from support.servers import DatabaseFactory

EARLIER = "UPDATE import_job SET changed_at = changed_at - interval '2 hours'"


async def test_a_file_that_was_cut_off_is_told_until_it_was_sent_again(
    database: DatabaseFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await region_of(database)
    world = await open_world(entry.admin_dsn("intake"), tmp_path)
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    real = registering.register_fitting
    calls = 0

    async def breaking(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionResetError("the power went")
        return await real(*args)

    async def say() -> list[tuple[str, str]]:
        return [(each.harm, each.what) for each in await cut_off("kyiv", entry, 30)]

    file = "\n".join([HEAD, *map(line, range(5))])
    try:
        with monkeypatch.context() as patched:
            patched.setattr(importing, "register_fitting", breaking)
            with pytest.raises(AssertionError):
                await send(world, file)
        assert await say() == [], "it may be at work"
        async with world.db.begin() as conn:
            await conn.execute(EARLIER)
        told = "a file of source kobo was cut off after 2 of 5 rows, 2 hours ago"
        assert await say() == [("warning", told)]
        mesh = MeshFile(regions={"kyiv": entry})
        status = RegionStatus("kyiv", 1, nats=False, postgres=True, services=(), peers=())
        (found,) = [
            each for each in await examine._region("kyiv", entry, mesh, status) if each.what == told
        ]
        assert "in aidmesh staff list) sends the same file again" in found.do

        await send(world, f"{HEAD}\n{line(9)}")
        assert await say() == [("note", told)], "a later file may have had the rest"
        done = await send(world, file)
        assert (done["accepted"], done["state"]) == (5, "done")
        assert await say() == []
    finally:
        await closed(world)
