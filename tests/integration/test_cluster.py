"""A region's NATS as a cluster of three: made out of one server, linked, and with one killed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from nats.aio.client import Client

from aidmesh.credentials import seed_file
from aidmesh.mesh import Mesh, running_mesh
from aidmesh.topology.api import JetStreamApi, Json, section
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import SUPERVISOR
from aidmesh_chassis import outbox
from aidmesh_chassis.db import Database
from aidmesh_chassis.running import Running
from aidmesh_chassis.settings import ServiceSettings
from support.servers import keys_in
from support.services import is_open, service_at
from support.waiting import eventually

SUBJECT = "aid.kyiv.payments.grant.changed.v1"


@asynccontextmanager
async def publishing(mesh: Mesh) -> AsyncIterator[Database]:
    """Payments in Kyiv, with nothing but an outbox and a relay."""
    entry = mesh.file.regions["kyiv"]
    database = Database(entry.dsn("payments"), outbox.Origin("kyiv", "payments"))
    settings = ServiceSettings(
        region="kyiv", nats_url=entry.nats.url, nats_seed_file=seed_file(entry.keys, "payments")
    )
    task = asyncio.create_task(Running(service_at("payments", settings, database)).run())
    try:
        await eventually(lambda: is_open(database), 60)
        yield database
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def write(database: Database, count: int) -> list[str]:
    """Events for the outbox; their ids in order."""
    ids = [uuid4() for _ in range(count)]
    async with database.begin() as conn:
        await outbox.insert(
            conn,
            [
                outbox.Row(
                    each,
                    "EVENTS",
                    SUBJECT,
                    json.dumps({"Nats-Msg-Id": str(each), "ce-id": str(each)}),
                    b"{}",
                    b"hash",
                )
                for each in ids
            ],
        )
    return [str(each) for each in ids]


async def held(mesh: Mesh, region: str, stream: str) -> list[str]:
    """The ids of a stream's messages, in its order; AssertionError while it does not answer."""
    client = await _admin(mesh, region)
    try:
        context = client.jetstream()
        state = (await context.stream_info(stream)).state
        seqs = range(max(state.first_seq, 1), state.last_seq + 1)
        found = await asyncio.gather(*(context.get_msg(stream, seq) for seq in seqs))
        return [(message.headers or {})["Nats-Msg-Id"] for message in found]
    except (OSError, TimeoutError) as error:
        raise AssertionError(f"{stream} of {region} does not answer") from error
    finally:
        await client.close()


async def stream(mesh: Mesh, region: str, name: str) -> Json:
    """What the servers say of a stream; nothing while it has no leader."""
    client = await _admin(mesh, region)
    try:
        return await JetStreamApi(client).stream_info(name) or {}
    except TimeoutError:
        return {}
    finally:
        await client.close()


async def _admin(mesh: Mesh, region: str) -> Client:
    entry = mesh.file.regions[region]
    return await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))


async def test_one_server_becomes_three_and_the_death_of_one_loses_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    data, keys = tmp_path / "data", keys_in(tmp_path / "keys")
    async with (
        running_mesh(data, ("kyiv", "lviv"), keys, services=()) as mesh,
        publishing(mesh) as database,
    ):
        ids = await write(database, 300)
        await eventually(lambda: _holds(mesh, "lviv", "WORLD", ids), 60)

    async with (
        running_mesh(data, None, keys, services=(), nodes=3) as mesh,
        publishing(mesh) as database,
    ):
        found = await eventually(lambda: held(mesh, "kyiv", "EVENTS"), 60)
        assert found == ids  # made anew, in the old order
        assert section(await stream(mesh, "kyiv", "EVENTS"), "config")["num_replicas"] == 3
        ids += await write(database, 300)
        await eventually(lambda: _holds(mesh, "lviv", "WORLD", ids), 60)

        leader = str(section(await stream(mesh, "kyiv", "EVENTS"), "cluster")["leader"])
        kyiv = mesh.regions["kyiv"]
        victim = {"kyiv-1": "nats"}.get(leader, f"nats-{leader[-1]}")
        parts = {watched.name: watched for watched in kyiv._watched}
        parts[victim].next_try_at = float("inf")  # it stays away, until it is let come back
        parts[victim].died = True
        await asyncio.to_thread(parts[victim].part.kill)
        ids += await write(database, 300)
        await eventually(lambda: _holds(mesh, "lviv", "WORLD", ids), 90)
        await eventually(lambda: _holds_once(mesh, "kyiv", "EVENTS", ids), 60)
        parts[victim].next_try_at = 0.0

        async def all_are_current() -> bool:
            cluster = section(await stream(mesh, "kyiv", "EVENTS"), "cluster")
            replicas = cluster.get("replicas")
            assert isinstance(replicas, list)
            return [each.get("current") for each in replicas] == [True, True]

        await eventually(all_are_current, 90)

        # As when most disks are lost: nobody is cut off by it.
        client = await _admin(mesh, "kyiv")
        await JetStreamApi(client, 60).delete_stream("EVENTS")
        await client.close()
        ids += await write(database, 50)
        await eventually(lambda: _holds(mesh, "lviv", "WORLD", ids), 90)
        await eventually(lambda: _holds_once(mesh, "kyiv", "EVENTS", ids), 60)


async def _holds(mesh: Mesh, region: str, name: str, ids: list[str]) -> bool:
    found = await held(mesh, region, name)
    assert len(found) >= len(ids), f"{len(found)} of {len(ids)}"
    return set(found) == set(ids)


async def _holds_once(mesh: Mesh, region: str, name: str, ids: list[str]) -> bool:
    return sorted(await held(mesh, region, name)) == sorted(ids)
