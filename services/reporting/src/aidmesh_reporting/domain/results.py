"""Results of a period: the region's own, those of others, and the whole.

A service counts once: where several grants bore it, it stands under the one that bore most, so
that lines add up. Money stands under the grant that paid it. People are distinct within a
line, so people of several lines do not add up unless it is known that they don't overlap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

Dimension = Literal["kind", "area", "month", "grant", "unit"]
DIMENSIONS: Final[tuple[Dimension, ...]] = ("kind", "area", "month", "grant", "unit")


class Cell(NamedTuple):
    """What a line is about; None where the results are not split by it, or aid had no grant."""

    kind: str | None = None
    area: str | None = None
    month: str | None = None
    grant: UUID | None = None
    unit: str | None = None


@dataclass(slots=True)
class Line:
    """Numbers of one cell.

    Attributes:
        people: distinct beneficiaries.
        people_exact: False when some may be counted more than once, so it is an upper bound.
        contacts: headcount of outreach and group sessions; apart from people.
        quantities: by unit (`piece`, `night`, `minute`, a currency's minor units).
        amounts: minor units by currency.
    """

    people: int = 0
    people_exact: bool = True
    services: int = 0
    contacts: int = 0
    quantities: dict[str, int] = field(default_factory=dict)
    amounts: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Line") -> None:
        """Add a line about other people, or people of whom nobody knows that they are others."""
        self.people += other.people
        self.people_exact = self.people_exact and other.people_exact
        self.services += other.services
        self.contacts += other.contacts
        for unit, quantity in other.quantities.items():
            self.quantities[unit] = self.quantities.get(unit, 0) + quantity
        for currency, amount in other.amounts.items():
            self.amounts[currency] = self.amounts.get(currency, 0) + amount


class PublishedLine(NamedTuple):
    """A line of another region's month."""

    area: str
    kind: str
    grant: UUID | None
    people: int
    services: int
    contacts: int
    quantity: int
    unit: str


@dataclass(frozen=True, slots=True)
class PublishedMonth:
    """Another region's results of one month, as it published them."""

    region: str
    month: str
    as_of: datetime
    people: int
    services: int
    contacts: int
    year_people: int
    lines: tuple[PublishedLine, ...]


def of_others(months: Iterable[PublishedMonth], by: Sequence[Dimension]) -> dict[Cell, Line]:
    """Add up what other regions published.

    Several lines of one region may speak of the same people: then their sum is an upper bound,
    unless the region told the distinct number itself. People of different regions are taken
    for different ones, as nothing else is known.
    """
    by_region: dict[str, list[PublishedMonth]] = {}
    for month in sorted(months, key=lambda each: (each.region, each.month)):
        by_region.setdefault(month.region, []).append(month)
    whole: dict[Cell, Line] = {}
    for published in by_region.values():
        merge(whole, _of_region(published, by))
    return whole


def _of_region(months: Sequence[PublishedMonth], by: Sequence[Dimension]) -> dict[Cell, Line]:
    lines: dict[Cell, Line] = {}
    for month in months:
        for row in month.lines:
            cell = Cell(
                kind=row.kind if "kind" in by else None,
                area=row.area if "area" in by else None,
                month=month.month if "month" in by else None,
                grant=row.grant if "grant" in by else None,
                unit=row.unit if "unit" in by else None,
            )
            known = lines.get(cell)
            line = lines.setdefault(cell, Line())
            line.add(
                Line(
                    people=row.people,
                    services=row.services,
                    contacts=row.contacts,
                    quantities={row.unit: row.quantity},
                )
            )
            if known is not None:
                line.people_exact = line.people_exact and row.people == 0
    if set(by) == {"month"}:
        for month in months:
            line = lines.setdefault(Cell(month=month.month), Line())
            line.people, line.people_exact = month.people, True
    elif not by and Cell() in lines:
        lines[Cell()].people, lines[Cell()].people_exact = _people_of(months)
    return lines


def _people_of(months: Sequence[PublishedMonth]) -> tuple[int, bool]:
    """Distinct people of some months, in order; exact where the year's own count tells it."""
    if len(months) == 1:
        return months[0].people, True
    same_year = months[0].month[:4] == months[-1].month[:4]
    # Had there been people before the first of these months, its year so far would have more.
    if same_year and months[0].year_people == months[0].people:
        return months[-1].year_people, True
    return sum(month.people for month in months), False


def merge(into: dict[Cell, Line], lines: Mapping[Cell, Line]) -> None:
    """Add lines, cell by cell."""
    for cell, line in lines.items():
        into.setdefault(cell, Line()).add(line)


@dataclass(frozen=True, slots=True)
class Shown:
    """A line of the public variant; None where the number is too small to be told."""

    cell: Cell
    line: Line | None


def suppress_small(lines: Mapping[Cell, Line], total: Line, k: int) -> tuple[list[Shown], bool]:
    """Hide what would tell of fewer than `k` people.

    What is hidden must not follow from the total less what is shown, so at least two lines are
    hidden together, and together they speak of at least `k`; failing that, the total is hidden
    too. This holds within one table; tables that are split in several ways, or by time, could
    be subtracted from each other, so the public variant is split one way only.

    Returns:
        the lines, and whether the total may be shown.
    """
    size = {cell: _size(line) for cell, line in lines.items()}
    hidden = {cell for cell, line in lines.items() if _is_small(line, k)}
    rest = sorted(
        (cell for cell in lines if cell not in hidden), key=lambda cell: (size[cell], str(cell))
    )
    while hidden and rest and (len(hidden) < 2 or sum(size[cell] for cell in hidden) < k):
        hidden.add(rest.pop(0))
    safe = not hidden or (len(hidden) >= 2 and sum(size[cell] for cell in hidden) >= k)
    shown = [
        Shown(cell, None if cell in hidden else line)
        for cell, line in sorted(lines.items(), key=lambda item: str(item[0]))
    ]
    return shown, safe and not _is_small(total, k)


def _size(line: Line) -> int:
    return line.people + line.contacts


def _is_small(line: Line, k: int) -> bool:
    return 0 < line.people < k or 0 < line.contacts < k
