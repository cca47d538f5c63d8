"""Allotments at their holder: held + committed + spent ≤ received − returned, always."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Literal

from aidmesh_contracts.ids import AllotmentId, GrantId, TransferId, derive_id

AllotmentStatus = Literal["active", "recalled", "returned"]

RETURNS_MAX: Final = 1_000
"""More than anybody gives back of one allotment."""


def return_id(allotment_id: AllotmentId, region: str, epoch: int, number: int) -> TransferId:
    """The transfer by which a holder gives something of an allotment back.

    A region that was restored may have forgotten returns of which its grantor knows: each epoch
    has ids of its own.

    Args:
        number: how many there are with it.
    """
    told = ("return", allotment_id, region)
    return TransferId(derive_id(*told, number) if epoch == 1 else derive_id(*told, epoch, number))


def is_return(transfer_id: TransferId, allotment_id: AllotmentId, region: str, epoch: int) -> bool:
    """Whether a transfer, told in this epoch, is such a return; else it tells anew of several."""
    return any(
        transfer_id == return_id(allotment_id, region, each, number)
        for each in {1, epoch}  # in later epochs too, older regions counted on
        for number in range(1, RETURNS_MAX)
    )


@dataclass(frozen=True, slots=True)
class WayBack:
    """By which transfer something goes back.

    Attributes:
        epoch: of the holder, in which it says so.
        fences: epochs of its own that it knew to be fenced for this allotment; None where it
            did not say.
    """

    transfer_id: TransferId
    epoch: int
    fences: tuple[int, ...] | None


class NotEnough(Exception):
    """An allotment has less free money than was asked for, or takes no new commitments."""


@dataclass(frozen=True, slots=True)
class Allotment:
    """Money of one grant that this region holds, in minor units of its currency.

    Attributes:
        grantor: the region whose grant it is.
        valid_until: last day it may be used.
    """

    id: AllotmentId
    grant_id: GrantId
    budget_line: str
    grantor: str
    currency: str
    received_minor: int = 0
    returned_minor: int = 0
    held_minor: int = 0
    committed_minor: int = 0
    spent_minor: int = 0
    status: AllotmentStatus = "active"
    valid_until: date | None = None
    version: int = 1

    def __post_init__(self) -> None:
        """Hold the holder's equation."""
        assert min(self.held_minor, self.committed_minor, self.spent_minor) >= 0
        assert self.free_minor >= 0, "the holder's equation"

    @property
    def free_minor(self) -> int:
        """What is neither held, committed, spent nor given back."""
        return (
            self.received_minor
            - self.returned_minor
            - self.held_minor
            - self.committed_minor
            - self.spent_minor
        )

    def _take(self, amount_minor: int) -> None:
        if self.status != "active" or amount_minor > self.free_minor:
            raise NotEnough

    def credit(self, amount_minor: int) -> "Allotment":
        """Take in a transfer."""
        return replace(self, received_minor=self.received_minor + amount_minor)

    def hold(self, amount_minor: int) -> "Allotment":
        """Set free money aside. Raises `NotEnough`."""
        self._take(amount_minor)
        return replace(self, held_minor=self.held_minor + amount_minor)

    def commit(self, amount_minor: int) -> "Allotment":
        """Make a hold firm: also after a recall, which only stops new ones."""
        return replace(
            self,
            held_minor=self.held_minor - amount_minor,
            committed_minor=self.committed_minor + amount_minor,
        )

    def commit_free(self, amount_minor: int) -> "Allotment":
        """Commit free money at once (purchases, top-ups). Raises `NotEnough`."""
        self._take(amount_minor)
        return replace(self, committed_minor=self.committed_minor + amount_minor)

    def spend_free(self, amount_minor: int) -> "Allotment":
        """Spend free money at once (facts). Raises `NotEnough`."""
        self._take(amount_minor)
        return replace(self, spent_minor=self.spent_minor + amount_minor)

    def release_held(self, amount_minor: int) -> "Allotment":
        """Free what was held."""
        return replace(self, held_minor=self.held_minor - amount_minor)

    def release_committed(self, amount_minor: int) -> "Allotment":
        """Free what was committed."""
        return replace(self, committed_minor=self.committed_minor - amount_minor)

    def spend(self, amount_minor: int) -> "Allotment":
        """Spend what was committed."""
        return replace(
            self,
            committed_minor=self.committed_minor - amount_minor,
            spent_minor=self.spent_minor + amount_minor,
        )

    def reverse(self, amount_minor: int) -> "Allotment":
        """Undo a spending: the money is committed again."""
        return replace(
            self,
            committed_minor=self.committed_minor + amount_minor,
            spent_minor=self.spent_minor - amount_minor,
        )

    def give_back(self, amount_minor: int) -> "Allotment":
        """Return free money to the grantor, recalled or not. Raises `NotEnough`."""
        if amount_minor > self.free_minor:
            raise NotEnough
        return replace(self, returned_minor=self.returned_minor + amount_minor)

    def recall(self) -> "Allotment":
        """Stop new commitments; what is free is given back by `settle`."""
        return replace(self, status="recalled") if self.status == "active" else self

    def settle(self) -> tuple["Allotment", int]:
        """After a recall: give back what is free; returns how much that is.

        When nothing is held or committed any more, the allotment is `returned`; a reversal
        that comes later opens it again for as long as it takes.
        """
        if self.status == "active":
            return self, 0
        free = self.free_minor
        settled = self.give_back(free)
        pending = settled.held_minor + settled.committed_minor
        return replace(settled, status="recalled" if pending else "returned"), free
