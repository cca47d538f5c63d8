"""What the year came to, as the services report it: for the terminal and for `--json`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import quantiles

import asyncpg
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from aidmesh.connecting import close_database
from aidmesh.demo import facts
from aidmesh.demo.office import Office
from aidmesh.meshfile import MeshFile, RegionEntry
from aidmesh_chassis.auth import Role


class Check(BaseModel):
    """One invariant that was recomputed."""

    name: str
    ok: bool
    detail: str = ""


class Verified(BaseModel):
    """The outcome of `verify`."""

    ok: bool
    checks: list[Check]


class GrantResult(BaseModel):
    """Money of one grant, in minor units.

    Attributes:
        spending: what its allotments hold, committed and spent, in `spending_currency`.
    """

    code: str
    donor: str
    currency: str
    amount_minor: int
    received_minor: int
    allotted_minor: int
    spending_currency: str
    received_by_holders_minor: int
    returned_minor: int
    held_minor: int
    committed_minor: int
    spent_minor: int


class RegionResult(BaseModel):
    """One region's part."""

    region: str
    people: int
    services: int
    contacts: int
    waitlisted: int
    console: str


class Latency(BaseModel):
    """From approval to ready, for needs that were served at their first attempt."""

    p50: float
    p95: float
    needs: int


class DemoResult(BaseModel):
    """What `aidmesh demo --json` writes."""

    model_config = ConfigDict(extra="forbid")

    scale: float
    seed: int
    people: int
    services: int
    contacts: int
    services_by_kind: dict[str, int]
    services_by_area: dict[str, int]
    people_by_area: dict[str, int]
    regions: list[RegionResult]
    grants: list[GrantResult]
    waitlisted: int
    waiting_for: dict[str, int]
    seconds: float = Field(description="from the first row to the last answer, start-up left out")
    needs: int
    needs_per_s: float
    latency_ms: Latency
    verify: Verified


class Scenario(BaseModel):
    """What the scenario's files say the year comes to."""

    people: int
    services: int
    contacts: int
    waitlisted: int
    cancelled: int
    services_by_kind: dict[str, int]


class Line(BaseModel):
    """One line of reporting's answer."""

    model_config = ConfigDict(extra="ignore")

    kind: str | None = None
    area: str | None = None
    people: int = 0
    services: int = 0
    contacts: int = 0


class Reported(BaseModel):
    """A region's own results of the year."""

    model_config = ConfigDict(extra="ignore")

    lines: list[Line]
    total: Line


