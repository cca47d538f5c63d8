"""Reads the story of an id from the databases of a mesh.

Events about single people never leave their region, and their story is told from that region's
databases alone; what another region knows of them is another story, with ids of its own. The
handoff's id is where one ends and the other begins: a need's referrals and payouts, which cross the
border under ids of their own, belong to its story. What all regions are told is told of each: from
its databases where they are here, else as the regions here heard it.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, cast
from uuid import UUID

from aidmesh.meshfile import MeshFile
from aidmesh.story.between import GOODS, MONEY, between
from aidmesh.story.databases import Databases, Place, databases_of, unheard
from aidmesh.story.heard import heard
from aidmesh.story.links import all_links, troubles, words_of
from aidmesh.story.standing import Standing, items_of, lack_of, of_needs, todo_of
from aidmesh.story.supplies import Supplies, supplies
from aidmesh.story.told import Json, Said, Story, Took, letter_trouble, of_one_story, story
from aidmesh_chassis.inbox import OTHER_CONTENT
from aidmesh_contracts.streams import Stream, event_type_of

STEPS_MAX: Final = 2_000

_NEEDS_OF: Final = """
    SELECT id FROM need WHERE id = $1 OR request_id = $1 OR person_id = $1 ORDER BY id LIMIT 50
"""
_REFERRALS_OF: Final = """
    SELECT id FROM referral_out WHERE need_id = ANY($1::uuid[])
    UNION ALL
    SELECT id FROM referral_in WHERE need_id = ANY($1::uuid[])
"""
_PAYOUTS_OF: Final = "SELECT id, payee_ref FROM payout WHERE need_id = ANY($1::uuid[])"
_OUTBOX: Final = """
    SELECT event_id, created_at, stream, subject, headers, payload, status,
           NULL::text AS to_region, 0 AS tries
    FROM outbox
    WHERE headers ->> 'ce-subject' = ANY($4::text[]) OR headers ->> 'aid-correlation' = $1
       OR event_id::text = $1 OR (stream IN ('EVENTS', 'LOCAL') AND position($2 in payload) > 0)
    ORDER BY seq LIMIT $3
"""
_HANDOFFS: Final = """
    SELECT event_id, created_at, 'HANDOFF' AS stream, subject, headers, NULL::bytea AS payload,
           status, to_region, tries
    FROM handoff
    WHERE headers ->> 'ce-subject' = ANY($4::text[]) OR headers ->> 'aid-correlation' = $1
       OR event_id::text = $1 OR position($2 in payload) > 0
    ORDER BY created_at LIMIT $3
"""
_TOOK: Final = """
    SELECT i.event_id, i.received_at AS at, NULL::bigint AS letter, 'handled' AS status,
           '' AS reason
    FROM unnest($1::uuid[]) AS wanted (event_id)
    JOIN inbox i ON i.event_id = wanted.event_id AND i.occurred_at = inbox_time(wanted.event_id)
    WHERE NOT EXISTS (SELECT FROM dead_letter l
                      WHERE l.event_id = i.event_id AND l.status = 'dropped' AND l.reason <> $2)
    UNION ALL
    SELECT event_id, changed_at, id, status, reason FROM dead_letter
    WHERE event_id = ANY($1::uuid[]) AND status <> 'done'
"""
_LETTERS: Final = """
    SELECT id, event_id, subject, status, reason FROM dead_letter
    WHERE status IN ('failing', 'dead') AND NOT event_id = ANY($2::uuid[])
      AND (headers ->> 'ce-subject' = ANY($3::text[]) OR headers ->> 'aid-correlation' = $1
           OR event_id::text = $1)
    ORDER BY id LIMIT 50
"""
"""Letters about it whose event nobody here has said."""
_NEEDS: Final = """
    SELECT n.id, n.state, n.attempt_no, n.changed_at, n.deadline_at, n.blocked_resource,
           n.blocked_code, n.blocked_site, n.blocked_area, n.blocked_quantity, n.decided_at,
           n.waiting_since, n.wait, n.also_lacks, n.sensitive, n.attention, n.reason, n.supply,
           n.money, n.told_at, n.told_how, n.message, n.person_id, n.pending,
           clock_timestamp() AS now,
           o.to_region AS offered_to, o.lapses_at AS offered_until, i.from_region
    FROM need n
    LEFT JOIN referral_out o ON o.need_id = n.id AND o.status = 'offered'
    LEFT JOIN referral_in i ON i.need_id = n.id
    WHERE n.id = $1 OR n.request_id = $1 OR n.person_id = $1 OR n.id = ANY($2::uuid[])
    ORDER BY n.id LIMIT 50
