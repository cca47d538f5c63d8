"""When holder and paying office say the same of a payout."""

from uuid import UUID

import pytest

from aidmesh.verification.payouts import Paid, odd_payouts

ID = UUID(int=7)
OURS = Paid("kyiv", "settled", 500, "bank-7")
THEIRS = Paid("lviv", "settled", 500, "bank-7")


def odd(ours: Paid | None, theirs: Paid | None, moving: set[UUID] | None = None) -> int:
    held = {"kyiv": {}, "lviv": {} if ours is None else {ID: ours}}
    paid = {"lviv": {}, "kyiv": {} if theirs is None else {ID: theirs}}
    return len(odd_payouts(held, paid, moving or set()))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (OURS, THEIRS),
        (Paid("kyiv", "approved", 500, None), Paid("lviv", "received", 500, None)),
        (Paid("kyiv", "cancelled", 500, None), Paid("lviv", "cancelled", None, None)),
        (Paid("odesa", "settled", 500, None), None),
        (None, Paid("odesa", "settled", 500, None)),
    ],
)
def test_what_agrees_or_is_elsewhere_is_not_odd(ours: Paid | None, theirs: Paid | None) -> None:
    assert odd(ours, theirs) == 0


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (OURS, None),
        (None, THEIRS),
        (OURS, THEIRS._replace(other="odesa")),
        (OURS, THEIRS._replace(state="returned")),
        (OURS, THEIRS._replace(amount_minor=501)),
        (OURS, THEIRS._replace(bank_reference="bank-8")),
        (Paid("kyiv", "settled", 500, None), Paid("lviv", "received", 500, None)),
    ],
)
def test_what_does_not_agree_is_found_unless_it_is_on_its_way(
    ours: Paid | None, theirs: Paid | None
) -> None:
    assert odd(ours, theirs) == 1
    assert odd(ours, theirs, {ID}) == 0
