"""Needs in the database."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import HouseholdId, NeedId, PayeeRef, PersonId, RequestId, SiteId
from aidmesh_contracts.values import BlockedBy, Visit
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.dates import PlannedAs
from aidmesh_intake.domain.kinds import ForWhom
from aidmesh_intake.domain.need import Attended, Lack, Leg, Need, State, Wait

_SELECT: Final = """
SELECT
    n.id, n.request_id, n.kind, n.programme, n.sensitive, n.for_whom, n.person_id,
    n.household_id, n.headcount, n.quantity, n.unit, n.asked_on, n.queue_no, n.planned_on,
    n.planned_as, n.needed_by, n.needed_until, n.priority, n.rule_version, n.place_area,
    n.stay_area, n.origin_area, n.site_id, n.ask, n.payee_ref, n.sent, n.hold_s,
    n.collect_days, n.splittable, n.confirmed_start, n.given, n.pending, n.state, n.attempt_no,
    n.supply, n.money, n.deadline_at, n.blocked_resource, n.blocked_code, n.blocked_site,
    n.blocked_area, n.blocked_quantity, n.wait, n.also_lacks, n.decided_at, n.waiting_since,
    n.retry_at, n.woken, n.at_site_id, n.visit, n.told_at, n.told_how, n.message,
    n.issued_attempt, n.issued_no,
    n.undone_attempt, n.undone_no, n.attended, n.service_no, n.served_on, n.reason, n.attention,
    n.settled, n.version,
    CASE WHEN n.for_whom = 'household' THEN ARRAY(
        SELECT DISTINCT root.id FROM person p JOIN person root
            ON root.id = coalesce(p.merged_into, p.id)
        WHERE p.household_id = n.household_id AND root.erased_at IS NULL ORDER BY 1) END AS members,
    CASE WHEN n.for_whom = 'site' THEN (
        SELECT r.site_id FROM request r WHERE r.id = n.request_id) END AS to_site_id
