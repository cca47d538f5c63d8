"""Payouts that one region holds and another one's office pays: both say the same of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome

_HELD = """
    SELECT id, assigned_to, state, amount_minor, bank_reference FROM payout
    WHERE assigned_to IS NOT NULL
"""
_TAKEN_BACK = "SELECT id FROM payout WHERE taken_from <> '{}' AND assigned_to IS NULL"
_PAID = "SELECT id, region, state, amount_minor, bank_reference FROM paying_order"


class Paid(NamedTuple):
    """A payout as one of the two has it.

    Attributes:
        other: at the holder the paying office, at that the holder.
        amount_minor: None at an office that was asked for it back before it came, or could not
            read what came.
    """

    other: str
    state: str
    amount_minor: int | None
    bank_reference: str | None


async def payouts_agree(probes: Sequence[RegionProbe]) -> Outcome:
    """At rest the holder of a payout and the office that pays it agree about its state and sum.

    Those of regions on other machines, and those with a handoff on its way, are left out; so are
    those that came back while that office was held for lost: people find out about them.
    """
    held: dict[str, Mapping[UUID, Paid]] = {}
    paid: dict[str, Mapping[UUID, Paid]] = {}
    moving: set[UUID] = set()
    for probe in probes:
        conn = probe.connections["payments"]
        for found, query in ((held, _HELD), (paid, _PAID)):
            rows = await conn.fetch(query)
            found[probe.name] = {row["id"]: Paid(*tuple(row)[1:]) for row in rows}
        waiting = await conn.fetch(
            "SELECT DISTINCT (headers ->> 'ce-subject')::uuid AS id FROM handoff "
            "WHERE status = 'waiting' AND awaits_answer"
        )
        moving |= {row["id"] for row in [*waiting, *await conn.fetch(_TAKEN_BACK)]}
    return outcome(
        "mesh.payouts_agree",
        "a payout that another region's office pays is in the same state, once, at both",
        odd_payouts(held, paid, moving),
    )


def odd_payouts(
    held: Mapping[str, Mapping[UUID, Paid]],
    paid: Mapping[str, Mapping[UUID, Paid]],
    moving: set[UUID],
) -> list[str]:
    """What the two sides do not agree about, by region; both must be here to be compared."""
    odd: list[str] = []
    for region, payouts in held.items():
        for payout_id, ours in payouts.items():
            if payout_id in moving or ours.other not in paid:
                continue
            theirs = paid[ours.other].get(payout_id)
            if theirs is None or theirs.other != region:
                odd.append(f"payout {payout_id} of {region} is not known in {ours.other}")
                continue
            state = "approved" if theirs.state == "received" else theirs.state
            same_sum = theirs.amount_minor in (None, ours.amount_minor)
            if (state, theirs.bank_reference) != (ours.state, ours.bank_reference) or not same_sum:
                odd.append(
                    f"payout {payout_id}: {ours.state} in {region}, {theirs.state} in {ours.other}"
                )
    for region, orders in paid.items():
        odd += [
            f"order {payout_id} in {region} is no payout of {order.other}"
            for payout_id, order in orders.items()
            if payout_id not in moving
            and order.other in held
            and payout_id not in held[order.other]
        ]
    return odd
