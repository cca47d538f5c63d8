"""Regions learn each other's public keys from events, also those that were away."""

from pathlib import Path

import asyncpg

from aidmesh_chassis.key_rotation import prepare, switch
from support.regions_running import running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually


async def keys_known(dsn: str) -> dict[str, bytes]:
    conn = await asyncpg.connect(dsn)
    try:
        rows = await conn.fetch("SELECT region, public FROM peer_key WHERE purpose = 'seal'")
    finally:
        await conn.close()
    return {row["region"]: row["public"] for row in rows}


async def test_each_region_seals_for_the_others_with_the_key_they_told(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(
        tmp_path, database, ("kyiv", "lviv"), ("intake", "payments")
    ) as mesh:
        for one, other in (("kyiv", "lviv"), ("lviv", "kyiv")):
            for service in ("intake", "payments"):
                dsn = mesh[one].dsns[service]
                await eventually(lambda dsn=dsn: keys_known(dsn), 20)
                told = (tmp_path / other / "keys" / f"{service}.pub").read_bytes()
                assert await keys_known(dsn) == {other: told}
        prepare(tmp_path / "lviv" / "keys")
        switch(tmp_path / "lviv" / "keys")  # while all of them run
        for service in ("intake", "payments"):
            fresh = (tmp_path / "lviv" / "keys" / f"{service}.pub").read_bytes()
            dsn = mesh["kyiv"].dsns[service]

            async def heard(dsn: str = dsn, fresh: bytes = fresh) -> bool:
                return await keys_known(dsn) == {"lviv": fresh}

            await eventually(heard, 60)
