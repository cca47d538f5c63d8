"""A commitment's way, and what providers' services and nights do to it in any order."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import AllotmentId, CommitmentId, GrantId, NeedId
from aidmesh_payments.domain.commitments import (
    Commitment,
    CommitmentState,
    ReleaseCause,
    confirm,
    pay_unfunded,
    release,
    served,
    spend,
    undone,
    unspend,
)

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
DAY = date(2024, 6, 1)
states: tuple[CommitmentState, ...] = get_args(CommitmentState)
causes: tuple[ReleaseCause, ...] = get_args(ReleaseCause)


def one(state: CommitmentState, hold_until: datetime = NOW + timedelta(minutes=5)) -> Commitment:
    return Commitment(
        CommitmentId(UUID(int=1)),
        NeedId(UUID(int=2)),
        1,
        AllotmentId(UUID(int=3)),
        GrantId(UUID(int=4)),
        1_000,
        "UAH",
        "provider",
        state,
        "psychosocial",
        hold_until=hold_until if state == "held" else None,
        spent_on=DAY if state == "spent" else None,
        night_minor=100,
    )


@given(st.sampled_from(states), st.integers(-3, 3))
def test_only_a_hold_that_runs_still_is_confirmed(state: CommitmentState, left_s: int) -> None:
    before = one(state, NOW + timedelta(seconds=left_s))
    after = confirm(before, NOW)
    if state in ("committed", "spent"):
        assert after == before  # the same word twice
    elif state == "held" and left_s > 0:
        assert after == replace(before, state="committed", hold_until=None)
    else:
        assert after is None


@given(st.sampled_from(states), st.sampled_from(causes))
def test_only_what_is_held_or_committed_is_let_go(
    state: CommitmentState, cause: ReleaseCause
) -> None:
    before = replace(one(state), collect_by=NOW)
    after = release(before, cause)
    if state not in ("held", "committed"):
        assert after is None
    else:
        assert after == replace(
            before, state="released", cause=cause, hold_until=None, collect_by=None
        )


def test_what_is_spent_and_taken_back_is_committed_again_and_counted() -> None:
    paid = spend(replace(one("committed"), collect_by=NOW), DAY)
    assert (paid.state, paid.spend_no, paid.spent_on, paid.collect_by) == ("spent", 1, DAY, None)
    back = unspend(paid)
    assert (back.state, back.spend_no, back.spent_on) == ("committed", 1, None)
    assert spend(back, DAY).spend_no == 2


@pytest.mark.parametrize("state", [each for each in states if each != "committed"])
def test_nothing_else_can_be_spent(state: CommitmentState) -> None:
    with pytest.raises(AssertionError):
        spend(one(state), DAY)


@pytest.mark.parametrize("state", [each for each in states if each != "released"])
def test_only_what_was_let_go_can_be_paid_without_money(state: CommitmentState) -> None:
    with pytest.raises(AssertionError):
        pay_unfunded(one(state))


def test_a_payment_without_money_is_counted_and_holds_none() -> None:
    paid = pay_unfunded(one("released"))
    assert (paid.state, paid.spend_no) == ("released", 1)


words = st.permutations(
    [("served", 1), ("undone", 1), ("served", 2), ("served", 1), ("undone", 1), ("served", 2)]
)


@given(words, st.booleans())
def test_services_and_their_undoing_come_in_any_order(
    words: list[tuple[str, int]], is_undone_again: bool
) -> None:
    """Whatever came first, the last service is paid once, unless that was undone as well."""
    commitment, payments = one("committed"), 0
    for word, issue_no in [*words, ("undone", 2)] if is_undone_again else words:
        if word == "served":
            commitment, verdict = served(commitment, issue_no)
            if verdict == "pay":
                commitment, payments = spend(commitment, DAY), payments + 1
        else:
            commitment, reverse = undone(commitment, issue_no)
            if reverse:
                commitment, payments = unspend(commitment), payments - 1
        assert payments in (0, 1)
    assert payments == (0 if is_undone_again else 1)
    assert commitment.state == ("committed" if is_undone_again else "spent")


@given(st.integers(1, 3), st.integers(1, 3))
def test_an_undoing_that_overtook_the_service_stops_it(undone_no: int, issue_no: int) -> None:
    marked, reverse = undone(one("committed"), undone_no)
    assert not reverse
    _, verdict = served(marked, issue_no)
    assert verdict == ("known" if issue_no <= undone_no else "pay")


@given(st.sampled_from(states))
def test_a_service_is_paid_late_where_its_money_was_let_go(state: CommitmentState) -> None:
    taken, verdict = served(one(state), 1)
    assert verdict == {"held": "pay", "committed": "pay", "released": "pay_late"}.get(
        state, "known"
    )
    assert taken.issue_no == 1
