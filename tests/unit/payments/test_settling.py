"""By which payout somebody was paid, where only the need is known."""

from datetime import date, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import PayoutId
from aidmesh_payments.domain.settling import Candidate, Unclear, paid_by

FIRST_DAY = date(2024, 6, 1)
days = st.integers(0, 30).map(lambda number: FIRST_DAY + timedelta(days=number))


@st.composite
def any_candidates(draw: st.DrawFn, least: int = 0) -> list[Candidate]:
    spans = st.tuples(st.none() | days, st.none() | days)
    drawn = draw(st.lists(spans, min_size=least, max_size=5))
    return [Candidate(PayoutId(UUID(int=n)), *span) for n, span in enumerate(drawn)]


@given(any_candidates(), days)
def test_it_was_open_on_the_day_and_no_other_was(candidates: list[Candidate], day: date) -> None:
    found = paid_by(candidates, day)
    if isinstance(found, Unclear):
        assert (found is Unclear.NONE) == (not candidates)
        assert len(candidates) != 1
    elif len(candidates) > 1:
        opened = {each.payout_id for each in candidates if each.was_open_on(day)}
        assert opened == {found}
    assert paid_by(candidates[::-1], day) == found


@given(any_candidates(least=2), days)
def test_two_that_were_open_are_told_apart_by_a_person(
    candidates: list[Candidate], day: date
) -> None:
    if sum(each.was_open_on(day) for each in candidates) != 1:
        assert paid_by(candidates, day) is Unclear.SEVERAL


@given(st.lists(st.integers(1, 5), min_size=4, max_size=8), st.data())
def test_one_attempt_after_another(lengths: list[int], data: st.DataObject) -> None:
    """The last still waits, offered or drawn up only; a day of an earlier one is never its own."""
    marks = [FIRST_DAY]
    for length in lengths:
        marks.append(marks[-1] + timedelta(days=length))
    spans = list(pairwise(marks))[::2]
    past = [Candidate(PayoutId(UUID(int=n)), begin, end) for n, (begin, end) in enumerate(spans)]
    told = data.draw(st.booleans())
    after = marks[-1] + timedelta(days=1)
    last = Candidate(PayoutId(UUID(int=99)), after if told else None, None)
    for each, (begin, end) in zip(past, spans, strict=True):
        for day in (begin, end):
            assert paid_by([*past, last], day) == each.payout_id
    later = after + timedelta(days=data.draw(st.integers(0, 9)))
    assert paid_by([*past, last], later) == (last.payout_id if told else Unclear.SEVERAL)


def test_the_days_belong_to_it() -> None:
    one = Candidate(PayoutId(UUID(int=1)), date(2024, 6, 2), date(2024, 6, 4))
    opened = [day for day in range(1, 7) if one.was_open_on(date(2024, 6, day))]
    assert opened == [2, 3, 4]
    waits = Candidate(PayoutId(UUID(int=1)), date(2024, 6, 2), None)
    assert waits.was_open_on(date(2024, 7, 1))
    assert not waits.was_open_on(date(2024, 6, 1))
    assert not Candidate(PayoutId(UUID(int=1)), None, None).was_open_on(date(2024, 6, 2))
