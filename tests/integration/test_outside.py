"""A region whose servers somebody else runs: the supervisor tells them, and starts nothing."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from nats.aio.client import Client

from aidmesh.backup.load import BackupError
from aidmesh.backup.take import Links, take
from aidmesh.credentials import LINK, create_keys, publics_of, seed_file
from aidmesh.embedded.errors import FolderInUseError
from aidmesh.embedded.folder import in_use
from aidmesh.embedded.nats import NatsServer
from aidmesh.embedded.ports import HOST, free_ports
from aidmesh.embedded.postgres import PostgresServer
from aidmesh.joining import Ask, Proof, invite
from aidmesh.meshfile import (
    WITH_DATABASE,
    MeshError,
    MeshFile,
    RegionEntry,
    changing_mesh,
    read_mesh,
)
from aidmesh.outside.handing import PASSWORDS
from aidmesh.outside.places import Places
from aidmesh.outside.provision import provision
from aidmesh.outside.supervise import supervise
from aidmesh.restoring import run
from aidmesh.restoring.run import Wish, restore
from aidmesh.retiring import take_out
from aidmesh.rotation import rotate_passwords, rotate_running
from aidmesh.topology.configured import loaded_at
from aidmesh.topology.connections import connect_as
from aidmesh.topology.recover import SEQUENCE_GAP
from aidmesh.topology.rights import SUPERVISOR
from aidmesh_chassis.crypto import PrivateKey
from aidmesh_chassis.envelope import new_event_id
from aidmesh_contracts.inventory import StockChangedV1
from aidmesh_contracts.streams import GATE_SUBJECT
from support.servers import new_postgres
from support.waiting import PATIENCE, eventually

WAIT_S = 60.0
PAIR = PrivateKey.random()


@dataclass
class Outside:
    """The servers, and the supervisor as a task; `ready` is there while the gate is open."""

    places: Places
    ready: Path
    nats: NatsServer
    postgres: PostgresServer
    task: asyncio.Task[None] = field(init=False)

    @property
    def mesh(self) -> MeshFile:
        return read_mesh(self.places.data)

    def config(self) -> str:
        return (self.places.nats / "nats.conf").read_text()

    async def is_ready(self) -> None:
        await eventually(self.ready.exists, WAIT_S)

    async def epoch(self) -> int:
        """What relays are told."""
        entry = self.mesh.regions["kyiv"]
        client = await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))
        try:
            answer = await client.request(GATE_SUBJECT.format(region="kyiv"), b"", timeout=30)
            return int(json.loads(answer.data)["epoch"])
        finally:
            await client.close()


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Empty volumes, in a folder that PostgreSQL's account may pass."""
    found = Places(*(tmp_path / name for name in ("data", "keys", "out", "store")))
    for folder in (found.data, found.keys, found.nats, found.store):
        folder.mkdir(parents=True)
    tmp_path.chmod(0o711)
    return found


@pytest.fixture
async def outside(places: Places, tmp_path: Path) -> AsyncIterator[Outside]:
    """Everything runs, and the gate is open."""
    provision("kyiv", places)
    postgres = new_postgres(tmp_path / "postgres")
    client, monitor, leaf = free_ports(3)
    with changing_mesh(places.data) as mesh:
        entry = mesh.regions["kyiv"]
        entry.own_postgres.host, entry.own_postgres.port = HOST, postgres.port
        entry.own_postgres.password = postgres.password
        entry.nats.host = HOST
        entry.nats.client_port, entry.nats.monitor_port, entry.nats.leaf_port = (
            client,
            monitor,
            leaf,
        )
    provision("kyiv", places)
    config = (places.nats / "nats.conf").read_text()
    nats = NatsServer(places.nats, config, (client, monitor, leaf), monitor)
    found = Outside(places, tmp_path / "ready", nats, postgres)
    found.task = asyncio.create_task(supervise(places, found.ready))  # before anything runs
    try:
        await asyncio.gather(*(asyncio.to_thread(each.start) for each in (nats, postgres)))
        await found.is_ready()
        yield found
    finally:
        found.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await found.task
        await asyncio.gather(*(asyncio.to_thread(each.stop) for each in (nats, postgres)))
    assert not found.ready.exists()
    assert not in_use(places.data)


