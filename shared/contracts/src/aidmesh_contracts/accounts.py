"""Account and card numbers: the check digits that find a typing error where it is made."""

import re
from typing import Literal

Mechanism = Literal["iban", "card", "post", "cash"]
"""How money reaches whoever is paid."""


def is_sent(mechanism: Mechanism) -> bool:
    """Whether the money finds its way to the person; for cash they have to come."""
    return mechanism != "cash"


# Lengths by country (SWIFT IBAN registry); a country that is not listed is checked by digits only.
_IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20,
    "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GE": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22,
    "IT": 27, "LT": 20, "LU": 20, "LV": 21, "MD": 24, "NL": 18, "NO": 15, "PL": 28, "PT": 25,
    "RO": 24, "SE": 24, "SI": 19, "SK": 24, "TR": 26, "UA": 29,
}  # fmt: skip
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_CARD = re.compile(r"[0-9]{12,19}")


def compact(number: str) -> str:
    """Drop the spaces and hyphens that people put into long numbers; letters become capital."""
    return re.sub(r"[\s-]", "", number).upper()


def is_iban(number: str) -> bool:
    """Whether a compact number has an IBAN's form, length and check digits (ISO 13616)."""
    if _IBAN.fullmatch(number) is None:
        return False
    length = _IBAN_LENGTHS.get(number[:2])
    if length is not None and len(number) != length:
        return False
    moved = number[4:] + number[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def is_card(number: str) -> bool:
    """Whether a compact number has a card's length and check digit (ISO/IEC 7812-1, Luhn)."""
    if _CARD.fullmatch(number) is None:
        return False
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
