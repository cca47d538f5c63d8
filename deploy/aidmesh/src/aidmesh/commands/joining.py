"""`aidmesh topology ask`, `invite`, `join`: further regions, on this machine or others."""

import time
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from aidmesh.commands.common import EXIT_FAILED, refuse, report, run

if TYPE_CHECKING:
    from aidmesh.meshfile import MeshFile

WAIT_S_MAX = 300.0
POLL_S = 0.2
ANSWER_S_MAX = 30.0


def ask(*, data: Path, file: Path, json: bool = False) -> None:
    """Ask regions on another machine to let the region of this folder in; writes a file for them.

    Nothing in it is secret, but they have to know that it comes from you.

    Args:
        data: folder of a mesh with one region.
        file: where to write it; must not be there.
        json: as JSON.
    """
    from aidmesh.joining import ask as asking  # noqa: PLC0415
    from aidmesh.joining import write_ask  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, read_mesh  # noqa: PLC0415

    try:
        asked = asking(read_mesh(data.expanduser().resolve()))
        write_ask(file, asked)
    except (MeshError, OSError) as error:
        refuse(str(error))
    report(
        json,
        {"region": asked.newcomer, "file": str(file)},
        f"Bring {file} to the machine that is to let {asked.newcomer} in; there:",
        "aidmesh topology invite FILE --at REGION=HOST --file JOIN_FILE --data DIR",
    )


def invite(
    asked: Path,
    *,
    data: Path,
    file: Path,
    at: Annotated[list[str], Parameter(negative=())],
    json: bool = False,
) -> None:
    """Let a region on another machine link with all regions of this folder; writes its join file.

    The mesh may run and goes on.

    Args:
        asked: file that the newcomer asks with.
        data: folder of the mesh.
        file: where to write the join file; must not be there.
        at: REGION=HOST or REGION=HOST:PORT, where the newcomer can dial each region of this folder.
        json: as JSON.
    """
    from aidmesh.joining import invite as invited  # noqa: PLC0415
    from aidmesh.joining import read_ask, write_invitation  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, changing_mesh  # noqa: PLC0415

    addresses = dict(each.partition("=")[::2] for each in at)
    try:
        with changing_mesh(data.expanduser().resolve()) as mesh:
            invitation = invited(mesh, read_ask(asked), addresses)
            write_invitation(file, invitation)
    except (MeshError, OSError) as error:
        refuse(str(error))
    hosts = {name: host.address for name, host in invitation.hosts.items()}
    report(
        json,
        {"region": invitation.newcomer, "file": str(file), "at": hosts},
        *(f"{name} lets {invitation.newcomer} in at {where}" for name, where in hosts.items()),
        f"Bring {file} to its machine; there: aidmesh topology join --file FILE --data DIR",
    )


def join(
    region: str | None = None,
    *,
    data: Path,
    file: Path | None = None,
    keys: Path | None = None,
    wait: bool = True,
    json: bool = False,
) -> None:
    """Have a new region join: one on this machine by its name, or this one another's mesh by file.

    The mesh may run and goes on; the newcomer takes in what the others told from the start.

    Args:
        region: name of a new region for this folder, linked with all others here.
        data: folder of the mesh.
        file: join file that regions elsewhere wrote for the region of this folder.
        keys: folder of all regions' keys; by default that of the regions that are there. Keys of
            the new region are made.
        wait: where the mesh runs, until the newcomer is ready, linked and known to the services
            here; else it is only written down for what runs, or will.
        json: as JSON.
    """
    from aidmesh.joining import accept, add_here, read_invitation  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, changing_mesh  # noqa: PLC0415
    from aidmesh_chassis.keys import KeyFileError  # noqa: PLC0415

    data = data.expanduser().resolve()
    if (region is None) == (file is None):
        refuse("name either a new region for this folder, or the join file with --file")
    try:
        with changing_mesh(data) as mesh:
            if region is not None:
                newcomer, before = region, mesh.peers(region)
                add_here(mesh, region, None if keys is None else keys.expanduser().resolve())
            else:
                assert file is not None  # noqa: S101 - one of the two is given
                invitation = read_invitation(file)
                newcomer, before = invitation.newcomer, sorted(invitation.hosts)
                accept(mesh, invitation)
    except (MeshError, KeyFileError, OSError) as error:
        refuse(str(error))
    if not wait:
        told = {"region": newcomer, "peers": list(before), "linked": []}
        report(json, told, f"{newcomer} links with {', '.join(before)} once its mesh takes it up")
        return
    run(_linked(data, mesh, newcomer, before, as_json=json))


