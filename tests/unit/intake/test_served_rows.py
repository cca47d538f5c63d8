"""Rows that say which needs were served: each counts once, and never before its day."""

from datetime import date, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_intake.domain.served_rows import (
    IN_THE_FUTURE,
    ROW_CHANGED,
    TAKEN_BEFORE,
    TWICE,
    ServedRow,
    hindrances,
)

TODAY = date(2024, 5, 6)
NEED = UUID(int=1)

rows = st.lists(
    st.builds(
        ServedRow,
        key=st.sampled_from([b"a", b"b", b"c"]),
        content=st.sampled_from([b"1", b"2"]),
        need_id=st.just(NEED),
        served_on=st.integers(-1, 1).map(lambda days: TODAY + timedelta(days=days)),
    ),
    max_size=8,
)
contents = st.dictionaries(st.sampled_from([b"a", b"b"]), st.sampled_from([b"1", b"2"]))


@given(rows, contents)
def test_a_row_is_taken_once_and_not_before_its_day(
    given_rows: list[ServedRow], known: dict[bytes, bytes]
) -> None:
    tried: dict[bytes, bytes] = {}
    for row, rule in zip(given_rows, hindrances(given_rows, known, TODAY), strict=True):
        if row.key in known:
            assert rule == (TAKEN_BEFORE if known[row.key] == row.content else ROW_CHANGED)
        elif row.key in tried:
            assert rule == (TWICE if tried[row.key] == row.content else ROW_CHANGED)
        elif row.served_on > TODAY:
            assert rule == IN_THE_FUTURE
        else:
            assert rule is None
            tried[row.key] = row.content


@given(rows)
def test_the_same_rows_again_are_all_known(given_rows: list[ServedRow]) -> None:
    first = hindrances(given_rows, {}, TODAY)
    taken = {
        row.key: row.content for row, rule in zip(given_rows, first, strict=True) if rule is None
    }
    for row, rule in zip(given_rows, hindrances(given_rows, taken, TODAY), strict=True):
        assert rule is not None
        assert (rule == IN_THE_FUTURE) == (row.key not in taken)
