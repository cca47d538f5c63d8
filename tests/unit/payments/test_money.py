"""Rounding, rates, and the ledger's balance."""

from collections import Counter
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aidmesh_payments
from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_payments.domain import ledger
from aidmesh_payments.domain.ledger import Account, Journal, Posting, move
from aidmesh_payments.domain.money import (
    Rate,
    line_limit,
    paid_for,
    plain_reference,
    round_half_up,
    share_of,
    to_grant_currency,
)

amounts = st.integers(min_value=1, max_value=10**12)
rates = st.decimals(min_value="0.0001", max_value="9999", places=4).filter(bool).map(str)
TODAY = date(2024, 6, 1)


@given(st.fractions(-(10**12), 10**12, max_denominator=10**6))
def test_halves_go_away_from_zero_like_decimal_says(value: Fraction) -> None:
    rounded = round_half_up(value)
    assert abs(rounded - value) <= Fraction(1, 2)
    assert round_half_up(-value) == -rounded
    exact = Decimal(value.numerator * 10) / Decimal(value.denominator * 10)
    if Fraction(exact) == value:
        assert rounded == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


@given(amounts, rates)
def test_a_conversion_is_off_by_at_most_half_a_minor_unit(amount: int, rate: str) -> None:
    granted = to_grant_currency(amount, "UAH", "EUR", rate)
    assert abs(granted - Fraction(amount) / Fraction(rate)) <= Fraction(1, 2)


@given(amounts, st.none() | amounts, st.sampled_from([None, "EUR", "UAH"]), st.booleans())
def test_what_a_donor_paid_is_told_whole_or_is_what_is_credited(
    credited: int, paid: int | None, currency: str | None, same: bool
) -> None:
    paid = credited if same else paid
    told = paid_for(credited, "EUR", paid, currency)
    if currency == "UAH":
        assert told == (None if paid is None else (paid, "UAH"))
    else:
        assert told == ((credited, "EUR") if paid in (None, credited) else None)


def test_currencies_have_their_own_minor_units() -> None:
    # 100.00 UAH at 0.26 UAH for a yen are 385 yen: yen have no minor unit.
    assert to_grant_currency(10_000, "UAH", "JPY", "0.26") == 385
    assert to_grant_currency(4_125, "UAH", "EUR", "41.25") == 100


@given(amounts, amounts, st.lists(st.integers(min_value=1, max_value=10**6), min_size=1))
def test_the_parts_of_a_return_add_up_exactly(granted: int, amount: int, wishes: list[int]) -> None:
    left_granted, left = granted, amount
    for wish in wishes:
        part = min(wish, left)
        if part == 0:
            break
        booked = share_of(left_granted, part, left)
        assert 0 <= booked <= left_granted
        left_granted, left = left_granted - booked, left - part
    if left:
        left_granted -= share_of(left_granted, left, left)
    assert left_granted == 0


@pytest.mark.parametrize("text", ["0", "-1", "NaN", "Infinity", "x", "", "1e999999999x"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="a rate is"):
        Rate(text, TODAY, "nbu")


def test_flexibility_is_rounded_down() -> None:
    assert line_limit(999, 10) == 1098


accounts = st.builds(
    Account,
    st.sampled_from(["donor", "unallotted", "available", "spent"]),
    st.sampled_from(["UAH", "EUR"]),
    st.just(GrantId(uuid4())),
)


@given(st.lists(st.builds(Posting, accounts, st.integers(-100, 100)), max_size=6))
def test_a_journal_balances_in_every_currency_or_is_none(postings: list[Posting]) -> None:
    sums = {
        currency: sum(p.amount_minor for p in postings if p.account.currency == currency)
        for currency in ("UAH", "EUR")
    }
    if postings and not any(sums.values()):
        Journal(uuid4(), "instalment", TODAY, tuple(postings))
    else:
        with pytest.raises(ValueError, match="sum to zero"):
            Journal(uuid4(), "instalment", TODAY, tuple(postings))


@given(amounts, amounts, amounts)
def test_every_booking_balances_whatever_the_amounts(a: int, b: int, c: int) -> None:
    grant, allotment, one = GrantId(uuid4()), AllotmentId(uuid4()), uuid4()
    for currency in ("EUR", "UAH"):
        came = ledger.instalment(one, grant, "EUR", a, b, currency, TODAY, "x")
        gone = ledger.instalment_reversed(one, grant, "EUR", a, b, currency, TODAY, "x")
        assert gone.id != came.id
        sums: Counter[UUID] = Counter()
        for posting in (*came.postings, *gone.postings):
            sums[posting.account.id] += posting.amount_minor
        assert not any(sums.values())
        granted = a if currency == "EUR" else b
        ledger.allotment_sent(one, grant, allotment, "EUR", granted, currency, a, TODAY)
        ledger.return_received(one, grant, allotment, "EUR", b, c, currency, a, TODAY)
    ledger.return_received(one, grant, allotment, "EUR", 0, 0, "UAH", a, TODAY)
    ledger.demand_withdrawn(one, grant, "EUR", a, TODAY, "x")
    ledger.refund_due_reversed(one, grant, "EUR", a, TODAY, "x")
    ledger.exchange_difference(one, grant, "EUR", -a, TODAY, "bank")
    sent = ledger.refund(one, grant, "EUR", a, TODAY, "x")
    back = ledger.refund_reversed(one, grant, "EUR", a, TODAY, "x")
    assert set(back.postings) == {Posting(p.account, -p.amount_minor) for p in sent.postings}


def test_ids_follow_from_what_an_account_is() -> None:
    grant = GrantId(uuid4())
    assert Account("spent", "UAH", grant).id == Account("spent", "UAH", grant).id
    assert Account("spent", "UAH", grant).id != Account("spent", "EUR", grant).id
    assert move(Account("spent", "UAH", grant), Account("available", "UAH", grant), 0) == ()


def test_the_first_migration_has_the_exchange_accounts() -> None:
    sql = (
        Path(aidmesh_payments.__file__).parent / "migrations" / "0001_payments_ledger.sql"
    ).read_text(encoding="utf-8")
    for currency in ("CHF", "CZK", "DKK", "EUR", "GBP", "NOK", "PLN", "SEK", "UAH", "USD"):
        assert f"('{Account('exchange', currency).id}', 'exchange', '{currency}')" in sql


@pytest.mark.parametrize("other", ["pay 17/a", " PAY  17/A\n", "PAY17/A", "Pay\u00a017/a"])
def test_a_reference_is_the_same_however_it_is_spaced(other: str) -> None:
    assert plain_reference(other) == plain_reference("PAY 17/A")


@pytest.mark.parametrize("other", ["PAY 17/B", "PAY 17", "PAY-17/A", "РAY 17/A", ""])
def test_another_reference_stays_another(other: str) -> None:
    assert plain_reference(other) != plain_reference("PAY 17/A")


@given(st.text())
def test_a_reference_as_it_is_compared_stays_so(text: str) -> None:
    plain = plain_reference(text)
    assert plain_reference(plain) == plain
    assert plain_reference(f" {text}\t") == plain
