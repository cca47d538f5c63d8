"""Servers that keep what they acknowledge when the power goes."""

import asyncpg

from aidmesh.meshfile import WITH_DATABASE
from support.monitor import flushes_always
from support.running import RunningMesh


async def test_every_running_server_is_told_to_flush(mesh: RunningMesh) -> None:
    """Of PostgreSQL each service's own role is asked: it could have settings of its own."""
    for name, region in mesh.file.regions.items():
        config = (mesh.data / name / "nats" / "nats.conf").read_text(encoding="utf-8")
        assert "sync_interval: always" in config
        assert flushes_always(region.nats.monitor_port)
        for service in WITH_DATABASE:
            connection = await asyncpg.connect(region.dsn(service))
            told = {
                setting: await connection.fetchval(f"SHOW {setting}")
                for setting in ("fsync", "synchronous_commit", "full_page_writes")
            }
            await connection.close()
            assert set(told.values()) == {"on"}, (name, service, told)
