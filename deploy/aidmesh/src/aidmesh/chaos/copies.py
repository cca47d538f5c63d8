"""What a region has of another one, against what that one has itself."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from aidmesh.chaos.violation import Violation
from aidmesh.quiet import RegionProbe
from aidmesh_contracts.reporting import MonthlyResultsV1
from aidmesh_reporting.handlers.publishing import content_hash

SHOWN_MAX: Final = 3

Row = tuple[object, ...]
Rows = dict[str, Row]


def _columns(row: asyncpg.Record) -> Row:
    """All but the first, which names the row."""
    return tuple(row)[1:]


def _month(row: asyncpg.Record) -> Row:
    """Version and hash of a month that another region published, as that region hashes it."""
    _, version, payload = row
    return (version, content_hash(MonthlyResultsV1.model_validate_json(payload)))


@dataclass(frozen=True, slots=True)
class Copy:
    """What one service of a region has, and others have a copy of.

    Attributes:
        service: the owner's.
        own: what the owner has, by its first column; `$1` is its region, if it needs that.
        copied: what a peer has of the region `$1`.
        reader: the service that has the copy, where it is another one.
        read: makes a row of the copy comparable with the owner's.
    """

    name: str
    service: str
    own: str
    copied: str
    reader: str = ""
    read: Callable[[asyncpg.Record], Row] = _columns

    @property
    def copied_by(self) -> str:
        """The service that has the copy."""
        return self.reader or self.service


_WAITS: Final = """
    SELECT programme || '/' || currency, amount_minor, chosen_minor, version FROM wait
    WHERE region = $1
"""
_PLACES: Final = """
    SELECT c.site_id || ' ' || c.resource || ' ' || c.code, s.area, c.told_on, c.told_by_day,
           c.version, c.told_total
    FROM capacity_state c JOIN site s ON s.id = c.site_id WHERE c.told_on IS NOT NULL
"""
COPIES: Final = (
    Copy(
        "sites",
        "inventory",
        "SELECT id::text, area, site_type, status, version FROM site",
        "SELECT site_id::text, area, site_type, status, version FROM world_site WHERE region = $1",
    ),
    Copy(
        "free stock",
        "inventory",
        "SELECT k.site_id || ' ' || k.item, s.area, k.on_hand, k.free, k.version "
        "FROM stock_state k JOIN site s ON s.id = k.site_id WHERE k.version > 0",
        "SELECT site_id || ' ' || item, area, on_hand, free, version FROM world_stock "
        "WHERE region = $1",
    ),
    Copy(
        "free places",
        "inventory",
        _PLACES,
        "SELECT site_id || ' ' || resource || ' ' || code, area, first_on, free_by_day, version, "
        "total FROM world_capacity WHERE region = $1",
    ),
    # By these two it is decided who is offered a bed or an appointment elsewhere.
    Copy(
        "places to refer to",
        "inventory",
        f"""SELECT key, area, first_on, free_by_day, version FROM ({_PLACES})
        AS p (key, area, first_on, free_by_day, version, total)""",  # noqa: S608 - a constant
        "SELECT site_id || ' ' || resource || ' ' || code, area, first_on, free_by_day, version "
        "FROM place_elsewhere WHERE region = $1",
        reader="intake",
    ),
    Copy(
        "sites to refer to",
        "inventory",
        "SELECT id::text, status, version FROM site",
        "SELECT site_id::text, status, version FROM site_elsewhere WHERE region = $1",
        reader="intake",
    ),
    Copy(
        "grants",
        "payments",
        "SELECT g.id::text, g.code, t.donor, g.currency, t.restriction, t.paying_office, "
        "t.terms_version, g.status, g.amount_minor, g.received_minor, g.version "
        "FROM donor_grant g JOIN grant_terms t ON t.grant_id = g.id",
        "SELECT grant_id::text, code, donor, currency, restriction, paying_office, "
        "terms_version, status, amount_minor, received_minor, state_version "
        "FROM grant_terms WHERE grantor = $1",
    ),
    Copy(
        "names of grants",
        "payments",
        "SELECT g.id::text, g.code, t.donor, g.currency, g.status, g.version "
        "FROM donor_grant g JOIN grant_terms t ON t.grant_id = g.id",
        "SELECT grant_id::text, code, donor, currency, status, version FROM grant_name "
        "WHERE region = $1",
        reader="reporting",
    ),
    Copy(
        "allotments",
        "payments",
        "SELECT id::text, grant_id, grantor, currency, received_minor, returned_minor, "
        "held_minor, committed_minor, spent_minor, status, version FROM allotment",
        "SELECT allotment_id::text, grant_id, grantor, currency, received_minor, returned_minor, "
        "held_minor, committed_minor, spent_minor, status, version "
        "FROM allotment_elsewhere WHERE holder = $1",
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
        "SELECT month, version, content_hash FROM published_month",
        "SELECT month, version, payload FROM world_month WHERE region = $1",
        read=_month,
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
                row[0]: _columns(row)
                for row in await owner.connections[copy.service].fetch(
                    copy.own, *([owner.name] if "$1" in copy.own else [])
                )
            }
            for peer in probes:
                if peer is owner:
                    continue
                rows = await peer.connections[copy.copied_by].fetch(copy.copied, owner.name)
                theirs = {row[0]: copy.read(row) for row in rows}
                odd = differences(own, theirs)
                if odd:
                    yield Violation(
                        "read copies equal the owners'",
                        peer.name,
                        f"{copy.name} of {owner.name}: {'; '.join(odd[:SHOWN_MAX])}"
                        f"{f' and {len(odd) - SHOWN_MAX} more' if len(odd) > SHOWN_MAX else ''}",
                        tuple(_ids(own, theirs)),
                    )


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
