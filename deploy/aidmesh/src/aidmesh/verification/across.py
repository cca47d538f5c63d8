"""What holds between services of a region, and between regions."""

from collections.abc import Sequence
from uuid import UUID

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
        "SELECT id, attempt_no FROM need WHERE state = 'fulfilled' AND NOT given"
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


async def transfers_match(probes: Sequence[RegionProbe]) -> Outcome:
    """Money that left a region for another arrived there once, with the same amount."""
    ends: dict[UUID, dict[str, tuple[int, str, str]]] = {}
    for probe in probes:
        rows = await probe.connections["payments"].fetch(
            "SELECT id, from_region, to_region, amount_minor, currency, state FROM transfer"
        )
        for row in rows:
            ends.setdefault(row["id"], {})[probe.name] = (
                row["amount_minor"],
                row["currency"],
                row["state"],
            )
            ends[row["id"]].setdefault(f"<{row['from_region']}>", (0, "", ""))
            ends[row["id"]].setdefault(f">{row['to_region']}<", (0, "", ""))
    here = {probe.name for probe in probes}
    odd: list[str] = []
    for transfer_id, seen in ends.items():
        regions = {name.strip("<>") for name in seen}
        known = {name: seen[name] for name in seen if not name.startswith(("<", ">"))}
        amounts = {(amount, currency) for amount, currency, _ in known.values()}
        if len(amounts) > 1:
            odd.append(f"transfer {transfer_id}: {sorted(amounts)}")
        if regions <= here and set(known) != regions:
            odd.append(f"transfer {transfer_id} is only known to {', '.join(sorted(known))}")
        if any(state != "received" for _, _, state in known.values()) and regions <= here:
            odd.append(f"transfer {transfer_id} is still in transit")
    return outcome(
        "mesh.transfers_match",
        "every transfer of money arrived once, with the amount that left",
        odd,
    )
