"""Money between regions on this machine: what both ends say of one transfer."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from aidmesh.quiet import RegionProbe
from aidmesh.verification.ends import strayed
from aidmesh.verification.outcome import Outcome, outcome


class Transfer(NamedTuple):
    """Money between two regions, as one of them has it."""

    from_region: str
    to_region: str
    amount_minor: int
    currency: str
    state: str


async def transfers_match(
    probes: Sequence[RegionProbe], elsewhere: Mapping[str, Collection[str]]
) -> Outcome:
    """Money that left a region for another arrived there once, with the same amount.

    Args:
        elsewhere: by region, its peers that do not run here.
    """
    seen: dict[UUID, dict[str, Transfer]] = {}
    for probe in probes:
        rows = await probe.connections["payments"].fetch(
            "SELECT from_region, to_region, amount_minor, currency, state, id FROM transfer"
        )
        for row in rows:
            seen.setdefault(row["id"], {})[probe.name] = Transfer(*tuple(row)[:5])
    here = {probe.name for probe in probes}
    return outcome(
        "mesh.transfers_match",
        "every transfer of money arrived once, with the amount that left",
        odd_transfers(seen, here, elsewhere),
    )


def odd_transfers(
    seen: Mapping[UUID, Mapping[str, Transfer]],
    here: Collection[str],
    elsewhere: Mapping[str, Collection[str]],
) -> list[str]:
    """What is wrong with transfers, each as the regions that know it have it."""
    odd: list[str] = []
    for transfer_id, by_region in seen.items():
        some = next(iter(by_region.values()))
        ends = {some.from_region, some.to_region}
        odd += strayed(f"transfer {transfer_id}", ends, by_region, here, elsewhere)
        if len({(each.amount_minor, each.currency) for each in by_region.values()}) > 1:
            odd.append(f"transfer {transfer_id} has two amounts")
        arrived = by_region.get(some.to_region)
        if arrived is not None and arrived.state != "received":
            odd.append(f"transfer {transfer_id} never arrived")
        sent = by_region.get(some.from_region)
        if arrived is not None and sent is not None and sent.state != "received":
            odd.append(f"transfer {transfer_id} arrived, and {some.from_region} was never told")
    return odd
