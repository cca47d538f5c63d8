"""`aidmesh topology`: streams and durables of the regions that run in a data folder."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aidmesh.commands.common import EXIT_FAILED, names, refuse, report, run, say, tell

if TYPE_CHECKING:
    from nats.aio.client import Client

    from aidmesh.meshfile import RegionEntry
    from aidmesh.topology.cluster import Cluster
    from aidmesh.topology.plan import Plan


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command found or did in one region: for a person, for a machine, and its end."""

    lines: Sequence[str]
    fields: Mapping[str, object]
    good: bool = True


Step = Callable[["Client", "Plan", "RegionEntry"], Awaitable[Outcome]]


def plan(*, data: Path, regions: str | None = None, json: bool = False) -> None:
    """Show how streams and durables differ from the plan; changes nothing.

    Args:
        data: folder of the mesh.
        regions: names separated by commas; all when not given.
        json: as JSON, by region.
    """
    run(_each(data.expanduser().resolve(), regions, json, _show))


def apply(*, data: Path, regions: str | None = None, json: bool = False) -> None:
    """Create what is missing and change what can be changed without losing a message.

    Args:
        data: folder of the mesh.
        regions: names separated by commas; all when not given.
        json: as JSON, by region.
    """
    run(_each(data.expanduser().resolve(), regions, json, _apply))


def check(*, data: Path, regions: str | None = None, json: bool = False) -> None:
    """Like plan, and compare the logs with what was acknowledged; exit code 1 if anything differs.

    Args:
        data: folder of the mesh.
        regions: names separated by commas; all when not given.
        json: as JSON, by region.
    """
    run(_each(data.expanduser().resolve(), regions, json, _check))


def recover(*, data: Path, regions: str | None = None, json: bool = False) -> None:
    """Make anew, from the outboxes, streams that lost acknowledged messages.

    The mesh does this by itself whenever it connects; stop the services before doing it by hand.

    Args:
        data: folder of the mesh.
        regions: names separated by commas; all when not given.
        json: as JSON, by region.
    """
    run(_each(data.expanduser().resolve(), regions, json, _recover))


def render(
    *,
    keys: Path,
    region: str,
    hosts: str,
    to: Path,
    at: Path,
    peer: list[str] | None = None,
    encrypt: bool = False,
    json: bool = False,
) -> None:
    """Write what NATS servers need that you start yourself, each on its own machine.

    Each gets a folder with nats.conf and the keys that it names. Prints what services are told, and
    where peers dial. Run it again when a key, a peer or a host has changed.

    Args:
        keys: folder with a folder of keys per region.
        region: which region.
        hosts: under which each server is reached, separated by commas: three make a cluster.
        to: folder to write to.
        at: where a server's folder will lie on its machine, such as /etc/aidmesh/nats.
        peer: a region it is linked with: NAME if that one dials, else NAME=HOST:PORT, several
            addresses separated by commas. What proves it is in the folder of keys, below peers.
        encrypt: have the servers encrypt what they store.
        json: as JSON.
    """
    from aidmesh.meshfile import MeshError  # noqa: PLC0415
    from aidmesh.topology.cluster import lay_out  # noqa: PLC0415

    cluster = _cluster(keys, region, hosts, peer)
    try:
        laid_out = lay_out(replace(cluster, at=at, encrypted=encrypt), to.expanduser())
        folders = [str(each) for each in laid_out]
    except (MeshError, OSError) as error:
        refuse(str(error))
    report(
        json,
        {
            "folders": folders,
            "nats_url": cluster.nats_url,
            "nats_ca_file": str(cluster.ca_file),
            "dial": cluster.dial,
        },
        *folders,
        f"NATS_URL={cluster.nats_url}",
        f"NATS_CA_FILE={cluster.ca_file}",
        f"peers dial {cluster.dial}",
    )


def keep(
    *, keys: Path, region: str, hosts: str, peer: list[str] | None = None, epoch: int = 1
) -> None:
    """Keep NATS servers that you start yourself in order: streams, durables, gate, links.

    Runs until it is told to stop; a region has one. It finds the databases as services do, by
    AIDMESH_<SERVICE>_DATABASE_URL of each, and may read and update them.

    Args:
        keys: folder with a folder of keys per region.
        region: which region.
        hosts: as for render.
        peer: as for render.
        epoch: of the region; one higher after each time it was restored or let in again.
    """
    import os  # noqa: PLC0415

    from aidmesh.meshfile import WITH_DATABASE  # noqa: PLC0415

    named = {each: f"AIDMESH_{each.upper()}_DATABASE_URL" for each in WITH_DATABASE}
    if missing := sorted(name for name in named.values() if name not in os.environ):
        refuse(f"set {', '.join(missing)}: what was acknowledged is known there")
    dsns = [os.environ[name] for name in named.values()]
    run(_keep(_cluster(keys, region, hosts, peer), dsns, epoch))


