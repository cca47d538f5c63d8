"""Minor units, rates and rounding. A rate is a decimal string with its date and source."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction

EXPONENT_DEFAULT = 2
# Currencies whose minor unit is not a hundredth (ISO 4217).
EXPONENTS = {
    "BHD": 3, "IQD": 3, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3,
    "OMR": 3, "TND": 3, "UGX": 0, "VND": 0, "XAF": 0, "XOF": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of the spending currency one unit of the grant's currency buys.

    Attributes:
        text: a positive decimal, as published, such as `48.2512`.
        on: the day it holds for.
        source: who published it, such as `nbu` or a bank's advice number.
    """

    text: str
    on: date
    source: str

    def __post_init__(self) -> None:
        """Refuse what is no rate."""
        parse_rate(self.text)


def plain_reference(text: str) -> str:
    """A bank reference as it is compared: who types it from a statement spaces it as they like.

    Blanks do not count, and large and small letters are the same.
    """
    return "".join(text.casefold().split())


def parse_rate(text: str) -> Fraction:
    """Return a rate exactly.

    Raises:
        ValueError: not a finite decimal greater than zero.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("a rate is a decimal number") from None
    if not value.is_finite() or value <= 0:
        raise ValueError("a rate is greater than zero")
    return Fraction(value)


def round_half_up(amount: Fraction) -> int:
    """Round to a whole number; a half goes away from zero, so that signs are symmetric."""
    doubled = abs(amount) * 2 + 1
    whole = int(doubled // 2)
    return whole if amount >= 0 else -whole


def _scale(currency: str) -> int:
    return int(10 ** EXPONENTS.get(currency, EXPONENT_DEFAULT))


def to_grant_currency(amount_minor: int, spending: str, grant: str, rate: str) -> int:
    """Convert an amount of the spending currency, rounded half up once.

    Args:
        amount_minor: in minor units of `spending`.
        spending: currency of the amount.
        grant: currency to convert to.
        rate: units of `spending` per unit of `grant`, a decimal string.
    """
    return round_half_up(amount_minor * worth_of(spending, grant, rate))


def worth_of(spending: str, grant: str, rate: str) -> Fraction:
    """What a minor unit of `spending` is worth in minor units of `grant`; `rate` as above."""
    return Fraction(_scale(grant), _scale(spending)) / parse_rate(rate)


def paid_for(
    credited_minor: int, currency: str, paid_minor: int | None, paid_currency: str | None
) -> tuple[int, str] | None:
    """What a donor paid, and in which currency, for what is credited in `currency`.

    As much, unless it came in another currency: a conversion is booked with both amounts, so that
    one has to be named as well.

    Args:
        paid_minor, paid_currency: as it was entered.

    Returns:
        None where that is not what can have happened, or only half of it.
    """
    if paid_currency is None or paid_currency == currency:
        return (credited_minor, currency) if paid_minor in (None, credited_minor) else None
    return None if paid_minor is None else (paid_minor, paid_currency)


def share_of(booked_minor: int, part_minor: int, whole_minor: int) -> int:
    """Return the part of `booked_minor` that belongs to `part_minor` out of `whole_minor`.

    The last part always takes exactly what is left, so nothing is lost by rounding.

    Raises:
        ValueError: the part is not within the whole.
    """
    if not 0 < part_minor <= whole_minor:
        raise ValueError("a part lies within its whole")
    return round_half_up(Fraction(booked_minor * part_minor, whole_minor))


def line_limit(amount_minor: int, flexibility_percent: int) -> int:
    """Return how far a budget line may be used: its amount plus the flexibility, rounded down."""
    return amount_minor * (100 + flexibility_percent) // 100
