"""Which weeks of the year regions play without waiting for each other."""

from itertools import chain
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from aidmesh.demo import facts
from aidmesh.demo.csvfiles import write_rows
from aidmesh.demo.run import spans
from aidmesh.demo.treasury import weeks_with_money

WEEKS = range(1, facts.WEEKS + 1)


@given(st.sets(st.sampled_from(WEEKS)))
def test_spans_are_the_year_cut_before_each_barrier(barriers: set[int]) -> None:
    found = spans(barriers)
    assert list(chain.from_iterable(found)) == list(WEEKS)
    assert {span.start for span in found} == {1, *barriers}


def test_money_comes_in_the_weeks_that_have_a_file_of_it(tmp_path: Path) -> None:
    for week, name in ((1, "instalments"), (9, "recalls"), (30, "allotments"), (31, "requests")):
        write_rows(tmp_path / "weeks" / f"{week:02d}" / f"{name}.csv", ("grant",), [{"grant": "g"}])
    assert weeks_with_money(tmp_path) == [1, 9, 30]