async def _linked(
    data: Path, mesh: "MeshFile", region: str, peers: Sequence[str], *, as_json: bool
) -> int:
    """Wait until the region runs and is linked, if the mesh runs."""
    import asyncio  # noqa: PLC0415

    from aidmesh.asking import AWAY  # noqa: PLC0415
    from aidmesh.embedded.folder import in_use  # noqa: PLC0415
    from aidmesh.status import status_of  # noqa: PLC0415
    from aidmesh.topology.watcher import linked_with  # noqa: PLC0415

    desk = mesh.regions[region].services["console"].url

    def end(linked: Sequence[str], line: str, code: int = 0) -> int:
        told = {"region": region, "peers": list(peers), "linked": list(linked), "desk": desk}
        report(as_json, told, line, f"its desk: {desk}")
        return code

    if not in_use(data):
        return end([], f"{region} links with {', '.join(peers)} as soon as the mesh is up")
    nats = mesh.regions[region].nats
    look = partial(linked_with, nats.monitors)
    deadline = time.monotonic() + WAIT_S_MAX
    linked: frozenset[str] = frozenset()
    while time.monotonic() < deadline:
        try:
            linked = await asyncio.to_thread(look)
        except AWAY:
            linked = frozenset()
        if linked >= set(peers):
            found = {each.region: each.services for each in (await status_of(mesh)).regions}
            servers_only = all(s.state == "away" for services in found.values() for s in services)
            if servers_only or (
                all(service.state == "ready" for service in found[region])
                and await _is_known(mesh, region, peers)
            ):
                return end(peers, f"{region} runs, linked with {', '.join(peers)}")
        await asyncio.sleep(POLL_S)
    missing = ", ".join(sorted(set(peers) - linked)) or "none"
    return end(
        sorted(linked),
        f"{region} is not ready after {WAIT_S_MAX:.0f} s (links missing: {missing}); read its logs",
        EXIT_FAILED,
    )


async def _is_known(mesh: "MeshFile", newcomer: str, peers: Sequence[str]) -> bool:
    """Whether the services here know whom they are linked with: they look every few seconds."""
    from aidmesh.asking import ask_readiness  # noqa: PLC0415

    for name, entry in mesh.regions.items():
        others = set(peers) if name == newcomer else {newcomer}
        answers = await ask_readiness(entry, list(entry.services))
        for answer in chain.from_iterable(answers.values()):
            known = None if answer is None else answer.get("peers")
            if isinstance(known, dict) and not others <= known.keys():
                return False
    return True


def rejoin(region: str, *, data: Path, json: bool = False) -> None:
    """Raise the epoch of a region that was held for lost and that a lead elsewhere let in again.

    From then on what it says counts, and what it had said in vain is told again. The region's NATS
    server is started anew for it.

    Args:
        region: of this folder.
        data: folder of the mesh, which runs.
        json: as JSON.
    """
    run(_rejoin(data.expanduser().resolve(), region, json))


async def _rejoin(data: Path, region: str, as_json: bool) -> int:
    from aidmesh.connecting import close_database, connect_database  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, changing_mesh, check_ours, read_mesh  # noqa: PLC0415
    from aidmesh.status import status_of  # noqa: PLC0415
    from aidmesh_chassis import standings  # noqa: PLC0415

    mesh = read_mesh(data)
    check_ours(mesh)
    if region not in mesh.regions:
        raise MeshError(f"{data} holds no region {region}")
    dsn = mesh.regions[region].admin_dsn("payments")
    conn = await connect_database(region, dsn, answer_s_max=ANSWER_S_MAX)
    try:
        stand = (await standings.known(conn)).get(region)
    finally:
        await close_database(conn)
    if stand is None or stand.standing != "member":
        why = "nobody held it for lost" if stand is None else "no lead has let it in again yet"
        raise MeshError(f"{region} can't rejoin: {why}")
    if mesh.regions[region].epoch >= stand.epoch:
        epoch = mesh.regions[region].epoch
        report(
            as_json,
            {"region": region, "epoch": epoch},
            f"{region} has rejoined already, its epoch is {epoch}",
        )
        return 0
    [found] = [each for each in (await status_of(mesh)).regions if each.region == region]
    behind = [each.peer for each in found.peers if each.link != "up" or each.lag_events]
    waiting = [each.service for each in found.services if each.untaken]
    if behind or waiting:
        # What others took back has to be known before anything is said that counts.
        away = ", ".join(behind + waiting)
        raise MeshError(f"{region} has not taken in everything yet ({away}); try again then")
    with changing_mesh(data) as changed:
        changed.regions[region].epoch = stand.epoch
    report(
        as_json,
        {"region": region, "epoch": stand.epoch},
        f"{region} rejoins with epoch {stand.epoch}",
    )
    return 0
