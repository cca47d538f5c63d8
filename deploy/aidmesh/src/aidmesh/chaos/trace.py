"""The events that led to a violation, from outboxes, handoffs and inboxes of all regions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import asyncpg

from aidmesh.chaos.violation import Violation
from aidmesh.quiet import RegionProbe

EVENTS_MAX: Final = 200
TRACED_MAX: Final = 5
"""Violations of each promise whose events are looked up: the first ones tell the story."""

_PUBLISHED: Final = """
    SELECT event_id, created_at, headers ->> 'ce-type' AS type, subject, status, ack_seq
    FROM outbox
    WHERE headers ->> 'ce-subject' = ANY($1::text[])
       OR EXISTS (SELECT FROM unnest($1::text[]) AS id
                  WHERE payload IS NOT NULL AND position(convert_to(id, 'UTF8') in payload) > 0)
    UNION ALL
    SELECT event_id, created_at, headers ->> 'ce-type', subject, status, NULL
    FROM handoff WHERE headers ->> 'ce-subject' = ANY($1::text[])
    ORDER BY created_at LIMIT $2
"""
_TAKEN: Final = """
    SELECT event_id, received_at FROM inbox WHERE event_id = ANY($1::uuid[])
"""


async def traced(violations: Sequence[Violation], probes: Sequence[RegionProbe]) -> list[Violation]:
    """Violations, each with the events about what it names."""
    seen: Counter[str] = Counter()
    found = []
    for each in violations:
        seen[each.promise] += 1
        if each.about and seen[each.promise] <= TRACED_MAX:
            found.append(replace(each, events=tuple(await _events(each.about, probes))))
        else:
            found.append(each)
    return found


async def _events(about: Sequence[str], probes: Sequence[RegionProbe]) -> list[dict[str, object]]:
    found: list[tuple[str, str, asyncpg.Record]] = []
    for probe in probes:
        for service, conn in probe.connections.items():
            rows = await conn.fetch(_PUBLISHED, list(about), EVENTS_MAX)
            found += [(probe.name, service, row) for row in rows]
    taken: dict[object, dict[str, str]] = {}
    ids = [row["event_id"] for _, _, row in found]
    for probe in probes:
        for service, conn in probe.connections.items():
            for row in await conn.fetch(_TAKEN, ids):
                who = taken.setdefault(row["event_id"], {})
                who[f"{probe.name}.{service}"] = row["received_at"].isoformat()
    found.sort(key=lambda each: each[2]["created_at"])
    return [
        {
            "at": row["created_at"].isoformat(),
            "by": f"{region}.{service}",
            "type": row["type"],
            "event_id": str(row["event_id"]),
            "status": row["status"],
            "ack_seq": row["ack_seq"],
            "taken_by": taken.get(row["event_id"], {}),
        }
        for region, service, row in found[:EVENTS_MAX]
    ]
