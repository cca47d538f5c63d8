"""`aidmesh topology`: streams and durables of the regions that run in a data folder."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aidmesh.commands.common import EXIT_FAILED, names, run, say, tell, warn

if TYPE_CHECKING:
    from nats.aio.client import Client

    from aidmesh.meshfile import RegionEntry
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
    run(_each(data.expanduser().resolve(), regions, json, _show, changes=False))


def apply(*, data: Path, regions: str | None = None, json: bool = False) -> None:
    """Create what is missing and change what can be changed without losing a message.

    Args:
        data: folder of the mesh.
        regions: names separated by commas; all when not given.
        json: as JSON, by region.
    """
    run(_each(data.expanduser().resolve(), regions, json, _apply, changes=True))


def check(*, data: Path, regions: str | None = None, json: bool = False) -> None:
    """Like plan, and compare the logs with what was acknowledged; exit code 1 if anything differs.

    Args:
        data: folder of the mesh.
        regions: names separated by commas; all when not given.
        json: as JSON, by region.
    """
    run(_each(data.expanduser().resolve(), regions, json, _check, changes=False))


def recover(*, data: Path, regions: str | None = None, json: bool = False) -> None:
    """Make anew, from the outboxes, streams that lost acknowledged messages.

    The mesh does this by itself whenever it connects; stop the services before doing it by hand.

    Args:
        data: folder of the mesh.
        regions: names separated by commas; all when not given.
        json: as JSON, by region.
    """
    run(_each(data.expanduser().resolve(), regions, json, _recover, changes=True))


async def _each(
    data: Path, regions: str | None, as_json: bool, step: Step, *, changes: bool
) -> int:
    from aidmesh.connecting import connect  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, check_ours, read_mesh  # noqa: PLC0415
    from aidmesh.topology.plan import plan_of  # noqa: PLC0415
    from aidmesh.topology.rights import READER, SUPERVISOR  # noqa: PLC0415

    mesh = read_mesh(data)
    if changes:
        check_ours(mesh)  # of others `topology keep` does it, whenever it connects
    chosen = names(regions) or tuple(mesh.regions)
    for region in chosen:
        if region not in mesh.regions:
            raise MeshError(f"{data} holds no region {region}")
    found: dict[str, Outcome] = {}
    for region in chosen:
        entry = mesh.regions[region]
        client = await connect(entry, SUPERVISOR if changes else READER)
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
    from aidmesh.topology.progress import Progress  # noqa: PLC0415
    from aidmesh.topology.recover import recover  # noqa: PLC0415
    from aidmesh_chassis import logs  # noqa: PLC0415

    logs.configure("topology", wanted.region, level="warning", stream=sys.stderr)
    done = await recover(client, wanted, entry.outbox_dsns, Progress(wanted.region, warn))
    lines = [
        f"{item.stream}: {item.messages} messages published again ({item.reason})" for item in done
    ]
    fields = [
        {"stream": item.stream, "messages": item.messages, "reason": item.reason} for item in done
    ]
    return Outcome(lines or ["nothing acknowledged is missing"], {"recovered": fields})
