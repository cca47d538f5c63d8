"""Dead letters, as a person sees to them: each is looked at, then tried again or dropped.

Who decided and why is kept with the letter.
"""

import json
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_chassis import inbox

OPEN = ("dead", "failing", "parked")
_OF_SENDER: Final = re.compile(r"ce-|aid-|content-type$|Nats-Msg-Id$|traceparent$")


class Letter(NamedTuple):
    """A message that could not be handled.

    Attributes:
        letter_id: its number in this service's database.
        durable: for which consumer it was.
        status: `dead` waits for a person, `failing` and `parked` are tried again by themselves,
            `done` and `dropped` are over.
        reason: a code.
        headers: CloudEvents attributes and ids.
        payload: as it came; empty where it was sealed and its time is over.
        decided_by, note: who retried or dropped it, and why.
    """

    letter_id: int
    durable: str
    event_id: UUID
    subject: str
    status: str
    reason: str
    attempts: int
    first_at: datetime
    changed_at: datetime
    retry_at: datetime | None
    headers: Mapping[str, str]
    payload: bytes
    decided_by: str | None
    note: str | None


LISTED_MAX = 200
_COLUMNS = """id, durable, event_id, subject, status, reason, attempts, first_at, changed_at,
              retry_at, headers, payload, decided_by, note"""


async def listed(
    conn: asyncpg.Connection, *, after: int = 0, all_open: bool = False
) -> list[Letter]:
    """Return `LISTED_MAX` dead letters at most, oldest first.

    With `all_open` those too that are tried again by themselves.

    `after` is the number of the last letter of the page before.
    """
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM dead_letter
        WHERE status = ANY($1::text[]) AND id > $2 ORDER BY id LIMIT $3
        """,  # noqa: S608 - our columns
        list(OPEN if all_open else ("dead",)),
        after,
        LISTED_MAX,
    )
    return [_letter(row) for row in rows]


async def one(conn: asyncpg.Connection, letter_id: int) -> Letter | None:
    """Return a letter, however it ended."""
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM dead_letter WHERE id = $1",  # noqa: S608 - our columns
        letter_id,
    )
    return None if row is None else _letter(row)


async def retry(conn: asyncpg.Connection, letter_id: int, by: str, note: str) -> bool:
    """Have a dead or parked letter handled now; its attempts are counted anew.

    Returns:
        whether there was one that can be: not what is over, nor what was blanked.
    """
    result = await conn.execute(
        """
        UPDATE dead_letter SET status = 'parked', attempts = 0, retry_at = now(),
               changed_at = now(), decided_by = $2, note = $3
        WHERE id = $1 AND status IN ('dead', 'parked') AND payload <> ''
        """,
        letter_id,
        by,
        note,
    )
    return result == "UPDATE 1"


class Waiting(NamedTuple):
    """Which dead letters are meant; None admits all.

    Attributes:
        reason: the code of why they could not be handled.
        event: aggregate and event, such as `need.ready`, of any producer and version.
    """

    reason: str | None = None
    event: str | None = None


_MEANT = """status = 'dead' AND payload <> '' AND ($1::text IS NULL OR reason = $1)
            AND ($2::text IS NULL OR position('.' || $2 || '.' IN subject) > 0)"""


async def count_dead(conn: asyncpg.Connection, which: Waiting) -> int:
    """Return how many letters wait for a person and could be handled again."""
    number: int = await conn.fetchval(
        f"SELECT count(*) FROM dead_letter WHERE {_MEANT}",  # noqa: S608 - our condition
        which.reason,
        which.event,
    )
    return number


async def retry_dead(conn: asyncpg.Connection, which: Waiting, by: str, note: str) -> int:
    """Have letters that wait for a person handled now, as `retry`; returns how many."""
    result = await conn.execute(
        f"""
        UPDATE dead_letter SET status = 'parked', attempts = 0, retry_at = now(),
               changed_at = now(), decided_by = $3, note = $4
        WHERE {_MEANT}
        """,  # noqa: S608 - our condition
        which.reason,
        which.event,
        by,
        note,
    )
    return int(result.split()[-1])


async def drop(conn: asyncpg.Connection, letter_id: int, by: str, note: str) -> bool:
    """Have a letter never handled, nor any copy of it: its event counts as taken in.

    A handoff is answered with its next copy, as any that is known.

    Returns:
        whether there was an open one whose event was not handled after all.
    """
    # The inbox first, as whoever handles the event does: neither waits for the other in vain.
    async with conn.transaction():
        letter = await one(conn, letter_id)
        if letter is None or letter.status not in OPEN:
            return False
        is_new = await inbox.pass_over(conn, letter.event_id, letter.payload)
        if not is_new and letter.reason != inbox.OTHER_CONTENT:
            return False
        result = await conn.execute(
            """
            UPDATE dead_letter SET status = 'dropped', retry_at = NULL, changed_at = now(),
                   decided_by = $2, note = $3
            WHERE id = $1 AND status = ANY($4::text[])
            """,
            letter_id,
            by,
            note,
            list(OPEN),
        )
    return result == "UPDATE 1"


async def not_taken_in(conn: asyncpg.Connection, ids: Collection[UUID]) -> set[UUID]:
    """Which of these events are not in the inbox: neither handled nor dropped."""
    rows = await conn.fetch(
        """
        SELECT n.id FROM unnest($1::uuid[]) AS n (id)
        WHERE NOT EXISTS (SELECT FROM inbox i WHERE i.event_id = n.id
                          AND i.occurred_at = inbox_time(n.id))
        """,
        list(ids),
    )
    return {row["id"] for row in rows}


async def hand_again(conn: asyncpg.Connection, letter: inbox.Letter, by: str, note: str) -> bool:
    """Have an event handled now, as a letter would be.

    Returns:
        False when it is being tried already, or was dropped.
    """
    result = await conn.execute(
        """
        INSERT INTO dead_letter AS old (durable, event_id, subject, headers, payload, status,
                                        reason, retry_at, decided_by, note)
        VALUES ($1, $2, $3, $4, $5, 'parked', 'replayed', now(), $6, $7)
        ON CONFLICT (durable, event_id) DO UPDATE
        SET status = 'parked', attempts = 0, retry_at = now(), changed_at = now(),
            payload = excluded.payload, decided_by = excluded.decided_by, note = excluded.note
        WHERE old.status IN ('dead', 'done')
        """,
        letter.durable,
        letter.event_id,
        letter.subject,
        json.dumps(letter.headers),
        letter.payload,
        by,
        note,
    )
    return result.endswith(" 1")


def headers_of(head: bytes) -> dict[str, str]:
    """What the sender said in the headers of a stream's message; nothing that streams added."""
    headers = {}
    for line in head.decode().splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon and _OF_SENDER.match(name):
            headers[name] = value.strip()
    return headers


def _letter(row: asyncpg.Record) -> Letter:
    return Letter(
        letter_id=row["id"],
        durable=row["durable"],
        event_id=row["event_id"],
        subject=row["subject"],
        status=row["status"],
        reason=row["reason"],
        attempts=row["attempts"],
        first_at=row["first_at"],
        changed_at=row["changed_at"],
        retry_at=row["retry_at"],
        headers=json.loads(row["headers"]),
        payload=row["payload"],
        decided_by=row["decided_by"],
        note=row["note"],
    )
