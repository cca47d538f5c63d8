"""What a holder may still do with an allotment, and what a recall leaves of it."""

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_payments.domain.allotments import Allotment, AllotmentStatus, NotEnough

amounts = st.integers(0, 1_000)
TAKING: dict[str, Callable[[Allotment, int], Allotment]] = {
    "hold": Allotment.hold,
    "commit_free": Allotment.commit_free,
    "spend_free": Allotment.spend_free,
}


@st.composite
def allotments(draw: st.DrawFn, *statuses: AllotmentStatus) -> Allotment:
    """Any allotment that keeps the holder's equation."""
    held, committed, spent, returned, free = (draw(amounts) for _ in range(5))
    return Allotment(
        AllotmentId(UUID(int=1)),
        GrantId(UUID(int=2)),
        "aid",
        "kyiv",
        "UAH",
        received_minor=held + committed + spent + returned + free,
        returned_minor=returned,
        held_minor=held,
        committed_minor=committed,
        spent_minor=spent,
        status=draw(st.sampled_from(statuses)),
    )


@given(allotments("active"), st.sampled_from(sorted(TAKING)), st.integers(1, 3_000))
def test_no_more_is_taken_than_is_free(allotment: Allotment, how: str, amount: int) -> None:
    if amount > allotment.free_minor:
        with pytest.raises(NotEnough):
            TAKING[how](allotment, amount)
    else:
        assert TAKING[how](allotment, amount).free_minor == allotment.free_minor - amount


@given(
    allotments("recalled", "returned"),
    st.sampled_from(sorted(TAKING)),
)
def test_nothing_new_is_taken_after_a_recall(allotment: Allotment, how: str) -> None:
    with pytest.raises(NotEnough):
        TAKING[how](allotment, 1)


@given(allotments("active"))
def test_what_was_promised_before_a_recall_is_kept(allotment: Allotment) -> None:
    recalled, returned = allotment.recall().settle()
    assert returned == allotment.free_minor
    assert recalled.returned_minor == allotment.returned_minor + returned
    assert recalled.free_minor == 0
    assert (recalled.held_minor, recalled.committed_minor, recalled.spent_minor) == (
        allotment.held_minor,
        allotment.committed_minor,
        allotment.spent_minor,
    )
    firm = recalled.commit(recalled.held_minor)
    assert firm.spend(firm.committed_minor).spent_minor == (
        allotment.held_minor + allotment.committed_minor + allotment.spent_minor
    )


@given(allotments("active"))
def test_it_is_returned_once_nothing_of_it_is_promised_any_more(allotment: Allotment) -> None:
    settled, _ = allotment.recall().settle()
    pending = allotment.held_minor + allotment.committed_minor
    assert settled.status == ("recalled" if pending else "returned")
    freed = settled.release_held(settled.held_minor).release_committed(settled.committed_minor)
    ended, more = freed.settle()
    assert (ended.status, more) == ("returned", pending)


@given(allotments("active"))
def test_free_money_stays_where_nobody_asks_for_it(allotment: Allotment) -> None:
    assert allotment.settle() == (allotment, 0)


@given(allotments("recalled", "returned"))
def test_a_second_recall_says_nothing_new(allotment: Allotment) -> None:
    assert allotment.recall() == allotment


@given(allotments("active", "recalled", "returned"), st.integers(1, 3_000))
def test_free_money_can_be_given_back_whatever_the_status(
    allotment: Allotment, amount: int
) -> None:
    if amount > allotment.free_minor:
        with pytest.raises(NotEnough):
            allotment.give_back(amount)
    else:
        given_back = allotment.give_back(amount)
        assert given_back.returned_minor == allotment.returned_minor + amount
        assert given_back.free_minor == allotment.free_minor - amount