FROM need n
"""
_LOCK: Final = _SELECT + " WHERE n.id = ANY($1::uuid[]) ORDER BY n.id FOR UPDATE OF n"
_LOCK_FREE: Final = _LOCK + " SKIP LOCKED"
_READ: Final = _SELECT + " WHERE n.id = $1"

_COLUMNS: Final = (
    "id", "request_id", "kind", "programme", "sensitive", "for_whom", "person_id", "household_id",
    "headcount", "quantity", "unit", "asked_on", "queue_no", "planned_on", "planned_as",
    "needed_by", "needed_until", "priority", "rule_version", "place_area", "stay_area",
    "origin_area", "site_id", "ask", "first_on", "last_on", "payee_ref", "sent", "hold_s",
    "collect_days", "splittable", "confirmed_start", "given", "pending", "state", "attempt_no",
    "supply", "money", "deadline_at", "blocked_resource", "blocked_code", "blocked_site",
    "blocked_area", "blocked_quantity", "wait", "also_lacks", "decided_at", "waiting_since",
    "retry_at", "woken", "at_site_id", "visit", "told_at", "told_how", "message", "issued_attempt",
    "issued_no", "undone_attempt", "undone_no", "attended", "service_no", "served_on",
    "reason", "attention", "settled", "version",
)  # fmt: skip


async def lock(conn: asyncpg.Connection, need_ids: Sequence[UUID]) -> dict[UUID, Need]:
    """Load needs and lock them, in the order of their ids; unknown ids are left out."""
    rows = await conn.fetch(_LOCK, list(set(need_ids)))
    return {row["id"]: need_of(row) for row in rows}


async def lock_free(conn: asyncpg.Connection, need_ids: Sequence[UUID]) -> dict[UUID, Need]:
    """The same without waiting: needs that somebody else has locked are left out."""
    rows = await conn.fetch(_LOCK_FREE, list(set(need_ids)))
    return {row["id"]: need_of(row) for row in rows}


async def whom(conn: asyncpg.Connection, need_ids: Sequence[UUID]) -> tuple[list[UUID], list[UUID]]:
    """The persons and the households that needs are for."""
    rows = await conn.fetch(
        "SELECT person_id, household_id FROM need WHERE id = ANY($1::uuid[])", list(need_ids)
    )
    return (
        [row["person_id"] for row in rows if row["person_id"] is not None],
        [row["household_id"] for row in rows if row["household_id"] is not None],
    )


async def read(conn: asyncpg.Connection, need_id: UUID) -> Need | None:
    """Load one need without locking it."""
    row = await conn.fetchrow(_READ, need_id)
    return None if row is None else need_of(row)


async def by_ids(conn: asyncpg.Connection, need_ids: Sequence[UUID]) -> dict[UUID, Need]:
    """Load needs without locking them; unknown ids are left out."""
    rows = await conn.fetch(_SELECT + " WHERE n.id = ANY($1::uuid[])", list(need_ids))
    return {row["id"]: need_of(row) for row in rows}


async def queue_numbers(conn: asyncpg.Connection, count: int) -> list[int]:
    """Take so many numbers, in ascending order, for needs about to be recorded."""
    rows = await conn.fetch(
        "SELECT nextval('need_queue_no') AS number FROM generate_series(1, $1)", count
    )
    return [row["number"] for row in rows]


async def insert(conn: asyncpg.Connection, needs: Sequence[Need]) -> None:
    """Write new needs, by COPY: the fastest way in for the thousand needs of an import."""
    if needs:
        await conn.copy_records_to_table(
            "need",
            records=[(*_terms(need), *_course(need)) for need in needs],
            columns=_COLUMNS,
        )


async def save(conn: asyncpg.Connection, needs: Sequence[Need]) -> None:
    """Write how far needs have come, whatever it was."""
    if needs:
        await conn.execute(
            """
            UPDATE need SET
                state = u.state, attempt_no = u.attempt_no, supply = u.supply, money = u.money,
                deadline_at = u.deadline_at, blocked_resource = u.blocked_resource,
                blocked_code = u.blocked_code, blocked_site = u.blocked_site,
                blocked_area = u.blocked_area,
                blocked_quantity = u.blocked_quantity, wait = u.wait,
                also_lacks = u.also_lacks, decided_at = u.decided_at,
                waiting_since = u.waiting_since, retry_at = u.retry_at, woken = u.woken,
                at_site_id = u.at_site_id, visit = u.visit, told_at = u.told_at,
                told_how = u.told_how, message = u.message,
                issued_attempt = u.issued_attempt, issued_no = u.issued_no,
                undone_attempt = u.undone_attempt, undone_no = u.undone_no,
                attended = u.attended, service_no = u.service_no,
                served_on = u.served_on, reason = u.reason, attention = u.attention,
                settled = u.settled, version = u.version,
                changed_at = now()
            FROM unnest(
                $1::uuid[], $2::text[], $3::int[], $4::smallint[],
                $5::smallint[], $6::timestamptz[],
                $7::text[], $8::text[], $9::uuid[], $10::text[], $11::bigint[], $12::text[],
                $13::jsonb[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],
                $17::boolean[], $18::uuid[], $19::jsonb[],
                $20::timestamptz[], $21::text[], $22::text[], $23::int[], $24::int[],
                $25::int[], $26::int[], $27::jsonb[],
                $28::int[], $29::date[], $30::text[], $31::text[], $32::text[],
                $33::int[])
            AS u (
                id, state, attempt_no, supply, money, deadline_at, blocked_resource, blocked_code,
                blocked_site, blocked_area, blocked_quantity, wait, also_lacks, decided_at,
                waiting_since, retry_at,
                woken, at_site_id, visit, told_at, told_how, message, issued_attempt,
                issued_no, undone_attempt,
                undone_no, attended, service_no, served_on, reason, attention, settled, version)
            WHERE need.id = u.id
            """,
            *columns([(need.id, *_course(need)) for need in needs]),
        )


async def save_progress(conn: asyncpg.Connection, needs: Sequence[Need]) -> None:
    """Write how far needs have come that neither wait nor did, nor began another attempt.

    That is what most of them go through, and half the columns.
    """
    if needs:
        await conn.execute(
            """
            UPDATE need SET
                state = u.state, supply = u.supply, money = u.money,
                deadline_at = u.deadline_at, woken = u.woken, at_site_id = u.at_site_id,
                visit = u.visit,
                told_at = u.told_at, told_how = u.told_how, message = u.message,
                issued_attempt = u.issued_attempt, issued_no = u.issued_no,
                undone_attempt = u.undone_attempt, undone_no = u.undone_no,
                attended = u.attended, service_no = u.service_no, served_on = u.served_on,
                reason = u.reason, version = u.version, changed_at = now()
            FROM unnest($1::uuid[],
                $2::text[], $3::smallint[], $4::smallint[], $5::timestamptz[], $6::boolean[],
                $7::uuid[], $8::jsonb[], $9::timestamptz[], $10::text[], $11::text[], $12::int[],
                $13::int[], $14::int[], $15::int[], $16::jsonb[], $17::int[], $18::date[],
                $19::text[], $20::int[])
            AS u (id,
                state, supply, money, deadline_at, woken, at_site_id, visit, told_at, told_how,
                message, issued_attempt, issued_no, undone_attempt, undone_no, attended,
                service_no, served_on, reason, version)
            WHERE need.id = u.id
            """,
            *columns([(need.id, *_progress(need)) for need in needs]),
        )


async def save_terms(conn: asyncpg.Connection, needs: Sequence[Need]) -> None:
    """Write what rarely changes: where a need is to be served, and how much of it."""
    if needs:
        await conn.execute(
            """
            UPDATE need SET quantity = u.quantity, ask = u.ask, place_area = u.place_area,
                site_id = u.site_id
            FROM unnest($1::uuid[], $2::int[], $3::jsonb[], $4::text[], $5::uuid[])
            AS u (id, quantity, ask, place_area, site_id)
            WHERE need.id = u.id
            """,
            *columns([(n.id, n.quantity, _json(n.ask), n.place_area, n.site_id) for n in needs]),
        )


async def set_payee(conn: asyncpg.Connection, need: Need) -> None:
    """Write under which reference the paying office finds whom to pay."""
    await conn.execute("UPDATE need SET payee_ref = $2 WHERE id = $1", need.id, need.payee_ref)


async def set_sent(conn: asyncpg.Connection, needs: Sequence[Need]) -> None:
    """Write whether what is paid is sent to the person, where that changed or became known."""
    if needs:
        await conn.execute(
            "UPDATE need SET sent = u.sent FROM unnest($1::uuid[], $2::boolean[]) AS u (id, sent)"
            " WHERE need.id = u.id",
            *columns([(need.id, need.sent) for need in needs]),
        )


async def set_final(conn: asyncpg.Connection, need_ids: Sequence[UUID]) -> None:
    """Write that needs are this region's own from now on: theirs let go of them."""
    await conn.execute("UPDATE need SET pending = false WHERE id = ANY($1::uuid[])", list(need_ids))


