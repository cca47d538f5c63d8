"""What readers are told who may not know what is sensitive, and what an attacker makes of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args
from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st

from aidmesh_reporting.domain.disclosure import (
    LINES_MAX,
    NO_AREA,
    POOLED,
    PUBLIC_BY,
    Shown,
    fold_small,
    is_small,
    show,
    told_elsewhere,
    without_money,
)
from aidmesh_reporting.domain.results import Cell, Dimension, Line, PublishedLine

K = 5
BASE = 8
PRIME = 2**61 - 1
MONTHS = ("2024-01", "2024-02", "2024-03")
BY: tuple[Dimension | None, ...] = (None, *sorted(PUBLIC_BY))
GRANTS = (None, UUID(int=1), UUID(int=2))

Measure = Literal["people", "contacts", "services"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass
class Told:
    """What one region told the others of a month, before small lines were folded."""

    region: str
    month: str
    lines: list[PublishedLine]


World = list[Told]

counts = st.one_of(st.integers(0, K + 1), st.integers(0, 40))
sizes = st.tuples(counts, st.one_of(st.just(0), counts)).filter(lambda size: sum(size) > 0)
# A kind, and whether it is sensitive; of the last nobody is certain.
kinds = st.sampled_from([("a", False), ("b", False), ("c", True), ("d", True), ("e", True)])
keys = st.tuples(
    kinds, st.sampled_from(["UA80", "UA46"]), st.sampled_from(GRANTS),
    st.sampled_from(["piece", "uah"]),
)  # fmt: skip


def line_of(
    key: tuple[tuple[str, bool], str, UUID | None, str], people: int, contacts: int, services: int
) -> PublishedLine:
    (kind, sensitive), area, grant, unit = key
    return PublishedLine(area, kind, grant, people, services, contacts, 7, unit, sensitive)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Regions and months, with lines of few and of many."""
    world: World = []
    for region, month in product(("kyiv", "lviv"), MONTHS[: draw(st.integers(1, 3))]):
        wanted = draw(st.dictionaries(keys, sizes, max_size=6))
        lines = [line_of(key, *size, max(size)) for key, size in wanted.items()]
        world.append(Told(region, month, lines))
    return world


@st.composite
def worlds_of_powers(draw: st.DrawFn) -> tuple[World, int]:
    """Every number is another power, so a sum tells what is in it; and the `k` to go by.

    One step above a power: several lines below it may together be above.
    """
    places = draw(st.lists(st.tuples(st.sampled_from(["kyiv", "lviv"]),
                                     st.sampled_from(MONTHS[:2]), keys),
                           unique=True, min_size=1, max_size=9))  # fmt: skip
    powers = [BASE**number for number in range(len(places))]
    people, contacts = draw(st.permutations(powers)), draw(st.permutations(powers))
    heads = draw(st.lists(st.sampled_from(["people", "people", "contacts", "both"]),
                          min_size=len(places), max_size=len(places)))  # fmt: skip
    by_month: dict[tuple[str, str], list[PublishedLine]] = {}
    for number, (region, month, key) in enumerate(places):
        line = line_of(
            key,
            people[number] if heads[number] != "contacts" else 0,
            contacts[number] if heads[number] != "people" else 0,
            powers[number],
        )
        by_month.setdefault((region, month), []).append(line)
    k = draw(st.sampled_from(powers)) + 1
    return [Told(*place, lines) for place, lines in by_month.items()], k


def periods(world: World) -> list[World]:
    return [
        [told for told in world if first <= told.month <= last]
        for first, last in product(MONTHS, MONTHS)
        if first <= last
    ]


def answers(world: World, k: int, *, folded: bool = True) -> list[Shown]:
    """Everything there is to ask for: every period and split, and what each region has apart."""
    found: list[Shown] = []
    for period in periods(world):
        told = [
            (each, fold_small(each.lines, k, LINES_MAX) if folded else each.lines)
            for each in period
        ]
        found += [show([(each.month, lines) for each, lines in told], by, k) for by in BY]
        for region in ("kyiv", "lviv"):
            mine = [(each.month, lines) for each, lines in told if each.region == region]
            found.append(Shown(apart=show(mine, None, k).apart))
    return found


