"""How long payment records are kept."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.retention import kept_if_paid_from, payment_kept_until


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.dates(date(2000, 1, 1), date(2090, 1, 1)))
def test_a_record_is_kept_to_its_legal_date_and_no_longer(paid_on: date, today: date) -> None:
    assert (paid_on >= kept_if_paid_from(today)) == (today <= payment_kept_until(paid_on))


def test_the_legal_date() -> None:
    assert payment_kept_until(date(2024, 3, 8)) == date(2029, 12, 31)
