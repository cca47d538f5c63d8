"""`aidmesh topology retire` and `unlink`: a region ends in order, or is shut out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aidmesh.commands.common import EXIT_FAILED, report, say, tell
from aidmesh.commands.common import run as run_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from aidmesh.meshfile import MeshFile

STOPPED_S_MAX = 90.0


def retire(region: str, *, data: Path, dry_run: bool = False, json: bool = False) -> None:
    """Have a region retire for good, or, where it ran on another machine, drop its links here.

    Lists what still stands in the way; exit code 1 while anything does. Then the region tells the
    others and is stopped; its data stays in its folder, and what it told stays everywhere. The
    mesh runs and goes on. Broken off, it is begun again.

    Args:
        region: of this folder, or linked with the regions of this folder.
        data: folder of the mesh, which runs.
        dry_run: only list what stands in the way.
        json: since when it is retired, or what stands in the way, as JSON.
    """
    report = Report(region, json)
    run_command(_retire(data.expanduser().resolve(), region, dry_run, report))


@dataclass(slots=True)
class Report:
    """What is said on the way, and how it ended."""

    region: str
    as_json: bool

    def say(self, line: str) -> None:
        """One line for a person; a machine reads the end only."""
        if not self.as_json:
            say(line)

    def done(self, since: "datetime | None") -> int:
        """It is retired, or could be."""
        return self._end(since, (), 0)

    def in_the_way(self, lines: "Sequence[str]") -> int:
        """It can't retire yet."""
        self.say(f"{self.region} can't retire yet:")
        for line in lines:
            self.say(f"  {line}")
        return self._end(None, lines, EXIT_FAILED)

    def _end(self, since: "datetime | None", lines: "Sequence[str]", code: int) -> int:
        if self.as_json:
            retired = None if since is None else since.isoformat(timespec="seconds")
            tell({"region": self.region, "retired": retired, "in_the_way": list(lines)})
        return code


async def _retire(data: Path, region: str, dry_run: bool, report: Report) -> int:
    from aidmesh.embedded.folder import in_use  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, check_ours, read_mesh  # noqa: PLC0415

    mesh = read_mesh(data)
    check_ours(mesh)
    if region in mesh.retired:
        since = mesh.retired[region].since
        report.say(f"{region} has retired, since {since.isoformat(timespec='seconds')}")
        return report.done(since)
    if not in_use(data):
        raise MeshError("the mesh does not run; others have to hear of it")
    if region in mesh.elsewhere:
        return await _let_go(data, mesh, region, dry_run, report)
    if region not in mesh.regions:
        raise MeshError(f"{data} holds no region {region}, and is linked with none")
    return await _end(data, mesh, region, dry_run, report)


async def _end(data: Path, mesh: "MeshFile", region: str, dry_run: bool, report: Report) -> int:
    import asyncpg  # noqa: PLC0415

    from aidmesh.meshfile import changing_mesh  # noqa: PLC0415
    from aidmesh.quiet import probing  # noqa: PLC0415
    from aidmesh.retiring import Retirement, take_out  # noqa: PLC0415

    async with probing(mesh) as probes:
        retirement = Retirement(mesh, region, probes)
        if lines := await retirement.settled():
            return report.in_the_way(lines)
        if dry_run:
            report.say(f"nothing stands in the way of {region}")
            return report.done(None)
        since = await retirement.tell()
        report.say(f"{region} has told that it retires")
        if lines := await retirement.heard():
            return report.in_the_way(lines)
        try:
            async with retirement.closed() as lines:
                if lines:
                    return report.in_the_way(lines)
                with changing_mesh(data) as changed:
                    take_out(changed, region, since)
                stopped = await retirement.gone(STOPPED_S_MAX)
        except asyncpg.LockNotAvailableError:
            return report.in_the_way([f"{region} is at work all the time"])
    if not stopped:
        return report.in_the_way(
            [f"{region} did not stop within {STOPPED_S_MAX:.0f} s; read {data / 'mesh.log'}"]
        )
    outside = mesh.regions[region].nats.folder is not None
    report.say(
        f"{region} has retired; its volumes keep its data, and its containers can be taken down"
        if outside
        else f"{region} has retired and is stopped; {data / region} keeps its data"
    )
    for peer in sorted(mesh.elsewhere):
        report.say(f"on the machine of {peer}: aidmesh topology retire {region} --data DIR")
    return report.done(since)


async def _let_go(data: Path, mesh: "MeshFile", region: str, dry_run: bool, report: Report) -> int:
    from aidmesh.meshfile import changing_mesh  # noqa: PLC0415
    from aidmesh.quiet import probing  # noqa: PLC0415
    from aidmesh.retiring import end_handoffs, gone_since, take_out  # noqa: PLC0415

    async with probing(mesh) as probes:
        since = await gone_since(region, probes)
        if dry_run:
            report.say(f"all have heard that {region} retired; nothing stands in the way")
            return report.done(None)
        await end_handoffs(region, probes)
        with changing_mesh(data) as changed:
            take_out(changed, region, since)
    report.say(f"{region} has retired; nobody here is linked with it any more")
    return report.done(since)


def unlink(region: str, *, data: Path, json: bool = False) -> None:
    """Shut out a region on another machine that is held for lost: its keys open nothing here.

    What it told stays, and how it stands. Once a lead has let it in again, it asks and is invited
    anew. The mesh runs and goes on.

    Args:
        region: linked with the regions of this folder, on another machine.
        data: folder of the mesh, which runs.
        json: as JSON.
    """
    run_command(_unlink(data.expanduser().resolve(), region, json))


async def _unlink(data: Path, region: str, as_json: bool) -> int:
    from aidmesh.embedded.folder import in_use  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, changing_mesh, check_ours, read_mesh  # noqa: PLC0415
    from aidmesh.quiet import probing  # noqa: PLC0415
    from aidmesh.retiring import gone_since  # noqa: PLC0415
    from aidmesh.retiring import unlink as unlinking  # noqa: PLC0415

    mesh = read_mesh(data)
    check_ours(mesh)
    unlinking(mesh, region)  # refuses what can't be; nothing is written yet
    if not in_use(data):
        raise MeshError("the mesh does not run; whether the region is lost is known there")
    async with probing(read_mesh(data)) as probes:
        since = await gone_since(region, probes, "lost")
    with changing_mesh(data) as changed:
        unlinking(changed, region)
    lost = since.isoformat(timespec="seconds")
    report(
        as_json,
        {"region": region, "lost_since": lost},
        f"{region}, lost since {lost}, is not linked any more",
    )
    return 0
