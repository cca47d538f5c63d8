"""How many needs a second one region takes from the first byte of an import to the last message,
and how many rows a second an import takes in by itself.

The mix is half stock, three tenths a slot that also costs money, two tenths cash. Everything is
as in service: encryption on, PostgreSQL and JetStream on disk with every flush, contacts that are
safe, approval by the catalogue's rule. Setting up is not counted.
"""

import asyncio
import csv
import io
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import psutil

from aidmesh.credentials import create_keys
from aidmesh.demo.office import Office
from aidmesh.mesh import Mesh, running_mesh
from aidmesh.quiet import RegionProbe, probing, wait_quiet
from aidmesh_chassis.auth import Role

REGION = "kyiv"
AREA = "UA80"
ROUND_S_MAX = 900.0
POLL_S = 0.1
PACE_S = 5.0
SLOT_DAYS = 18
SLOTS_A_DAY = 8
STOCK_SHARE, SLOT_SHARE = 0.5, 0.3
BY_A_PERSON = "medicine"
"""A kind that no rule approves."""


@dataclass(frozen=True, slots=True)
class Round:
    """One measured import.

    Attributes:
        seconds: from the first byte sent to the last message queued.
        import_s: until the import answered; what is left is the saga catching up.
        events: written to all outboxes meanwhile.
        cpu_ms_per_need: by what used it; with it figures compare on a machine that is shared.
    """

    needs: int
    seconds: float
    needs_per_s: float
    import_s: float
    events: int
    events_per_s: float
    ready: int
    cpu_ms_per_need: dict[str, float]


async def bench_needs(
    data: Path,
    needs: int,
    rounds: int,
    *,
    apart: bool,
    nodes: int = 1,
    replicas: int = 1,
    say: Callable[[str], None],
) -> dict[str, object]:
    """Measure in a region of its own.

    Args:
        data: empty folder for the region.
        needs: per round.
        rounds: the median of these is the figure.
        apart: one process per service instead of one for all.
        nodes: NATS servers.
        replicas: copies of each service.
        say: gets a line per step.

    Returns:
        `needs_per_s` (median) and what it is made of.
    """
    keys = data / "keys" / REGION
    create_keys(keys)
    async with running_mesh(
        data,
        (REGION,),
        lambda _: keys,
        apart=apart,
        nodes=nodes,
        replicas=replicas,
        announce=say,
    ) as mesh:
        office = Office(REGION, mesh.file.regions[REGION], {role: uuid4() for role in Role})
        try:
            await _set_up(office, needs * rounds)
            say("the region is set up")
            done = [
                await _round(mesh, office, number, needs, say) for number in range(1, rounds + 1)
            ]
        finally:
            await office.close()
    median = statistics.median(each.needs_per_s for each in done)
    return {
        "needs_per_s": round(median, 1),
        "needs": needs,
        "mix": {"stock": STOCK_SHARE, "slot_and_money": SLOT_SHARE, "money": 0.2},
        "processes": "one per service" if apart else "one for all services",
        "nodes": nodes,
        "replicas": replicas,
        "rounds": [asdict(each) for each in done],
    }


async def bench_import(
    data: Path, rows: int, rounds: int, *, say: Callable[[str], None]
) -> dict[str, object]:
    """Measure how fast files come in by themselves: no need of them is approved by a rule.

    Args:
        data: empty folder for the region.
        rows: per file; each a new person with sealed details and a need.
        rounds: the median of these is the figure.
        say: gets a line per step.

    Returns:
        `rows_per_s` (median), of each file, and of a dry run of as many rows.
    """
    keys = data / "keys" / REGION
    create_keys(keys)
    figures: list[float] = []
    async with running_mesh(data, (REGION,), lambda _: keys, announce=say) as mesh:
        office = Office(REGION, mesh.file.regions[REGION], {role: uuid4() for role in Role})
        try:
            dry = await _import(office, 0, [BY_A_PERSON] * rows, dry_run=True)
            for number in range(1, rounds + 1):
                figures.append(await _import(office, number, [BY_A_PERSON] * rows))
                say(f"file {number}: {figures[-1]:.0f} rows/s")
        finally:
            await office.close()
    return {
        "rows_per_s": round(statistics.median(figures)),
        "rows": rows,
        "files": [round(each) for each in figures],
        "dry_run_rows_per_s": round(dry),
    }


