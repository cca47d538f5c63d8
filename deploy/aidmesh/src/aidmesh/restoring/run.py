"""Restores a region that does not run.

Until the end `mesh.json` says that it is half restored, so that nobody starts its services; broken
off, it is begun again from the backup. What was there before is set aside, never overwritten.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

import asyncpg
from nats.aio.client import Client

from aidmesh.backup.load import BackupError, check, load
from aidmesh.backup.manifest import Manifest, reasons_against
from aidmesh.credentials import check_folders
from aidmesh.databases import recreate
from aidmesh.embedded.errors import EmbeddedError
from aidmesh.embedded.folder import FolderLock
from aidmesh.embedded.ports import free_ports
from aidmesh.joining import know
from aidmesh.life import showing_life
from aidmesh.meshfile import (
    NAME,
    WITH_DATABASE,
    Elsewhere,
    MeshError,
    MeshFile,
    RegionEntry,
    changing_mesh,
    read_mesh,
    write_mesh,
)
from aidmesh.outside.places import Places
from aidmesh.preparing import PORTS, add_region
from aidmesh.restoring.embedded import EmbeddedServers
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
from aidmesh.restoring.outside import OutsideServers, refuse_if_used
from aidmesh.restoring.servers import OWN, Own, Servers, connected_to
from aidmesh.topology.api import RESTORE_SECONDS_MAX, JetStreamApi
from aidmesh.topology.connections import OUTAGES
from aidmesh.topology.plan import plan_of
from aidmesh.topology.progress import Progress
from aidmesh.topology.provision import apply
from aidmesh.topology.recover import recover
from aidmesh.topology.watcher import linked_with
from aidmesh.verification.wire import wired
from aidmesh_chassis import logs
from aidmesh_chassis.crypto import PrivateKey
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.envelope import Received, read
from aidmesh_chassis.erasures import Erasure, read_journal
from aidmesh_chassis.migrating import CHASSIS_MIGRATIONS, migrate, migrations_of
from aidmesh_chassis.restoring import Lost
from aidmesh_contracts.ids import TransferId
from aidmesh_contracts.payments_grants import AllotmentReceivedV1, AllotmentSentV1
from aidmesh_contracts.streams import Stream

STAMP: Final = "%Y%m%dT%H%M%SZ"
LOOK_S: Final = 0.5
STATEMENT_SECONDS_MAX: Final = 3600.0
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
        places: where everything is, if somebody else runs the region's servers.
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
    places: Places = field(default_factory=Places)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A region that was restored; `told_by` has how many lost events each log held."""

    manifest: Manifest
    epoch: int
    told_by: dict[str, int]
    aside: tuple[str, ...]
    forwarded: Forwarded


async def check_for(region: str, backup: Path, secret: PrivateKey) -> Manifest:
    """Read a backup to its end, and see that this version can restore it as that region.

    Raises:
        ContainerError, OSError: it can't be read to its end.
        BackupError: it is one of another region, or of a newer version.
    """
    manifest = await check(backup, secret)
    reasons = reasons_against(manifest, region, _migrations())
    if reasons:
        raise BackupError(f"{backup} can't be restored: {'; '.join(reasons)}")
    return manifest


async def restore(wish: Wish) -> Outcome:
    """Restore a region; afterwards it is started as ever.

    Servers that somebody else runs have to run, and the region's services and supervisor to rest.

    Raises:
        MeshError, BackupError, ContainerError: nothing was changed, or it is begun again.
        Unreachable: a peer is dark; nothing is lost, and it is begun again.
    """
    manifest = await check_for(wish.region, wish.backup, wish.secret)
    check_folders({wish.region: wish.keys})
    erasures = await asyncio.to_thread(read_journal, wish.erasures)
    wish.data.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(wish.data)
    lock.acquire()
    try:
        async with showing_life(wish.data):
            mesh, servers = await _prepare(wish, manifest, lock.fd)
            with (wish.data / "mesh.log").open("a", encoding="utf-8") as own_log:
                logs.configure("mesh", "all", stream=own_log)
                return await _restore(wish, manifest, erasures, mesh, servers)
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


async def _prepare(wish: Wish, manifest: Manifest, lock_fd: int) -> tuple[MeshFile, Servers]:
    """What the region is restored into; from now on it is half restored."""
    before = read_mesh(wish.data) if (wish.data / NAME).exists() else MeshFile(regions={})
    entry = before.regions.get(wish.region)
    if entry is None or entry.nats.folder is None:
        mesh, stamp = _begin(wish, manifest)
        return mesh, EmbeddedServers(wish.region, mesh, wish.data, stamp, lock_fd, wish.say)
    await refuse_if_used(entry)
    mesh, stamp = _begin(wish, manifest)
    return mesh, OutsideServers(wish.region, before, mesh, wish.places, stamp, manifest.backup_id)


