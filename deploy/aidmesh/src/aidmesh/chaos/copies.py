"""What a region has of another one, against what that one has itself."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from aidmesh.chaos.violation import Violation
from aidmesh.quiet import RegionProbe

SHOWN_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Copy:
    """A table of one service that others have a copy of.

    Attributes:
        own: what the owner has, by its first column; `$1` is its region, if it needs that.
        copied: what a peer has of the region `$1`.
    """

    name: str
    service: str
    own: str
    copied: str


_WAITS: Final = """
    SELECT programme || '/' || currency, amount_minor, chosen_minor, version FROM wait
    WHERE region = $1
"""
COPIES: Final = (
    Copy(
        "sites",
        "inventory",
        "SELECT id::text, area, site_type, status FROM site",
        "SELECT site_id::text, area, site_type, status FROM world_site WHERE region = $1",
    ),
    Copy(
        "free stock",
        "inventory",
        "SELECT site_id || ' ' || item, on_hand, free, version FROM stock_state WHERE version > 0",
        "SELECT site_id || ' ' || item, on_hand, free, version FROM world_stock WHERE region = $1",
    ),
    Copy(
        "free places",
        "inventory",
        "SELECT site_id || ' ' || code, first_on, free_by_day, total FROM capacity_state "
        "WHERE first_on IS NOT NULL",
        "SELECT site_id || ' ' || code, first_on, free_by_day, total FROM world_capacity "
        "WHERE region = $1",
    ),
    Copy(
        "grants",
        "payments",
        "SELECT g.id::text, g.code, g.currency, g.status, g.amount_minor, g.received_minor "
        "FROM donor_grant g",
        "SELECT grant_id::text, code, currency, status, amount_minor, received_minor "
        "FROM grant_terms WHERE grantor = $1",
    ),
    Copy(
        "allotments",
        "payments",
        "SELECT id::text, received_minor, returned_minor, held_minor, committed_minor, "
        "spent_minor, status FROM allotment",
        "SELECT allotment_id::text, received_minor, returned_minor, held_minor, committed_minor, "
        "spent_minor, status FROM allotment_elsewhere WHERE holder = $1",
    ),
    Copy(
        "waits for money",
        "payments",
        _WAITS,
        _WAITS,
    ),
    Copy(
        "months",
        "reporting",
        "SELECT month, version FROM published_month",
        "SELECT month, version FROM world_month WHERE region = $1",
    ),
    *(
        Copy(
            f"keys of {service}",
            service,
            "SELECT purpose, version, public FROM own_key",
            "SELECT purpose, version, public FROM peer_key WHERE region = $1",
        )
        for service in ("intake", "inventory", "payments")
    ),
)


async def differing_copies(probes: Sequence[RegionProbe]) -> AsyncIterator[Violation]:
    """Every copy that is not what its owner has."""
    for owner in probes:
        for copy in COPIES:
            own = {
                row[0]: tuple(row)[1:]
                for row in await owner.connections[copy.service].fetch(
                    copy.own, *([owner.name] if "$1" in copy.own else [])
                )
            }
            for peer in probes:
                if peer is owner:
                    continue
                rows = await peer.connections[copy.service].fetch(copy.copied, owner.name)
                theirs = {row[0]: tuple(row)[1:] for row in rows}
                odd = differences(own, theirs)
                if odd:
                    yield Violation(
                        "read copies equal the owners'",
                        peer.name,
                        f"{copy.name} of {owner.name}: {'; '.join(odd[:SHOWN_MAX])}"
                        f"{f' and {len(odd) - SHOWN_MAX} more' if len(odd) > SHOWN_MAX else ''}",
                        tuple(_ids(own, theirs)),
                    )


Rows = dict[str, tuple[object, ...]]


def differences(own: Rows, theirs: Rows) -> list[str]:
    """What is not the same in a copy, in words. Pure."""
    return [
        f"{key}: {theirs.get(key, 'missing')}, not {own.get(key, 'there')}"
        for key in sorted(own.keys() | theirs.keys())
        if own.get(key) != theirs.get(key)
    ]


def _ids(own: Rows, theirs: Rows) -> list[str]:
    odd = [key for key in own.keys() | theirs.keys() if own.get(key) != theirs.get(key)]
    return sorted({key.split(" ")[0] for key in odd})[:SHOWN_MAX]
