"""Goods between regions on this machine: what both ends say of one shipment."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from aidmesh.quiet import RegionProbe
from aidmesh.verification.ends import strayed
from aidmesh.verification.outcome import Outcome, outcome


class Side(NamedTuple):
    """A shipment as one region has it.

    Attributes:
        lines: id, item, pieces sent, then good, damaged, short and surplus, if counted.
    """

    from_region: str
    to_region: str
    sent: str
    lines: tuple[tuple[object, ...], ...]


async def shipments_match(
    probes: Sequence[RegionProbe], elsewhere: Mapping[str, Collection[str]]
) -> Outcome:
    """Both ends of a shipment have the same lines, and the same counts of them.

    Args:
        elsewhere: by region, its peers that do not run here.
    """
    seen: dict[UUID, dict[str, Side]] = {}
    for probe in probes:
        rows = await probe.connections["inventory"].fetch(
            """
            SELECT s.id, s.from_region, s.to_region, s.sent,
                   COALESCE(array_agg((l.line_id, l.item, l.quantity, l.good, l.damaged, l.short,
                                       l.surplus) ORDER BY l.line_id)
                            FILTER (WHERE l.line_id IS NOT NULL), '{}') AS lines
            FROM shipment s LEFT JOIN shipment_line l ON l.shipment_id = s.id GROUP BY s.id
            """
        )
        for row in rows:
            seen.setdefault(row["id"], {})[probe.name] = Side(
                row["from_region"],
                row["to_region"],
                row["sent"],
                tuple(tuple(each) for each in row["lines"]),
            )
    here = {probe.name for probe in probes}
    return outcome(
        "mesh.shipments_match",
        "every piece that left a region for another is in transit, or was counted there",
        odd_shipments(seen, here, elsewhere),
    )


def odd_shipments(
    seen: Mapping[UUID, Mapping[str, Side]],
    here: Collection[str],
    elsewhere: Mapping[str, Collection[str]],
) -> list[str]:
    """What is wrong with shipments, each as the regions that know it have it."""
    odd: list[str] = []
    for shipment_id, by_region in seen.items():
        some = next(iter(by_region.values()))
        ends = {some.from_region, some.to_region}
        odd += strayed(f"shipment {shipment_id}", ends, by_region, here, elsewhere)
        if len(set(by_region.values())) > 1:
            odd.append(f"shipment {shipment_id} is not the same at both ends")
    return odd
