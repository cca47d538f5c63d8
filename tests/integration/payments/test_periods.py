"""Money that was spent on a day that its grant is not for: recorded, and a person looks."""

from datetime import UTC, date, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, NeedId, ReservationId, SiteId
from aidmesh_contracts.intake import NeedWithdrawnV1
from aidmesh_contracts.inventory import ReservationIssuedV1, ReservationReversedV1
from aidmesh_contracts.payments import CommitmentMadeV1, CommitmentSpentV1, FundsGrewV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_payments.handlers import sweeps
from aidmesh_payments.handlers.commitments import settle_discrepancy
from aidmesh_payments.handlers.payouts import Step
from integration.payments.offices import CHECKER, MAKER, Desk, approved, confirmed
from integration.payments.paying import take_step

IN_TIME, TOO_LATE = date(2024, 6, 12), date(2024, 6, 13)
JUNE = Restriction(valid_from=date(2024, 6, 1), valid_to=IN_TIME)


def issued(need_id: NeedId, on: date, issue_no: int) -> ReservationIssuedV1:
    return ReservationIssuedV1(
        reservation_id=ReservationId(uuid4()),
        need_id=need_id,
        attempt_no=1,
        issue_no=issue_no,
        how="attendance",
        served_on=on,
        site_id=SiteId(uuid4()),
        area="UA80",
        quantity=60,
        unit="minute",
    )


def undone(need_id: NeedId, issue_no: int) -> ReservationReversedV1:
    return ReservationReversedV1(
        reservation_id=ReservationId(uuid4()),
        need_id=need_id,
        attempt_no=1,
        issue_no=issue_no,
        reason="mistake",
    )


async def committed(desk: Desk, by: str) -> NeedId:
    need = approved(5_000, by=by)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    assert [each.need_id for each in await desk.told_of(CommitmentMadeV1)] == [need.need_id]
    return need.need_id


async def questions(desk: Desk) -> list[dict[str, Any]]:
    async with desk.db.read() as conn:
        rows = await conn.fetch(
            "SELECT id, about, amount_minor, occurred_on, settled_at IS NULL AS is_open, note"
            " FROM discrepancy ORDER BY opened_at, id"
        )
    return [dict(row) for row in rows]


async def settle(desk: Desk, question: UUID, allotment_id: AllotmentId | None) -> None:
    await desk.run(
        lambda tx: settle_discrepancy(
            desk.office, tx, question, allotment_id, CHECKER, "the donor agreed"
        )
    )


async def test_a_service_after_the_grants_period_is_paid_and_asked_about(desk: Desk) -> None:
    purse = await desk.purse(20_000, restriction=JUNE)
    need_id = await committed(desk, "provider")

    await desk.feed(issued(need_id, TOO_LATE, 1))
    (spent,) = await desk.told_of(CommitmentSpentV1)
    assert (spent.amount_minor, spent.spent_on) == (5_000, TOO_LATE)
    await desk.feed(issued(need_id, TOO_LATE, 1))
    (odd,) = await questions(desk)
    assert (odd["about"], odd["amount_minor"], odd["occurred_on"], odd["is_open"]) == (
        "outside_period",
        5_000,
        TOO_LATE,
        True,
    )
    # It is booked already: whoever wants it elsewhere undoes the service first.
    with pytest.raises(Problem):
        await settle(desk, odd["id"], purse)

    await desk.feed(undone(need_id, 1))
    (odd,) = await questions(desk)
    assert (odd["is_open"], odd["note"]) == (False, "reversed")
    await desk.feed(issued(need_id, IN_TIME, 2))
    assert len(await questions(desk)) == 1
    await desk.feed(undone(need_id, 2), issued(need_id, date(2024, 5, 31), 3))
    odd = (await questions(desk))[-1]
    assert (odd["occurred_on"], odd["is_open"]) == (date(2024, 5, 31), True)
    await settle(desk, odd["id"], None)
    odd = (await questions(desk))[-1]
    assert (odd["is_open"], odd["note"]) == (False, "the donor agreed")
    await desk.check()


async def test_who_waits_is_woken_on_the_day_a_grant_begins(desk: Desk) -> None:
    today = day_of(datetime.now(UTC))
    begin = partial(sweeps.begin_periods, desk.office)

    async def starts(on: date) -> None:
        await desk.execute(
            "UPDATE grant_terms SET restriction = jsonb_set(restriction, '{valid_from}', $1::jsonb)"
            " WHERE restriction ->> 'valid_from' > '2030-01-01'",
            f'"{on}"',
        )

    await desk.purse(7_000)
    coming = await desk.purse(5_000, restriction=Restriction(valid_from=date(2040, 1, 1)))
    idle = await desk.grant(1_000, restriction=Restriction(valid_from=date(2040, 1, 1)))
    await desk.told()
    # Nobody looks until that day: the service may have been down.
    await starts(today)
    assert await desk.run(begin) == 2
    (grew,) = await desk.told_of(FundsGrewV1)
    assert (grew.allotment_id, grew.amount_minor, grew.freed_by) == (coming, 5_000, None)
    assert await desk.run(begin) == 0
    assert await desk.told() == []
    later = Restriction(valid_from=date(2040, 1, 1))
    await desk.allot(idle, 1_000)
    await desk.purse(3_000, restriction=later)
    await desk.told()
    assert await desk.run(begin) == 0
    assert await desk.told() == []


@pytest.mark.parametrize(("on", "asked"), [(IN_TIME, []), (TOO_LATE, ["outside_period"])])
async def test_cash_is_asked_about_by_the_day_it_was_paid(
    desk: Desk, on: date, asked: list[str]
) -> None:
    await desk.purse(20_000, restriction=JUNE)
    await committed(desk, "payout")
    payout_id = await desk.value("SELECT id FROM payout")
    step = Step(payout_id, "bank-7", on)
    await desk.run(lambda tx: take_step(desk.office, tx, "settle", step, MAKER))
    (spent,) = await desk.told_of(CommitmentSpentV1)
    assert (spent.fulfils, spent.spent_on) == (True, on)
    assert [each["about"] for each in await questions(desk)] == asked
    await desk.check()


async def test_a_person_who_books_money_is_not_asked_again(desk: Desk) -> None:
    await desk.purse(5_000)
    need_id = await committed(desk, "provider")
    await desk.feed(NeedWithdrawnV1(need_id=need_id, attempt_no=1, reason="cancelled"))
    await committed(desk, "provider")
    await desk.feed(issued(need_id, TOO_LATE, 1))
    (odd,) = await questions(desk)
    assert odd["about"] == "late_service"
    await settle(desk, odd["id"], await desk.purse(20_000, restriction=JUNE))
    assert [each["is_open"] for each in await questions(desk)] == [False]
