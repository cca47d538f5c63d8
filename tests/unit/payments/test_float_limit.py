"""Up to the float limit one person is enough, at the limit too; above it there are two."""

from dataclasses import replace
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from aidmesh_payments.domain import bill, purchase
from aidmesh_payments.domain.purchase import Line, Purchase

MAKER, CHECKER, BILLER = (UUID(int=number) for number in (1, 2, 3))
LIMIT = 1_000
amounts = st.integers(1, 3 * LIMIT)


@given(amounts)
@example(LIMIT)
@example(LIMIT + 1)
def test_one_person_does_everything_up_to_the_limit_and_no_step_above_it(amount: int) -> None:
    drawn = purchase.draft([Line(None, "rent", 1, amount)], MAKER)
    billed = replace(drawn, state="invoiced", approver=MAKER, biller=MAKER)
    paid = replace(billed, state="paid", payer=MAKER)
    steps = (
        purchase.order(drawn, MAKER, float_limit_minor=LIMIT),
        purchase.pay(billed, MAKER, float_limit_minor=LIMIT),
        purchase.reverse_payment(paid, MAKER, float_limit_minor=LIMIT),
    )
    assert {isinstance(each, Purchase) for each in steps} == {amount <= LIMIT}
    entered = bill.enter(amount, "bill", MAKER, float_limit_minor=LIMIT)
    assert entered.state == ("charged" if amount <= LIMIT else "waiting")
    assert entered.decided_by == (MAKER if amount <= LIMIT else None)


@given(amounts, amounts)
@example(3 * LIMIT, 3 * LIMIT)
@example(2 * LIMIT, 2 * LIMIT + 1)
@example(1, LIMIT)
def test_who_entered_a_bill_pays_it_if_others_have_seen_as_much(
    ordered_minor: int, billed_minor: int
) -> None:
    drawn = purchase.draft([Line(None, "rent", 1, ordered_minor)], MAKER)
    received = replace(drawn, state="received", approver=CHECKER)
    billed = purchase.invoice(received, BILLER, billed_minor)
    assert isinstance(billed, Purchase)
    paid = purchase.pay(billed, BILLER, float_limit_minor=LIMIT)
    assert isinstance(paid, Purchase) is (billed_minor <= max(LIMIT, ordered_minor))
