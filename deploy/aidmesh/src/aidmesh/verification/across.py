"""What holds between services of a region, and between regions."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome

LIVE_STATES = ("approved", "held", "ready", "fulfilled")


async def holds_belong_to_live_attempts(probe: RegionProbe) -> Outcome:
    """Whatever is held or committed is held for the current attempt of a need that wants it."""
    needs = {
        row["id"]: (row["attempt_no"], row["state"])
        for row in await probe.connections["intake"].fetch("SELECT id, attempt_no, state FROM need")
    }
    held: list[tuple[str, UUID, int]] = [
        ("reservation", row["need_id"], row["attempt_no"])
        for row in await probe.connections["inventory"].fetch(
            "SELECT need_id, attempt_no FROM reservation WHERE state IN ('held', 'confirmed')"
        )
    ]
    held += [
        ("commitment", row["need_id"], row["attempt_no"])
        for row in await probe.connections["payments"].fetch(
            "SELECT need_id, attempt_no FROM commitment "
            "WHERE state IN ('held', 'committed') AND need_id IS NOT NULL"
        )
    ]
    stray = [
        f"{what} of need {need_id} attempt {attempt_no}: the need is {needs.get(need_id)}"
        for what, need_id, attempt_no in held
        if (found := needs.get(need_id)) is None
        or found[0] != attempt_no
        or found[1] not in LIVE_STATES
    ]
    return outcome(
        f"{probe.name}.holds_belong_to_live_attempts",
        "every hold belongs to the current attempt of a need that is being served",
        stray,
    )


async def services_agree(probe: RegionProbe) -> Outcome:
    """Needs that intake calls fulfilled were issued, settled or recorded as given."""
    rows = await probe.connections["intake"].fetch(
        "SELECT id, attempt_no FROM need WHERE state = 'fulfilled' AND NOT given "
        "AND (ask ->> 'capacity' IS NOT NULL OR ask ->> 'money' IS NOT NULL "
        "OR COALESCE(ask -> 'stock', '[]') <> '[]')"
    )
    issued = {
        row["need_id"]
        for row in await probe.connections["inventory"].fetch(
            "SELECT need_id FROM reservation WHERE state = 'issued'"
        )
    }
    spent = {
        row["need_id"]
        for row in await probe.connections["payments"].fetch(
            "SELECT need_id FROM commitment WHERE state = 'spent'"
        )
    }
    odd = [f"need {row['id']}" for row in rows if row["id"] not in issued | spent]
    counted = await probe.connections["reporting"].fetchval(
        "SELECT count(*) FROM service s WHERE NOT EXISTS (SELECT FROM reversal r "
        "WHERE r.need_id = s.need_id AND r.service_no = s.service_no)"
    )
    served = await probe.connections["intake"].fetchval(
        "SELECT count(*) FROM need WHERE state = 'fulfilled'"
    )
    if counted != served:
        odd.append(f"intake fulfilled {served} needs, reporting counts {counted} services")
    return outcome(
        f"{probe.name}.services_agree",
        "every fulfilled need was issued or paid, and is counted once in the results",
        odd,
    )


async def facts_are_booked(probe: RegionProbe) -> Outcome:
    """Aid entered as given is in the books or asked about; once it was reversed it is neither."""
    rows = await probe.connections["intake"].fetch(
        "SELECT id, state = 'fulfilled' AS stands, ask ->> 'money' IS NOT NULL AS of_money, "
        "ask ->> 'capacity' IS NOT NULL OR COALESCE(ask -> 'stock', '[]') <> '[]' AS of_supply "
        "FROM need WHERE given"
    )
    taken = {
        row["need_id"]
        for row in await probe.connections["inventory"].fetch(
            "SELECT need_id FROM reservation WHERE attempt_no = 0 AND state = 'issued'"
        )
    }
    borne = {
        row["need_id"]
        for row in await probe.connections["payments"].fetch(
            "SELECT need_id FROM commitment WHERE attempt_no = 0 AND state = 'spent' "
            "UNION SELECT need_id FROM discrepancy WHERE about = 'no_money' "
            "AND note IS DISTINCT FROM 'reversed'"
        )
    }
    odd: list[str] = []
    for row in rows:
        for booked, wanted, where in (
            (taken, row["of_supply"], "inventory"),
            (borne, row["of_money"], "payments"),
        ):
            if row["stands"] and wanted and row["id"] not in booked:
                odd.append(f"aid given for need {row['id']} is not booked in {where}")
            elif not row["stands"] and row["id"] in booked:
                odd.append(f"reversed aid of need {row['id']} is still booked in {where}")
    return outcome(
        f"{probe.name}.facts_are_booked",
        "aid entered as given is booked or asked about, and taken back when it was reversed",
        odd,
    )


async def transfers_match(probes: Sequence[RegionProbe]) -> Outcome:
    """Money that left a region for another arrived there once, with the same amount."""
    here = {probe.name for probe in probes}
    seen: dict[UUID, dict[str, asyncpg.Record]] = {}
    for probe in probes:
        rows = await probe.connections["payments"].fetch(
            "SELECT id, from_region, to_region, amount_minor, currency, state FROM transfer"
        )
        for row in rows:
            seen.setdefault(row["id"], {})[probe.name] = row
    odd: list[str] = []
    for transfer_id, by_region in seen.items():
        some = next(iter(by_region.values()))
        ends = {some["from_region"], some["to_region"]}
        if len({(row["amount_minor"], row["currency"]) for row in by_region.values()}) > 1:
            odd.append(f"transfer {transfer_id} has two amounts")
        if not ends <= here:
            continue
        arrived = by_region.get(some["to_region"])
        if set(by_region) != ends:
            odd.append(f"transfer {transfer_id} is known to {', '.join(sorted(by_region))} only")
        elif arrived is None or arrived["state"] != "received":
            odd.append(f"transfer {transfer_id} never arrived")
    return outcome(
        "mesh.transfers_match",
        "every transfer of money arrived once, with the amount that left",
        odd,
    )
