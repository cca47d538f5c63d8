"""Which slot: the earliest with a professional that still has the seats wanted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from aidmesh_contracts.days import day_of
from aidmesh_inventory.domain.picking import Place


@dataclass(frozen=True, slots=True)
class Slot:
    """Time with a professional; a group session has several seats."""

    slot_id: UUID
    site_id: UUID
    code: str
    starts_at: datetime
    minutes: int
    free: int

    @property
    def day(self) -> date:
        """The day in Kyiv on which it starts."""
        return day_of(self.starts_at)


@dataclass(frozen=True, slots=True)
class SlotWanted:
    """Seats in one slot that starts from `from_on` to `to_on`, both included.

    Attributes:
        as_written: slots that have begun will do: what was arranged on paper is being entered.
        starts_before: the instant before which it has to start, where hours count.
    """

    code: str
    from_on: date
    to_on: date | None
    seats: int
    area: str
    site_id: UUID | None = None
    avoid: frozenset[UUID] = frozenset()
    as_written: bool = False
    starts_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class NoSlot:
    """There is none; `closed` when the site that was named is closed."""

    reason: Literal["short", "closed"]


@dataclass(slots=True)
class Diary:
    """The picture: slots by kind, earliest first, and the seats left in each."""

    places: Mapping[UUID, Place]
    _slots: dict[str, list[Slot]] = field(default_factory=dict)
    _free: dict[UUID, int] = field(default_factory=dict)

    @classmethod
    def of(cls, places: Iterable[Place], slots: Iterable[Slot]) -> "Diary":
        """Draw the picture."""
        diary = cls({place.site_id: place for place in places})
        for slot in sorted(slots, key=lambda each: (each.starts_at, each.slot_id)):
            diary._slots.setdefault(slot.code, []).append(slot)
            diary._free[slot.slot_id] = slot.free
        return diary

    def pick(
        self, wanted: SlotWanted, now: datetime, *, was_open_on: date | None = None
    ) -> Slot | NoSlot:
        """Choose, without taking.

        A slot that has begun is not given any more, unless days gone by are meant.

        Args:
            was_open_on: the day of aid that was given: sites that have closed since will do where
                no open one will.
        """
        found: dict[tuple[bool, bool], Slot] = {}
        for slot in self._slots.get(wanted.code, ()):
            place = self.places.get(slot.site_id)
            if (
                place is None
                or not self._may_be_at(place, wanted, was_open_on)
                or self._free[slot.slot_id] < wanted.seats
                or not self._is_in(slot, wanted, place)
                or not (wanted.as_written or slot.starts_at > now)
            ):
                continue
            found.setdefault((not place.is_open, slot.site_id in wanted.avoid), slot)
            if (False, False) in found:
                break
        if found:
            return found[min(found)]
        named = None if wanted.site_id is None else self.places.get(wanted.site_id)
        return NoSlot("closed" if named is not None and not named.is_open else "short")

    def take(self, slot: Slot, seats: int) -> None:
        """Take seats."""
        left = self._free[slot.slot_id] - seats
        assert left >= 0, "more seats were taken than a slot has"
        self._free[slot.slot_id] = left

    @staticmethod
    def _may_be_at(place: Place, wanted: SlotWanted, was_open_on: date | None) -> bool:
        # Whoever names a closed site for aid that was given is asked about it, and was there.
        is_named = was_open_on is not None and wanted.site_id == place.site_id
        return is_named or place.will_do(was_open_on)

    @staticmethod
    def _is_in(slot: Slot, wanted: SlotWanted, place: Place) -> bool:
        if slot.day < wanted.from_on or (wanted.to_on is not None and slot.day > wanted.to_on):
            return False
        if wanted.starts_before is not None and slot.starts_at >= wanted.starts_before:
            return False
        if wanted.site_id is not None:
            return slot.site_id == wanted.site_id
        return place.area.startswith(wanted.area)