async def test_servers_of_others_are_kept_in_order_and_never_started_again(
    outside: Outside, tmp_path: Path
) -> None:
    entry = outside.mesh.regions["kyiv"]
    pid = outside.nats.pid
    assert in_use(outside.places.data)

    # Keys are replaced while everybody stays connected.
    before = publics_of(entry.keys, "intake")
    await rotate_running("kyiv", outside.mesh, outside.places.data)
    assert publics_of(entry.keys, "intake") != before
    handed = outside.places.out / "intake" / "nats" / "intake.nk"
    wanted = seed_file(entry.keys, "intake")
    await eventually(lambda: handed.read_bytes() == wanted.read_bytes(), WAIT_S)

    # So are the passwords of its databases.
    former = entry.dsn("intake"), entry.admin_dsn("postgres")
    await rotate_passwords("kyiv", outside.places.data, running=True)
    path = outside.places.out / "intake" / PASSWORDS
    now = read_mesh(outside.places.data).regions["kyiv"]
    await eventually(
        lambda: path.read_text() == f"{now.services['intake'].database_password}\n", WAIT_S
    )
    for dsn in former:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(dsn)
    await (await asyncpg.connect(now.dsn("intake"))).close()

    # The first peer is let in.
    create_keys(tmp_path / "lviv")
    theirs = publics_of(tmp_path / "lviv", LINK)
    authority = (tmp_path / "lviv" / "nats" / "ca.pem").read_text()
    asked = Ask(newcomer="lviv", proof=Proof(publics=theirs, authority=authority))
    loaded = loaded_at(entry.nats.monitor_port, HOST)
    with changing_mesh(outside.places.data) as mesh:
        invite(mesh, asked, {"kyiv": HOST})
    await eventually(lambda: theirs[0] in outside.config(), WAIT_S)
    await eventually(lambda: loaded_at(entry.nats.monitor_port, HOST) != loaded, WAIT_S)

    # An epoch that was raised is asked for by everybody.
    cut = asyncio.Event()

    async def was_cut() -> None:
        cut.set()

    service = Client()
    await service.connect(
        entry.nats.url,
        nkeys_seed=str(handed),
        inbox_prefix=b"_INBOX_intake",
        name="aidmesh-kyiv-intake",
        disconnected_cb=was_cut,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0,
    )
    with changing_mesh(outside.places.data) as mesh:
        mesh.regions["kyiv"].epoch = 2
    async with asyncio.timeout(PATIENCE * WAIT_S):
        await cut.wait()
    await eventually(lambda: service.is_connected, WAIT_S)
    await outside.is_ready()
    assert await outside.epoch() == 2
    await service.close()
    assert outside.nats.pid == pid

    # What dies is started by somebody else; meanwhile it says that it is not ready.
    outside.nats.kill()
    await eventually(lambda: not outside.ready.exists(), WAIT_S)
    outside.nats.config = outside.config()
    await asyncio.to_thread(outside.nats.start)
    await outside.is_ready()


async def test_a_restore_sets_aside_what_was_there_and_loses_nothing_when_it_is_broken_off(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = outside.places
    entry = outside.mesh.regions["kyiv"]
    first, second = [await _backup(outside, tmp_path / name) for name in ("first", "second")]
    later = await _tell(entry)  # what no backup knows
    with pytest.raises(FolderInUseError):
        await restore(_wish(places, first))
    outside.task.cancel()
    await asyncio.wait({outside.task})
    conn = await asyncpg.connect(entry.dsn("intake"))
    with pytest.raises(MeshError, match="intake still run"):
        await restore(_wish(places, first))
    await conn.close()
    assert outside.mesh.regions["kyiv"].restoring is None

    async def broken_off(*_: object) -> list[object]:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(run, "recover", broken_off)
        with pytest.raises(ConnectionError):
            await restore(_wish(places, first))
    with pytest.raises(MeshError, match="half restored"):
        await supervise(places, outside.ready)
    with pytest.raises(BackupError, match="another backup"):
        await restore(_wish(places, second))
    outcome = await restore(_wish(places, first))
    assert (outcome.epoch, outcome.told_by) == (2, {"own log": 1})
    assert len(outcome.aside) == len(WITH_DATABASE)
    assert not list(places.data.glob("restoring-*"))
    before = await asyncpg.connect(entry.admin_dsn(outcome.aside[0]))
    assert await before.fetchval("SELECT count(*) FROM restored") == 0
    await before.close()

    outside.task = asyncio.create_task(supervise(places, outside.ready))
    await outside.is_ready()
    assert await outside.epoch() == 2
    client = await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))
    info = await client.jsm().stream_info("EVENTS")
    message = await client.jsm().get_msg("EVENTS", seq=info.state.first_seq)
    await client.close()
    assert (message.headers or {})["ce-id"] == str(later)
    assert info.state.first_seq > SEQUENCE_GAP

    # Once it has retired nobody writes anything any more.
    service = await asyncpg.connect(entry.dsn("intake"))
    with changing_mesh(places.data) as mesh:
        take_out(mesh, "kyiv", datetime.now(UTC))
    await eventually(service.is_closed, WAIT_S)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(entry.dsn("intake"))


async def _backup(outside: Outside, folder: Path) -> Path:
    entry = outside.mesh.regions["kyiv"]
    await asyncio.to_thread(folder.mkdir)
    links = Links({}, entry.nats.leaf_host, entry.nats.leaf_port)
    dsns = {service: entry.dsn(service) for service in WITH_DATABASE}
    await take("kyiv", 1, links, dsns, folder / "backup", PAIR.public)
    return folder / "backup"


async def _tell(entry: RegionEntry) -> UUID:
    """An event that is in the log alone."""
    event_id = new_event_id()
    headers = {
        "ce-id": str(event_id),
        "ce-type": StockChangedV1.type,
        "ce-subject": "some",
        "ce-time": datetime.now(UTC).isoformat(),
        "aid-epoch": "1",
    }
    client = await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))
    subject = f"aid.kyiv.{StockChangedV1.type}"
    await client.jetstream().publish(subject, b"{}", headers=headers)
    await client.close()
    return event_id


def _wish(places: Places, backup: Path) -> Wish:
    keys = places.keys / "kyiv"
    return Wish(
        places.data,
        "kyiv",
        backup,
        PAIR,
        keys,
        keys / "erasures.log",
        frozenset(),
        5.0,
        print,
        places,
    )
