"""Examines a mesh: its files, its servers, its topology, and its work. Nothing is changed."""

import asyncio
import shutil
import stat
from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg

from aidmesh.asking import AWAY
from aidmesh.connecting import close_database
from aidmesh.doctor.clocks import ahead_of_us
from aidmesh.doctor.endings import AGAIN, NOBODY_ENDED, Ended, ended_lately
from aidmesh.doctor.findings import EVERY_SERVICE, OF_SERVICE, Finding, Question, age
from aidmesh.doctor.imports import cut_off
from aidmesh.doctor.items import entered
from aidmesh.doctor.servers import database, streams
from aidmesh.doctor.supervisor import supervised
from aidmesh.meshfile import NAME, WITH_DATABASE, MeshFile, RegionEntry
from aidmesh.region_settings import nth
from aidmesh.status import RegionStatus, ServiceStatus, Status, attention_of, status_of
from aidmesh.words import count

ASK_S_MAX: Final = 30.0
DISK_FREE_MIN: Final = 2 * 1024**3
DISK_SHARE_MIN: Final = 0.05
LACKING: Final = {
    "database": "Is PostgreSQL up, and have the migrations run?",
    "broker": "Is NATS up, and the gate open (gate.stays_closed in the log says why not)?",
    "consumers": "aidmesh topology apply.",
    "outbox": "Nothing leaves it: is NATS up, and the gate open?",
}
"""By the checks of `/readyz`."""
HARMS: Final = ("error", "warning", "note")


async def examine(data: Path, mesh: MeshFile) -> list[Finding]:
    """Look at everything; what is worst comes first."""
    status = await status_of(mesh)
    elsewhere = {name for name, entry in mesh.regions.items() if entry.is_elsewhere}
    ended = {name: ended_lately(data, name) for name in mesh.regions if name not in elsewhere}
    found = [
        *supervised(data, mesh),
        *files(data, mesh),
        *running(data, status, elsewhere, ended),
    ]
    regions = await asyncio.gather(
        *(_region(each.region, mesh.regions[each.region], mesh, each) for each in status.regions)
    )
    found += [finding for each in regions for finding in each]
    return sorted(found, key=lambda each: HARMS.index(each.harm))


def files(data: Path, mesh: MeshFile) -> list[Finding]:
    """What is wrong with folders and files."""
    found: list[Finding] = []
    if stat.S_IMODE((data / NAME).stat().st_mode) & 0o077:
        found.append(
            Finding("error", "mesh", f"others can read {data / NAME}",
                    "It holds the passwords of all servers.", f"chmod 600 {data / NAME}")
        )  # fmt: skip
    disk = shutil.disk_usage(data)
    lie_here = any(not entry.is_elsewhere for entry in mesh.regions.values())
    if lie_here and disk.free < max(DISK_FREE_MIN, DISK_SHARE_MIN * disk.total):
        found.append(
            Finding("error", "mesh", f"{disk.free / 1024**3:.1f} GB are free on the disk of {data}",
                    "Without room nothing that comes in can be accepted.",
                    "Make room, or move the data folder to a larger disk.")
        )  # fmt: skip
    is_demo = (data / "scenario").exists()
    for name, entry in mesh.regions.items():
        if entry.is_elsewhere:
            continue  # nothing of it lies here but where it is
        keys = entry.keys
        if not keys.is_dir():
            found.append(
                Finding("error", name, f"the folder of keys {keys} is not there",
                        "Services start locked: nobody's details can be read or entered.",
                        "Mount it or put the copy back, then aidmesh unlock.")
            )  # fmt: skip
        elif not is_demo and keys.resolve().is_relative_to(data.resolve()):
            found.append(
                Finding("error", name, f"the folder of keys {keys} is inside the data folder",
                        "Who takes the disk has the data and the keys to read it.",
                        "Stop the mesh, move the folder to other storage, start with --keys.")
            )  # fmt: skip
    return found


