"""Kinds of need that take items which nobody has entered: whoever asks for them waits."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import asyncpg

from aidmesh.connecting import close_database
from aidmesh.doctor.findings import Finding
from aidmesh.meshfile import RegionEntry
from aidmesh.words import count

TAKES: Final = """
    SELECT take ->> 'item' AS item, array_agg(code ORDER BY code) AS kinds
    FROM kind CROSS JOIN LATERAL jsonb_array_elements(body -> 'stock') AS take
    WHERE (body ->> 'active')::boolean GROUP BY 1 ORDER BY 1
"""
WAITING: Final = """
    SELECT blocked_code AS item, count(*) AS needs FROM need
    WHERE state = 'waitlisted' AND blocked_resource = 'stock' GROUP BY 1
"""
DO: Final = (
    "A logistician enters each at the desk (Stock, Sites), under exactly that code, and takes "
    "goods in; a kind that is not offered here is ended by a lead (Kinds of need)."
)


async def entered(name: str, entry: RegionEntry, timeout_s: float) -> list[Finding]:
    """Which items that the catalogue of a region names its inventory does not know.

    Args:
        name: of the region.
        timeout_s: how long a database may take to answer, in seconds.

    Raises:
        OSError, asyncpg.PostgresError, TimeoutError: one of them does not answer.
    """
    intake = await _connect(entry, "intake", timeout_s)
    try:
        takes = {row["item"]: row["kinds"] for row in await intake.fetch(TAKES)}
        waiting = {row["item"]: row["needs"] for row in await intake.fetch(WAITING)}
    finally:
        await close_database(intake)
    inventory = await _connect(entry, "inventory", timeout_s)
    try:
        known = {row["code"] for row in await inventory.fetch("SELECT code FROM item")}
    finally:
        await close_database(inventory)
    return not_entered(f"{name} inventory", takes, known, waiting)


def not_entered(
    where: str,
    takes: Mapping[str, Sequence[str]],
    known: Collection[str],
    waiting: Mapping[str, int],
) -> list[Finding]:
    """What is said of items that are not known: one note for each that somebody waits for. Pure.

    Args:
        where: region and service.
        takes: by item the kinds of need that take it.
        known: the items of inventory.
        waiting: by item how many needs wait for it.
    """
    unknown = {item: kinds for item, kinds in takes.items() if item not in known}
    found = [
        Finding(
            "note",
            where,
            f"{_needs(item, kinds)}, which inventory does not know",
            f"Waiting for it: {count(waiting[item], 'need')}; nothing of it can be received.",
            DO,
        )
        for item, kinds in unknown.items()
        if item in waiting
    ]
    rest = [_needs(item, kinds) for item, kinds in unknown.items() if item not in waiting]
    if rest:
        found.append(
            Finding(
                "note",
                where,
                f"{'; '.join(rest)}, which inventory does not know",
                "Whoever asks for them will wait until they are entered and received.",
                DO,
            )
        )
    return found


def _needs(item: str, kinds: Sequence[str]) -> str:
    named = f"kind {kinds[0]} needs" if len(kinds) == 1 else f"kinds {', '.join(kinds)} need"
    return f"{named} item {item}"


async def _connect(entry: RegionEntry, service: str, timeout_s: float) -> asyncpg.Connection:
    return await asyncpg.connect(
        entry.admin_dsn(service), timeout=timeout_s, command_timeout=timeout_s
    )
