"""Looking for canaries: personal values that were planted and must be readable nowhere."""

import re
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome

READ_BYTES = 4 * 1024 * 1024
OVERLAP_BYTES = 256
STATEMENT_S_MAX = 120.0
SEARCHED_MAX = 61


def sample(values: Sequence[str]) -> list[str]:
    """Return at most `SEARCHED_MAX` values, spread evenly: every field and every week has some."""
    step = max(1, -(-len(values) // SEARCHED_MAX))
    return list(values[::step])


def canary_pattern(values: Sequence[str]) -> re.Pattern[bytes] | None:
    """Return a pattern that finds any of the values in bytes, None when there are none."""
    if not values:
        return None
    return re.compile(b"|".join(re.escape(value.encode()) for value in values))


async def tables_are_clean(probe: RegionProbe, values: Sequence[str]) -> Outcome:
    """No table of any service shows a planted value, not even its own one unencrypted."""
    found: list[str] = []
    for service, conn in probe.connections.items():
        in_text = "|".join(_escaped(value) for value in values)
        as_bytes = await conn.fetch(
            "SELECT encode(convert_to(value, 'UTF8'), 'escape') FROM unnest($1::text[]) value",
            list(values),
        )
        in_bytes = "|".join(_escaped(row[0]) for row in as_bytes)
        for table, column, is_bytes in await _columns(conn):
            shown = f"encode(\"{column}\", 'escape')" if is_bytes else f'"{column}"::text'
            rows = await conn.fetchval(
                f'SELECT count(*) FROM "{table}" WHERE {shown} ~ $1',  # noqa: S608 - from the catalog
                in_bytes if is_bytes else in_text,
                timeout=STATEMENT_S_MAX,
            )
            if rows:
                found.append(f"{service}.{table}.{column}: {rows} rows")
    return outcome(
        f"{probe.name}.no_personal_data_in_tables",
        f"none of {len(values)} planted personal values is readable in any table",
        found,
    )


async def _columns(conn: asyncpg.Connection) -> list[tuple[str, str, bool]]:
    """Every column that could hold words: table, column, and whether it is of bytes."""
    rows = await conn.fetch(
        """
        SELECT c.relname, a.attname, t.typname = 'bytea' AS is_bytes
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_type t ON t.oid = a.atttypid
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relnamespace = 'public'::regnamespace
          AND t.typname IN ('bytea', 'text', 'varchar', 'bpchar', 'json', 'jsonb', '_text')
        ORDER BY c.relname, a.attnum
        """
    )
    return [(row["relname"], row["attname"], row["is_bytes"]) for row in rows]


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
