"""Looking for canaries: personal values that were planted and must be readable nowhere."""

import asyncio
import os
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from json import dumps
from pathlib import Path
from urllib.parse import quote

import asyncpg

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome

READ_BYTES = 4 * 1024 * 1024


class Canaries:
    """Planted values, in each form in which they could be written down.

    A value is looked for as it is (UTF-8), as JSON writes it in ASCII, and as an URL does.
    """

    def __init__(self, values: Sequence[str]) -> None:
        self.count = len(values)
        forms = {
            form.encode()
            for value in values
            for form in (value, dumps(value)[1:-1], quote(value, safe=""))
        }
        self.longest_bytes = max(map(len, forms))
        self._pattern = re.compile(_any_of(sorted(forms)))

    def are_in(self, data: bytes) -> bool:
        """Whether any of them is."""
        return self._pattern.search(data) is not None


def _any_of(words: Sequence[bytes]) -> bytes:
    """A pattern for any of some sorted words, what they begin with in common written once.

    It is three times as fast as a list of them all: most places are dismissed at one byte.
    """
    if words[0] == b"":  # whatever begins with a word that ends here shows it already
        return b""
    branches = [
        re.escape(first) + _any_of([word[1:] for word in group])
        for first, group in groupby(words, key=lambda word: word[:1])
    ]
    return branches[0] if len(branches) == 1 else b"(?:%s)" % b"|".join(branches)


class _Search:
    """Searches what comes in pieces."""

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries
        self._rest = b""
        self.found = False

    async def __call__(self, piece: bytes) -> None:
        self.add(piece)

    def add(self, piece: bytes) -> None:
        if self.found:
            return
        data = self._rest + piece
        self.found = self._canaries.are_in(data)
        self._rest = data[-self._canaries.longest_bytes :]


async def tables_are_clean(probe: RegionProbe, canaries: Canaries) -> Outcome:
    """No table of any service shows a planted value, not even its own one unencrypted."""

    async def of_one(service: str, conn: asyncpg.Connection) -> list[str]:
        return [f"{service}.{where}" for where in await _found_in(conn, canaries)]

    found = await asyncio.gather(
        *(of_one(service, conn) for service, conn in probe.connections.items())
    )
    return outcome(
        f"{probe.name}.no_personal_data_in_tables",
        f"none of {canaries.count} planted personal values is readable in any table",
        [one for places in found for one in places],
    )


async def _found_in(conn: asyncpg.Connection, canaries: Canaries) -> list[str]:
    """Tables and columns that show a value: each table is read once, as the bytes it holds."""
    found: list[str] = []
    for table, columns in await _with_rows(conn, await _columns(conn)):
        if await _shows(conn, table, "*", canaries):
            found += [
                f"{table}.{column}"
                for column in columns
                if await _shows(conn, table, f'"{column}"', canaries)
            ]
    return found


async def _with_rows(
    conn: asyncpg.Connection, tables: Sequence[tuple[str, list[str]]]
) -> list[tuple[str, list[str]]]:
    """Those tables that hold anything; asked all at once, since many hold nothing."""
    if not tables:
        return []
    each = (
        f'SELECT {number} AS number WHERE EXISTS (SELECT FROM "{table}")'  # noqa: S608 - as below
        for number, (table, _) in enumerate(tables)
    )
    rows = await conn.fetch(" UNION ALL ".join(each))
    return [tables[row["number"]] for row in rows]


async def _shows(conn: asyncpg.Connection, table: str, columns: str, canaries: Canaries) -> bool:
    # In PostgreSQL's binary form texts and bytes are what they are, JSON is text, with no escapes.
    search = _Search(canaries)
    query = f'SELECT {columns} FROM "{table}"'  # noqa: S608 - names from the catalog
    await conn.copy_from_query(query, output=search, format="binary")
    return search.found


async def _columns(conn: asyncpg.Connection) -> list[tuple[str, list[str]]]:
    """Every table with its columns."""
    rows = await conn.fetch(
        """
        SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) AS columns
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relnamespace = 'public'::regnamespace
        GROUP BY c.relname ORDER BY c.relname
        """
    )
    return [(row["relname"], row["columns"]) for row in rows]


def logs_are_clean(name: str, files: Iterable[Path], canaries: Canaries) -> Outcome:
    """No log file shows a planted value.

    Args:
        name: of the check.
        files: of `logs_in`.
    """
    return outcome(
        name,
        "none of the planted personal values is in a log file",
        [str(path) for path in files if _holds(path, canaries)],
    )


def logs_in(folder: Path) -> list[Path]:
    """Every file in a region's folder of logs, and in those of its servers, linked into it."""
    return [
        Path(parent) / name
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in sorted(names)
    ]


def supervisor_logs_in(data: Path) -> list[Path]:
    """The logs of whoever runs the regions: they lie in the data folder itself."""
    return sorted(data.glob("*.log*"))


def _holds(path: Path, canaries: Canaries) -> bool:
    search = _Search(canaries)
    try:
        with path.open("rb") as file:
            while not search.found and (piece := file.read(READ_BYTES)):
                search.add(piece)
    except FileNotFoundError:  # rotated away while we looked
        return False
    return search.found
