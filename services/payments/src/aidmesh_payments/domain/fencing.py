"""What a grantor takes back from a holder that was declared lost, and what that one owes since.

Nobody knows what a lost region does meanwhile. What it was last known to have held, committed or
spent stays counted as gone, and so does what it was sent and never said it had; only what it was
known to have free is used anew. The grantor's equation holds all the while, since that is booked
like any other return. Should the lost region have spent it all the same, it owes that when it is
back: its own books never pretend otherwise.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Known:
    """A holder's figures as it last told them, in minor units."""

    received_minor: int
    returned_minor: int
    held_minor: int
    committed_minor: int
    spent_minor: int

    @property
    def free_minor(self) -> int:
        """What it could still have promised to somebody."""
        return self.received_minor - self.returned_minor - self.used_minor

    @property
    def used_minor(self) -> int:
        """What is promised or gone."""
        return self.held_minor + self.committed_minor + self.spent_minor


def reissuable_minor(outstanding_minor: int, known: Known | None, taken_minor: int = 0) -> int:
    """What the grantor may use anew.

    Args:
        outstanding_minor: what it sent, less what it counts as returned.
        known: None where the holder never told anything.
        taken_minor: what was taken back already by these figures: it was fenced before.
    """
    if known is None:
        return 0
    return max(0, min(known.free_minor - taken_minor, outstanding_minor - known.used_minor))


def may_credit(
    amount_minor: int,
    outstanding_minor: int,
    fences: Collection[int],
    known_fences: Collection[int] | None,
) -> bool:
    """Whether the grantor credits what a holder gave back; it does so whole, or not at all.

    Whoever had not heard of a fence gave back what may be taken back already. By `due` it sets that
    against what was taken once it hears of it, and tells what is beyond that.

    Args:
        outstanding_minor: what the grantor sent, less what it counts as returned.
        fences: epochs of the holder that were fenced for this allotment.
        known_fences: those of them that it had heard of by then; None where it did not say.
    """
    if amount_minor > outstanding_minor:
        return False
    return known_fences is None or set(fences) <= set(known_fences)


class GivenBack(NamedTuple):
    """What a holder gave back of an allotment, in minor units of its currency.

    Attributes:
        known_fences: as of `may_credit`.
    """

    id: UUID
    allotment_id: UUID
    amount_minor: int
    known_fences: Collection[int] | None


def creditable(
    returns: Iterable[GivenBack],
    outstanding: Mapping[UUID, int],
    fences: Mapping[UUID, Collection[int]],
    credited: Collection[UUID],
) -> list[bool]:
    """Whether the grantor credits each of these returns, one after the other.

    What it has credited already it credits as well: once, whatever came later.

    Args:
        outstanding: by allotment, as of `may_credit`, before the first of them.
        fences: by allotment, as of `may_credit`.
        credited: what was credited before.
    """
    left, done, answers = dict(outstanding), set(credited), list[bool]()
    for each in returns:
        place = each.allotment_id
        is_new = each.id not in done
        may = not is_new or may_credit(
            each.amount_minor, left[place], fences.get(place, ()), each.known_fences
        )
        if may and is_new:
            left[place] -= each.amount_minor
            done.add(each.id)
        answers.append(may)
    return answers


@dataclass(frozen=True, slots=True)
class Return:
    """Money that the holder gave back: in which epoch, and whether that is settled otherwise.

    Attributes:
        fences: that it had heard of by then; None where that was not kept: those before its epoch.
    """

    id: object
    amount_minor: int
    epoch: int
    settled: bool = False
    fences: Collection[int] | None = None

    def knew_of(self, fenced: int) -> bool:
        """Whether it was given back with a fence in mind."""
        return self.epoch > fenced if self.fences is None else fenced in self.fences


@dataclass(frozen=True, slots=True)
class Due:
    """What a holder owes of what was taken back, or gave back in vain; one of them is zero.

    Attributes:
        settled: returns that are accounted for by this.
    """

    owed_minor: int
    untold_minor: int
    settled: frozenset[object]


def due(
    taken_minor: int, epoch: int, credited: Collection[object], returns: Iterable[Return]
) -> Due:
    """Set what was given back before a fence was heard of, and never credited, against it.

    Args:
        taken_minor: what the grantor took back by itself.
        epoch: that was fenced.
        credited: returns that the grantor had credited by then.
        returns: all of this allotment.
    """
    in_vain = [
        each
        for each in returns
        if not each.knew_of(epoch) and not each.settled and each.id not in credited
    ]
    late_minor = sum(each.amount_minor for each in in_vain)
    return Due(
        max(0, taken_minor - late_minor),
        max(0, late_minor - taken_minor),
        frozenset(each.id for each in in_vain),
    )
