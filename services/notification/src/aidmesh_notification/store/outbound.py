"""The queue: which message about which need, never to which address and never its text."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_chassis.restoring import MESSAGES_DOUBTED_DAYS
from aidmesh_notification.domain.sending import Queued

TO_TELL_STATES = ("suppressed", "failed", "expired", "unknown")


class NewMessage(NamedTuple):
    """A message to queue for an attempt of a need."""

    message_id: UUID
    template: str
    need_id: UUID
    attempt_no: int
    person_id: UUID | None
    sensitive: bool
    collect_days: int
    expires_at: datetime
    correlation_id: UUID
    traceparent: str | None
    starts_at: datetime | None
    from_on: date | None
    until_at: datetime | None


async def queue(conn: asyncpg.Connection, messages: Sequence[NewMessage]) -> int:
    """Queue messages that are not known yet; returns how many were new.

    One that may have left after the backup that this region was restored from is taken for being
    sent by somebody who was never heard of again: `cut_short` settles it.
    """
    rows = await conn.fetch(
        """
        INSERT INTO message (message_id, template, need_id, attempt_no, person_id, sensitive,
                             collect_days, expires_at, correlation_id, traceparent, starts_at,
                             from_on, until_at, state, claim_id, claimed_until)
        SELECT n.*, CASE WHEN d.id IS NULL THEN 'queued' ELSE 'sending' END, d.id,
               CASE WHEN d.id IS NOT NULL THEN now() END
        FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::uuid[],
                    $6::boolean[], $7::int[], $8::timestamptz[], $9::uuid[], $10::text[],
                    $11::timestamptz[], $12::date[], $13::timestamptz[])
             AS n (id, template, need_id, attempt_no, person_id, sensitive, days, expires_at,
                   correlation_id, traceparent, starts_at, from_on, until_at)
        LEFT JOIN unproven d ON d.id = n.need_id AND d.cleared_at IS NULL
             AND d.since > now() - make_interval(days => $14)
        ORDER BY n.id
        ON CONFLICT (message_id) DO NOTHING RETURNING 1
        """,
        *(list(column) for column in zip(*messages, strict=True)),
        MESSAGES_DOUBTED_DAYS,
    )
    return len(rows)


async def end_attempts(conn: asyncpg.Connection, attempts: Sequence[tuple[UUID, int]]) -> None:
    """Remember that attempts up to these numbers need no message any more.

    What waits for them is looked at again at once; what had to be told in person is settled.

    Args:
        attempts: need and attempt number, at most one for each need.
    """
    needs = [need_id for need_id, _ in attempts]
    numbers = [attempt_no for _, attempt_no in attempts]
    await conn.execute(
        """
        INSERT INTO attempt_over (need_id, attempt_no)
        SELECT * FROM unnest($1::uuid[], $2::int[]) AS n (need_id, attempt_no) ORDER BY need_id
        ON CONFLICT (need_id) DO UPDATE
        SET attempt_no = greatest(attempt_over.attempt_no, excluded.attempt_no)
        """,
        needs,
        numbers,
    )
    await conn.execute(
        """
        WITH mine AS (
            SELECT m.message_id FROM message m
            JOIN unnest($1::uuid[], $2::int[]) AS n (need_id, attempt_no)
              ON m.need_id = n.need_id AND m.attempt_no <= n.attempt_no
            WHERE m.settled_at IS NULL AND m.state = ANY($3::text[] || 'queued'::text)
            ORDER BY m.message_id FOR UPDATE OF m)
        UPDATE message m SET changed_at = now(),
               due_at = CASE WHEN m.state = 'queued' THEN now() ELSE m.due_at END,
               settled_at = CASE WHEN m.state = 'queued' THEN NULL ELSE now() END
        FROM mine WHERE m.message_id = mine.message_id
        """,
        needs,
        numbers,
        list(TO_TELL_STATES),
    )


async def forget_limits(conn: asyncpg.Connection, persons: Sequence[UUID]) -> None:
    """Forget until when what was ready for these erased persons is of use: no message goes out.

    A message expires then, and is looked at again at the latest: those instants go with it. What
    still waits is due now, and ended by the sender.
    """
    await conn.execute(
        """
        WITH mine AS (
            SELECT message_id FROM message
            WHERE person_id = ANY($1::uuid[]) AND until_at IS NOT NULL
            ORDER BY message_id FOR UPDATE)
        UPDATE message m SET until_at = NULL, expires_at = now(), due_at = now()
        FROM mine WHERE m.message_id = mine.message_id
        """,
        list(persons),
    )


async def forget_late(conn: asyncpg.Connection, message_ids: Sequence[UUID]) -> None:
    """Do the same for messages that came when, or while, their persons were erased."""
    await conn.execute(
        """
        UPDATE message m SET until_at = NULL, expires_at = now(), due_at = now()
        FROM contact c
        WHERE m.message_id = ANY($1::uuid[]) AND m.until_at IS NOT NULL
          AND c.person_id = m.person_id AND c.erased_at IS NOT NULL
        """,
        list(message_ids),
    )


async def look_again(conn: asyncpg.Connection, persons: Sequence[UUID]) -> None:
    """Decide anew on messages of persons whose contact changed.

    A card travels in another stream than the news that a need is ready, so it may come later
    than the message that missed it. What may have left after the backup that this region was
    restored from stays for a person.
    """
    await conn.execute(
        """
        WITH mine AS (
            SELECT message_id FROM message
            WHERE person_id = ANY($1::uuid[]) AND settled_at IS NULL AND expires_at > now()
              AND (state = 'queued' OR (state = 'suppressed' AND reason = 'no_safe_contact'
                   AND NOT EXISTS (SELECT FROM unproven u
                                   WHERE u.id = need_id AND u.cleared_at IS NULL)))
            ORDER BY message_id FOR UPDATE)
        UPDATE message m SET state = 'queued', reason = NULL, due_at = now(), changed_at = now()
        FROM mine WHERE m.message_id = mine.message_id
        """,
        list(persons),
    )


@dataclass(frozen=True, slots=True)
class Due:
    """A message whose time has come, with all that the decision needs."""

    queued: Queued
    need_id: UUID | None
    attempt_no: int | None
    tries: int
    over: bool
    erased: bool
    card_of: UUID | None
    card_version: int
    sealed: bytes | None
    queued_at: datetime


async def due(conn: asyncpg.Connection, limit: int) -> list[Due]:
    """Lock up to `limit` due messages that nobody else holds, the oldest first."""
    rows = await conn.fetch(
        """
        SELECT m.*, coalesce(o.attempt_no >= m.attempt_no, false) AS over,
               c.erased_at IS NOT NULL AS erased,
               coalesce(c.version, 1) AS card_version, coalesce(c.sealed, s.sealed) AS sealed
        FROM (SELECT message_id, template, need_id, attempt_no, person_id, staff_id, sensitive,
                     collect_days, expires_at, starts_at, from_on, until_at, tries, queued_at
              FROM message WHERE state = 'queued' AND due_at <= now()
              ORDER BY due_at, message_id LIMIT $1 FOR UPDATE SKIP LOCKED) m
        LEFT JOIN contact c ON c.person_id = m.person_id
        LEFT JOIN attempt_over o ON o.need_id = m.need_id
        LEFT JOIN subscription s ON s.staff_id = m.staff_id
        """,
        limit,
    )
    return [
        Due(
            queued=Queued(
                message_id=row["message_id"],
                template=row["template"],
                sensitive=row["sensitive"],
                collect_days=row["collect_days"],
                expires_at=row["expires_at"],
                starts_at=row["starts_at"],
                from_on=row["from_on"],
                until_at=row["until_at"],
            ),
            need_id=row["need_id"],
            attempt_no=row["attempt_no"],
            tries=row["tries"],
            over=row["over"],
            erased=row["erased"],
            card_of=row["person_id"] or row["staff_id"],
            card_version=row["card_version"],
            sealed=row["sealed"],
            queued_at=row["queued_at"],
        )
        for row in rows
    ]


async def mark_sending(
    conn: asyncpg.Connection,
    messages: Sequence[tuple[UUID, str]],
    claim_id: UUID,
    lease_s: float,
) -> dict[UUID, UUID]:
    """Record, before any channel is called, that these messages are about to leave.

    Each is called the same on its way however often it is tried: by an id that nothing leads to.

    Args:
        messages: id and channel; locked by the caller.
        lease_s: seconds after which whoever finds them may take them for cut short.

    Returns:
        what each is called on its way.
    """
    rows = await conn.fetch(
        """
        UPDATE message m SET state = 'sending', channel = n.channel, claim_id = $3,
               claimed_until = now() + make_interval(secs => $4), tries = tries + 1,
               changed_at = now(), post_id = coalesce(m.post_id, gen_random_uuid())
        FROM unnest($1::uuid[], $2::text[]) AS n (message_id, channel)
        WHERE m.message_id = n.message_id RETURNING m.message_id, m.post_id
        """,
        [message_id for message_id, _ in messages],
        [channel for _, channel in messages],
        claim_id,
        lease_s,
    )
    return {row["message_id"]: row["post_id"] for row in rows}


async def postpone(
    conn: asyncpg.Connection,
    waits: Sequence[tuple[UUID, datetime]],
    claim_id: UUID | None,
    *,
    tries_back: int = 0,
) -> None:
    """Put messages back in the queue until a time of their own, or until they expire.

    Args:
        claim_id: of the sending that they come back from; None for those still queued.
        tries_back: 1 for those of which no channel said anything, since that was no try.
    """
    await conn.execute(
        """
        UPDATE message m SET state = 'queued', due_at = LEAST(n.due_at, m.expires_at),
               claim_id = NULL, claimed_until = NULL, tries = tries - $4, changed_at = now()
        FROM unnest($1::uuid[], $2::timestamptz[]) AS n (message_id, due_at)
        WHERE m.message_id = n.message_id AND m.claim_id IS NOT DISTINCT FROM $3
        """,
        [message_id for message_id, _ in waits],
        [until for _, until in waits],
        claim_id,
        tries_back,
    )


class Told(NamedTuple):
    """A message of a need whose state changed, and what it goes back to."""

    message_id: UUID
    need_id: UUID
    attempt_no: int
    reason: str | None
    correlation_id: UUID | None
    traceparent: str | None


async def end(
    conn: asyncpg.Connection,
    ended: Sequence[tuple[UUID, str, str]],
    claim_id: UUID | None,
) -> list[Told]:
    """End messages that will not go out.

    Args:
        ended: id, state and reason.
        claim_id: of the sending that failed; None for those still queued.

    Returns:
        those about needs whose state did change.
    """
    rows = await conn.fetch(
        """
        UPDATE message m SET state = n.state, reason = n.reason, claim_id = NULL,
               claimed_until = NULL, changed_at = now(),
               settled_at = CASE WHEN m.staff_id IS NOT NULL OR EXISTS (
                   SELECT 1 FROM attempt_over o
                   WHERE o.need_id = m.need_id AND o.attempt_no >= m.attempt_no) THEN now() END
        FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n (message_id, state, reason)
        WHERE m.message_id = n.message_id AND m.claim_id IS NOT DISTINCT FROM $4
        RETURNING m.message_id, m.need_id, m.attempt_no, m.reason, m.correlation_id, m.traceparent
        """,
        *(list(column) for column in zip(*ended, strict=True)),
        claim_id,
    )
    return told_of(rows)


async def mark_sent(
    conn: asyncpg.Connection, messages: Sequence[UUID], claim_id: UUID
) -> list[Told]:
    """Record what a channel took; returns those about needs that were still being sent."""
    rows = await conn.fetch(
        """
        UPDATE message SET state = 'sent', sent_at = now(), settled_at = now(), claim_id = NULL,
               claimed_until = NULL, changed_at = now()
        WHERE message_id = ANY($1::uuid[]) AND claim_id = $2
        RETURNING message_id, need_id, attempt_no, reason, correlation_id, traceparent
        """,
        list(messages),
        claim_id,
    )
    return told_of(rows)


async def cut_short(
    conn: asyncpg.Connection, again: Sequence[str], limit: int, *, but: Collection[UUID] = ()
) -> list[Told]:
    """Settle messages whose sender was never heard of again.

    Those of the templates `again` are queued once more, the others become `unknown`: they may
    or may not have left, and a person decides.

    Args:
        but: claims of senders that are known to live.

    Returns:
        those about needs that became `unknown`, and of the rest only their number matters:
        they come with reason None.
    """
    rows = await conn.fetch(
        """
        WITH lost AS (
            SELECT message_id FROM message
            WHERE state = 'sending' AND claimed_until < now() AND claim_id <> ALL($3::uuid[])
            ORDER BY message_id LIMIT $2 FOR UPDATE SKIP LOCKED)
        UPDATE message m SET changed_at = now(), claim_id = NULL, claimed_until = NULL,
               state = CASE WHEN m.template = ANY($1::text[]) THEN 'queued' ELSE 'unknown' END,
               reason = CASE WHEN m.template = ANY($1::text[]) THEN NULL ELSE 'unknown' END,
               due_at = CASE WHEN m.template = ANY($1::text[]) THEN now() ELSE m.due_at END,
               settled_at = CASE WHEN m.template <> ALL($1::text[]) AND (
                   m.staff_id IS NOT NULL OR EXISTS (
                       SELECT 1 FROM attempt_over o
                       WHERE o.need_id = m.need_id AND o.attempt_no >= m.attempt_no)) THEN now() END
        FROM lost WHERE m.message_id = lost.message_id
        RETURNING m.message_id, m.need_id, m.attempt_no, m.reason, m.correlation_id, m.traceparent
        """,
        list(again),
        limit,
        list(but),
    )
    return told_of(rows)


def told_of(rows: Sequence[asyncpg.Record]) -> list[Told]:
    """Those of the changed messages that are about needs."""
    return [
        Told(
            row["message_id"],
            row["need_id"],
            row["attempt_no"],
            row["reason"],
            row["correlation_id"],
            row["traceparent"],
        )
        for row in rows
        if row["need_id"] is not None
    ]


async def queue_digests(
    conn: asyncpg.Connection,
    digests: Sequence[tuple[UUID, UUID]],
    template: str,
    expires_at: datetime,
) -> None:
    """Queue one digest for each (message, member of staff)."""
    await conn.execute(
        """
        INSERT INTO message (message_id, template, staff_id, sensitive, collect_days, expires_at)
        SELECT id, $3, staff_id, false, 0, $4
        FROM unnest($1::uuid[], $2::uuid[]) AS n (id, staff_id) ORDER BY id
        ON CONFLICT (message_id) DO NOTHING
        """,
        [message_id for message_id, _ in digests],
        [staff_id for _, staff_id in digests],
        template,
        expires_at,
    )
