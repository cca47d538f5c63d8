"""What can be had of each kind of need: what inventory is asked, and what runs out. No I/O."""

from collections.abc import Mapping
from typing import Final

from aidmesh_console.clients.catalogue_views import Kind

LOW_PIECES: Final = 10


def wanted_of(kind: Kind) -> Mapping[str, object] | None:
    """What `POST /v1/supply:lookup` is asked of a kind; None where it is a matter of money."""
    if kind.stock:
        return {"code": kind.code, "stock": [each.model_dump() for each in kind.stock]}
    if kind.capacity is not None:
        place = {"resource": kind.capacity.resource, "code": kind.capacity.code}
        return {"code": kind.code, "place": place}
    return None


def low(free: Mapping[str, int], waiting: Mapping[str, int]) -> tuple[tuple[str, int, int], ...]:
    """Items that run out: fewer than `LOW_PIECES` free in the region, or fewer than who waits.

    Returns (item, free, needs that wait for it), the worst first.
    """
    short = [
        (item, free.get(item, 0), waiting.get(item, 0))
        for item in free.keys() | waiting.keys()
        if free.get(item, 0) < max(LOW_PIECES, waiting.get(item, 0))
    ]
    return tuple(sorted(short, key=lambda each: (-each[2], each[1], each[0])))
