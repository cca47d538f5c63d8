"""Commitments, attempts of needs and refusals."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from aidmesh_contracts.ids import AllotmentId, CommitmentId, GrantId, NeedId, PayeeRef, SiteId
from aidmesh_contracts.values import BlockedBy
from aidmesh_payments.domain.allotments import Allotment
from aidmesh_payments.domain.commitments import Commitment

Key = tuple[NeedId, int]
"""A need and its attempt."""


class Place(NamedTuple):
    """Where a commitment is, before anything is locked.

    It moves only when money is found elsewhere for what was paid without.
    """

    id: CommitmentId
    need_id: NeedId
    attempt_no: int
    allotment_id: AllotmentId


def _commitment(row: asyncpg.Record) -> Commitment:
    return Commitment(
        id=CommitmentId(row["id"]),
        need_id=None if row["need_id"] is None else NeedId(row["need_id"]),
        attempt_no=row["attempt_no"],
        allotment_id=AllotmentId(row["allotment_id"]),
        grant_id=GrantId(row["grant_id"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        purpose=row["purpose"],
        state=row["state"],
        programme=row["programme"],
        hold_until=row["hold_until"],
        collect_by=row["collect_by"],
        payee_ref=None if row["payee_ref"] is None else PayeeRef(row["payee_ref"]),
        spend_no=row["spend_no"],
        spent_on=row["spent_on"],
        issue_no=row["issue_no"],
        reversed_no=row["reversed_no"],
        settle_no=row["settle_no"],
        cause=row["cause"],
        night_minor=row["night_minor"],
        site_id=None if row["site_id"] is None else SiteId(row["site_id"]),
        area=row["area"],
    )


async def begin_attempts(
    conn: asyncpg.Connection, attempts: Mapping[Key, bool]
) -> dict[NeedId, tuple[int, int]]:
    """Lock the needs and note their newest attempt; returns (seen, ended) attempt numbers.

    Args:
        attempts: with whether the need is sensitive.
    """
    newest: dict[NeedId, int] = {}
    sensitive: dict[NeedId, bool] = {}
    for (need_id, attempt_no), is_sensitive in attempts.items():
        newest[need_id] = max(attempt_no, newest.get(need_id, 0))
        sensitive[need_id] = is_sensitive
    ordered = sorted(newest)
    rows = await conn.fetch(
        """
        INSERT INTO need_attempt AS old (need_id, seen_no, sensitive)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::boolean[])
        ON CONFLICT (need_id) DO UPDATE SET seen_no = greatest(old.seen_no, excluded.seen_no),
            sensitive = excluded.sensitive
        RETURNING need_id, seen_no, ended_no
        """,
        ordered,
        [newest[need_id] for need_id in ordered],
        [sensitive[need_id] for need_id in ordered],
    )
    return {NeedId(row["need_id"]): (row["seen_no"], row["ended_no"]) for row in rows}


async def end_attempts(conn: asyncpg.Connection, attempts: Sequence[Key]) -> dict[NeedId, int]:
    """Lock the needs and note that attempts up to these are over: a tombstone."""
    newest: dict[NeedId, int] = {}
    for need_id, attempt_no in attempts:
        newest[need_id] = max(attempt_no, newest.get(need_id, 0))
    ordered = sorted(newest)
    rows = await conn.fetch(
        """
        INSERT INTO need_attempt AS old (need_id, ended_no)
        SELECT * FROM unnest($1::uuid[], $2::int[])
        ON CONFLICT (need_id) DO UPDATE SET ended_no = greatest(old.ended_no, excluded.ended_no)
        RETURNING need_id, ended_no
        """,
        ordered,
        [newest[need_id] for need_id in ordered],
    )
    return {NeedId(row["need_id"]): row["ended_no"] for row in rows}


async def ended_of(conn: asyncpg.Connection, need_ids: Iterable[NeedId]) -> dict[NeedId, int]:
    """Return up to which attempt needs that are locked are over; none of those that never were."""
    rows = await conn.fetch(
        "SELECT need_id, ended_no FROM need_attempt WHERE need_id = ANY($1::uuid[])",
        list(set(need_ids)),
    )
    return {NeedId(row["need_id"]): row["ended_no"] for row in rows}


async def begin_facts(conn: asyncpg.Connection, need_ids: Iterable[NeedId]) -> set[NeedId]:
    """Lock the needs of facts; returns those whose fact was reversed already."""
    rows = await conn.fetch(
        """
        INSERT INTO need_attempt AS old (need_id) SELECT * FROM unnest($1::uuid[])
        ON CONFLICT (need_id) DO UPDATE SET fact_reversed = old.fact_reversed
        RETURNING need_id, fact_reversed
        """,
        sorted(set(need_ids)),
    )
    return {NeedId(row["need_id"]) for row in rows if row["fact_reversed"]}


async def set_sensitive(conn: asyncpg.Connection, sensitive: Mapping[NeedId, bool]) -> None:
    """Note of needs that are locked whether only some roles may see what they are."""
    await conn.execute(
        """
        UPDATE need_attempt n SET sensitive = u.sensitive
        FROM unnest($1::uuid[], $2::boolean[]) AS u (need_id, sensitive)
        WHERE n.need_id = u.need_id
        """,
        list(sensitive),
        list(sensitive.values()),
    )


async def reverse_facts(conn: asyncpg.Connection, need_ids: Iterable[NeedId]) -> None:
    """Lock the needs and note that their facts are reversed: a tombstone."""
    await conn.execute(
        """
        INSERT INTO need_attempt (need_id, fact_reversed)
        SELECT need_id, true FROM unnest($1::uuid[]) AS need_id
        ON CONFLICT (need_id) DO UPDATE SET fact_reversed = true
        """,
        sorted(set(need_ids)),
    )


async def locate(
    conn: asyncpg.Connection,
    need_ids: Iterable[NeedId],
    purposes: Sequence[str] = ("payout", "provider"),
) -> list[Place]:
    """Find the commitments of needs, without locking anything."""
    rows = await conn.fetch(
        """
        SELECT id, need_id, attempt_no, allotment_id FROM commitment
        WHERE need_id = ANY($1::uuid[]) AND purpose = ANY($2::text[])
        """,
        list(set(need_ids)),
        list(purposes),
    )
    return [Place(*row) for row in rows]


async def place_of(conn: asyncpg.Connection, commitment_id: CommitmentId) -> Place | None:
    """Find one commitment, without locking it."""
    row = await conn.fetchrow(
        "SELECT id, need_id, attempt_no, allotment_id FROM commitment WHERE id = $1",
        commitment_id,
    )
    return None if row is None else Place(*row)


async def lock(
    conn: asyncpg.Connection, ids: Iterable[CommitmentId]
) -> dict[CommitmentId, Commitment]:
    """Lock commitments in order of id; their allotments are locked before."""
    rows = await conn.fetch(
        "SELECT * FROM commitment WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE",
        list(set(ids)),
    )
    return {CommitmentId(row["id"]): _commitment(row) for row in rows}


async def move(conn: asyncpg.Connection, commitment_id: CommitmentId, to: Allotment) -> None:
    """Have a locked commitment borne by another allotment."""
    await conn.execute(
        "UPDATE commitment SET allotment_id = $2, grant_id = $3 WHERE id = $1",
        commitment_id,
        to.id,
        to.grant_id,
    )


async def insert(conn: asyncpg.Connection, commitments: Sequence[Commitment]) -> None:
    """Write new commitments."""
    if not commitments:
        return
    rows: list[tuple[object, ...]] = [
        (
            each.id,
            each.need_id,
            each.attempt_no,
            each.allotment_id,
            each.grant_id,
            each.amount_minor,
            each.currency,
            each.purpose,
            each.state,
            each.programme,
            each.hold_until,
            each.payee_ref,
            each.spend_no,
            each.spent_on,
            each.night_minor,
            each.site_id,
            each.area,
        )
        for each in commitments
    ]
    await conn.execute(
        """
        INSERT INTO commitment (id, need_id, attempt_no, allotment_id, grant_id, amount_minor,
            currency, purpose, state, programme, hold_until, payee_ref, spend_no, spent_on,
            night_minor, site_id, area)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::uuid[],
            $6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[],
            $12::uuid[], $13::int[], $14::date[], $15::bigint[], $16::uuid[], $17::text[])
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def save(conn: asyncpg.Connection, commitments: Sequence[Commitment]) -> None:
    """Write the state of locked commitments."""
    if not commitments:
        return
    await conn.execute(
        """
        UPDATE commitment c SET amount_minor = n.amount, state = n.state,
               hold_until = n.hold_until, collect_by = n.collect_by, spend_no = n.spend_no,
               spent_on = n.spent_on, issue_no = n.issue_no, reversed_no = n.reversed_no,
               cause = n.cause, night_minor = n.night_minor, settle_no = n.settle_no
        FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                    $6::int[], $7::date[], $8::int[], $9::int[], $10::text[], $11::bigint[],
                    $12::int[])
             AS n (id, amount, state, hold_until, collect_by, spend_no, spent_on, issue_no,
                   reversed_no, cause, night_minor, settle_no)
        WHERE c.id = n.id
        """,
        [each.id for each in commitments],
        [each.amount_minor for each in commitments],
        [each.state for each in commitments],
        [each.hold_until for each in commitments],
        [each.collect_by for each in commitments],
        [each.spend_no for each in commitments],
        [each.spent_on for each in commitments],
        [each.issue_no for each in commitments],
        [each.reversed_no for each in commitments],
        [each.cause for each in commitments],
        [each.night_minor for each in commitments],
        [each.settle_no for each in commitments],
    )


