"""How long the law has payment records kept, whoever they speak of."""

from datetime import date
from typing import Final

PAYMENT_RECORDS_YEARS: Final = 5
"""Full calendar years after the one of the payment: the longest of the retention periods that
apply to us (accounting documents, and what is kept against money laundering)."""


def payment_kept_until(paid_on: date) -> date:
    """The legal date: the last day on which a record of a payment is kept."""
    return date(paid_on.year + PAYMENT_RECORDS_YEARS, 12, 31)


def kept_if_paid_from(today: date) -> date:
    """The first day of payment whose record is still kept today; older ones are deleted."""
    return date(today.year - PAYMENT_RECORDS_YEARS, 1, 1)
