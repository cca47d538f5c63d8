"""Looking for canaries: personal values that were planted and must be readable nowhere."""

import re
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome

READ_BYTES = 4 * 1024 * 1024
OVERLAP_BYTES = 256


def canary_pattern(values: Sequence[str]) -> re.Pattern[bytes] | None:
    """Return a pattern that finds any of the values in bytes, None when there are none."""
    if not values:
        return None
    return re.compile(b"|".join(re.escape(value.encode()) for value in values))


async def tables_are_clean(probe: RegionProbe, values: Sequence[str]) -> Outcome:
    """No table of any service shows a planted value, not even its own one unencrypted."""
    found: list[str] = []
    wanted = [*values, *(value.encode().hex() for value in values)]
    expression = "|".join(_escaped(value) for value in wanted)
    for service, conn in probe.connections.items():
        for table in await _tables(conn):
            rows = await conn.fetchval(
                f'SELECT count(*) FROM "{table}" AS t WHERE t::text ~ $1',  # noqa: S608 - from the catalog
                expression,
            )
            if rows:
                found.append(f"{service}.{table}: {rows} rows")
    return outcome(
        f"{probe.name}.no_personal_data_in_tables",
        f"none of {len(values)} planted personal values is readable in any table",
        found,
    )


async def _tables(conn: asyncpg.Connection) -> list[str]:
    rows = await conn.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
        "AND relnamespace = 'public'::regnamespace ORDER BY relname"
    )
    return [row["relname"] for row in rows]


def _escaped(value: str) -> str:
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", value)


def logs_are_clean(region: str, folder: Path, pattern: re.Pattern[bytes]) -> Outcome:
    """No log file of the region shows a planted value."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = [str(path.relative_to(folder)) for path in files if _holds(path, pattern)]
    return outcome(
        f"{region}.no_personal_data_in_logs",
        "none of the planted personal values is in a log file",
        found,
    )


def _holds(path: Path, pattern: re.Pattern[bytes]) -> bool:
    rest = b""
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            if pattern.search(rest + piece):
                return True
            rest = piece[-OVERLAP_BYTES:]
    return False
