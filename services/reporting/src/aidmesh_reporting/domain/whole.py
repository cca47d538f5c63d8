"""This region's own results and those that others published, put together. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from aidmesh_reporting.domain.disclosure import part_of
from aidmesh_reporting.domain.results import (
    Cell,
    Dimension,
    Elsewhere,
    Line,
    PublishedMonth,
    less,
    merge,
    of_others,
)


class Whole(NamedTuple):
    """The whole of a period.

    Attributes:
        lines: by what it is split by.
        twice: how many people were taken out because two regions know them; None for those who
            may not be told.
    """

    lines: dict[Cell, Line]
    total: Line
    twice: int | None


def of_everything(
    own: Mapping[Cell, Line],
    own_total: Line,
    published: Sequence[PublishedMonth],
    counted: Elsewhere,
    by: Sequence[Dimension],
    *,
    pairs_may_be_missed: bool,
) -> Whole:
    """Put all kinds together; whom two regions know counts once, as far as that can be told.

    Args:
        counted: of this region's people those whom another one counts.
        pairs_may_be_missed: somebody may be here in one month and elsewhere in another.
    """
    lines, totals = of_others(published, by), of_others(published, ())
    own_once = count_once({Cell(): own_total}, (), counted)
    twice = own_total.people - own_once[Cell()].people + _taken_out(published, totals)
    merge(lines, count_once(own, by, counted))
    merge(totals, own_once)
    if twice and by and set(by) != {"month"}:
        _note_inexact(lines.values())
    if pairs_may_be_missed:
        _note_inexact(totals.values())
    return Whole(lines, totals[Cell()], twice)


def of_what_is_not_sensitive(
    own: Mapping[Cell, Line],
    own_total: Line,
    published: Sequence[PublishedMonth],
    counted: Elsewhere,
    by: Sequence[Dimension],
) -> Whole:
    """Put together what all staff may see.

    Whom two regions know stays in these lines twice: how many they are tells of all kinds.
    """
    plain = [part_of(month, sensitive=False) for month in published]
    lines, totals = of_others(plain, by), of_others(plain, ())
    merge(lines, own)
    merge(totals, {Cell(): own_total})
    if counted.total or any(month.elsewhere for month in published):
        _note_inexact([*lines.values(), *totals.values()])
    return Whole(lines, totals[Cell()], None)


def count_once(
    lines: Mapping[Cell, Line], by: Sequence[Dimension], counted: Elsewhere
) -> dict[Cell, Line]:
    """Leave out of this region's own lines whom another region counts.

    Of months and of the whole it is known how many these are. Lines that are split by anything
    else keep them, and then tell of so many people at most.
    """
    if not by:
        return {
            cell: replace(line, people=less(line.people, counted.total))
            for cell, line in lines.items()
        }
    if set(by) == {"month"}:
        return {
            cell: replace(line, people=less(line.people, counted.by_month.get(cell.month or "", 0)))
            for cell, line in lines.items()
        }
    return dict(lines)


def _taken_out(published: Sequence[PublishedMonth], once: Mapping[Cell, Line]) -> int:
    """How many people of other regions were taken out of their sum."""
    twice = of_others(
        [replace(month, elsewhere=None, year_elsewhere=None) for month in published], ()
    )
    return twice.get(Cell(), Line()).people - once.get(Cell(), Line()).people


def _note_inexact(lines: Iterable[Line]) -> None:
    """Say of lines that some of their people may be counted twice."""
    for line in lines:
        line.people_exact = line.people_exact and not line.people