async def due_holds(conn: asyncpg.Connection, limit: int) -> list[Place]:
    """Find holds that ran out by the database's clock."""
    rows = await conn.fetch(
        """
        SELECT id, need_id, attempt_no, allotment_id FROM commitment
        WHERE state = 'held' AND hold_until <= clock_timestamp() ORDER BY hold_until LIMIT $1
        """,
        limit,
    )
    return [Place(*row) for row in rows]


async def put_refusals(
    conn: asyncpg.Connection,
    refusals: Sequence[tuple[NeedId, int, str, BlockedBy | None]],
    decided_at: datetime,
) -> None:
    """Keep the last refusal of each need."""
    last = {need_id: (attempt_no, reason, key) for need_id, attempt_no, reason, key in refusals}
    ordered = sorted(last)
    await conn.execute(
        """
        INSERT INTO refusal AS old (need_id, attempt_no, reason, code, amount_minor, decided_at)
        SELECT *, $6 FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::bigint[])
        ON CONFLICT (need_id) DO UPDATE SET attempt_no = excluded.attempt_no,
            reason = excluded.reason, code = excluded.code,
            amount_minor = excluded.amount_minor, decided_at = excluded.decided_at
        WHERE excluded.attempt_no >= old.attempt_no
        """,
        ordered,
        [last[need_id][0] for need_id in ordered],
        [last[need_id][1] for need_id in ordered],
        [key.code if (key := last[need_id][2]) else None for need_id in ordered],
        [key.quantity if (key := last[need_id][2]) else None for need_id in ordered],
        decided_at,
    )
