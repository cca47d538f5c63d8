"""Restores a region of a data folder in which no mesh runs.

Until the end `mesh.json` says that it is half restored, so that nobody starts its services; broken
off, it is begun again from the backup. What was there before is set aside, never overwritten.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

import asyncpg
import nats.errors
from nats.aio.client import Client

from aidmesh.backup.load import BackupError, check, load
from aidmesh.backup.manifest import Manifest, reasons_against
from aidmesh.credentials import check_folders, seed_file
from aidmesh.databases import recreate
from aidmesh.embedded import EmbeddedError, FolderLock, free_ports
from aidmesh.joining import know
from aidmesh.meshfile import (
    PORTS,
    WITH_DATABASE,
    Elsewhere,
    MeshError,
    MeshFile,
    RegionEntry,
    add_region,
    changing_mesh,
    write_mesh,
)
from aidmesh.region import Region
from aidmesh.restoring.finding import (
    Known,
    Unreachable,
    ask_back,
    lost_in,
    merged,
    messages_of,
    returned,
)
from aidmesh.restoring.forward import Forwarded, Restored, roll_forward
from aidmesh.topology.api import ApiError, JetStreamApi
from aidmesh.topology.config import SUPERVISOR
from aidmesh.topology.plan import plan_of
from aidmesh.topology.provision import apply
from aidmesh.topology.recover import recover
from aidmesh.topology.warden import OUTAGES, connect_as
from aidmesh.topology.watcher import linked_peers
from aidmesh.verification.wire import wired
from aidmesh_chassis import logs
from aidmesh_chassis.crypto import PrivateKey
from aidmesh_chassis.db import CHASSIS_MIGRATIONS, migrate, migrations_of
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.envelope import Received, read
from aidmesh_chassis.erasures import Erasure, read_journal
from aidmesh_chassis.restoring import Lost
from aidmesh_contracts.ids import TransferId
from aidmesh_contracts.payments import AllotmentReceivedV1, AllotmentSentV1
from aidmesh_contracts.streams import Stream

STAMP: Final = "%Y%m%dT%H%M%SZ"
LOOK_S: Final = 0.5
READY_S_MAX: Final = 60.0
STATEMENT_SECONDS_MAX: Final = 3600.0
OWN: Final = (Stream.EVENTS, Stream.LOCAL)
SENT: Final = {AllotmentSentV1.type: AllotmentSentV1}
SENT_HERE: Final = f"aid.*.{AllotmentSentV1.type}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be restored.

    Attributes:
        keys: the region's folder of keys.
        erasures: the list of erasures that outlives backups.
        without: peers whose word is not waited for; the region itself, for its own log.
        peer_seconds_max: how long each other peer may take.
        say: gets a line for the operator at every step.
    """

    data: Path
    region: str
    backup: Path
    secret: PrivateKey
    keys: Path
    erasures: Path
    without: frozenset[str]
    peer_seconds_max: float
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A region that was restored; `told_by` has how many lost events each log held."""

    manifest: Manifest
    epoch: int
    told_by: dict[str, int]
    aside: tuple[str, ...]
    forwarded: Forwarded


async def restore(wish: Wish) -> Outcome:
    """Restore a region; afterwards `aidmesh up` starts it.

    Raises:
        MeshError, BackupError, ContainerError: nothing was changed, or it is begun again.
        Unreachable: a peer is dark; nothing is lost, and it is begun again.
    """
    manifest = await check(wish.backup, wish.secret)
    reasons = reasons_against(manifest, wish.region, _migrations())
    if reasons:
        raise BackupError(f"{wish.backup} can't be restored: {'; '.join(reasons)}")
    check_folders({wish.region: wish.keys})
    erasures = await asyncio.to_thread(read_journal, wish.erasures)
    wish.data.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(wish.data)
    lock.acquire()
    try:
        mesh, stamp = _begin(wish, manifest)
        with (wish.data / "mesh.log").open("a", encoding="utf-8") as own_log:
            logs.configure("mesh", "all", stream=own_log)
            return await _restore(wish, manifest, erasures, mesh, stamp, lock.fd)
    finally:
        lock.release()


def _migrations() -> dict[str, list[str]]:
    return {
        service: [
            path.stem
            for folder in (CHASSIS_MIGRATIONS, *migrations_of(service))
            for path in folder.glob("*.sql")
        ]
        for service in WITH_DATABASE
    }


def _begin(wish: Wish, manifest: Manifest) -> tuple[MeshFile, str]:
    """Have `mesh.json` say that the region is being restored."""
    if not (wish.data / "mesh.json").exists():
        write_mesh(wish.data, MeshFile(regions={}))
    with changing_mesh(wish.data) as mesh:
        strangers = wish.without - {wish.region, *mesh.peers(wish.region), *manifest.peers}
        if strangers:
            raise MeshError(f"{wish.region} is not linked with {', '.join(sorted(strangers))}")
        if wish.region in mesh.retired:
            raise MeshError(f"{wish.region} has retired")
        if wish.region not in mesh.regions:
            # A region that was restored here before knows it as one that is elsewhere.
            mesh.elsewhere.pop(wish.region, None)
            add_region(mesh, wish.region, wish.keys, iter(free_ports(PORTS)))
            nats = mesh.regions[wish.region].nats
            nats.leaf_host, nats.leaf_port = manifest.leaf_host, manifest.leaf_port
            for peer, address in manifest.peers.items():
                if peer not in mesh.regions:
                    know(wish.keys, peer)
                    mesh.elsewhere[peer] = Elsewhere(address=address)
        entry = mesh.regions[wish.region]
        entry.keys = wish.keys
        entry.epoch = max(entry.epoch, manifest.epoch)
        entry.restoring = entry.restoring or datetime.now(UTC).strftime(STAMP)
        return mesh, entry.restoring


async def _restore(
    wish: Wish,
    manifest: Manifest,
    erasures: Sequence[Erasure],
    mesh: MeshFile,
    stamp: str,
    lock_fd: int,
) -> Outcome:
    entry = mesh.regions[wish.region]
    folder = wish.data / wish.region
    region = Region(wish.region, mesh, folder, services=(), keep_fds=(lock_fd,), announce=wish.say)
    region.make_folders()
    aside = _Aside(folder / "postgres", region.stores, stamp)
    async with AsyncExitStack() as stack:
        aside.databases()
        await asyncio.to_thread(region.postgres.start)
        stack.push_async_callback(asyncio.to_thread, region.postgres.stop)
        wish.say(f"loading the databases as of {manifest.taken_at.isoformat(timespec='seconds')}")
        await _load(wish, entry)
        connections = await stack.enter_async_context(_connected(entry))
        known = Known(connections)
        await known.prepare()

        own: dict[Stream, list[Lost]] = {stream: [] for stream in OWN}
        if aside.streams_back() and wish.region not in wish.without:
            try:
                await region.start_nats()
                own = await _own_lost(entry, known)
            except (EmbeddedError, *OUTAGES) as error:
                raise Unreachable(
                    f"the own log can't be read ({type(error).__name__}); see {folder / 'log'}, or "
                    f"go on without what only it knows, with --without {wish.region}"
                ) from error
            finally:
                await region.stop_nats()
            wish.say(f"the own log tells of {sum(map(len, own.values()))} later events")
        aside.streams()

        await stack.enter_async_context(_peers_running(wish, mesh, lock_fd))
        stack.push_async_callback(region.stop_nats)
        await region.start_nats()
        client = await _connected_to(entry)
        stack.push_async_callback(client.close)
        peers = [peer for peer in mesh.peers(wish.region) if peer not in wish.without]
        theirs = await _theirs(wish, entry, client, peers, known)
        public = merged(own[Stream.EVENTS], *theirs)
        wish.say(f"{len(public)} events are younger than the backup")

        epoch = 1 + max([entry.epoch, *(int(event.headers["aid-epoch"]) for event in public)])
        api = JetStreamApi(client)
        plan = plan_of(wish.region, mesh.peers(wish.region), replicas=len(entry.nats.nodes))
        sent_here = await _sent_here(wish, api, plan.streams[Stream.WORLD.value], public)
        forwarded = await roll_forward(
            Restored(
                wish.region,
                epoch,
                manifest.taken_at,
                frozenset({wish.region, *mesh.peers(wish.region)}),
                {service: entry.dsn(service) for service in WITH_DATABASE},
                connections,
            ),
            public,
            own[Stream.LOCAL],
            sent_here,
            erasures,
        )
        for peer in peers:
            await api.delete_stream(returned(peer))
        await apply(api, plan)
        for made in await recover(client, plan, entry.outbox_dsns):
            wish.say(f"{made.stream}: {made.messages} messages are in the log again")
    with changing_mesh(wish.data) as changed:
        changed.regions[wish.region].epoch = epoch
        changed.regions[wish.region].restoring = None
    told_by = {peer: len(events) for peer, events in zip(peers, theirs, strict=True)}
    told_by["own log"] = sum(map(len, own.values()))
    return Outcome(manifest, epoch, told_by, aside.names, forwarded)


async def _load(wish: Wish, entry: RegionEntry) -> None:
    await load(wish.backup, wish.secret, entry.dsn, lambda service: recreate(entry, service))
    for service in WITH_DATABASE:
        await migrate(entry.dsn(service), migrations_of(service))


@asynccontextmanager
async def _connected(entry: RegionEntry) -> AsyncIterator[dict[str, asyncpg.Connection]]:
    async with AsyncExitStack() as stack:
        connections = {}
        for service in WITH_DATABASE:
            conn = await asyncpg.connect(
                entry.dsn(service), timeout=10.0, command_timeout=STATEMENT_SECONDS_MAX
            )
            stack.push_async_callback(conn.close, timeout=10.0)
            connections[service] = conn
        yield connections


@asynccontextmanager
async def _peers_running(wish: Wish, mesh: MeshFile, lock_fd: int) -> AsyncIterator[None]:
    """The servers of the other regions of this folder run meanwhile."""
    others = [
        Region(
            name,
            mesh,
            wish.data / name,
            services=(),
            keep_fds=(lock_fd,),
            announce=wish.say,
        )
        for name, entry in mesh.regions.items()
        if name != wish.region and entry.restoring is None
    ]
    try:
        for each in others:
            await each.start()
        yield
    finally:
        await asyncio.gather(*(each.stop() for each in others))


async def _connected_to(entry: RegionEntry) -> Client:
    """A connection of the supervisor; servers of a cluster first have to find each other, and each
    stream that they have has to get a leader."""
    client = await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))
    api = JetStreamApi(client)
    deadline = time.monotonic() + READY_S_MAX
    while goes_on():
        try:
            for stream in await api.names("STREAM.NAMES", "streams"):
                await api.stream_info(stream)
        except (TimeoutError, nats.errors.Error, ApiError):
            if time.monotonic() > deadline:
                await client.close()
                raise
            await asyncio.sleep(LOOK_S)
        else:
            break
    return client


async def _own_lost(entry: RegionEntry, known: Known) -> dict[Stream, list[Lost]]:
    client = await _connected_to(entry)
    try:
        async with wired(entry) as wire:
            return {
                stream: await lost_in(JetStreamApi(client), wire, stream.value, known, stream)
                for stream in OWN
            }
    finally:
        await client.close()


async def _theirs(
    wish: Wish, entry: RegionEntry, client: Client, peers: Sequence[str], known: Known
) -> list[list[Lost]]:
    await _linked(wish, entry, peers)
    api = JetStreamApi(client)
    found = []
    async with wired(entry) as wire:
        for peer in peers:
            await ask_back(api, wish.region, peer, wish.peer_seconds_max)
            found.append(await lost_in(api, wire, returned(peer), known, Stream.EVENTS))
            wish.say(f"{peer} tells of {len(found[-1])} later events")
    return found


async def _linked(wish: Wish, entry: RegionEntry, peers: Collection[str]) -> None:
    deadline = time.monotonic() + wish.peer_seconds_max
    while goes_on():
        dark = sorted(set(peers) - await asyncio.to_thread(linked_peers, *entry.nats.monitor_ports))
        if not dark:
            return
        if time.monotonic() > deadline:
            raise Unreachable(
                f"no link to {', '.join(dark)}: what they know of {wish.region} since the backup "
                "is needed; wait for them, or leave them out with --without"
            )
        await asyncio.sleep(LOOK_S)


async def _sent_here(
    wish: Wish, api: JetStreamApi, world: dict[str, object], public: Sequence[Lost]
) -> list[Received[AllotmentSentV1]]:
    """The transfers to this region that it had credited after the backup, from those who sent."""
    credited = {
        AllotmentReceivedV1.model_validate_json(event.payload).transfer_id
        for event in public
        if event.type == AllotmentReceivedV1.type
    }
    if not credited:
        return []
    await api.create_stream(world)
    deadline = time.monotonic() + wish.peer_seconds_max
    while goes_on():
        found: dict[TransferId, Received[AllotmentSentV1]] = {}
        for message in await messages_of(api.client, Stream.WORLD.value, SENT_HERE):
            received = read(message.subject, message.headers, message.data, SENT)
            if isinstance(received.event, AllotmentSentV1):
                found[received.event.transfer_id] = cast("Received[AllotmentSentV1]", received)
        found = {key: each for key, each in found.items() if key in credited}
        if len(found) == len(credited) or time.monotonic() > deadline:
            return list(found.values())
        await asyncio.sleep(LOOK_S)
    return []


class _Aside:
    """Sets aside what was there before, under a name with the time of the restore."""

    def __init__(self, postgres: Path, stores: Sequence[Path], stamp: str) -> None:
        self._postgres = postgres
        self._old_postgres = postgres.with_name(f"{postgres.name}.before-{stamp}")
        self._stores = {each: each.with_name(f"{each.name}.before-{stamp}") for each in stores}

    @property
    def names(self) -> tuple[str, ...]:
        """What was set aside."""
        old = (self._old_postgres, *self._stores.values())
        return tuple(str(each) for each in old if each.exists())

    def databases(self) -> None:
        """Of a restore that was broken off nothing is kept but what was there before it."""
        if self._old_postgres.exists():
            shutil.rmtree(self._postgres, ignore_errors=True)
        elif self._postgres.exists():
            self._postgres.rename(self._old_postgres)

    def streams_back(self) -> bool:
        """Put the streams of before in place, to be read; whether there are any."""
        for store, old in self._stores.items():
            if old.exists():
                shutil.rmtree(store, ignore_errors=True)
                old.rename(store)
        return any(store.exists() for store in self._stores)

    def streams(self) -> None:
        """Set the streams aside."""
        for store, old in self._stores.items():
            if store.exists():
                store.rename(old)