def columns(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    """Turn rows into the arrays that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)]


def _json(value: Ask | Attended | Lack | Visit) -> str:
    return value.model_dump_json(exclude_defaults=True)


def _terms(n: Need) -> tuple[object, ...]:
    return (
        n.id,
        n.request_id,
        n.kind,
        n.programme,
        n.sensitive,
        n.for_whom.value,
        n.person_id,
        n.household_id,
        n.headcount,
        n.quantity,
        n.unit,
        n.asked_on,
        n.queue_no,
        n.planned_on,
        n.planned_as.value,
        n.needed_by,
        n.needed_until,
        n.priority,
        n.rule_version,
        n.place_area,
        n.stay_area,
        n.origin_area,
        n.site_id,
        _json(n.ask),
        n.ask.capacity.from_on if n.ask.capacity else None,
        n.ask.capacity.to_on if n.ask.capacity else None,
        n.payee_ref,
        n.sent,
        n.hold_s,
        n.collect_days,
        n.splittable,
        n.confirmed_start,
        n.given,
        n.pending,
    )


def _course(n: Need) -> tuple[object, ...]:
    return (
        n.state.value,
        n.attempt_no,
        n.supply.value,
        n.money.value,
        n.deadline_at,
        n.blocked_by.resource if n.blocked_by else None,
        n.blocked_by.code if n.blocked_by else None,
        n.blocked_by.site_id if n.blocked_by else None,
        n.blocked_by.area if n.blocked_by else None,
        n.blocked_by.quantity if n.blocked_by else None,
        n.wait.value if n.wait else None,
        None if n.also_lacks is None else _json(n.also_lacks),
        n.decided_at,
        n.waiting_since,
        n.retry_at,
        n.woken,
        n.at_site_id,
        None if n.visit is None else _json(n.visit),
        n.told_at,
        n.told_how,
        n.message,
        n.issued[0],
        n.issued[1],
        n.undone[0],
        n.undone[1],
        None if n.attended is None else _json(n.attended),
        n.service_no,
        n.served_on,
        n.reason,
        n.attention,
        n.settled,
        n.version,
    )


def _progress(n: Need) -> tuple[object, ...]:
    return (
        n.state.value,
        n.supply.value,
        n.money.value,
        n.deadline_at,
        n.woken,
        n.at_site_id,
        None if n.visit is None else _json(n.visit),
        n.told_at,
        n.told_how,
        n.message,
        n.issued[0],
        n.issued[1],
        n.undone[0],
        n.undone[1],
        None if n.attended is None else _json(n.attended),
        n.service_no,
        n.served_on,
        n.reason,
        n.version,
    )


def need_of(row: asyncpg.Record) -> Need:
    """Make a need of its row."""
    blocked_by = None
    if row["blocked_resource"] is not None:
        blocked_site = row["blocked_site"]
        blocked_by = BlockedBy(
            resource=row["blocked_resource"],
            code=row["blocked_code"],
            site_id=None if blocked_site is None else SiteId(blocked_site),
            area=row["blocked_area"],
            quantity=row["blocked_quantity"],
        )
    return Need(
        id=NeedId(row["id"]),
        request_id=RequestId(row["request_id"]),
        kind=row["kind"],
        programme=row["programme"],
        sensitive=row["sensitive"],
        for_whom=ForWhom(row["for_whom"]),
        person_id=None if row["person_id"] is None else PersonId(row["person_id"]),
        household_id=None if row["household_id"] is None else HouseholdId(row["household_id"]),
        members=tuple(PersonId(each) for each in row["members"] or ()),
        headcount=row["headcount"],
        quantity=row["quantity"],
        unit=row["unit"],
        asked_on=row["asked_on"],
        queue_no=row["queue_no"],
        planned_on=row["planned_on"],
        planned_as=PlannedAs(row["planned_as"]),
        needed_by=row["needed_by"],
        needed_until=row["needed_until"],
        priority=row["priority"],
        rule_version=row["rule_version"],
        place_area=row["place_area"],
        stay_area=row["stay_area"],
        origin_area=row["origin_area"],
        site_id=site(row["site_id"]),
        ask=Ask.model_validate_json(row["ask"]),
        payee_ref=None if row["payee_ref"] is None else PayeeRef(row["payee_ref"]),
        sent=row["sent"],
        hold_s=row["hold_s"],
        collect_days=row["collect_days"],
        splittable=row["splittable"],
        to_site_id=site(row["to_site_id"]),
        confirmed_start=row["confirmed_start"],
        given=row["given"],
        pending=row["pending"],
        state=State(row["state"]),
        attempt_no=row["attempt_no"],
        supply=Leg(row["supply"]),
        money=Leg(row["money"]),
        deadline_at=row["deadline_at"],
        blocked_by=blocked_by,
        wait=None if row["wait"] is None else Wait(row["wait"]),
        also_lacks=None
        if (lacks := row["also_lacks"]) is None
        else Lack.model_validate_json(lacks),
        decided_at=row["decided_at"],
        waiting_since=row["waiting_since"],
        retry_at=row["retry_at"],
        woken=row["woken"],
        at_site_id=None if row["at_site_id"] is None else SiteId(row["at_site_id"]),
        visit=None if row["visit"] is None else Visit.model_validate_json(row["visit"]),
        told_at=row["told_at"],
        told_how=row["told_how"],
        message=row["message"],
        issued=(row["issued_attempt"], row["issued_no"]),
        undone=(row["undone_attempt"], row["undone_no"]),
        attended=None if row["attended"] is None else Attended.model_validate_json(row["attended"]),
        service_no=row["service_no"],
        served_on=row["served_on"],
        reason=row["reason"],
        attention=row["attention"],
        settled=row["settled"],
        version=row["version"],
    )


def site(site_id: UUID | None) -> SiteId | None:
    """Type a plain id."""
    return None if site_id is None else SiteId(site_id)
