"""Runs every check against a mesh on this machine."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from aidmesh.meshfile import MeshFile
from aidmesh.quiet import RegionProbe, probing, wait_quiet
from aidmesh.verification.across import (
    facts_are_booked,
    holds_belong_to_live_attempts,
    services_agree,
    transfers_match,
)
from aidmesh.verification.outcome import Outcome, Verification, outcome
from aidmesh.verification.privacy import (
    canary_pattern,
    logs_are_clean,
    sample,
    tables_are_clean,
)
from aidmesh.verification.streams import (
    Read,
    Sent,
    read_stream,
    sent_by,
    sent_is_there,
    there_is_taken,
)
from aidmesh_chassis.checks import Check
from aidmesh_contracts.streams import Stream
from aidmesh_intake.checks import CHECKS as INTAKE
from aidmesh_inventory.checks import CHECKS as INVENTORY
from aidmesh_notification.checks import CHECKS as NOTIFICATION
from aidmesh_payments.checks import CHECKS as PAYMENTS
from aidmesh_reporting.checks import CHECKS as REPORTING

WORLD_LOOKS_MAX = 10
WORLD_LOOK_S = 1.0

OWN: dict[str, tuple[Check, ...]] = {
    "intake": INTAKE,
    "inventory": INVENTORY,
    "payments": PAYMENTS,
    "notification": NOTIFICATION,
    "reporting": REPORTING,
}


async def verify(
    data: Path, mesh: MeshFile, *, quiet_s_max: float, canaries: Sequence[str]
) -> Verification:
    """Wait for quiet, then check.

    Args:
        data: the mesh's data folder (its logs are searched too).
        mesh: what runs there.
        quiet_s_max: seconds to wait until nothing is on its way.
        canaries: planted personal values; up to `SEARCHED_MAX` of them are searched for.
    """
    async with probing(mesh) as probes:
        noisy = await wait_quiet(probes, quiet_s_max)
        if noisy:
            unsettled = "; ".join(
                f"{name}: {lag.unsent} unsent, {lag.untaken} untaken, {lag.failing} failing"
                for name, lag in noisy.items()
            )
            return Verification(settled=False, unsettled=unsettled, checks=())
        canaries = sample(canaries)
        pattern = canary_pattern(canaries)
        sent = {probe.name: await sent_by(probe) for probe in probes}
        reads = {
            probe.name: {
                stream: await read_stream(probe.client, stream, pattern)
                for stream in (Stream.EVENTS, Stream.LOCAL, Stream.PRIVATE)
            }
            for probe in probes
        }
        for probe in probes:
            expected = {
                row.event_id
                for name, rows in sent.items()
                if name != probe.name
                for row in rows
                if row.stream is Stream.EVENTS
            }
            reads[probe.name][Stream.WORLD] = await _read_world(probe, expected, pattern)
        outcomes: list[Outcome] = []
        for probe in probes:
            outcomes += await _check_region(probe, reads, sent[probe.name])
            if pattern is not None:
                outcomes.append(await tables_are_clean(probe, canaries))
                outcomes.append(logs_are_clean(probe.name, data / probe.name / "log", pattern))
                outcomes.append(
                    outcome(
                        f"{probe.name}.no_personal_data_in_events",
                        "none of the planted personal values is in an event",
                        [where for read in reads[probe.name].values() for where in read.suspicious],
                    )
                )
        outcomes.append(await transfers_match(probes))
    return Verification(settled=True, unsettled="", checks=tuple(outcomes))


async def _read_world(
    probe: RegionProbe, expected: set[UUID], pattern: re.Pattern[bytes] | None
) -> Read:
    """Read WORLD; an event sent a moment ago may still be on the link, so look again for it."""
    for _ in range(WORLD_LOOKS_MAX - 1):
        read = await read_stream(probe.client, Stream.WORLD, pattern)
        if expected <= set(read.by_seq.values()):
            return read
        await asyncio.sleep(WORLD_LOOK_S)
    return await read_stream(probe.client, Stream.WORLD, pattern)


async def _check_region(
    probe: RegionProbe, reads: dict[str, dict[Stream, Read]], sent: Sequence[Sent]
) -> list[Outcome]:
    outcomes = []
    for service, checks in OWN.items():
        for check in checks:
            rows = await probe.connections[service].fetch(check.sql)
            name = f"{probe.name}.{service}.{check.name}"
            outcomes.append(outcome(name, check.promise, [row[0] for row in rows]))
        dead = await probe.connections[service].fetch(
            "SELECT format('%s %s: %s', durable, event_id, reason) FROM dead_letter "
            "WHERE status = 'dead' ORDER BY id"
        )
        outcomes.append(
            outcome(
                f"{probe.name}.{service}.no_dead_letters",
                "no message waits for a person",
                [row[0] for row in dead],
            )
        )
    outcomes.append(await holds_belong_to_live_attempts(probe))
    outcomes.append(await services_agree(probe))
    outcomes.append(await facts_are_booked(probe))
    worlds = {name: read[Stream.WORLD] for name, read in reads.items() if name != probe.name}
    outcomes += sent_is_there(probe.name, sent, reads[probe.name], worlds)
    outcomes.append(await there_is_taken(probe, reads[probe.name]))
    return outcomes
