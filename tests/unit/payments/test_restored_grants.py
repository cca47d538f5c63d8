"""What a grant of a backup is by what others heard of it since."""

from dataclasses import replace
from datetime import date
from typing import get_args
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_payments.domain import grants, restored_grants
from aidmesh_payments.domain.allotments import is_return, return_id
from aidmesh_payments.domain.grants import Grant, GrantStatus, Line

amounts = st.integers(0, 10_000)
days = st.dates(date(2024, 1, 1), date(2024, 1, 9))


def _grant(received: int = 1_000, status: GrantStatus = "active") -> Grant:
    empty = Grant(GrantId(UUID(int=9)), "EUR", 1_000, status)
    return grants.receive(empty, received)


@given(st.sampled_from(get_args(GrantStatus)), st.sampled_from(get_args(GrantStatus)))
def test_a_restore_makes_no_grant_active_that_was_stopped(
    backup: GrantStatus, heard: GrantStatus
) -> None:
    restored = restored_grants.as_heard(replace(_grant(), status=backup), heard)
    stopped = {"suspended", "closed"} & {backup, heard}
    if stopped:
        assert restored.status == ("closed" if "closed" in stopped else "suspended")
    else:
        assert restored.status == ("active" if "active" in (backup, heard) else "pledged")


@given(st.sampled_from(["suspended", "closed", "active"]), amounts, amounts, amounts)
def test_a_fact_is_allotted_whatever_grant_and_line_allow(
    status: GrantStatus, received: int, line_minor: int, granted: int
) -> None:
    lent, lacking = restored_grants.lend(_grant(received, status), granted)
    assert lacking == max(0, granted - received)
    decided = grants.allot(lent, Line("aid", line_minor, 0), granted, None, is_fact=True)
    assert isinstance(decided, tuple)
    after, line = decided
    assert (after.received_minor, after.allotted_minor) == (received, granted)
    assert line.allotted_minor == granted
    # Other allotments are kept within what there is: `lend` is for facts alone.
    assert restored_grants.lend(after, 0) == (after, 0)


@given(amounts, amounts, st.none() | amounts)
def test_no_grant_has_more_to_give_than_others_heard(
    unallotted: int, lent: int, heard: int | None
) -> None:
    back, demanded = restored_grants.settle(unallotted, lent, heard)
    assert 0 <= back <= min(unallotted, lent)
    missing = lent - back
    free = unallotted - back
    # A demand is served by what is free first; what it lacks, by what comes back.
    assert not missing or not free
    left = max(0, free - demanded)
    assert left <= (free if heard is None else heard)
    assert demanded - min(free, demanded) == missing


@given(st.dictionaries(st.sampled_from("abc"), st.integers(1, 10_000)), st.integers(10, 10_000))
def test_lines_of_a_grant_that_is_not_in_the_backup_fit_it(
    given_minor: dict[str, int], amount: int
) -> None:
    lines = restored_grants.lines(amount, given_minor, "unproven")
    assert grants.check_lines(amount, lines) is None
    assert {line.code for line in lines} - {"unproven"} == given_minor.keys()
    if sum(given_minor.values()) <= amount:
        assert sum(line.amount_minor for line in lines) == amount


def test_overhead_follows_an_amount_that_others_heard_of() -> None:
    lines = [Line("aid", 900, 0), Line("overhead", 100, 0)]
    grant, changed = restored_grants.amended(_grant(), lines, 2_000, 1_000)
    assert grant.amount_minor == 2_000
    assert [line.amount_minor for line in changed] == [900, 200]


@given(days, days, st.none() | days)
def test_a_period_ends_so_that_terms_end_when_others_heard(
    before: date, after: date, allowed_to: date | None
) -> None:
    told = min(after, allowed_to or after)
    found = restored_grants.period_to(before, allowed_to, told)
    assert min(found, allowed_to or found) == told
    if told == allowed_to:
        assert found >= before, "nobody was told that a longer period ends with it"


def test_each_epoch_has_ids_of_its_own_for_what_goes_back() -> None:
    allotment_id = AllotmentId(UUID(int=1))
    ids = {
        return_id(allotment_id, "kyiv", epoch, number)
        for epoch in range(1, 4)
        for number in range(1, 4)
    }
    assert len(ids) == 9
    later = return_id(allotment_id, "kyiv", 2, 3)
    assert is_return(later, allotment_id, "kyiv", 2)
    assert not is_return(later, allotment_id, "kyiv", 3)
    assert not is_return(later, allotment_id, "lviv", 2)
