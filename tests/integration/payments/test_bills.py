"""What providers charge: above the float limit a second person sees it before it is charged."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import CommitmentId, ReservationId, SiteId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.inventory import ReservationIssuedV1, StaySettledV1
from aidmesh_payments.handlers import bills
from integration.payments.billing import bill, spent_by_day
from integration.payments.callers import Api
from integration.payments.offices import CHECKER, MAKER, Desk, approved, confirmed, withdrawn

LIMIT = 10_000
PRICE, BILL = 3_000, 39_000
MONEY = "SELECT ARRAY[committed_minor, spent_minor] FROM allotment"
SERVED_ON = date(2024, 6, 12)


async def committed(desk: Desk, night_minor: int | None = None) -> NeedApprovedV1:
    """A need that a provider is to serve."""
    need = approved(PRICE, by="provider")
    assert need.money is not None
    money = need.money.model_copy(update={"night_minor": night_minor})
    need = need.model_copy(update={"money": money})
    await desk.feed(need)
    await desk.feed(confirmed(need))
    return need


def attended(need: NeedApprovedV1) -> ReservationIssuedV1:
    return ReservationIssuedV1(
        reservation_id=ReservationId(uuid4()),
        need_id=need.need_id,
        attempt_no=1,
        issue_no=1,
        how="attendance",
        quantity=1,
        unit="hour",
        served_on=SERVED_ON,
        site_id=SiteId(uuid4()),
        area="UA80",
    )


async def entered(desk: Desk, amount_minor: int = BILL, by: UUID = MAKER) -> UUID:
    commitment_id = CommitmentId(await desk.value("SELECT id FROM commitment"))
    found: UUID = await desk.run(lambda tx: bill(desk, tx, commitment_id, amount_minor, by))
    return found


async def approve(desk: Desk, bill_id: UUID, by: UUID) -> str | None:
    """Have it charged; why that was refused, or None."""
    try:
        await desk.run(partial(bills.approve, desk.office, bill_id=bill_id, by=by))
    except Problem as error:
        return error.kind.slug
    return None


async def money(desk: Desk) -> Sequence[int]:
    """What is committed, and what was spent."""
    return list(await desk.value(MONEY))


@pytest.mark.parametrize("asked", [PRICE - 100, LIMIT])
async def test_what_a_bill_changes_counts_for_the_day_of_the_service(
    desk: Desk, asked: int
) -> None:
    await desk.purse(50_000)
    await desk.feed(attended(await committed(desk)))
    assert await spent_by_day(desk) == {SERVED_ON: PRICE}
    await entered(desk, asked)
    assert await spent_by_day(desk) == {SERVED_ON: asked}
    assert await money(desk) == [0, asked]


@pytest.mark.parametrize("attends", ["before", "while it waits", "afterwards"])
async def test_much_is_charged_by_a_second_person_whenever_somebody_attends(
    desk: Desk, attends: str
) -> None:
    await desk.purse(50_000)
    need = await committed(desk)
    if attends == "before":
        await desk.feed(attended(need))
    bill_id = await entered(desk)
    if attends == "while it waits":
        await desk.feed(attended(need))
    # Nobody but the first has seen it: the provider gets what was committed.
    before = [PRICE, 0] if attends == "afterwards" else [0, PRICE]
    assert await money(desk) == before
    assert await approve(desk, bill_id, MAKER) == "second-person-needed"
    assert await money(desk) == before
    assert await approve(desk, bill_id, CHECKER) is None
    if attends == "afterwards":
        assert await money(desk) == [BILL, 0]
        await desk.feed(attended(need))
    assert await money(desk) == [0, BILL]
    assert await approve(desk, bill_id, CHECKER) == "wrong-state"
    # It was spent for the day of the service.
    assert await desk.value("SELECT spent_on FROM commitment") == SERVED_ON


async def test_one_person_charges_up_to_the_limit_and_it_is_known_who(desk: Desk) -> None:
    await desk.purse(50_000)
    await committed(desk)
    await entered(desk, LIMIT)
    assert await money(desk) == [LIMIT, 0]
    kept = "SELECT ARRAY[biller, decided_by] FROM provider_bill"
    assert await desk.value(kept) == [MAKER, MAKER]


async def test_the_last_bill_counts(desk: Desk) -> None:
    await desk.purse(50_000)
    await committed(desk)
    first, second = await entered(desk), await entered(desk, BILL + 1, CHECKER)
    assert await approve(desk, first, CHECKER) == "wrong-state"
    assert await approve(desk, second, CHECKER) == "second-person-needed"
    assert await approve(desk, second, MAKER) is None
    assert await money(desk) == [BILL + 1, 0]
    # One of little takes the place of one that waits.
    third = await entered(desk)
    await entered(desk, PRICE)
    assert await approve(desk, third, CHECKER) == "wrong-state"
    assert await money(desk) == [PRICE, 0]


async def test_a_bill_that_was_entered_wrong_is_withdrawn(desk: Desk) -> None:
    await desk.purse(50_000)
    await committed(desk)
    bill_id = await entered(desk)
    await desk.run(partial(bills.withdraw, bill_id=bill_id, by=MAKER))
    assert await approve(desk, bill_id, CHECKER) == "wrong-state"
    with pytest.raises(Problem):
        await desk.run(partial(bills.withdraw, bill_id=bill_id, by=MAKER))
    assert await money(desk) == [PRICE, 0]


async def test_nothing_is_charged_for_a_need_that_is_over(desk: Desk) -> None:
    await desk.purse(50_000)
    need = await committed(desk)
    bill_id = await entered(desk)
    await desk.feed(withdrawn(need))
    assert await approve(desk, bill_id, CHECKER) == "wrong-state"
    assert await money(desk) == [0, 0]


async def test_money_that_was_used_meanwhile_is_not_charged(desk: Desk) -> None:
    await desk.purse(50_000)
    await committed(desk)
    with pytest.raises(Problem) as refused:
        await entered(desk, 50_001)
    assert refused.value.kind.slug == "allotment-short"
    bill_id = await entered(desk)
    await desk.feed(approved(20_000))
    assert await approve(desk, bill_id, CHECKER) == "allotment-short"
    assert await money(desk) == [PRICE, 0]


async def test_a_bill_outweighs_the_nights_that_were_settled_while_it_waited(desk: Desk) -> None:
    await desk.purse(50_000)
    need = await committed(desk, night_minor=1_000)
    bill_id = await entered(desk)
    await desk.feed(attended(need))
    stay = StaySettledV1.model_validate(
        {
            "reservation_id": uuid4(), "need_id": need.need_id, "attempt_no": 1, "issue_no": 1,
            "from_on": "2024-06-12", "to_on": "2024-06-14", "nights": 2,
        }
    )  # fmt: skip
    await desk.feed(stay)
    assert await money(desk) == [0, 2_000]
    assert await approve(desk, bill_id, CHECKER) is None
    await desk.feed(stay.model_copy(update={"nights": 1, "settle_no": 2}))
    assert await money(desk) == [0, BILL]


async def test_a_second_person_finds_it_in_the_list(api: Api) -> None:
    await api.purse(100_000)
    need = await committed(api.desk)
    path = f"/v1/needs/{need.need_id}/commitment"
    commitment_id = (await api.get(path))["commitments"][0]["id"]
    made = await api.post(f"/v1/commitments/{commitment_id}:bill", amount_minor=BILL)
    assert made["waits"] is True
    (waiting,) = (await api.get("/v1/bills"))["bills"]
    assert (waiting["id"], waiting["biller"]) == (made["bill_id"], str(MAKER))
    assert (waiting["amount_minor"], waiting["committed_minor"]) == (BILL, PRICE)
    (shown,) = (await api.get(path))["commitments"]
    assert (shown["billed_minor"], shown["bill_state"]) == (BILL, "waiting")
    step = f"/v1/bills/{made['bill_id']}:approve"
    assert (await api.post(step, 409))["type"].endswith("second-person-needed")
    await api.post_as(api.checker, step)
    assert (await api.get("/v1/bills"))["bills"] == []
    (shown,) = (await api.get(path))["commitments"]
    assert (shown["amount_minor"], shown["bill_state"]) == (BILL, "charged")
    assert shown["biller"] == str(MAKER)
    again = await api.post(f"/v1/commitments/{commitment_id}:bill", amount_minor=BILL + 1)
    await api.post(f"/v1/bills/{again['bill_id']}:withdraw")
    await api.post_as(api.checker, f"/v1/bills/{again['bill_id']}:approve", 409)
    await api.post(f"/v1/bills/{uuid4()}:approve", 404)
    little = await api.post(f"/v1/commitments/{commitment_id}:bill", amount_minor=LIMIT)
    assert little["waits"] is False
