"""What of results is shown to whom, so that no number tells of a single person.

Who may not know what endangers single people gets help of sensitive kinds in no finer a table
than one line for each kind and whole month, and in detail not at all. Everything such a reader
is told is a sum of cells: one region's month of one kind in one area, and of a sensitive kind
in all areas. A cell that may tell of fewer than `k` people is in no answer, nor is there a word
that it was left out. So whatever answers are added to or subtracted from each other, over any
periods and splits, gives sums of whole cells, each of many people, never a part of one.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeVar

from aidmesh_reporting.domain.results import (
    Cell,
    Dimension,
    Line,
    PublishedLine,
    PublishedMonth,
)

TOLD_MIN: Final = 5
"""Other regions are told of no fewer people in need of what is sensitive."""

LINES_MAX: Final = 3000
"""A month is one message, and a line takes some 200 bytes of the million that a server takes."""

POOLED: Final = "other"
"""In place of a kind, and with `NO_AREA` of an area: several that are too small to be told."""

NO_AREA: Final = "UA00"

PUBLIC_BY: Final[frozenset[Dimension]] = frozenset({"kind", "area", "month"})
"""What the public variant is split by, one at a time. Grants are not among them."""

_CURRENCY: Final = re.compile(r"[a-z]{3}")

C = TypeVar("C")


def is_small(line: Line, k: int) -> bool:
    """Whether a line tells of somebody, but of fewer than `k`."""
    return 0 < line.people < k or 0 < line.contacts < k


class _Told(NamedTuple):
    """The smallest part of what is shown: a cell of one region and month."""

    sensitive: bool
    kind: str
    area: str | None


@dataclass(slots=True)
class Shown:
    """What is shown of some months. People are added up, so they are an upper bound.

    Attributes:
        lines: by what it is split by; sensitive kinds only where that is the kind.
        apart: sensitive kinds together, where they are in no line.
    """

    lines: dict[Cell, Line] = field(default_factory=dict)
    apart: Line = field(default_factory=lambda: Line(people_exact=False))

    @property
    def total(self) -> Line:
        """The sum of what is shown."""
        return together([*self.lines.values(), self.apart])


def show(
    months: Iterable[tuple[str, Sequence[PublishedLine]]], by: Dimension | None, k: int
) -> Shown:
    """Return what is shown of months that are over.

    Args:
        months: each region's, this one's too, as they were told to the others: so every region
            answers from the same cells.
        by: one of `PUBLIC_BY`, or None for no split.
    """
    shown = Shown()
    for month, published in months:
        for told, line in _told(published, k).items():
            if told.sensitive and by != "kind":
                shown.apart.add(line)
                continue
            cell = Cell(
                kind=told.kind if by == "kind" else None,
                area=told.area if by == "area" else None,
                month=month if by == "month" else None,
            )
            shown.lines.setdefault(cell, Line(people_exact=False)).add(line)
    return shown


def _told(published: Iterable[PublishedLine], k: int) -> dict[_Told, Line]:
    cells: dict[_Told, list[Line]] = {}
    for row in published:
        if (row.kind, row.area) == (POOLED, NO_AREA):
            continue  # its sum and what it took in could tell of the smallest part
        told = _Told(row.sensitive, row.kind, None if row.sensitive else row.area)
        cells.setdefault(told, []).append(
            Line(people=row.people, services=row.services, contacts=row.contacts)
        )
    return {told: together(lines) for told, lines in cells.items() if _of_many(lines, k)}


def _of_many(lines: Sequence[Line], k: int) -> bool:
    """Whether lines together are certain to tell of `k` or more, in each count, or of nobody.

    The same people may stand in several lines, so one of them has to have as many by itself.
    """
    people = max(line.people for line in lines)
    contacts = max(line.contacts for line in lines)
    return not is_small(Line(people=people, contacts=contacts), k)


def without_money(line: Line) -> Line:
    """Return a line for who may not see amounts.

    What was paid out is also a quantity, whose unit is the currency: whatever looks like one goes.
    """
    quantities = {
        unit: value for unit, value in line.quantities.items() if not _CURRENCY.fullmatch(unit)
    }
    return replace(line, quantities=quantities, amounts={})


def tells_of_many(lines: Collection[Line], k: int) -> bool:
    """Whether one of some lines tells of `k` people or contacts, or none of them of anybody."""
    most = max((max(line.people, line.contacts) for line in lines), default=0)
    return most == 0 or most >= k


def to_pool(lines: Mapping[C, Line], small: Iterable[C], spare: Sequence[C], k: int) -> set[C]:
    """Return which cells stand together in one line.

    Args:
        small: those that can't be told by themselves.
        spare: those that can, in the order in which they are taken in with them until one
            can't be told from the others and all together tell of `k` people.
    """
    pool = set(small)
    left = list(spare)
    while pool and left:
        if len(pool) > 1 and tells_of_many([lines[cell] for cell in pool], k):
            break
        pool.add(left.pop(0))
    return pool


def together(lines: Iterable[Line]) -> Line:
    """Add lines up. Units and currencies could tell what they are about: they are left out."""
    total = Line(people_exact=False)
    for line in lines:
        total.add(replace(line, quantities={}, amounts={}))
    return total


def part_of(month: PublishedMonth, *, sensitive: bool) -> PublishedMonth:
    """Return another region's month with lines of one sort; its people are those of its lines."""
    return replace(
        month,
        people=None,
        year_people=None,
        lines=tuple(line for line in month.lines if line.sensitive is sensitive),
    )


