"""What readers are told who may not know what is sensitive, and what an attacker makes of it."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st

from aidmesh_reporting.domain.disclosure import (
    LINES_MAX,
    NO_AREA,
    POOLED,
    Protected,
    fold_small,
    is_small,
    protect,
    protect_whole,
    tells_of_many,
)
from aidmesh_reporting.domain.results import Cell, Line, PublishedLine

K = 5
BASE = 8
PRIME = 2**61 - 1

counts = st.one_of(st.integers(0, K + 1), st.integers(0, 40))
sizes = st.tuples(counts, st.one_of(st.just(0), counts)).filter(lambda size: sum(size) > 0)
years = st.lists(
    st.dictionaries(st.sampled_from("abcde"), sizes, max_size=5), min_size=1, max_size=3
)
Table = dict[Cell, Line]


def tables(year: Sequence[dict[str, tuple[int, int]]]) -> tuple[list[Table], list[Line]]:
    """A table for each month. Services are powers, so that a sum tells what is in it."""
    atoms: list[Line] = []
    made: list[Table] = []
    for month in year:
        made.append({})
        for kind, (people, contacts) in sorted(month.items()):
            line = Line(people=people, contacts=contacts, services=BASE ** len(atoms))
            atoms.append(line)
            made[-1][Cell(kind=kind)] = line
    return made, atoms


def parts(services: int, atoms: int) -> list[int]:
    """How often each atom is in a sum of services."""
    return [services // BASE**number % BASE for number in range(atoms)]


def may_be_told(month: Table) -> bool:
    lines = list(month.values())
    return tells_of_many(lines, K) if len(lines) > 1 else not is_small(lines[0], K)


def told(months: Sequence[Table]) -> Iterable[int]:
    """Every number of services that is told, for every period."""
    for first in range(len(months)):
        for last in range(first, len(months)):
            period = months[first : last + 1]
            for shown in (protect(period, K), protect_whole(period, K)):
                yield from (line.services for line in shown.lines.values())
                yield shown.total.services
                if shown.pooled is not None:
                    yield shown.pooled.services


def follows(wanted: list[int], known: Iterable[list[int]]) -> bool:
    """Whether a number can be had from others by adding, subtracting and scaling."""
    # Reckoned modulo a large prime: as good as fractions, and fast.
    basis: dict[int, list[int]] = {}

    def reduced(row: list[int]) -> list[int]:
        for pivot, base in basis.items():
            if row[pivot]:
                factor = row[pivot] * pow(base[pivot], -1, PRIME)
                row = [(one - factor * other) % PRIME for one, other in zip(row, base, strict=True)]
        return row

    for row in known:
        left = reduced(row)
        pivot = next((number for number, value in enumerate(left) if value), None)
        if pivot is not None:
            basis[pivot] = left
    return not any(reduced(wanted))


@settings(deadline=None)
@given(years)
@example([{"a": (1, 0), "b": (9, 0), "c": (30, 0)}])
@example([{"a": (1, 0)}, {"a": (9, 0)}])
@example([{"a": (2, 0), "b": (2, 0), "c": (2, 0)}, {"a": (6, 0)}])
def test_no_small_number_follows_from_all_answers(
    year: list[dict[str, tuple[int, int]]],
) -> None:
    months, atoms = tables(year)
    known = [parts(number, len(atoms)) for number in sorted(set(told(months)))]
    for number, atom in enumerate(atoms):
        if is_small(atom, K):
            alone = [int(each == number) for each in range(len(atoms))]
            assert not follows(alone, known)
    for month in months:
        if month and not may_be_told(month):
            whole = parts(sum(line.services for line in month.values()), len(atoms))
            assert not follows(whole, known)


def test_the_attacker_of_these_tests_can_subtract() -> None:
    one, both = [1, 0], [1, 1]
    assert follows([0, 1], [one, both])
    assert not follows([0, 1], [both])


@given(years)
def test_no_small_number_is_shown(year: list[dict[str, tuple[int, int]]]) -> None:
    months, _ = tables(year)
    for shown in (protect(months, K), protect_whole(months, K)):
        lines = [*shown.lines.values(), *([] if shown.pooled is None else [shown.pooled])]
        assert not any(is_small(line, K) for line in lines)


@given(years)
def test_services_are_lost_from_totals_only_where_all_are_too_few(
    year: list[dict[str, tuple[int, int]]],
) -> None:
    months, _ = tables(year)
    everything = sum(line.services for month in months for line in month.values())
    for shown in (protect(months, K), protect_whole(months, K)):
        assert shown.total.services <= everything
        assert (shown.total.services < everything) == shown.left_out
    small = [month for month in months if month and not may_be_told(month)]
    assert protect_whole(months, K).left_out == bool(small)
    if not any(is_small(line, K) for month in months for line in month.values()):
        shown = protect(months, K)
        assert shown.pooled is None
        assert shown.total.services == everything


def test_one_small_line_stands_with_the_next_smallest() -> None:
    (month,), _ = tables([{"a": (2, 0), "b": (9, 0), "c": (50, 0)}])
    shown = protect([month], K)
    assert set(shown.lines) == {Cell(kind="c")}
    assert shown.pooled is not None
    assert (shown.pooled.people, shown.pooled.people_exact) == (11, False)
    assert (shown.pooled.quantities, shown.pooled.amounts) == ({}, {})


def test_people_of_several_months_are_an_upper_bound() -> None:
    months, _ = tables([{"a": (7, 0)}, {"a": (8, 0)}, {"b": (9, 0)}])
    lines = protect(months, K).lines
    assert (lines[Cell(kind="a")].people, lines[Cell(kind="a")].people_exact) == (15, False)
    assert lines[Cell(kind="b")].people_exact


def test_joined_tables_keep_what_each_may_tell() -> None:
    plain, delicate = (tables([month])[0] for month in ({"a": (6, 0), "b": (7, 0)}, {"c": (1, 0)}))
    shown: Protected = protect(plain, K)
    shown.join(protect(delicate, K))
    assert set(shown.lines) == {Cell(kind="a"), Cell(kind="b")}
    assert (shown.pooled, shown.left_out) == (None, True)


published = st.lists(
    st.builds(
        lambda area, kind, size, more, sensitive: PublishedLine(
            area, kind, UUID(int=1), size[0], max(size) + more, size[1], 3, "minute", sensitive
        ),
        st.sampled_from(["UA80", "UA46"]),
        st.sampled_from("abc"),
        sizes,
        st.integers(0, 9),
        st.booleans(),
    ),
    max_size=7,
)


@given(published)
def test_other_regions_are_told_of_no_small_line_of_what_is_sensitive(
    lines: list[PublishedLine],
) -> None:
    folded = fold_small(lines, K, LINES_MAX)
    own = [line for line in folded if line.kind != POOLED]
    rest = [line for line in folded if line.kind == POOLED]
    assert not any(
        line.sensitive and is_small(Line(people=line.people, contacts=line.contacts), K)
        for line in own
    )
    assert sum(line.services for line in folded) == sum(line.services for line in lines)
    assert sum(line.contacts for line in folded) == sum(line.contacts for line in lines)
    left = list(lines)
    for line in own:
        left.remove(line)
    if not rest:
        assert left == []
        return
    (pool,) = rest
    assert (pool.area, pool.grant, pool.unit, pool.sensitive) == (NO_AREA, None, "service", True)
    # Nothing else was told, or a line is hidden among others and speaks of enough people.
    if own:
        assert len(left) > 1
        assert max(max(line.people, line.contacts) for line in left) >= K
    if not any(line.sensitive for line in left):
        raise AssertionError("nothing sensitive was hidden")


def test_few_in_all_lines_do_not_look_like_many() -> None:
    lines = [
        PublishedLine("UA80", kind, None, 2, 2, 0, 2, "piece", sensitive=True) for kind in "abc"
    ]
    (pool,) = fold_small(lines, K, LINES_MAX)
    assert (pool.people, pool.services) == (2, 6)


@given(published, st.integers(2, 6))
def test_too_many_lines_for_one_message_fold_the_least(
    lines: list[PublishedLine], lines_max: int
) -> None:
    folded = fold_small(lines, K, lines_max)
    assert len(folded) <= lines_max
    for count in ("services", "contacts"):
        assert sum(getattr(each, count) for each in folded) == sum(
            getattr(each, count) for each in lines
        )
