"""What a region must not offer as free after it was restored from a backup. Pure.

The backup says how an allotment stood when it was taken. Later it told others how it stood then
(`AllotmentChangedV1`), and its own log may still hold what was set aside one by one
(`CommitmentHeldV1` and so on). Whatever was held, committed or spent by the later word and is not
in the backup was done since, for needs and orders that nobody remembers: it is *unproven*, and is
committed as a whole until people have found out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Said = Literal["held", "made", "spent", "reversed", "released"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of an allotment at one time, in minor units."""

    received_minor: int
    returned_minor: int
    used_minor: int
    """Held, committed or spent."""

    @property
    def gone_minor(self) -> int:
        """What could not be promised any more."""
        return self.returned_minor + self.used_minor

    @property
    def free_minor(self) -> int:
        """What could be promised."""
        return self.received_minor - self.gone_minor


@dataclass(frozen=True, slots=True)
class Word:
    """What the own log says of one commitment that is younger than the backup."""

    commitment_id: UUID
    said: Said
    amount_minor: int


def unproven_minor(restored: Figures, later: Figures | None, words: Iterable[Word] = ()) -> int:
    """How much of an allotment is to be committed, as used in ways that nobody can prove.

    Never more than it has free, so that its equation holds; what was used beyond that is missing
    from what it received, and was never offered.

    Args:
        restored: as the backup has it, after what was sent and given back since was booked again.
        later: as others heard it last; None where they heard nothing since.
        words: of commitments that the backup does not know, each once or more, in order.
    """
    known = 0 if later is None else max(0, later.gone_minor - restored.gone_minor)
    amounts: dict[UUID, int] = {}
    for word in words:
        if word.said == "released":
            amounts[word.commitment_id] = 0
        elif word.amount_minor:
            amounts[word.commitment_id] = word.amount_minor
    return min(max(known, sum(amounts.values())), max(0, restored.free_minor))