async def _import(
    office: Office, number: int, kinds: Sequence[str], *, dry_run: bool = False
) -> float:
    """Send one file and return rows a second from its first byte to the answer."""
    body = _file(number, kinds)
    started = time.monotonic()
    answer = await office.post(
        "intake",
        "/v1/requests:import",
        Role.CASEWORKER,
        content=body,
        content_type="text/csv",
        query={"source": f"bench{number}", "dry_run": str(dry_run).lower()},
    )
    seconds = time.monotonic() - started
    report = answer.json()
    if report["accepted"] != len(kinds):
        raise RuntimeError(f"the import took {report['accepted']} of {len(kinds)} rows: {report}")
    return len(kinds) / seconds


async def _set_up(office: Office, needs: int) -> None:
    """Enough of everything, so that nobody waits."""
    today = datetime.now(UTC).date()
    site = {"code": "bench", "name": "bench", "area": AREA, "site_type": "center"}
    answer = await office.post("inventory", "/v1/sites", Role.LOGISTICIAN, site)
    site_id = UUID(answer.json()["site_id"])
    names = dict.fromkeys(("uk", "en", "de"), "parcel")
    await office.post(
        "inventory", "/v1/items", Role.LOGISTICIAN, {"code": "food_parcel", "names": names}
    )
    lots = [
        {
            "row_id": f"lot{number}",
            "site_id": str(site_id),
            "item": "food_parcel",
            "quantity": needs // 10 + 10,
            "expiry": str(today + timedelta(days=90 + number)),
        }
        for number in range(10)
    ]
    await office.rows("inventory", "/v1/receipts:bulk", Role.LOGISTICIAN, "bench", lots)
    morning = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0)
    professionals = int(needs * SLOT_SHARE) // (SLOT_DAYS * SLOTS_A_DAY) + 1
    slots = [
        {
            "row_id": f"{who}/{day}/{hour}",
            "site_id": str(site_id),
            "code": "counseling_paid",
            "professional": f"p{who}",
            "starts_at": (morning + timedelta(days=day, hours=hour)).isoformat(),
            "minutes": 50,
            "seats": 1,
        }
        for who in range(professionals)
        for day in range(1, SLOT_DAYS + 1)
        for hour in range(SLOTS_A_DAY)
    ]
    await office.rows("inventory", "/v1/slots:bulk", Role.LOGISTICIAN, "bench", slots)
    await _fund(office, needs * 400_000)


async def _fund(office: Office, amount_minor: int) -> None:
    today = datetime.now(UTC).date()
    donor = await office.post("payments", "/v1/donors", Role.FINANCE, {"name": "bench"})
    grant = {
        "donor_id": donor.json()["donor_id"],
        "code": "bench",
        "currency": "UAH",
        "amount_minor": amount_minor,
        "period_from": str(today),
        "period_to": str(today + timedelta(days=365)),
        "budget_lines": [{"code": "aid", "amount_minor": amount_minor}],
    }
    made = await office.post("payments", "/v1/grants", Role.FINANCE, grant)
    grant_id = made.json()["grant_id"]
    await office.post("payments", f"/v1/grants/{grant_id}:activate", Role.LEAD)
    instalment = {
        "row_id": "1",
        "grant": "bench",
        "amount_minor": amount_minor,
        "received_on": str(today),
        "bank_reference": "bench",
    }
    await office.rows("payments", "/v1/instalments:bulk", Role.FINANCE, "bench", [instalment])
    allotment = {
        "grant_id": grant_id,
        "budget_line": "aid",
        "amount_minor": amount_minor,
        "currency": "UAH",
    }
    await office.post("payments", "/v1/allotments", Role.FINANCE, allotment)