class _Grant(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: str
    donor: str
    currency: str
    amount_minor: int
    received_minor: int
    allotted_minor: int
    holders: list[dict[str, object]]


_GRANTS = TypeAdapter(list[_Grant])
_PERIOD = {"from": facts.FIRST_DAY.isoformat(), "to": facts.LAST_DAY.isoformat()}
_LATENCIES = """
SELECT extract(epoch FROM ready.at - approved.at)::float8 * 1000 AS ms
FROM (SELECT need_id, min(at) AS at FROM need_event
      WHERE state = 'approved' AND attempt_no = 1 GROUP BY need_id) approved
JOIN (SELECT need_id, min(at) AS at FROM need_event
      WHERE state = 'ready' AND attempt_no = 1 GROUP BY need_id) ready USING (need_id)
"""


async def reported(office: Office, by: str) -> Reported:
    """Ask a region's reporting for the year."""
    content = await office.get("reporting", "/v1/results", Role.LEAD, {**_PERIOD, "by": by})
    return Reported.model_validate_json(content)


async def grants_of(office: Office) -> list[GrantResult]:
    """Ask the grantor's payments what became of every grant, in all regions."""
    rows = await office.every("payments", "/v1/grants/summary", Role.FINANCE, "grants")
    found = []
    for grant in _GRANTS.validate_python(rows):
        sums = {
            name: sum(int(str(holder[name])) for holder in grant.holders)
            for name in (
                "received_minor", "returned_minor", "held_minor", "committed_minor", "spent_minor",
            )
        }  # fmt: skip
        currencies = {str(holder["currency"]) for holder in grant.holders}
        found.append(
            GrantResult(
                code=grant.code,
                donor=grant.donor,
                currency=grant.currency,
                amount_minor=grant.amount_minor,
                received_minor=grant.received_minor,
                allotted_minor=grant.allotted_minor,
                spending_currency=next(iter(currencies), grant.currency),
                received_by_holders_minor=sums["received_minor"],
                returned_minor=sums["returned_minor"],
                held_minor=sums["held_minor"],
                committed_minor=sums["committed_minor"],
                spent_minor=sums["spent_minor"],
            )
        )
    return found


async def waiting_of(office: Office) -> Counter[str]:
    """What needs of a region wait for, by item, place or money."""
    waiting: Counter[str] = Counter()
    for row in await office.every("intake", "/v1/waitlist", Role.LEAD, "waiting"):
        waiting[f"{row['resource']}/{row['code']}"] += int(str(row["needs"]))
    return waiting


async def latencies_ms(entry: RegionEntry) -> list[float]:
    """How long each need took from approval to ready, in the operator's view of the database."""
    conn = await asyncpg.connect(entry.admin_dsn("intake"), timeout=10)
    try:
        return [row["ms"] for row in await conn.fetch(_LATENCIES)]
    finally:
        await close_database(conn)


def latency(values: Sequence[float]) -> Latency:
    """Median and 95th percentile."""
    if len(values) < 2:
        value = values[0] if values else 0.0
        return Latency(p50=value, p95=value, needs=len(values))
    cuts = quantiles(values, n=20, method="inclusive")
    return Latency(p50=round(cuts[9], 1), p95=round(cuts[18], 1), needs=len(values))


async def collect(
    mesh: MeshFile,
    offices: Mapping[str, Office],
    *,
    scale: float,
    seed: int,
    seconds: float,
    needs: int,
    verified: Verified,
) -> DemoResult:
    """Ask every region what the year came to, and add it up.

    People of different regions are different people here: the scenario has nobody in two.
    """
    by_kind: Counter[str] = Counter()
    by_area: Counter[str] = Counter()
    people_by_area: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    times: list[float] = []
    regions = []
    grants: list[GrantResult] = []
    for name, office in offices.items():
        for line in (await reported(office, "kind")).lines:
            by_kind[line.kind or ""] += line.services
        areas = await reported(office, "area")
        for line in areas.lines:
            by_area[line.area or ""] += line.services
            people_by_area[line.area or ""] += line.people
        waits = await waiting_of(office)
        waiting.update(waits)
        times += await latencies_ms(mesh.regions[name])
        grants += await grants_of(office)
        regions.append(
            RegionResult(
                region=name,
                people=areas.total.people,
                services=areas.total.services,
                contacts=areas.total.contacts,
                waitlisted=waits.total(),
                console=mesh.regions[name].services["console"].url,
            )
        )
    return DemoResult(
        scale=scale,
        seed=seed,
        people=sum(region.people for region in regions),
        services=sum(region.services for region in regions),
        contacts=sum(region.contacts for region in regions),
        services_by_kind=dict(sorted(by_kind.items())),
        services_by_area=dict(sorted(by_area.items())),
        people_by_area=dict(sorted(people_by_area.items())),
        regions=regions,
        grants=grants,
        waitlisted=waiting.total(),
        waiting_for=dict(waiting.most_common()),
        seconds=round(seconds, 2),
        needs=needs,
        needs_per_s=round(needs / seconds, 1) if seconds else 0.0,
        latency_ms=latency(times),
        verify=verified,
    )


def scenario_checks(result: DemoResult, scenario: Scenario) -> list[Check]:
    """Compare what the mesh reports with what the files say it must come to."""
    pairs = [
        ("people", result.people, scenario.people),
        ("services", result.services, scenario.services),
        ("contacts", result.contacts, scenario.contacts),
        ("waitlisted", result.waitlisted, scenario.waitlisted),
    ]
    kinds = sorted({*result.services_by_kind, *scenario.services_by_kind})
    pairs += [
        (kind, result.services_by_kind.get(kind, 0), scenario.services_by_kind.get(kind, 0))
        for kind in kinds
    ]
    return [
        Check(
            name=f"scenario.{name}",
            ok=found == wanted,
            detail="as the scenario says" if found == wanted else f"{found}, not {wanted}",
        )
        for name, found, wanted in pairs
    ]
