"""Files of requests that were cut off half-way: nobody sees that the rest of them is missing."""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from aidmesh.connecting import close_database
from aidmesh.doctor.findings import Finding, age
from aidmesh.meshfile import RegionEntry

CUT_OFF: Final = """
    SELECT j.source, j.next_row, j.rows_total, j.staff_id,
           extract(epoch FROM now() - j.changed_at)::float8 AS age_s,
           EXISTS (SELECT FROM import_job l WHERE l.source = j.source AND l.state = 'done'
                   AND l.changed_at > j.changed_at) AS is_followed
    FROM import_job j
    WHERE j.state = 'running' AND j.next_row < j.rows_total
      AND j.changed_at BETWEEN now() - interval '30 days' AND now() - interval '15 minutes'
    ORDER BY j.changed_at, j.id LIMIT 20
"""
"""Each few hundred rows that are taken in change it, so one that is at work is not among them."""


async def cut_off(name: str, entry: RegionEntry, timeout_s: float) -> list[Finding]:
    """Which files a region has begun to take in and did not come to the end of.

    Args:
        name: of the region.
        entry: where its databases are.
        timeout_s: how long the database may take to answer, in seconds.

    Raises:
        OSError, asyncpg.PostgresError, TimeoutError: it does not answer.
    """
    conn = await asyncpg.connect(
        entry.admin_dsn("intake"), timeout=timeout_s, command_timeout=timeout_s
    )
    try:
        return told(f"{name} intake", [dict(row) for row in await conn.fetch(CUT_OFF)])
    finally:
        await close_database(conn)


def told(where: str, jobs: Sequence[Mapping[str, object]]) -> list[Finding]:
    """What is said of files that were cut off. Pure.

    Args:
        where: region and service.
        jobs: source, next_row, rows_total, staff_id, age_s, is_followed.
    """
    return [
        Finding(
            "note" if job["is_followed"] else "warning",
            where,
            f"a file of source {job['source']} was cut off after {job['next_row']} of "
            f"{job['rows_total']} rows, {age(float(str(job['age_s'])))} ago",
            "A later file of that source came to its end; if it had the same rows, nothing is "
            "missing."
            if job["is_followed"]
            else "Who is in the other rows is not registered, and nobody sees that.",
            f"{_sender(job['staff_id'])} sends the same file again, at the desk (Register, Many "
            "requests in a file?) or with aidmesh import: it goes on where it was, and no row "
            "counts twice.",
        )
        for job in jobs
    ]


def _sender(staff_id: object) -> str:
    return "Who sent it" if staff_id is None else f"Who sent it ({staff_id} in aidmesh staff list)"
