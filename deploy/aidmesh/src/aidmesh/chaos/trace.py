"""The events that led to a violation, from outboxes, handoffs and inboxes of all regions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import asyncpg

from aidmesh.chaos.violation import Violation, ids_in
from aidmesh.quiet import RegionProbe

EVENTS_MAX: Final = 200
"""Events shown of one violation."""
NAMES_MAX: Final = 20
"""Things that one violation names, whose events are looked up."""
ALL_NAMES_MAX: Final = 400
"""The same of all violations: each event that was ever sent is searched for each of them."""
ROWS_MAX: Final = 20_000
UNNAMED: Final = "it names nothing that events speak of"
NOTHING: Final = "nothing was published about what it names"
TOO_MANY: Final = f"not looked up: the violations before it name {ALL_NAMES_MAX} things"

_PUBLISHED: Final = """
    WITH sent AS MATERIALIZED (
        SELECT event_id, created_at, headers ->> 'ce-type' AS type, status, ack_seq, payload,
               ARRAY[event_id::text, headers ->> 'ce-subject', headers ->> 'aid-correlation']
                   AS names
        FROM outbox
        UNION ALL
        SELECT event_id, created_at, headers ->> 'ce-type', status, NULL, NULL,
               ARRAY[event_id::text, headers ->> 'ce-subject', headers ->> 'aid-correlation']
        FROM handoff
    )
    SELECT s.event_id, s.created_at, s.type, s.status, s.ack_seq, m.about
    FROM sent s CROSS JOIN LATERAL (
        SELECT array_agg(w.name) AS about FROM unnest($1::text[]) AS w (name)
        WHERE w.name = ANY(s.names)
           OR w.name = ANY($2::text[]) AND position(convert_to(w.name, 'UTF8') in s.payload) > 0
    ) m
    WHERE m.about IS NOT NULL ORDER BY s.created_at LIMIT $3
"""
_TAKEN: Final = """
    SELECT event_id, received_at FROM inbox WHERE event_id = ANY($1::uuid[])
"""


@dataclass(frozen=True, slots=True)
class Told:
    """An event as a report shows it, and which of the things looked for it is about."""

    about: frozenset[str]
    event: dict[str, object] = field(compare=False)


async def traced(
    violations: Sequence[Violation],
    probes: Sequence[RegionProbe],
    silent: Mapping[str, str] | None = None,
) -> list[Violation]:
    """Violations, each with the events about what it names, or why there are none.

    Args:
        silent: regions that can't be asked, and why.
    """
    names = names_of(violations)
    wanted = list(dict.fromkeys(name for each in names for name in each))
    events = await _told(wanted, probes) if wanted else []
    return with_events(violations, names, events, silent or {})


def names_of(violations: Sequence[Violation]) -> list[tuple[str, ...]]:
    """Whose events are looked up for each violation: the first come first. Pure."""
    known: set[str] = set()
    found = []
    for each in violations:
        names = tuple(dict.fromkeys(filter(None, each.about)))[:NAMES_MAX]
        if len(known | {*names}) > ALL_NAMES_MAX:
            names = tuple(name for name in names if name in known)
        known |= {*names}
        found.append(names)
    return found


def with_events(
    violations: Sequence[Violation],
    names: Sequence[Collection[str]],
    events: Sequence[Told],
    silent: Mapping[str, str],
) -> list[Violation]:
    """Give each violation its events, in the order of time, or say why it has none. Pure."""
    found = []
    for violation, own in zip(violations, names, strict=True):
        mine = [each.event for each in events if not each.about.isdisjoint(own)]
        note = violation.note
        if len(mine) > EVENTS_MAX:
            note = f"the first {EVENTS_MAX} of {len(mine)} events"
        elif not mine:
            note = note or _why_none(violation, own, silent)
        found.append(replace(violation, events=tuple(mine[:EVENTS_MAX]), note=note))
    return found


def _why_none(violation: Violation, looked_up: Collection[str], silent: Mapping[str, str]) -> str:
    if violation.about and not looked_up:
        return TOO_MANY
    why = NOTHING if looked_up else UNNAMED
    quiet = [f"{region} does not answer ({error})" for region, error in sorted(silent.items())]
    return "; ".join([why, *quiet])


async def _told(names: Sequence[str], probes: Sequence[RegionProbe]) -> list[Told]:
    ids = [name for name in names if ids_in(name)]  # a code would be found anywhere
    rows: list[tuple[str, str, asyncpg.Record]] = []
    for probe in probes:
        for service, conn in probe.connections.items():
            found = await conn.fetch(_PUBLISHED, list(names), ids, ROWS_MAX)
            rows += [(probe.name, service, row) for row in found]
    taken: dict[object, dict[str, str]] = {}
    events = [row["event_id"] for _, _, row in rows]
    for probe in probes:
        for service, conn in probe.connections.items():
            for row in await conn.fetch(_TAKEN, events):
                who = taken.setdefault(row["event_id"], {})
                who[f"{probe.name}.{service}"] = row["received_at"].isoformat()
    rows.sort(key=lambda each: each[2]["created_at"])
    return [
        Told(
            frozenset(row["about"]),
            {
                "at": row["created_at"].isoformat(),
                "by": f"{region}.{service}",
                "type": row["type"],
                "event_id": str(row["event_id"]),
                "status": row["status"],
                "ack_seq": row["ack_seq"],
                "taken_by": taken.get(row["event_id"], {}),
            },
        )
        for region, service, row in rows
    ]
