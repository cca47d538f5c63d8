"""Results of a period: the region's own, those of others, and the whole.

A service counts once: where several grants bore it, it stands under the one that bore most, so
that lines add up. Money stands under the grant that paid it. People are distinct within a
line, so people of several lines do not add up unless it is known that they don't overlap.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

Dimension = Literal["kind", "area", "month", "grant", "unit"]


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
    """A line of a month as other regions are told it; `unit` is that of `quantity`."""

    area: str
    kind: str
    grant: UUID | None
    people: int
    services: int
    contacts: int
    quantity: int
    unit: str
    sensitive: bool = True


@dataclass(frozen=True, slots=True)
class PublishedMonth:
    """Another region's results of one month, as it published them.

    Attributes:
        people, year_people: None where only a part of the lines is looked at: then people of
            several lines can only be added up.
        elsewhere, year_elsewhere: of them those whom another region counts; None where it did not
            say so, and nothing is known of them here.
    """

    region: str
    month: str
    as_of: datetime
    people: int | None
    services: int
    contacts: int
    year_people: int | None
    lines: tuple[PublishedLine, ...]
    settled: bool
    elsewhere: int | None = None
    year_elsewhere: int | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Of this region's people of some months those whom another one counts."""

    total: int = 0
    by_month: Mapping[str, int] = field(default_factory=dict)


def all_settled(
    published: Collection[PublishedMonth],
    regions: Collection[str] | None,
    months: Collection[str],
) -> bool:
    """Whether all that was told of these months is settled, and every region told every month.

    Args:
        regions: those that have a part in the whole, heard or not; None while that is unknown.
    """
    if regions is None:
        return False
    told = {(each.region, each.month) for each in published}
    return all(each.settled for each in published) and all(
        (region, month) in told for region in regions for month in months
    )


def of_others(months: Iterable[PublishedMonth], by: Sequence[Dimension]) -> dict[Cell, Line]:
    """Add up what other regions published.

    Several lines of one region may speak of the same people: then their sum is an upper bound,
    unless the region told the distinct number itself. People of different regions are taken
    for different ones, but for those of whom a region says that another one counts them.
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
            if month.people is not None:
                line = lines.setdefault(Cell(month=month.month), Line())
                line.people, line.people_exact = less(month.people, month.elsewhere), True
    elif not by and Cell() in lines:
        told = _people_of(months)
        if told is not None:
            lines[Cell()].people, lines[Cell()].people_exact = told
    return lines


def _people_of(months: Sequence[PublishedMonth]) -> tuple[int, bool] | None:
    """Distinct people of some months, in order; exact where the year's own count tells it."""
    people = [month.people for month in months if month.people is not None]
    if len(people) < len(months):
        return None
    elsewhere = [month.elsewhere for month in months]
    if len(people) == 1:
        return less(people[0], elsewhere[0]), True
    same_year = months[0].month[:4] == months[-1].month[:4]
    # Had there been people before the first of these months, its year so far would have more.
    so_far = months[-1].year_people
    if same_year and so_far is not None and months[0].year_people == months[0].people:
        return less(so_far, months[-1].year_elsewhere), True
    return sum(map(less, people, elsewhere)), False


def less(people: int, elsewhere: int | None) -> int:
    """How many of them are left without those whom another region counts."""
    return max(0, people - (elsewhere or 0))


def merge(into: dict[Cell, Line], lines: Mapping[Cell, Line]) -> None:
    """Add lines, cell by cell."""
    for cell, line in lines.items():
        into.setdefault(cell, Line()).add(line)
