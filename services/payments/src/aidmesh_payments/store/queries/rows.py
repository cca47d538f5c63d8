"""Rows as the API shows them."""

from collections.abc import Sequence

import asyncpg

Row = dict[str, object]


def rows_of(records: Sequence[asyncpg.Record]) -> list[Row]:
    """Turn records into rows."""
    return [dict(record) for record in records]
