"""Rows that say which needs were served: which of them are new, and what speaks against others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

TAKEN_BEFORE: Final = "taken_before"
ROW_CHANGED: Final = "row_changed"
IN_THE_FUTURE: Final = "in_the_future"


@dataclass(frozen=True, slots=True)
class ServedRow:
    """A need that was served, as one row of many says.

    Attributes:
        key, content: what the row is found by, and what tells whether it is the same as before.
        served_on: the day in Kyiv.
    """

    key: bytes
    content: bytes
    need_id: UUID
    served_on: date


def hindrances(
    rows: Sequence[ServedRow], known: Mapping[bytes, bytes], today: date
) -> list[str | None]:
    """What speaks against taking each row in: a rule, or None if nothing does.

    Args:
        known: contents of rows that were taken in before, by key.
    """
    seen = dict(known)
    found: list[str | None] = []
    for row in rows:
        before = seen.get(row.key)
        if before is not None:
            found.append(TAKEN_BEFORE if before == row.content else ROW_CHANGED)
        elif row.served_on > today:
            found.append(IN_THE_FUTURE)
        else:
            seen[row.key] = row.content
            found.append(None)
    return found
