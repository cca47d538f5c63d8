"""What of results is shown to whom, so that no number tells of a single person.

Who may not know what endangers single people gets help of sensitive kinds in no finer a table
than one line for each kind and whole month, and in detail not at all. Everything such a reader
is told is a sum of blocks: a cell of one month that tells of at least `k` people, or a pool of
two cells or more that does so together. Totals are the sum of what is shown, and people of
several blocks are added up, not counted anew. So whatever answers are added to or subtracted
from each other, over any periods and splits, gives sums of whole blocks, never a part of one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from aidmesh_reporting.domain.results import (
    Cell,
    Line,
    PublishedLine,
    PublishedMonth,
    merge,
)

TOLD_MIN: Final = 5
"""Other regions are told of no fewer people in need of what is sensitive."""

LINES_MAX: Final = 3000
"""A month is one message, and a line takes some 200 bytes of the million that a server takes."""

POOLED: Final = "other"
"""In place of a kind, and with `NO_AREA` of an area: several that are too small to be told."""

NO_AREA: Final = "UA00"

C = TypeVar("C")


def is_small(line: Line, k: int) -> bool:
    """Whether a line tells of somebody, but of fewer than `k`."""
    return 0 < line.people < k or 0 < line.contacts < k


def tells_of_many(lines: Collection[Line], k: int) -> bool:
    """Whether lines together are certain to tell of `k` people or more, or of nobody.

    The same people may stand in several lines, so one of them has to have as many by itself.
    """
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


def told_together(lines: Collection[Line], k: int) -> Line:
    """Add lines up that tell of many; were there few people but many contacts, of these only."""
    total = together(lines)
    if max(line.people for line in lines) < k:
        total.people = 0
    if max(line.contacts for line in lines) < k:
        total.contacts = 0
    return total


@dataclass(slots=True)
class Protected:
    """What is shown of some tables.

    Attributes:
        lines: cells that are large enough in every month that is added up here.
        pooled: what is told of the other cells together; None where there are none.
        left_out: there was more, of too few people even together.
    """

    lines: dict[Cell, Line] = field(default_factory=dict)
    pooled: Line | None = None
    left_out: bool = False

    def put(self, lines: Mapping[Cell, Line], pool: Collection[Cell], k: int) -> None:
        """Add a table whose cells in `pool` stand together."""
        for cell, line in lines.items():
            if cell not in pool:
                known = self.lines.get(cell)
                self.lines.setdefault(cell, Line()).add(line)
                if known is not None:
                    known.people_exact = known.people == 0
        if not pool:
            return
        self.add_pool([lines[cell] for cell in pool], k)

    def add_pool(self, lines: Collection[Line], k: int) -> None:
        """Add lines that stand together, if they may be told at all."""
        if not tells_of_many(lines, k) or (len(lines) == 1 and any(is_small(x, k) for x in lines)):
            self.left_out = True
        elif lines:
            told = told_together(lines, k)
            self.pooled = told if self.pooled is None else together([self.pooled, told])

    def join(self, other: "Protected") -> None:
        """Add what is shown of tables about something else."""
        merge(self.lines, other.lines)
        if other.pooled is not None:
            mine = [] if self.pooled is None else [self.pooled]
            self.pooled = together([*mine, other.pooled])
        self.left_out = self.left_out or other.left_out

    @property
    def total(self) -> Line:
        """The sum of what is shown."""
        return together([*self.lines.values(), *([] if self.pooled is None else [self.pooled])])


def protect(tables: Iterable[Mapping[Cell, Line]], k: int) -> Protected:
    """Return what is shown of tables, each of one region and month, split one way."""
    shown = Protected()
    for lines in tables:
        small = {cell for cell, line in lines.items() if is_small(line, k)}
        spare = sorted(
            lines.keys() - small, key=lambda cell: (lines[cell].people + lines[cell].contacts, cell)
        )
        shown.put(lines, to_pool(lines, small, spare, k), k)
    return shown


def protect_whole(tables: Iterable[Mapping[Cell, Line]], k: int) -> Protected:
    """Return what is shown of tables, each of one region and month, with no split at all."""
    shown = Protected()
    for lines in tables:
        shown.add_pool(lines.values(), k)
    return shown


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
    if not tells_of_many(pooled, k):
        # Perhaps the same few in all of them: a sum would make them look like many.
        rest.people = max(line.people for line in pooled)
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


def _beyond(lines: Sequence[PublishedLine], small: Collection[int], lines_max: int) -> set[int]:
    """The lines of fewest services that are too many; one line is left for what is folded."""
    told = sorted(
        set(range(len(lines))) - set(small), key=lambda number: (-lines[number].services, number)
    )
    fits = len(told) < lines_max or (len(told) == lines_max and not small)
    return set() if fits else set(told[lines_max - 1 :])
