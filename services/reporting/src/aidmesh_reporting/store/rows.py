"""Rows as a statement takes them."""

from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    """Turn rows into columns, for `unnest`; there must be a row."""
    return [list(column) for column in zip(*rows, strict=True)]
