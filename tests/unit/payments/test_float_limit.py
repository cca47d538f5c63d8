"""Up to the float limit one person is enough, at the limit too; above it there are two."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from aidmesh_payments.domain import bill, purchase
from aidmesh_payments.domain.bill import Bill, BillRefusal
from aidmesh_payments.domain.payout import REVIEW_DAYS, given_review_due
from aidmesh_payments.domain.purchase import Line, Purchase

MAKER, CHECKER, BILLER = (UUID(int=number) for number in (1, 2, 3))
LIMIT = 1_000
NOW = datetime(2024, 6, 1, tzinfo=UTC)
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


def test_a_bill_that_waits_is_charged_once_by_another_than_who_entered_it() -> None:
    waiting = bill.enter(LIMIT + 1, "bill", BILLER, float_limit_minor=LIMIT)
    assert bill.approve(waiting, BILLER) is BillRefusal.SECOND_PERSON
    charged = bill.approve(waiting, CHECKER)
    assert isinstance(charged, Bill)
    assert (charged.state, charged.decided_by) == ("charged", CHECKER)
    withdrawn = bill.withdraw(waiting, BILLER)
    assert isinstance(withdrawn, Bill)
    assert withdrawn.state == "withdrawn"
    for over in (charged, withdrawn):
        assert bill.approve(over, CHECKER) is BillRefusal.WRONG_STATE
        assert bill.withdraw(over, CHECKER) is BillRefusal.WRONG_STATE


def test_much_cash_that_was_given_is_looked_at_at_once() -> None:
    week = timedelta(days=REVIEW_DAYS)
    for amount, due_at in ((LIMIT, NOW + week), (LIMIT + 1, NOW)):
        assert given_review_due(amount, NOW, float_limit_minor=LIMIT) == due_at
