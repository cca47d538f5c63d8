"""What the nights of a stay cost, and what a settlement of them changes."""

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import AllotmentId, CommitmentId, GrantId, NeedId
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.domain.stays import Settled, Then, cost_of_stay, settle

DAY = date(2024, 6, 1)
SPENT = Commitment(
    CommitmentId(UUID(int=1)),
    NeedId(UUID(int=2)),
    1,
    AllotmentId(UUID(int=3)),
    GrantId(UUID(int=4)),
    1_000,
    "UAH",
    "provider",
    "spent",
    "shelter",
    spent_on=DAY,
    issue_no=1,
    night_minor=100,
)
RELEASED = replace(SPENT, state="released", spent_on=None)
NEVER_CAME = replace(RELEASED, issue_no=0)
"""Let go before anybody came; the check-in came in late and is paid for, if at all, by then."""
GIVEN = replace(NEVER_CAME, attempt_no=0)
"""Aid that was entered after it was given, and let go."""


def settled(
    commitment: Commitment,
    nights: int,
    *,
    settle_no: int | None = 1,
    late_minor: int | None = None,
    was_reversed: bool = False,
) -> Settled:
    found = settle(
        commitment,
        issue_no=1,
        nights=nights,
        settle_no=settle_no,
        late_minor=late_minor,
        was_reversed=was_reversed,
    )
    assert found is not None
    return found


@given(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2), st.integers(0, 5))
def test_nights_cost_what_the_stay_that_counts_had(
    issue_no: int, known_issue: int, reversed_no: int, nights: int
) -> None:
    stay = replace(SPENT, issue_no=known_issue, reversed_no=reversed_no)
    over = issue_no < known_issue or 0 < issue_no <= reversed_no
    assert cost_of_stay(stay, issue_no, nights) == (None if over else 100 * nights)
    assert cost_of_stay(replace(stay, night_minor=None), issue_no, nights) is None


@given(st.permutations([1, 2, 3]))
def test_the_last_settlement_of_a_stay_is_the_one_that_counts(order: list[int]) -> None:
    stay = replace(SPENT, issue_no=1)
    charged = None
    for settle_no in [*order, *order]:
        cost = cost_of_stay(stay, 1, settle_no, settle_no)
        assert (cost is None) == (settle_no <= stay.settle_no)
        if cost is not None:
            stay, charged = replace(stay, settle_no=settle_no), cost
    assert charged == 300


@pytest.mark.parametrize(
    ("commitment", "nights", "then"),
    [
        (SPENT, 10, "nothing"),
        (SPENT, 12, "charge"),
        (SPENT, 3, "charge"),
        (SPENT, 0, "charge_nothing"),
        (RELEASED, 10, "ask"),  # checked in and let go: what was booked is free again
        (RELEASED, 0, "nothing"),
        (NEVER_CAME, 10, "nothing"),
        (NEVER_CAME, 4, "change"),
        (NEVER_CAME, 0, "charge_nothing"),
        (GIVEN, 10, "ask"),
        (GIVEN, 0, "nothing"),
    ],
)
def test_what_is_done_depends_on_what_is_paid_already(
    commitment: Commitment, nights: int, then: Then
) -> None:
    found = settled(commitment, nights)
    assert (found.then, found.cost_minor, found.takes_back_late) == (then, 100 * nights, False)
    noted = replace(commitment, settle_no=1)
    if then == "charge_nothing":
        noted = replace(noted, issue_no=1)  # that nobody slept there is known of this check-in
    assert found.commitment == noted


def test_aid_that_was_undone_is_not_paid_for_again() -> None:
    assert settled(GIVEN, 4, was_reversed=True).then == "change"


@given(st.integers(0, 20), st.integers(0, 20))
def test_what_a_person_found_for_more_nights_is_taken_back_once_they_were_others(
    nights: int, found_for: int
) -> None:
    late_minor = 100 * found_for
    found = settled(SPENT, nights, late_minor=late_minor)
    if 100 * nights == 1_000 + late_minor:
        assert (found.takes_back_late, found.then) == (False, "nothing")
    else:
        assert found.takes_back_late
        assert (found.then == "nothing") == (nights == 10)


@given(st.integers(0, 20))
def test_a_settlement_without_a_number_corrects_nothing_that_a_person_decided(nights: int) -> None:
    found = settled(SPENT, nights, settle_no=None, late_minor=500)
    assert (found.commitment, found.takes_back_late, found.then) == (SPENT, False, "nothing")