def numbers(shown: Iterable[Shown], measure: Measure) -> set[int]:
    return {
        getattr(line, measure)
        for each in shown
        for line in (*each.lines.values(), each.apart, each.total)
    }


def parts(number: int, atoms: Sequence[int]) -> list[int]:
    """How often each power is in a sum."""
    return [number // atom % BASE for atom in atoms]


def rank(rows: Iterable[list[int]]) -> int:
    """How many of the rows do not follow from the others by adding, subtracting and scaling."""
    # Reckoned modulo a large prime: as good as fractions, and fast.
    basis: dict[int, list[int]] = {}
    for row in rows:
        left = list(row)
        for pivot, base in basis.items():
            if left[pivot]:
                factor = left[pivot] * pow(base[pivot], -1, PRIME)
                left = [
                    (one - factor * other) % PRIME for one, other in zip(left, base, strict=True)
                ]
        found = next((number for number, value in enumerate(left) if value), None)
        if found is not None:
            basis[found] = left
    return len(basis)


def follows(rows: list[list[int]], small: Sequence[int]) -> bool:
    """Whether any number about small parts only can be had from the rows.

    It can if some combination has nothing of the other parts, yet is not nothing.
    """
    others = [number for number in range(len(rows[0])) if number not in small] if rows else []
    return rank(rows) > rank([[row[number] for number in others] for row in rows])


def test_the_attacker_of_these_tests_can_subtract() -> None:
    one, both, three = [1, 0, 0], [1, 1, 0], [1, 1, 1]
    assert follows([one, both], small=[1])
    assert follows([one, three], small=[1, 2])
    assert not follows([both, three], small=[1])
    assert follows([both, three], small=[2])
    assert not follows([], small=[])


MANY_OF_EITHER = [
    Told("lviv", "2024-01", [
        line_of((("a", False), "UA46", None, "uah"), 1, BASE, 1),
        line_of((("a", False), "UA46", None, "piece"), BASE, 1, BASE),
    ])
]  # fmt: skip
"""A line of few people and one of few contacts, in one cell that tells of many of both."""


@settings(max_examples=300)
@given(worlds_of_powers())
@example((MANY_OF_EITHER, 2))
def test_no_small_number_follows_from_all_answers(found: tuple[World, int]) -> None:
    world, k = found
    lines = [line for told in world for line in told.lines]
    everything = answers(world, k)
    atoms = [BASE**number for number in range(len(lines))]
    # Services have no bound of their own: they may not be had of few people, nor of few contacts.
    counted: list[tuple[Measure, Measure]] = [
        ("people", "people"), ("contacts", "contacts"),
        ("services", "people"), ("services", "contacts"),
    ]  # fmt: skip
    for measure, bound in counted:
        small = {
            atoms.index(getattr(line, measure)) for line in lines if 0 < getattr(line, bound) < k
        }
        rows = [parts(number, atoms) for number in sorted(numbers(everything, measure) - {0})]
        assert not follows(rows, sorted(small)), (measure, bound)


FEW_COUNSELLED_TWICE = [
    Told("lviv", "2024-01", [
        line_of((("a", False), "UA46", grant, "minute"), 3, 0, 3) for grant in GRANTS[1:]
    ])
]  # fmt: skip
MANY_PEOPLE_FEW_CONTACTS = [
    Told("kyiv", "2024-01", [
        line_of((("a", False), "UA80", None, "piece"), 30, 0, 30),
        line_of((("b", False), "UA46", None, "piece"), 30, 2, 31),
    ])
]  # fmt: skip


def small_cells(lines: Iterable[PublishedLine]) -> list[PublishedLine]:
    """The lines of a month whose cell tells, or may tell, of fewer than `K`."""
    cells: dict[tuple[bool, str, str | None], list[PublishedLine]] = {}
    for line in lines:
        cell = (line.sensitive, line.kind, None if line.sensitive else line.area)
        cells.setdefault(cell, []).append(line)
    return [
        line
        for cell in cells.values()
        if 0 < max(line.people for line in cell) < K or 0 < max(line.contacts for line in cell) < K
        for line in cell
    ]


@given(worlds())
@example(FEW_COUNSELLED_TWICE)
@example(MANY_PEOPLE_FEW_CONTACTS)
def test_small_cells_leave_no_trace_in_any_answer(world: World) -> None:
    without = [
        Told(told.region, told.month, [
            line for line in told.lines if line not in small_cells(told.lines)
        ])
        for told in world
    ]  # fmt: skip
    assert answers(world, K, folded=False) == answers(without, K, folded=False)


@given(worlds(), st.integers(1, K - 1), st.integers(1, 9))
def test_how_few_they_are_changes_no_answer(world: World, few: int, services: int) -> None:
    other = [
        Told(told.region, told.month, [
            line._replace(people=few, services=services)
            if line in small_cells(told.lines) and not line.contacts and line.people < K else line
            for line in told.lines
        ])
        for told in world
    ]  # fmt: skip
    assert answers(world, K) == answers(other, K)


@given(worlds())
def test_every_split_has_the_same_total_of_what_tells_of_many(world: World) -> None:
    for period in periods(world):
        told = [(each.month, each.lines) for each in period]
        totals = [show(told, by, K).total for by in BY]
        assert all(total == totals[0] for total in totals)
        for measure in MEASURES:
            assert getattr(totals[0], measure) == sum(
                getattr(line, measure)
                for each in period
                for line in each.lines
                if line not in small_cells(each.lines)
            )


@given(worlds())
def test_no_small_number_quantity_or_amount_is_shown(world: World) -> None:
    for shown in answers(world, K):
        for line in (*shown.lines.values(), shown.apart, shown.total):
            assert not is_small(line, K)
            assert (line.quantities, line.amounts, line.people_exact) == ({}, {}, False)


def test_what_is_sensitive_is_told_by_kind_only() -> None:
    lines = [
        line_of((("a", False), "UA80", None, "piece"), 9, 0, 9),
        line_of((("c", True), "UA80", None, "piece"), 6, 0, 8),
        line_of((("c", True), "UA46", None, "piece"), 2, 0, 2),
    ]
    told = [("2024-01", lines)]
    by_kind = show(told, "kind", K)
    assert set(by_kind.lines) == {Cell(kind="a"), Cell(kind="c")}
    assert (by_kind.lines[Cell(kind="c")].services, by_kind.apart.services) == (10, 0)
    cells: dict[Dimension | None, Cell] = {
        "area": Cell(area="UA80"), "month": Cell(month="2024-01"), None: Cell()
    }  # fmt: skip
    for by, cell in cells.items():
        shown = show(told, by, K)
        assert {each: line.services for each, line in shown.lines.items()} == {cell: 9}
        assert (shown.apart.people, shown.apart.services) == (8, 10)


def test_the_same_few_under_two_grants_are_not_taken_for_many() -> None:
    (told,) = FEW_COUNSELLED_TWICE
    assert show([(told.month, told.lines)], "area", K).lines == {}


def test_what_was_paid_out_is_no_quantity_for_who_may_not_see_amounts() -> None:
    line = Line(1, quantities={"uah": 250_000, "night": 3, "piece": 2}, amounts={"UAH": 250_000})
    shown = without_money(line)
    assert (shown.people, shown.quantities, shown.amounts) == (1, {"night": 3, "piece": 2}, {})


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


def test_of_few_it_is_not_told_whether_another_region_counts_some() -> None:
    for people, told in ((0, None), (K - 1, None), (K, 2)):
        assert told_elsewhere(people, 2, K) == told


def test_few_in_all_lines_do_not_look_like_many() -> None:
    lines = [
        PublishedLine("UA80", kind, None, 2, 2, 0, 2, "piece", sensitive=True) for kind in "abc"
    ]
    (pool,) = fold_small(lines, K, LINES_MAX)
    assert (pool.people, pool.services) == (2, 6)
    session = PublishedLine("UA80", "d", None, 0, 1, 9, 1, "piece", sensitive=True)
    (pool,) = fold_small([*lines, session], K, LINES_MAX)
    assert (pool.people, pool.contacts) == (2, 9)


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
