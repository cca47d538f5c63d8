"""What this office pays for other regions, in whichever order steps are tried."""

from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_payments.domain.orders import Order, OrderVerb, review, step, withdraw
from aidmesh_payments.domain.payout import PayoutRefusal

NOW = datetime(2024, 6, 1, tzinfo=UTC)
PEOPLE = [UUID(int=number) for number in (1, 2)]
LIMIT = 1_000
VERBS: tuple[OrderVerb, ...] = get_args(OrderVerb)
OVER = ("rejected", "returned", "cancelled")

acts = st.lists(st.tuples(st.sampled_from([*VERBS, "withdraw"]), st.sampled_from(PEOPLE)))


def take(order: Order, verb: object, by: UUID) -> Order | PayoutRefusal:
    for each in VERBS:
        if each == verb:
            return step(order, each, by, NOW, float_limit_minor=LIMIT, reason="AC01")
    return withdraw(order)


@given(acts=acts, amount_minor=st.sampled_from([LIMIT, LIMIT + 1]))
def test_an_order_goes_one_way_and_above_the_limit_two_people_have_it_in_hand(
    acts: list[tuple[str, UUID]], amount_minor: int
) -> None:
    order = Order(amount_minor=amount_minor, currency="UAH", approver=PEOPLE[0])
    settled = 0
    for verb, by in acts:
        after = take(order, verb, by)
        if isinstance(after, PayoutRefusal) or after == order:
            continue
        assert order.state not in OVER
        assert after.version == order.version + 1
        if after.state == "cancelled":
            assert order.state == "received"
        if after.state == "settled":
            settled += 1
            assert amount_minor <= LIMIT or by != order.approver
            assert (after.review_due_at is None) == (by != order.approver)
        order = after
    assert settled <= 1
    assert order.state not in ("settled", "returned") or settled == 1


@given(verb=st.sampled_from(VERBS), by=st.sampled_from(PEOPLE))
def test_what_was_not_read_yet_takes_no_step_but_can_be_given_back(
    verb: OrderVerb, by: UUID
) -> None:
    assert take(Order(), verb, by) is PayoutRefusal.WRONG_STATE
    assert withdraw(Order()).state == "cancelled"


def test_only_somebody_else_reviews_what_one_person_paid() -> None:
    received = Order(amount_minor=LIMIT, currency="UAH", approver=PEOPLE[0])
    paid = take(received, "settle", PEOPLE[0])
    assert isinstance(paid, Order)
    assert review(paid, PEOPLE[0]) is PayoutRefusal.SECOND_PERSON
    reviewed = review(paid, PEOPLE[1])
    assert isinstance(reviewed, Order)
    assert reviewed.reviewer == PEOPLE[1]
