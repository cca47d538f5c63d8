"""`aidmesh topology retire`: a region ends in order."""

from pathlib import Path
from typing import TYPE_CHECKING

from aidmesh.commands.common import EXIT_FAILED, say
from aidmesh.commands.common import run as run_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aidmesh.meshfile import MeshFile

STOPPED_S_MAX = 90.0


def retire(region: str, *, data: Path, dry_run: bool = False) -> None:
    """Have a region retire for good, or, where it ran on another machine, drop its links here.

    Lists what still stands in the way; exit code 1 while anything does. Then the region tells the
    others and is stopped; its data stays in its folder, and what it told stays everywhere. The
    mesh runs and goes on. Broken off, it is begun again.

    Args:
        region: of this folder, or linked with the regions of this folder.
        data: folder of the mesh, which runs.
        dry_run: only list what stands in the way.
    """
    run_command(_retire(data.expanduser().resolve(), region, dry_run))


async def _retire(data: Path, region: str, dry_run: bool) -> int:
    from aidmesh.embedded import in_use  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, read_mesh  # noqa: PLC0415

    mesh = read_mesh(data)
    if region in mesh.retired:
        since = mesh.retired[region].since.isoformat(timespec="seconds")
        say(f"{region} has retired, since {since}")
        return 0
    if not in_use(data):
        raise MeshError("the mesh does not run; others have to hear of it")
    if region in mesh.elsewhere:
        return await _let_go(data, mesh, region, dry_run)
    if region not in mesh.regions:
        raise MeshError(f"{data} holds no region {region}, and is linked with none")
    return await _end(data, mesh, region, dry_run)


async def _end(data: Path, mesh: "MeshFile", region: str, dry_run: bool) -> int:
    import asyncpg  # noqa: PLC0415

    from aidmesh.meshfile import changing_mesh  # noqa: PLC0415
    from aidmesh.quiet import probing  # noqa: PLC0415
    from aidmesh.retiring import Retirement, take_out  # noqa: PLC0415

    async with probing(mesh) as probes:
        retirement = Retirement(mesh, region, probes)
        if lines := await retirement.settled():
            return _listed(region, lines)
        if dry_run:
            say(f"nothing stands in the way of {region}")
            return 0
        since = await retirement.tell()
        say(f"{region} has told that it retires")
        if lines := await retirement.heard():
            return _listed(region, lines)
        try:
            async with retirement.closed() as lines:
                if lines:
                    return _listed(region, lines)
                with changing_mesh(data) as changed:
                    take_out(changed, region, since)
                stopped = await retirement.gone(STOPPED_S_MAX)
        except asyncpg.LockNotAvailableError:
            return _listed(region, [f"{region} is at work all the time"])
    if not stopped:
        say(f"{region} did not stop within {STOPPED_S_MAX:.0f} s; read {data / 'mesh.log'}")
        return EXIT_FAILED
    say(f"{region} has retired and is stopped; {data / region} keeps its data")
    for peer in sorted(mesh.elsewhere):
        say(f"on the machine of {peer}: aidmesh topology retire {region} --data DIR")
    return 0


async def _let_go(data: Path, mesh: "MeshFile", region: str, dry_run: bool) -> int:
    from aidmesh.meshfile import changing_mesh  # noqa: PLC0415
    from aidmesh.quiet import probing  # noqa: PLC0415
    from aidmesh.retiring import end_handoffs, retired_since, take_out  # noqa: PLC0415

    async with probing(mesh) as probes:
        since = await retired_since(region, probes)
        if dry_run:
            say(f"all have heard that {region} retired; nothing stands in the way")
            return 0
        await end_handoffs(region, probes)
        with changing_mesh(data) as changed:
            take_out(changed, region, since)
    say(f"{region} has retired; nobody here is linked with it any more")
    return 0


def _listed(region: str, lines: "Sequence[str]") -> int:
    say(f"{region} can't retire yet:")
    for line in lines:
        say(f"  {line}")
    return EXIT_FAILED