def _begin(wish: Wish, manifest: Manifest) -> tuple[MeshFile, str]:
    """Have `mesh.json` say that the region is being restored."""
    if not (wish.data / NAME).exists():
        write_mesh(wish.data, MeshFile(regions={}))
    with changing_mesh(wish.data) as mesh:
        strangers = wish.without - {wish.region, *mesh.peers(wish.region), *manifest.peers}
        if strangers:
            raise MeshError(f"{wish.region} is not linked with {', '.join(sorted(strangers))}")
        if wish.region in mesh.retired:
            raise MeshError(f"{wish.region} has retired")
        fresh = wish.region not in mesh.regions
        if fresh:
            # A region that was restored here before knows it as one that is elsewhere.
            mesh.elsewhere.pop(wish.region, None)
            add_region(mesh, wish.region, wish.keys, iter(free_ports(PORTS)))
            nats = mesh.regions[wish.region].nats
            nats.leaf_host, nats.leaf_port = manifest.leaf_host, manifest.leaf_port
        entry = mesh.regions[wish.region]
        if fresh or entry.nats.folder is not None:  # provisioned anew it knows no peers
            for peer, address in manifest.peers.items():
                if peer not in mesh.regions and peer not in mesh.retired:
                    know(wish.keys, peer)
                    mesh.elsewhere.setdefault(peer, Elsewhere(address=address))
        entry.keys = wish.keys
        entry.epoch = max(entry.epoch, manifest.epoch)
        entry.restoring = entry.restoring or datetime.now(UTC).strftime(STAMP)
        return mesh, entry.restoring


async def _restore(
    wish: Wish,
    manifest: Manifest,
    erasures: Sequence[Erasure],
    mesh: MeshFile,
    servers: Servers,
) -> Outcome:
    entry = mesh.regions[wish.region]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(servers.databases())
        wish.say(f"loading the databases as of {manifest.taken_at.isoformat(timespec='seconds')}")
        await _load(wish, entry)
        connections = await stack.enter_async_context(_connected(entry))
        known = Known(connections)
        await known.prepare()

        own: Own = {stream: [] for stream in OWN}
        if wish.region not in wish.without:
            try:
                own = await servers.own_log(known)
            except (EmbeddedError, *OUTAGES) as error:
                raise Unreachable(
                    f"the own log can't be read ({type(error).__name__}); see the log of its NATS "
                    f"server, or go on without what only it knows, with --without {wish.region}"
                ) from error
        if any(own.values()):
            wish.say(f"the own log tells of {sum(map(len, own.values()))} later events")
        await stack.enter_async_context(servers.streams())
        client = await connected_to(entry)
        stack.push_async_callback(client.close)
        peers = [peer for peer in mesh.peers(wish.region) if peer not in wish.without]
        theirs = await _theirs(wish, entry, client, peers, known)
        public = merged(own[Stream.EVENTS], *theirs)
        wish.say(f"{len(public)} events are younger than the backup")

        epoch = 1 + max([entry.epoch, *(int(event.headers["aid-epoch"]) for event in public)])
        api = JetStreamApi(client, RESTORE_SECONDS_MAX)
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
        await servers.forget(api, own)
        await apply(api, plan)
        for made in await recover(client, plan, entry.outbox_dsns, Progress(wish.region, wish.say)):
            wish.say(f"{made.stream}: {made.messages} messages are in the log again")
    with changing_mesh(wish.data) as changed:
        changed.regions[wish.region].epoch = epoch
        changed.regions[wish.region].restoring = None
    servers.finish()
    told_by = {peer: len(events) for peer, events in zip(peers, theirs, strict=True)}
    told_by["own log"] = sum(map(len, own.values()))
    return Outcome(manifest, epoch, told_by, servers.aside, forwarded)


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


async def _theirs(
    wish: Wish, entry: RegionEntry, client: Client, peers: Sequence[str], known: Known
) -> list[list[Lost]]:
    await _linked(wish, entry, peers)
    api = JetStreamApi(client, RESTORE_SECONDS_MAX)
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
        linked = await asyncio.to_thread(linked_with, entry.nats.monitors)
        dark = sorted(set(peers) - linked)
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