async def _keep(cluster: "Cluster", dsns: list[str], epoch: int) -> int:
    from aidmesh.mesh import cancelled_by_signals  # noqa: PLC0415
    from aidmesh.topology.cluster import warden_of  # noqa: PLC0415
    from aidmesh_chassis import logs  # noqa: PLC0415

    logs.configure("supervisor", cluster.region)
    with cancelled_by_signals():
        await warden_of(cluster, dsns, epoch).run()
    return 0


def _cluster(keys: Path, region: str, hosts: str, peer: list[str] | None) -> "Cluster":
    from aidmesh.meshfile import CLUSTER_SIZES, MeshError, check_name  # noqa: PLC0415
    from aidmesh.topology.cluster import Cluster  # noqa: PLC0415

    named = names(hosts) or ()
    if len(named) not in CLUSTER_SIZES:
        refuse("name one host, three or five: more than half of a cluster have to run")
    pairs = [each.partition("=") for each in peer or ()]
    try:
        for name in (region, *(name for name, _, _ in pairs)):
            check_name(name)
    except MeshError as error:
        refuse(str(error))
    peers = {name: address or None for name, _, address in pairs}
    return Cluster(region, keys.expanduser().resolve() / region, named, peers)


async def _each(data: Path, regions: str | None, as_json: bool, step: Step) -> int:
    from aidmesh.credentials import seed_file  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, read_mesh  # noqa: PLC0415
    from aidmesh.topology.plan import plan_of  # noqa: PLC0415
    from aidmesh.topology.rights import SUPERVISOR  # noqa: PLC0415
    from aidmesh.topology.warden import connect_as  # noqa: PLC0415

    mesh = read_mesh(data)
    chosen = names(regions) or tuple(mesh.regions)
    for region in chosen:
        if region not in mesh.regions:
            raise MeshError(f"{data} holds no region {region}")
    found: dict[str, Outcome] = {}
    for region in chosen:
        entry = mesh.regions[region]
        client = await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))
        try:
            wanted = plan_of(region, mesh.peers(region), replicas=len(entry.nats.nodes))
            found[region] = await step(client, wanted, entry)
        finally:
            await client.close()
        if not as_json:
            say(f"{region}:")
            for line in found[region].lines:
                say(f"  {line}")
    if as_json:
        tell({region: each.fields for region, each in found.items()})
    return 0 if all(each.good for each in found.values()) else EXIT_FAILED


async def _show(client: "Client", wanted: "Plan", _: "RegionEntry") -> Outcome:
    differences = await _differences(client, wanted)
    return Outcome(differences or ["as planned"], {"differences": differences})


async def _check(client: "Client", wanted: "Plan", entry: "RegionEntry") -> Outcome:
    from aidmesh.topology.api import JetStreamApi  # noqa: PLC0415
    from aidmesh.topology.recover import check  # noqa: PLC0415

    differences = await _differences(client, wanted)
    lost = dict(await check(JetStreamApi(client), entry.outbox_dsns))
    lines = [f"{stream}: lost acknowledged messages: {reason}" for stream, reason in lost.items()]
    return Outcome(
        [*(differences or ["as planned"]), *lines],
        {"differences": differences, "lost": lost},
        not differences and not lost,
    )


async def _differences(client: "Client", wanted: "Plan") -> list[str]:
    from aidmesh.topology.api import JetStreamApi  # noqa: PLC0415
    from aidmesh.topology.provision import differences  # noqa: PLC0415

    return [str(each) for each in await differences(JetStreamApi(client), wanted)]


async def _apply(client: "Client", wanted: "Plan", _: "RegionEntry") -> Outcome:
    from aidmesh.topology.api import JetStreamApi  # noqa: PLC0415
    from aidmesh.topology.provision import apply  # noqa: PLC0415

    done = [str(each) for each in await apply(JetStreamApi(client), wanted)]
    return Outcome([f"done: {each}" for each in done] or ["as planned"], {"done": done})


async def _recover(client: "Client", wanted: "Plan", entry: "RegionEntry") -> Outcome:
    from aidmesh.topology.recover import recover  # noqa: PLC0415

    done = await recover(client, wanted, entry.outbox_dsns)
    lines = [
        f"{item.stream}: {item.messages} messages published again ({item.reason})" for item in done
    ]
    fields = [
        {"stream": item.stream, "messages": item.messages, "reason": item.reason} for item in done
    ]
    return Outcome(lines or ["nothing acknowledged is missing"], {"recovered": fields})