"""
_ITEMS: Final = "SELECT code FROM item WHERE code = ANY($1::text[])"
_ASIDE: Final = {
    "inventory": """
        SELECT need_id, state, hold_until, collect_by FROM reservation
        WHERE need_id = ANY($1::uuid[]) ORDER BY attempt_no
    """,
    "payments": """
        SELECT p.need_id, p.id, p.state, p.reason, p.recorded_at, p.assigned_to, p.withdrawal,
               p.payee_ref IS NULL OR EXISTS (SELECT FROM payee e WHERE e.payee_ref = p.payee_ref)
                   AS has_details,
               EXISTS (SELECT FROM unproven u
                       WHERE u.id IN (p.id, p.need_id) AND u.cleared_at IS NULL) AS is_doubted
        FROM payout p
        WHERE p.need_id = ANY($1::uuid[]) ORDER BY p.recorded_at
    """,
    "notification": """
        SELECT need_id, attempt_no, state, reason, due_at FROM message
        WHERE need_id = ANY($1::uuid[])
    """,
}
"""What the other services have for needs, the newest reservations and payouts last."""


async def read_story(mesh: MeshFile, wanted: UUID) -> Story:
    """Read the story of a need, request, person, payout, shipment, allotment, grant or event.

    Of databases that can't be asked it says so, with what may be missing by that, and tells the
    rest. Raises OSError when that is every one.
    """
    async with databases_of(mesh) as databases:
        if not databases.places:
            raise OSError(f"{'; '.join(unheard(databases.silent, ()))}; see aidmesh doctor")
        regions = databases.regions
        names = {region: await _names(databases, region, wanted) for region in regions}
        each = await asyncio.gather(
            *(_said(databases, place, wanted, names[place[0]]) for place in databases.places)
        )
        own = [one for many in each for one in many]
        others, links = await asyncio.gather(
            heard(mesh, regions, databases.silent, wanted), all_links(mesh, regions)
        )
        known = {one.event_id for one in own}
        fresh = (one for one in others.said if one.event_id not in known)
        said = of_one_story([*own, *fresh], str(wanted))
        # A handoff carries the correlation across the border: what failed there of a person's
        # story is that region's alone.
        homes = dict.fromkeys(one.region for one in said if one.stream is not Stream.EVENTS)
        needs = [UUID(need_id) for one in said if (need_id := _need_of(one)) is not None]
        rows = {
            region: await _needs(databases, region, wanted, needs) for region in homes or regions
        }
        there = {region: await supplies(databases, region, rows[region]) for region in rows}
        said += [one for each in there.values() for one in each.unheard]
        ids = [one.event_id for one in said]
        takings = await asyncio.gather(
            *(_took(databases, place, ids) for place in databases.places)
        )
        letters = await asyncio.gather(
            *(
                _letters(databases, place, wanted, names[place[0]], ids)
                for place in databases.places
                if place[0] in (homes or regions)
            )
        )
        stand = {
            region: [
                *(
                    await _standing(
                        databases, region, rows[region], words_of(links, region), there[region]
                    )
                    if region in rows
                    else ()
                ),
                *await _between(databases, region, wanted, words_of(links, region)),
            ]
            for region in regions
        }
        told = story(
            str(wanted),
            said,
            [one for many in takings for one in many],
            regions,
            datetime.now(UTC),
            databases.silent,
            links,
        )
        trouble = [
            *unheard(databases.silent, regions),
            *told.trouble,
            *(line for lines in letters for line in lines),
        ]
        trouble += troubles(links, waited_for(said, stand), trouble)
        all_stand = [each for of_region in stand.values() for each in of_region]
        return Story(
            told.steps,
            tuple(each.line for each in all_stand),
            tuple(trouble),
            todo_of(all_stand, trouble),
            others.gaps,
        )


def waited_for(
    said: Sequence[Said], stand: Mapping[str, Sequence[Standing]]
) -> list[tuple[str, str]]:
    """Which region waits for which, by what it said and how things stand there. Pure."""
    return [
        *((one.region, str(one.to_region)) for one in said if one.state == "waiting"),
        *((region, peer) for region, each in stand.items() for one in each for peer in one.regions),
    ]


async def _names(databases: Databases, region: str, wanted: UUID) -> list[str]:
    """All that a region speaks under of a need, request or person: the id, and those that cross.

    Each region has its own: the referral of a need here is that of another need there.
    """
    intake, payments = (region, "intake"), (region, "payments")
    of_it = await databases.ask(intake, _NEEDS_OF, wanted)
    needs = {wanted, *(row["id"] for row in of_it)}
    referrals = await databases.ask(intake, _REFERRALS_OF, needs)
    payouts = await databases.ask(payments, _PAYOUTS_OF, needs)
    known = [wanted, *(each for row in (*referrals, *payouts) for each in row.values())]
    return [str(each) for each in dict.fromkeys(known) if each is not None]


async def _said(
    databases: Databases, place: Place, wanted: UUID, names: Sequence[str]
) -> list[Said]:
    region, service = place
    text = str(wanted)
    rows = [
        row
        for query in (_OUTBOX, _HANDOFFS)
        for row in await databases.ask(place, query, text, text.encode(), STEPS_MAX, names)
    ]
    return [
        Said(
            at=row["created_at"],
            region=region,
            service=service,
            event_id=row["event_id"],
            type=event_type_of(row["subject"]),
            stream=Stream(row["stream"]),
            state=row["status"],
            about=str(json.loads(row["headers"]).get("ce-subject", "")),
            payload=_payload(row["stream"], row["payload"]),
            to_region=row["to_region"],
            tries=row["tries"],
        )
        for row in rows
    ]


def _need_of(said: Said) -> str | None:
    """The need that an event is about: its own, or the one that a payout is for."""
    if said.type.startswith("intake.need."):
        return said.about
    if said.type.startswith("payments.payout.") and said.payload is not None:
        need_id = said.payload.get("need_id")
        return None if need_id is None else str(need_id)
    return None


def _payload(stream: str, payload: bytes | None) -> Json | None:
    if payload is None or stream in {Stream.PRIVATE, Stream.HANDOFF}:
        return None
    return cast("Json", json.loads(payload))


async def _took(databases: Databases, place: Place, ids: Sequence[UUID]) -> list[Took]:
    return [
        Took(*place, row["event_id"], row["at"], row["letter"], row["status"], row["reason"])
        for row in await databases.ask(place, _TOOK, ids, OTHER_CONTENT)
    ]


async def _letters(
    databases: Databases,
    place: Place,
    wanted: UUID,
    names: Sequence[str],
    known: Sequence[UUID],
) -> list[str]:
    return [
        letter_trouble(event_type_of(row["subject"]), *place, row["id"], row["reason"])
        for row in await databases.ask(place, _LETTERS, str(wanted), known, names)
    ]


async def _between(
    databases: Databases, region: str, wanted: UUID, links: Mapping[str, str]
) -> list[Standing]:
    rows = [
        dict(row)
        for service, query in (("inventory", GOODS), ("payments", MONEY))
        for row in await databases.ask((region, service), query, wanted)
    ]
    return between(region, rows, links)


async def _needs(
    databases: Databases, region: str, wanted: UUID, needs: Sequence[UUID]
) -> list[Json]:
    """The rows of the needs that a story is about."""
    return [
        {**row, "also_lacks": lack_of(row["also_lacks"])}
        for row in await databases.ask(
            (region, "intake"), _NEEDS, wanted, list(dict.fromkeys(needs))
        )
    ]


async def _standing(
    databases: Databases,
    region: str,
    rows: Sequence[Json],
    links: Mapping[str, str],
    there: Supplies,
) -> list[Standing]:
    if not rows:
        return []
    ids = [row["id"] for row in rows]
    reservations, payouts, messages = [
        [dict(row) for row in await databases.ask((region, service), query, ids)]
        for service, query in _ASIDE.items()
    ]
    items = items_of(rows)
    known = {row["code"] for row in await databases.ask((region, "inventory"), _ITEMS, items)}
    unasked = {service for service in _ASIDE if (region, service) in databases.silent}
    return of_needs(
        rows,
        cast("datetime", rows[0]["now"]),
        reservations,
        payouts,
        messages,
        unknown_items=set() if "inventory" in unasked else set(items) - known,
        unasked=unasked,
        links=links,
        free=there.free,
        growing=there.growing,
    )