def running(
    data: Path,
    status: Status,
    elsewhere: Collection[str] = (),
    ended: Mapping[str, Mapping[str, Ended]] = NOBODY_ENDED,
) -> list[Finding]:
    """What `aidmesh status` would draw attention to, causes first. Pure.

    Args:
        data: folder of the mesh.
        status: as it was found.
        elsewhere: the regions whose servers run on machines of their own.
        ended: by region the processes that ended of late.
    """
    parts = [
        (f"{region.region} {called}", each, service, region)
        for region in status.regions
        for service in region.services
        for called, each in service.apart()
    ]
    services = [
        not_working(where, each, others_work=service.state == "ready")
        for where, each, service, region in parts
        if each.state != "ready"
        and not _waits_for_server(each, region)
        and _again_and_again(each, ended.get(region.region, {})) is None
    ]
    # Without these the regions have what is left to say; a database that can't be asked is told of
    # where it is looked at.
    others = attention_of(
        [
            replace(each, services=(), nats=True, postgres=True, unasked=())
            for each in status.regions
        ]
    )
    locked = [
        Finding("error", where,
                f"it runs without its keys ({', '.join(each.missing_keys)})",
                "Whatever needs people's details waits: registering, messages, payments.",
                "aidmesh unlock, by somebody who knows the passphrase.")
        for where, each, _, _ in parts
        if each.missing_keys
    ]  # fmt: skip
    return [
        *(
            each
            for region in status.regions
            for each in _servers_away(data, region, is_elsewhere=region.region in elsewhere)
        ),
        *_ending(parts, ended),
        *services,
        *locked,
        *(
            Finding("error", line.partition(":")[0], line.partition(": ")[2],
                    "Part of the work stands still.",
                    "aidmesh status; aidmesh logs 'level>=warning'.")
            for line in others
        ),
    ]  # fmt: skip


def _servers_away(data: Path, region: RegionStatus, *, is_elsewhere: bool) -> Iterator[Finding]:
    """A server of a region that does not answer, and who waits for it."""
    folder = data / region.region
    waits = [each.service for each in region.services if _waits_for_server(each, region)]
    waiting = f"; waiting for it: {', '.join(waits)}" if waits else ""
    for name, answers, process, logs in (
        (
            "postgres",
            region.postgres,
            f"process id: first line of {folder}/postgres/postmaster.pid",
            f"{folder}/log/postgres",
        ),
        ("nats", region.nats, f"nats-server -c {folder}/nats/nats.conf", f"{folder}/log/nats.log"),
    ):
        if not answers:
            yield Finding(
                "error",
                f"{region.region} {name}",
                f"does not answer{waiting}",
                "Nothing is lost; what is accepted meanwhile goes on when it is back."
                if name == "nats"
                else "Nothing can be accepted or looked up.",
                "See to it on its machine, and to the way there; its log says why."
                if is_elsewhere
                else "What ended is started again by itself; a server that hangs "
                f"({process}, or its container) has to be ended. Its log: {logs}.",
            )


def _ending(
    parts: Sequence[tuple[str, ServiceStatus, ServiceStatus, RegionStatus]],
    ended: Mapping[str, Mapping[str, Ended]],
) -> Iterator[Finding]:
    """Processes that end again and again, and the services that are away by it."""
    away: dict[tuple[str, str], list[str]] = {}
    for _, each, _, region in parts:
        process = _again_and_again(each, ended.get(region.region, {}))
        if process is not None:
            away.setdefault((region.region, process), []).append(each.service)
    for (name, process), services in away.items():
        yield ended[name][process].finding(name, process, services)


def _again_and_again(service: ServiceStatus, ended: Mapping[str, Ended]) -> str | None:
    """The process of a service that is away because it does not stay up."""
    if service.state != "away":
        return None
    names = [
        nth(name, copy.number - 1) for copy in service.copies for name in ("host", service.service)
    ]
    return next((each for each in names if each in ended and ended[each].times >= AGAIN), None)


def _waits_for_server(service: ServiceStatus, region: RegionStatus) -> bool:
    """Whether a service lacks nothing but a server that is away."""
    lacks = set(service.lacks)
    by_nats = set() if region.nats else {"broker", "consumers", "outbox"}
    by_postgres = set() if region.postgres else {"database", "outbox"}
    return service.state == "not ready" and bool(lacks) and lacks <= by_nats | by_postgres


