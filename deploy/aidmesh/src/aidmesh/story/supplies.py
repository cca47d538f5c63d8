"""What there is by now of that which needs wait for: free goods, and growth that nobody took in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast
from uuid import UUID

from aidmesh.story.databases import Databases
from aidmesh.story.there import WOKEN_BY_MORE
from aidmesh.story.told import Json, Said
from aidmesh_chassis.inbox import OTHER_CONTENT
from aidmesh_contracts.inventory import SupplyGrewV1
from aidmesh_contracts.payments import FundsGrewV1
from aidmesh_contracts.streams import Stream, event_type_of

SLACK: Final = timedelta(seconds=5)
"""A refusal may have been decided so shortly after growth without seeing it, as intake counts."""

FREE: Final = """
    SELECT id, max(free)::int AS free FROM (
        SELECT w.id, sum(l.on_hand - l.held) AS free
        FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[]) AS w (id, item, site, area)
        JOIN lot l ON l.item = w.item AND l.status = 'available' AND l.on_hand > l.held
             AND l.restriction IS NULL
             AND (l.expiry IS NULL OR l.expiry >= (now() AT TIME ZONE 'Europe/Kyiv')::date)
        JOIN site s ON s.id = l.site_id AND s.status = 'open'
             AND (w.site IS NULL OR s.id = w.site)
             AND (w.area IS NULL OR starts_with(s.area, w.area))
        GROUP BY w.id, s.id) AS at_site
    GROUP BY id
"""
GREW: Final = """
    SELECT event_id, created_at, subject, headers, payload, status FROM outbox
    WHERE stream = 'LOCAL' AND subject LIKE '%.' || $1 AND created_at > $2
    ORDER BY seq DESC LIMIT 1000
"""
HEARD: Final = """
    SELECT w.event_id FROM unnest($1::uuid[]) AS w (event_id)
    JOIN inbox i ON i.event_id = w.event_id AND i.occurred_at = inbox_time(w.event_id)
    WHERE NOT EXISTS (SELECT FROM dead_letter l
                      WHERE l.event_id = i.event_id AND l.status = 'dropped' AND l.reason <> $2)
"""
_GROWTHS: Final = (("inventory", SupplyGrewV1.type), ("payments", FundsGrewV1.type))


@dataclass(frozen=True, slots=True)
class Supplies:
    """What there is for needs that wait.

    Attributes:
        unheard: growth that intake has not taken in.
        growing: the needs that it may wake.
        free: by need how much one site has of the item that it waits for.
    """

    unheard: tuple[Said, ...]
    growing: frozenset[UUID]
    free: Mapping[UUID, int]


async def supplies(databases: Databases, region: str, needs: Sequence[Json]) -> Supplies:
    """Look at what there is in a region for those of its needs that wait."""
    waits = [
        need for need in needs if need["state"] == "waitlisted" and need["wait"] in WOKEN_BY_MORE
    ]
    if not waits:
        return Supplies((), frozenset(), {})
    grown: dict[UUID, tuple[Said, list[UUID]]] = {}
    since = min(cast("datetime", need["decided_at"] or need["waiting_since"]) for need in waits)
    for service, event in _GROWTHS:
        for row in await databases.ask((region, service), GREW, event, since - SLACK):
            payload = cast("Json", json.loads(row["payload"]))
            woken = [cast("UUID", need["id"]) for need in waits if feeds(payload, need)]
            if woken:
                said = Said(
                    at=row["created_at"],
                    region=region,
                    service=service,
                    event_id=row["event_id"],
                    type=event_type_of(row["subject"]),
                    stream=Stream.LOCAL,
                    state=row["status"],
                    about=str(json.loads(row["headers"]).get("ce-subject", "")),
                    # Without what it says: that tells what a need is about.
                )
                grown[said.event_id] = said, woken
    taken = await databases.ask((region, "intake"), HEARD, list(grown), OTHER_CONTENT)
    if (region, "intake") in databases.silent:
        grown = {}
    for row in taken:
        grown.pop(row["event_id"])
    stock = [need for need in waits if need["blocked_resource"] == "stock"]
    columns = ("id", "blocked_code", "blocked_site", "blocked_area")
    free = await databases.ask(
        (region, "inventory"), FREE, *([need[column] for need in stock] for column in columns)
    )
    return Supplies(
        tuple(said for said, _ in grown.values()),
        frozenset(need for _, woken in grown.values() for need in woken),
        {row["id"]: row["free"] for row in free},
    )


def feeds(grew: Json, need: Json) -> bool:
    """Whether growth is of what a need waits for, and came after it was refused. Pure.

    Args:
        grew: what `supply.grew` or `funds.grew` says.
        need: its row, blocked_resource, blocked_code, blocked_site and blocked_area among it.
    """
    at = datetime.fromisoformat(str(grew["grew_at"]))
    since = cast("datetime", need["decided_at"] or need["waiting_since"])
    if at + SLACK <= since or str(grew.get("freed_by")) == str(need["id"]):
        return False
    if "currency" in grew:
        programme, _, currency = str(need["blocked_code"]).rpartition("/")
        allowed = cast("Sequence[str] | None", grew.get("programmes"))
        return (
            need["blocked_resource"] == "money"
            and currency == grew["currency"]
            and (allowed is None or programme in allowed)
        )
    site, area = need["blocked_site"], need["blocked_area"]
    return (
        (grew["resource"], grew["code"]) == (need["blocked_resource"], need["blocked_code"])
        and (site is None or str(site) == str(grew["site_id"]))
        and (area is None or str(grew["area"]).startswith(str(area)))
    )