def _mix(number: int, needs: int) -> list[str]:
    """The kinds of a round's needs, shuffled."""
    kinds = ["food_parcel"] * int(needs * STOCK_SHARE)
    kinds += ["counseling_paid"] * int(needs * SLOT_SHARE)
    kinds += ["financial_aid"] * (needs - len(kinds))
    random.Random(number).shuffle(kinds)  # noqa: S311 - a fixed order of kinds
    return kinds


def _file(number: int, kinds: Sequence[str]) -> bytes:
    """An import: distinct people, each with details, a safe contact and one need."""
    text = io.StringIO()
    columns = [
        "row_id", "client_code", "chosen_name", "birth_year", "contact_channel",
        "contact_address", "contact_hours", "contact_wording", "contact_safe", "consents",
        "languages", "area", "place_area", "kind", "payee_mechanism", "payee_name",
    ]  # fmt: skip
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row, kind in enumerate(kinds):
        payee = (
            {"payee_mechanism": "cash", "payee_name": f"Bench Person {row}"}
            if kind == "financial_aid"
            else {}
        )
        writer.writerow(
            {
                "row_id": f"{number}-{row}",
                "client_code": f"B{number}-{row}",
                "chosen_name": f"Person {row}",
                "birth_year": 1960 + row % 45,
                "contact_channel": "sms",
                "contact_address": f"+38050{number:01d}{row:06d}",
                "contact_hours": "09:00-20:00",
                "contact_wording": "neutral",
                "contact_safe": "true",
                "consents": "contact",
                "languages": "uk",
                "area": AREA,
                "place_area": AREA,
                "kind": kind,
                **payee,
            }
        )
    return text.getvalue().encode()


async def _round(
    mesh: Mesh,
    office: Office,
    number: int,
    needs: int,
    say: Callable[[str], None],
) -> Round:
    kinds = _mix(number, needs)
    async with probing(mesh.file) as probes:
        await wait_quiet(probes, 60.0)
        (probe,) = probes
        queued_before = await _queued(probe)
        events_before = await _events(probe)
        cpu_before = _cpu_s(mesh)
        started = time.monotonic()
        import_s = needs / await _import(office, number, kinds)
        while (queued := await _queued(probe) - queued_before) < needs:
            if time.monotonic() - started > ROUND_S_MAX:
                raise RuntimeError(f"only {queued} of {needs} messages after {ROUND_S_MAX} s")
            # Counting costs the server: seldom at first, often when it is nearly done.
            await asyncio.sleep(max(POLL_S, PACE_S * (needs - queued) / needs))
        seconds = time.monotonic() - started
        events = await _events(probe) - events_before
        ready = await _ready(probe.connections["intake"])
        cpu_after = _cpu_s(mesh)
    done = Round(
        needs=needs,
        seconds=round(seconds, 2),
        needs_per_s=round(needs / seconds, 1),
        import_s=round(import_s, 2),
        events=events,
        events_per_s=round(events / seconds, 1),
        ready=ready,
        cpu_ms_per_need={
            name: round((cpu_after[name] - cpu_before[name]) * 1000 / needs, 3)
            for name in cpu_after
        },
    )
    say(f"round {number}: {done.needs_per_s} needs/s ({seconds:.1f} s, import {import_s:.1f} s)")
    return done


def _cpu_s(mesh: Mesh) -> dict[str, float]:
    """Seconds of processor time used so far, user and system, children included."""
    used = {}
    for name, pid in mesh.regions[REGION].pids.items():
        process = psutil.Process(pid)
        total = 0.0
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system
        ended = process.cpu_times()
        used[name] = total + ended.children_user + ended.children_system
    return used


async def _queued(probe: RegionProbe) -> int:
    return int(await probe.connections["notification"].fetchval("SELECT count(*) FROM message"))


async def _events(probe: RegionProbe) -> int:
    total = 0
    for conn in probe.connections.values():
        total += await conn.fetchval("SELECT COALESCE(max(seq), 0) FROM outbox")
    return total


async def _ready(conn: asyncpg.Connection) -> int:
    return int(await conn.fetchval("SELECT count(*) FROM need WHERE state = 'ready'"))