def not_working(where: str, service: ServiceStatus, *, others_work: bool = False) -> Finding:
    """What a service that is away, or not ready, means, and what is done about it.

    Args:
        where: region and service, or which of its copies.
        service: as it was found, of one copy where they differ.
        others_work: whether other copies of it do.
    """
    waits = f"; waiting for it: {count(service.untaken, 'event')}" if service.untaken else ""
    logs = f"aidmesh logs service={service.service} 'level>=warning' --since 15m"
    process = f"aidmesh.host {service.service}"
    if len(service.copies) == 1:
        process += f" that listens at {service.copies[0].url}"
    stands = "What it does stands still; the others go on, and it catches up."
    if others_work:
        stands = "The other copies do its work."
    if service.state == "away":
        return Finding(
            "warning" if others_work else "error",
            where,
            f"does not answer{waits}",
            stands,
            f"{logs}. What ended is started again by itself; a process that hangs "
            f"({process}, or its container) has to be ended.",
        )
    todo = [LACKING[each] for each in service.lacks if each in LACKING]
    return Finding(
        "warning" if others_work else "error",
        where,
        f"is not ready ({', '.join(service.lacks)}){waits}",
        stands if others_work else "It lacks what it needs to work.",
        f"{' '.join(todo)} {logs}.".lstrip(),
    )


async def _region(
    name: str, entry: RegionEntry, mesh: MeshFile, status: RegionStatus
) -> list[Finding]:
    looks: list[tuple[str, Awaitable[list[Finding]]]] = []
    # What is away is said already, and would only be waited for.
    if status.postgres:
        looks += [(f"{name} {each}", stuck(name, entry, each)) for each in WITH_DATABASE]
        looks += [(f"{name} postgres", database(name, dsn, ASK_S_MAX)) for dsn in entry.server_dsns]
        looks.append((f"{name} inventory", entered(name, entry, ASK_S_MAX)))
        looks.append((f"{name} intake", cut_off(name, entry, ASK_S_MAX)))
    if status.postgres and status.nats:
        looks.append((f"{name} nats", streams(name, entry, mesh, ASK_S_MAX)))
    parts = await asyncio.gather(*(_looked(where, look) for where, look in looks))
    dated = ahead_of_us(name, status.peers, datetime.now(UTC))
    return [*dated, *(finding for part in parts for finding in part)]


async def _looked(where: str, look: Awaitable[list[Finding]]) -> list[Finding]:
    """What was found, or that it can't be found out."""
    try:
        return await look
    except AWAY as error:
        return [
            Finding("warning", where, f"can't be looked at ({type(error).__name__})",
                    "What may be wrong there is not known.",
                    "Run it again; if it lasts, look for long statements in pg_stat_activity, and "
                    "at the server's log.")
        ]  # fmt: skip


async def stuck(region: str, entry: RegionEntry, service: str) -> list[Finding]:
    """What does not go on in a service, by the questions that its database is asked.

    Raises as `AWAY`.
    """
    conn = await asyncpg.connect(
        entry.admin_dsn(service), timeout=ASK_S_MAX, command_timeout=ASK_S_MAX
    )
    try:
        now = await conn.fetchval("SELECT clock_timestamp()")
        found = []
        for question in (*EVERY_SERVICE, *OF_SERVICE[service]):
            row = await conn.fetchrow(question.sql)
            if row is not None and row["rows"]:
                seconds = (now - row["since"]).total_seconds()
                where, oldest = f"{region} {service}", row.get("oldest")
                found.append(answered(question, where, row["rows"], seconds, oldest))
        return found
    finally:
        await close_database(conn)


def answered(
    question: Question, where: str, rows: int, seconds: float, oldest: object = None
) -> Finding:
    """What a question's answer says, and which command tells more of the oldest.

    Of what is dated ahead, `seconds` are negative.
    """
    what = question.what.format(rows=rows, age=age(abs(seconds)))
    if oldest is not None:
        what += f"; the oldest: aidmesh trace {oldest}"
    return Finding(question.harm, where, what, question.why, question.do)
