"""Runs every check against a mesh on this machine: regions, and databases, at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Final

import asyncpg

from aidmesh.meshfile import MeshFile
from aidmesh.quiet import Lag, RegionProbe, probing, wait_quiet
from aidmesh.verification.across import (
    erased_everywhere,
    facts_are_booked,
    holds_belong_to_live_attempts,
    needs_of,
    ready_needs_have_their_aid,
    results_agree,
    services_agree,
    totals_agree,
    waiting_agrees,
)
from aidmesh.verification.handoffs import handoffs_arrived
from aidmesh.verification.links import links_agree
from aidmesh.verification.outcome import Outcome, Verification, outcome
from aidmesh.verification.payouts import payouts_agree
from aidmesh.verification.peers import peers_elsewhere, public_events_reported
from aidmesh.verification.privacy import (
    Canaries,
    logs_are_clean,
    logs_in,
    supervisor_logs_in,
    tables_are_clean,
)
from aidmesh.verification.rebalancings import rebalancings_match
from aidmesh.verification.referrals import referrals_match
from aidmesh.verification.shipments import shipments_match
from aidmesh.verification.streams import (
    Marks,
    Reads,
    marks_of,
    no_personal_data_in_events,
    public_events_reached,
    read_streams,
    sent_is_there,
    there_is_taken,
)
from aidmesh.verification.transfers import reissues_agree, transfers_match
from aidmesh_chassis.checks import Check
from aidmesh_intake.checks import CHECKS as INTAKE
from aidmesh_inventory.checks import CHECKS as INVENTORY
from aidmesh_notification.checks import CHECKS as NOTIFICATION
from aidmesh_payments.checks import CHECKS as PAYMENTS
from aidmesh_reporting.checks import CHECKS as REPORTING

OWN: dict[str, tuple[Check, ...]] = {
    "intake": INTAKE,
    "inventory": INVENTORY,
    "payments": PAYMENTS,
    "notification": NOTIFICATION,
    "reporting": REPORTING,
}

LOOKS_MAX: Final = 3
"""Of what fails while a region works: a sweep may wake somebody at any time."""


async def verify(
    data: Path, mesh: MeshFile, *, quiet_s_max: float, canaries: Sequence[str]
) -> Verification:
    """Wait for quiet, then check; see `check_at_rest`.

    Args:
        data: the mesh's data folder (its logs are searched too).
        mesh: what runs there.
        quiet_s_max: seconds to wait until nothing is on its way.
        canaries: planted personal values; every one is searched for.
    """
    planted = Canaries(canaries) if canaries else None
    async with probing(mesh) as probes:

        async def look() -> list[Outcome]:
            return await check_all(data, probes, planted, mesh.retired)

        noisy, outcomes = await check_at_rest(probes, look, quiet_s_max=quiet_s_max)
    unsettled = "; ".join(
        f"{name}: {lag.unsent} unsent, {lag.untaken} untaken, {lag.failing} failing"
        for name, lag in noisy.items()
    )
    return Verification(not noisy, unsettled, len(canaries), tuple(outcomes))


async def check_at_rest(
    probes: Sequence[RegionProbe],
    look: Callable[[], Awaitable[list[Outcome]]],
    *,
    quiet_s_max: float,
) -> tuple[dict[str, Lag], list[Outcome]]:
    """Look once nothing is on its way; again where that did not last, and two places differ.

    What one database shows at one moment is so, whatever moves; what two of them show a moment
    apart may differ by an event.

    Args:
        look: runs every check once.
        quiet_s_max: seconds to wait for quiet before each look.

    Returns:
        the regions that did not come to rest, and nothing; or none, and what was found.
    """
    outcomes: list[Outcome] = []
    for _ in range(LOOKS_MAX):
        noisy = await wait_quiet(probes, quiet_s_max)
        if noisy:
            return noisy, []
        before = await _written(probes)
        outcomes = await look()
        failing = {each.name for each in outcomes if not each.ok}
        if not failing or failing & _of_one_database(probes):
            break
        if await _written(probes) == before:
            break
    return {}, outcomes


async def _written(probes: Sequence[RegionProbe]) -> list[asyncpg.Record | None]:
    """The last that each service of each region has written to others."""
    return [
        await conn.fetchrow(
            "SELECT (SELECT max(seq) FROM outbox), (SELECT max(created_at) FROM handoff)"
        )
        for probe in probes
        for conn in probe.connections.values()
    ]


def _of_one_database(probes: Sequence[RegionProbe]) -> set[str]:
    return {
        _name(probe.name, service, check)
        for probe in probes
        for service, checks in OWN.items()
        for check in checks
    }


def _name(region: str, service: str, check: Check) -> str:
    return f"{region}.{service}.{check.name}"


async def check_all(
    data: Path,
    probes: Sequence[RegionProbe],
    canaries: Canaries | None,
    retired: Collection[str] = (),
) -> list[Outcome]:
    """Run every check once; what a probe's connections see is what is checked.

    What was between a region and one that has retired is left to how they parted.
    """
    here = [probe.name for probe in probes]
    linked = {probe.name: await peers_elsewhere(probe, here) for probe in probes}
    elsewhere = {name: [*peers, *sorted(retired)] for name, peers in linked.items()}
    marks = dict(zip(here, await asyncio.gather(*map(marks_of, probes)), strict=True))
    found = await asyncio.gather(
        *(
            _databases_and_streams(probe, canaries, world_is_a_copy=not elsewhere[probe.name])
            for probe in probes
        )
    )
    outcomes = [one for of_region, _ in found for one in of_region]
    reads = {name: read for name, (_, read) in zip(here, found, strict=True)}
    for compared in await asyncio.gather(
        *(_compare(probe, marks[probe.name], reads[probe.name]) for probe in probes)
    ):
        outcomes += compared
    for probe in probes:
        peers = [(peer, reads[peer.name]) for peer in probes if peer is not probe]
        if peers:
            outcomes.append(await public_events_reached(probe, marks[probe.name], peers))
        for peer in linked[probe.name]:
            outcomes.append(await public_events_reported(probe, marks[probe.name], peer))
    outcomes.append(await transfers_match(probes, elsewhere))
    outcomes.append(await rebalancings_match(probes, elsewhere))
    outcomes.append(await reissues_agree(probes))
    outcomes.append(await referrals_match(probes, elsewhere))
    outcomes.append(await links_agree(probes, elsewhere))
    outcomes.append(await shipments_match(probes, elsewhere))
    outcomes.append(await handoffs_arrived(probes))
    outcomes.append(await payouts_agree(probes))
    if canaries is not None:
        outcomes += await _search(data, probes, reads, canaries)
    return outcomes


async def _databases_and_streams(
    probe: RegionProbe, canaries: Canaries | None, *, world_is_a_copy: bool
) -> tuple[list[Outcome], Reads]:
    """The two do not mind each other: one works in the databases, the other here."""
    outcomes, reads = await asyncio.gather(
        check_databases(probe),
        read_streams(probe, canaries, world_is_a_copy=world_is_a_copy),
    )
    return outcomes, reads


async def check_databases(probe: RegionProbe) -> list[Outcome]:
    """What the databases of a region say, each by itself and together."""
    outcomes: list[Outcome] = []
    for of_service in await asyncio.gather(
        *(
            _check_service(probe.name, service, probe.connections[service], checks)
            for service, checks in OWN.items()
        )
    ):
        outcomes += of_service
    known = await needs_of(probe)
    return [
        *outcomes,
        holds_belong_to_live_attempts(probe.name, known),
        ready_needs_have_their_aid(probe.name, known),
        services_agree(probe.name, known),
        facts_are_booked(probe.name, known),
        await results_agree(probe),
        await waiting_agrees(probe),
        await totals_agree(probe),
        await erased_everywhere(probe),
    ]


async def _check_service(
    region: str, service: str, conn: asyncpg.Connection, checks: Sequence[Check]
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for check in checks:
        rows = await conn.fetch(check.sql)
        found = [row[0] for row in rows]
        outcomes.append(outcome(_name(region, service, check), check.promise, found))
    dead = await conn.fetch(
        "SELECT format('%s %s: %s', durable, event_id, reason) FROM dead_letter "
        "WHERE status = 'dead' ORDER BY id"
    )
    outcomes.append(
        outcome(
            f"{region}.{service}.no_dead_letters",
            "no message waits for a person",
            [row[0] for row in dead],
        )
    )
    return outcomes


async def _compare(probe: RegionProbe, marks: Sequence[Marks], reads: Reads) -> list[Outcome]:
    return [
        await sent_is_there(probe, marks, reads),
        await there_is_taken(probe, reads),
    ]


async def _search(
    data: Path,
    probes: Sequence[RegionProbe],
    reads: dict[str, Reads],
    canaries: Canaries,
) -> list[Outcome]:
    outcomes = list(await asyncio.gather(*(tables_are_clean(probe, canaries) for probe in probes)))
    for probe in probes:
        outcomes.append(no_personal_data_in_events(probe.name, reads[probe.name]))
        name = f"{probe.name}.no_personal_data_in_logs"
        outcomes.append(logs_are_clean(name, logs_in(data / probe.name / "log"), canaries))
    name = "mesh.no_personal_data_in_logs"
    outcomes.append(logs_are_clean(name, supervisor_logs_in(data), canaries))
    return outcomes
