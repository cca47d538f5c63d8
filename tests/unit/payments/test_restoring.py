"""What a restored region commits as used in ways that nobody can prove."""

from datetime import UTC, date, datetime
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from aidmesh_contracts.ids import AllotmentId, GrantId, TransferId
from aidmesh_contracts.payments_grants import AllotmentSentV1, GrantTerms
from aidmesh_contracts.restriction import UNRESTRICTED
from aidmesh_payments.domain.payout import may_be_second
from aidmesh_payments.domain.restoring import Figures, Word, unproven_minor
from aidmesh_payments.handlers.restoring import order_again

amounts = st.integers(0, 10_000)


@st.composite
def figures(draw: st.DrawFn) -> Figures:
    """An allotment whose equation holds."""
    received = draw(amounts)
    returned = draw(st.integers(0, received))
    return Figures(received, returned, draw(st.integers(0, received - returned)))


words = st.lists(
    st.builds(
        Word,
        st.integers(0, 5).map(lambda number: UUID(int=number)),
        st.sampled_from(("held", "released")),
        amounts,
    ),
    max_size=8,
)


@given(figures(), figures(), words)
def test_nothing_is_free_that_others_heard_was_not(
    restored: Figures, later: Figures, told: list[Word]
) -> None:
    unproven = unproven_minor(restored, later, told)
    free = restored.free_minor - unproven
    assert 0 <= unproven <= restored.free_minor
    # What it has received since comes to both alike.
    assert free <= max(0, restored.received_minor - later.gone_minor)


@given(figures(), words)
def test_what_the_own_log_says_is_set_aside_is_not_free(
    restored: Figures, told: list[Word]
) -> None:
    last = {word.commitment_id: word for word in told}
    held = sum(word.amount_minor for word in last.values() if word.said == "held")
    free = restored.free_minor - unproven_minor(restored, None, told)
    assert free <= max(0, restored.free_minor - min(held, restored.free_minor))


@given(figures(), figures(), words)
@example(Figures(1_000, 0, 100), Figures(1_000, 0, 400), [Word(UUID(int=1), "held", 200)])
def test_what_both_others_and_the_own_log_tell_of_is_set_aside_once(
    restored: Figures, later: Figures, told: list[Word]
) -> None:
    of_others, of_log = unproven_minor(restored, later), unproven_minor(restored, None, told)
    assert unproven_minor(restored, later, told) == max(of_others, of_log)


@given(figures())
def test_a_backup_that_misses_nothing_costs_nothing(restored: Figures) -> None:
    assert unproven_minor(restored, restored) == 0
    assert unproven_minor(restored, None) == 0


@given(figures(), figures())
def test_it_is_done_once(restored: Figures, later: Figures) -> None:
    unproven = unproven_minor(restored, later)
    after = Figures(
        restored.received_minor, restored.returned_minor, restored.used_minor + unproven
    )
    assert unproven_minor(after, later) == 0 or after.free_minor == 0


def test_what_the_statement_says_is_always_recorded() -> None:
    verbs = ("approve", "export", "accept", "settle", "reject", "return", "cancel")
    assert [verb for verb in verbs if may_be_second(verb, is_cash=False)] == ["approve", "export"]
    assert may_be_second("settle", is_cash=True)


def test_a_rate_is_of_the_day_in_kyiv_on_which_it_was_given() -> None:
    grant_id = GrantId(UUID(int=1))
    sent = AllotmentSentV1(
        allotment_id=AllotmentId(UUID(int=2)),
        transfer_id=TransferId(UUID(int=3)),
        terms=GrantTerms(
            grant_id=grant_id,
            code="qn-2024",
            donor="Queere Nothilfe Ukraine",
            currency="EUR",
            restriction=UNRESTRICTED,
            paying_office="kyiv",
            terms_version=1,
        ),
        budget_line="aid",
        from_region="kyiv",
        to_region="lviv",
        amount_minor=4250,
        currency="UAH",
        granted_minor=100,
        rate="42.5",
    )
    before, after = (datetime(2024, 3, 4, 21 + hour, 30, tzinfo=UTC) for hour in (0, 1))
    days = [order_again(sent, at).rate for at in (before, after)]
    assert [rate.on for rate in days if rate is not None] == [date(2024, 3, 4), date(2024, 3, 5)]