def fold_small(lines: Sequence[PublishedLine], k: int, lines_max: int) -> list[PublishedLine]:
    """Return a month's lines as other regions are told them.

    Small lines of sensitive kinds stand in one line that says neither where nor what, together
    with as many others as it takes, and with the least ones where there are too many lines for
    one message. Nothing is lost from the sum of all lines.
    """
    by_number = {
        number: Line(people=line.people, services=line.services, contacts=line.contacts)
        for number, line in enumerate(lines)
    }
    small = {number for number, line in by_number.items()
             if lines[number].sensitive and is_small(line, k)}  # fmt: skip
    spare = sorted(
        by_number.keys() - small,
        key=lambda number: (
            not lines[number].sensitive,
            by_number[number].people + by_number[number].contacts,
            number,
        ),
    )
    pool = to_pool(by_number, small | _beyond(lines, small, lines_max), spare, k)
    kept = [line for number, line in enumerate(lines) if number not in pool]
    if not pool:
        return kept
    pooled = [by_number[number] for number in pool]
    rest = together(pooled)
    most = max(line.people for line in pooled)
    if most < k:
        # Perhaps the same few in all of them: a sum would make them look like many.
        rest.people = most
    kept.append(
        PublishedLine(
            area=NO_AREA,
            kind=POOLED,
            grant=None,
            people=rest.people,
            services=rest.services,
            contacts=rest.contacts,
            quantity=rest.services,
            unit="service",
            sensitive=True,
        )
    )
    return kept


def told_elsewhere(people: int, elsewhere: int, k: int) -> int | None:
    """Of the people of a month those whom another region counts, as others are told.

    Of few people nothing is told, whether or not there is somebody: that one of three was helped
    in two regions is a word about one of three.
    """
    return elsewhere if people >= k else None


def _beyond(lines: Sequence[PublishedLine], small: Collection[int], lines_max: int) -> set[int]:
    """The lines of fewest services that are too many; one line is left for what is folded."""
    told = sorted(
        set(range(len(lines))) - set(small), key=lambda number: (-lines[number].services, number)
    )
    fits = len(told) < lines_max or (len(told) == lines_max and not small)
    return set() if fits else set(told[lines_max - 1 :])
