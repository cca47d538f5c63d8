"""Rows that say which needs were served: which of them are new, and what speaks against others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

TAKEN_BEFORE: Final = "taken_before"
TWICE: Final = "twice_in_one_call"
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

    Of a row that stands twice in one call the first is tried; what becomes of it is not known here.

    Args:
        known: contents of rows that were taken in before, by key.
    """
    tried: dict[bytes, bytes] = {}
    found: list[str | None] = []
    for row in rows:
        before = known.get(row.key)
        earlier = tried.get(row.key)
        if before is not None:
            found.append(TAKEN_BEFORE if before == row.content else ROW_CHANGED)
        elif earlier is not None:
            found.append(TWICE if earlier == row.content else ROW_CHANGED)
        elif row.served_on > today:
            found.append(IN_THE_FUTURE)
        else:
            tried[row.key] = row.content
            found.append(None)
    return found
