"""The whole demonstration: scenario, mesh, staff, the year, and what it came to."""

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from nacl.pwhash import argon2id

from aidmesh.demo import facts
from aidmesh.demo.csvfiles import read_rows
from aidmesh.demo.office import Office, RefusedError
from aidmesh.demo.player import RegionPlay
from aidmesh.demo.setting_up import set_up_grants, set_up_region
from aidmesh.demo.treasury import Buyer, Treasury, weeks_with_money
from aidmesh.meshfile import MeshFile
from aidmesh.quiet import RegionProbe, probing, wait_quiet
from aidmesh_chassis.auth import Role
from aidmesh_chassis.staff import StaffFile
from aidmesh_contracts.streams import Stream
from aidmesh_intake.domain.kinds import Kind

QUIET_S_MAX = 60.0
POLL_S = 0.03
LAST_ROUNDS_MAX = 4
"""After the last week, so often what is still open is tried again."""

OWN = (Stream.LOCAL, Stream.PRIVATE, Stream.EVENTS)
"""What a region's own work goes through; what peers tell it can come at any time."""

UNTOLD = {
    "reporting": "SELECT FROM dirty_month",
    "inventory": "SELECT FROM stock_state WHERE version > told_version"
    " UNION ALL SELECT FROM capacity_state WHERE untold",
    "payments": "SELECT FROM allotment WHERE version > told_version",
}

STAFF_FILE = "staff.jsonl"


@dataclass(frozen=True, slots=True)
class Login:
    """How someone signs in at the desk of every region."""

    role: Role
    name: str
    password: str


class Progress(Protocol):
    """What a progress display needs to be told."""

    def __call__(self, week: int, services: int, needs: int) -> None:
        """Weeks played, services recorded and needs asked for so far."""


@dataclass(frozen=True, slots=True)
class Played:
    """The year as it was played.

    Attributes:
        seconds: from the first row to the last quiet, start-up left out.
        left: rows that could not be acted on to the end.
    """

    seconds: float
    needs: int
    left: Sequence[str]


def make_staff(keys: Mapping[str, Path]) -> tuple[list[Login], dict[str, dict[Role, UUID]]]:
    """Add a member of staff per role in every region, with the same names and passwords.

    Args:
        keys: the folder of keys of each region.
    """
    logins = [Login(role, role.value, secrets.token_urlsafe(12)) for role in Role]
    ids: dict[str, dict[Role, UUID]] = {}
    for region, folder in keys.items():
        # Stretching protects guessable passwords; these are 96 random bits.
        staff = StaffFile(
            folder / STAFF_FILE,
            passes=argon2id.OPSLIMIT_MIN,
            memory_bytes=argon2id.MEMLIMIT_MIN,
        )
        ids[region] = {
            login.role: staff.add(login.name, login.password, [login.role]).staff_id
            for login in logins
        }
    return logins, ids


async def play_year(
    folder: Path,
    mesh: MeshFile,
    offices: Mapping[str, Office],
    kinds: Mapping[str, Kind],
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> Played:
    """Play every week of the scenario in all regions at once.

    Raises:
        RefusedError: a region refused what must not be refused, or does not come to rest.
    """
    grants = read_rows(folder / "setup" / "grants.csv")
    grantor = grants[0]["region"]
    async with AsyncExitStack() as stack:
        probes = await stack.enter_async_context(probing(mesh))
        for probe in probes:  # it asks often, and for few of many rows
            await probe.connections["intake"].execute("SET enable_seqscan = off")
        begun = clock()
        sites = await asyncio.gather(*(set_up_region(folder, o) for o in offices.values()))
        treasury = Treasury(
            folder,
            offices[grantor],
            await set_up_grants(folder, offices[grantor], kinds),
            {row["code"]: row["currency"] for row in grants},
        )
        plays = [
            RegionPlay(
                folder,
                office,
                ids,
                Buyer(folder, office, _area(name), treasury),
                bank=offices[grantor],
            )
            for (name, office), ids in zip(offices.items(), sites, strict=True)
        ]
        weeks = dict.fromkeys(offices, 0)

        def played(region: str, week: int) -> None:
            weeks[region] = week
            done, asked = sum(play.done for play in plays), sum(play.asked for play in plays)
            progress(min(weeks.values()), done, asked)

        for span in spans(weeks_with_money(folder)):
            if await treasury.play_week(span.start):  # the others have to hear of it
                await _settle(probes)
            await asyncio.gather(
                *(
                    _play(play, probe, span, played)
                    for play, probe in zip(plays, probes, strict=True)
                )
            )
        for _ in range(LAST_ROUNDS_MAX):
            await _settle(probes)
            if not any(play.pending or play.buyer.unpaid for play in plays):
                break
            await asyncio.gather(*(_work_off(play) for play in plays))
        await _settle(probes)
        seconds = clock() - begun
        # Peers are told of months, stock, places and allotments some seconds after they last
        # changed: not part of the year, but of what is looked at after it.
        for service, exists in UNTOLD.items():
            await _until_none(probes, service, f"SELECT EXISTS ({exists})")
        await _settle(probes)
    progress(facts.WEEKS, sum(play.done for play in plays), sum(play.asked for play in plays))
    left = [f"{p.office.region} {act.form} {act.row_id}" for p in plays for act in p.pending]
    return Played(seconds, sum(play.asked for play in plays), left)


def spans(barriers: Collection[int]) -> list[range]:
    """Cut the year before each of the weeks `barriers`: within a span no region waits for another.

    Money from the grantor is the only thing that a region's week needs of another region.
    """
    starts = sorted({1, *barriers})
    ends = [*starts[1:], facts.WEEKS + 1]
    return [range(start, end) for start, end in zip(starts, ends, strict=True)]


async def _play(
    play: RegionPlay, probe: RegionProbe, weeks: range, played: Callable[[str, int], None]
) -> None:
    """Play weeks in one region; it comes to rest in each before aid is handed over."""
    for week in weeks:
        await play.begin_week(week)
        await _settle([probe], OWN)
        await play.end_week(week)
        played(play.office.region, week)


async def _work_off(play: RegionPlay) -> None:
    await play.work_off(facts.WEEKS)
    await play.buyer.pay(facts.WEEKS + LAST_ROUNDS_MAX)


async def _settle(probes: list[RegionProbe], streams: Collection[Stream] = tuple(Stream)) -> None:
    # A need that is being asked for says at once that there is work; only when none is left is
    # it worth looking at every outbox and every durable.
    asking = "SELECT EXISTS (SELECT FROM need WHERE state IN ('approved', 'held'))"
    await _until_none(probes, "intake", asking)
    noisy = await wait_quiet(probes, QUIET_S_MAX, streams)
    if noisy:
        raise RefusedError(f"no rest within {QUIET_S_MAX:.0f} s: {noisy}")


async def _until_none(probes: list[RegionProbe], service: str, exists: str) -> None:
    """Wait until a question to a service's database is answered with no, in every region.

    Raises:
        RefusedError: it is not within `QUIET_S_MAX`.
    """
    deadline = time.monotonic() + QUIET_S_MAX
    for probe in probes:
        while await probe.connections[service].fetchval(exists):
            if time.monotonic() > deadline:
                raise RefusedError(f"{probe.name}: {service} does not come to rest")
            await asyncio.sleep(POLL_S)


def _area(region: str) -> str:
    """The first area that names a region as its own, for what is bought there."""
    return next((area.code for area in facts.AREAS if region in area.regions), facts.KYIV)
