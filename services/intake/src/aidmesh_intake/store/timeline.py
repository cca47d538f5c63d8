"""What happened to needs, word by word."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_intake.domain.need import Need
from aidmesh_intake.store.needs import columns


async def add(
    conn: asyncpg.Connection,
    entries: Sequence[tuple[Need, str]],
    now: datetime,
    staff_id: UUID | None = None,
) -> None:
    """Add to the timelines: for each need, as it stands now, one word of what happened."""
    if entries:
        await conn.copy_records_to_table(
            "need_event",
            records=[
                (
                    need.id,
                    need.version,
                    now,
                    note,
                    need.state.value,
                    need.attempt_no,
                    _detail(need, note),
                    staff_id,
                )
                for need, note in entries
            ],
            columns=(
                "need_id", "version", "at", "note", "state", "attempt_no", "detail", "staff_id",
            ),
        )  # fmt: skip


async def note_overrides(
    conn: asyncpg.Connection, entries: Sequence[tuple[Need, str]], reason: str
) -> None:
    """Add to the latest entry of each need's timeline what was overridden, and why."""
    if entries:
        await conn.execute(
            """
            UPDATE need_event SET overrode = u.overrode, override_reason = $4
            FROM unnest($1::uuid[], $2::int[], $3::text[]) AS u (need_id, version, overrode)
            WHERE need_event.need_id = u.need_id AND need_event.version = u.version
            """,
            *columns([(need.id, need.version, overrode) for need, overrode in entries]),
            reason,
        )


def _detail(need: Need, note: str) -> str | None:
    lacks = need.also_lacks.blocked_by if note == "lacks_too" and need.also_lacks else None
    blocked_by = lacks or need.blocked_by
    if blocked_by is not None:
        return f"{blocked_by.resource}:{blocked_by.code}"
    return need.reason
