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
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final, cast
from uuid import UUID

import asyncpg

from aidmesh.asking import AWAY
from aidmesh.connecting import close_database
from aidmesh.meshfile import WITH_DATABASE, MeshFile
from aidmesh.story.heard import heard
from aidmesh.story.standing import Standing, items_of, lack_of, of_needs, todo_of
from aidmesh.story.told import Json, Said, Story, Took, letter_trouble, of_one_story, story
from aidmesh_chassis.inbox import OTHER_CONTENT
from aidmesh_contracts.streams import Stream, event_type_of

STEPS_MAX: Final = 2_000
STATEMENT_S_MAX: Final = 60.0

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
           n.blocked_code, n.wait, n.also_lacks, n.sensitive, n.attention, n.reason, n.supply,
           n.money, n.told_at, n.told_how, n.message, n.person_id, n.pending,
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

    Of a region whose databases can't be reached it says so, and tells the rest. Raises OSError when
    that is every one.
    """
    async with AsyncExitStack() as stack:
        opened: dict[tuple[str, str], asyncpg.Connection] = {}
        away: dict[str, str] = {}

        async def connect(region: str, service: str) -> None:
            dsn = mesh.regions[region].admin_dsn(service)
            try:
                conn = await asyncpg.connect(dsn, timeout=10, command_timeout=STATEMENT_S_MAX)
            except AWAY as error:
                away[region] = type(error).__name__
                return
            stack.push_async_callback(close_database, conn)
            opened[region, service] = conn

        async with asyncio.TaskGroup() as group:
            for region in mesh.regions:
                for service in WITH_DATABASE:
                    group.create_task(connect(region, service))
        unheard = [
            f"the databases of {region} do not answer ({why}): what it knows is missing here"
            for region, why in sorted(away.items())
        ]
        if len(away) == len(mesh.regions):
            raise OSError(f"{'; '.join(unheard)}; see aidmesh doctor")
        regions = [region for region in mesh.regions if region not in away]
        # In one order, whoever answered first: a story reads the same each time.
        places = [(region, service) for region in regions for service in WITH_DATABASE]
        opened = {place: opened[place] for place in places}
        names = {region: await _names(opened, region, wanted) for region in regions}
        each = await asyncio.gather(
            *(_said(conn, *place, wanted, names[place[0]]) for place, conn in opened.items())
        )
        others = await heard(mesh, regions, wanted)
        said = of_one_story([*(one for many in each for one in many), *others.said], str(wanted))
        ids = [one.event_id for one in said]
        # A handoff carries the correlation across the border: what failed there of a person's
        # story is that region's alone.
        homes = dict.fromkeys(one.region for one in said if one.stream is not Stream.EVENTS)
        takings = await asyncio.gather(
            *(_took(conn, region, service, ids) for (region, service), conn in opened.items())
        )
        letters = await asyncio.gather(
            *(
                _letters(conn, *place, wanted, names[place[0]], ids)
                for place, conn in opened.items()
                if place[0] in (homes or regions)
            )
        )
        told = story(
            str(wanted),
            said,
            [one for many in takings for one in many],
            regions,
            datetime.now(UTC),
        )
        needs = [UUID(need_id) for one in said if (need_id := _need_of(one)) is not None]
        stand = [
            each
            for region in homes or regions
            for each in await _standing(opened, region, wanted, needs)
        ]
        trouble = (*unheard, *told.trouble, *(line for lines in letters for line in lines))
        return Story(
            told.steps,
            tuple(each.line for each in stand),
            trouble,
            todo_of(stand, trouble),
            others.gaps,
        )


async def _names(
    opened: Mapping[tuple[str, str], asyncpg.Connection], region: str, wanted: UUID
) -> list[str]:
    """All that a region speaks under of a need, request or person: the id, and those that cross.

    Each region has its own: the referral of a need here is that of another need there.
    """
    intake, payments = opened[region, "intake"], opened[region, "payments"]
    needs = {wanted, *(row["id"] for row in await intake.fetch(_NEEDS_OF, wanted))}
    referrals = await intake.fetch(_REFERRALS_OF, needs)
    payouts = await payments.fetch(_PAYOUTS_OF, needs)
    known = [wanted, *(each for row in (*referrals, *payouts) for each in row.values())]
    return [str(each) for each in dict.fromkeys(known) if each is not None]


async def _said(
    conn: asyncpg.Connection, region: str, service: str, wanted: UUID, names: Sequence[str]
) -> list[Said]:
    text = str(wanted)
    rows = [
        row
        for query in (_OUTBOX, _HANDOFFS)
        for row in await conn.fetch(query, text, text.encode(), STEPS_MAX, names)
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


async def _took(
    conn: asyncpg.Connection, region: str, service: str, ids: Sequence[UUID]
) -> list[Took]:
    rows = await conn.fetch(_TOOK, ids, OTHER_CONTENT)
    return [
        Took(region, service, row["event_id"], row["at"], row["letter"], row["status"],
             row["reason"])
        for row in rows
    ]  # fmt: skip


async def _letters(
    conn: asyncpg.Connection,
    region: str,
    service: str,
    wanted: UUID,
    names: Sequence[str],
    known: Sequence[UUID],
) -> list[str]:
    return [
        letter_trouble(event_type_of(row["subject"]), region, service, row["id"], row["reason"])
        for row in await conn.fetch(_LETTERS, str(wanted), known, names)
    ]


async def _standing(
    opened: Mapping[tuple[str, str], asyncpg.Connection],
    region: str,
    wanted: UUID,
    needs: Sequence[UUID],
) -> list[Standing]:
    intake = opened[region, "intake"]
    rows = [
        {**row, "also_lacks": lack_of(row["also_lacks"])}
        for row in await intake.fetch(_NEEDS, wanted, list(dict.fromkeys(needs)))
    ]
    ids = [row["id"] for row in rows]
    if not ids:
        return []
    reservations, payouts, messages = [
        [dict(row) for row in await opened[region, service].fetch(query, ids)]
        for service, query in _ASIDE.items()
    ]
    items = items_of(rows)
    known = {row["code"] for row in await opened[region, "inventory"].fetch(_ITEMS, items)}
    now = await intake.fetchval("SELECT clock_timestamp()")
    return of_needs(rows, now, reservations, payouts, messages, unknown_items=set(items) - known)
