"""The nights of a stay are charged when they are known."""

from datetime import date
from itertools import permutations
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import AllotmentId, CommitmentId, NeedId, ReservationId, SiteId
from aidmesh_contracts.intake import AidGivenV1, NeedApprovedV1, NeedReversedV1
from aidmesh_contracts.inventory import ReservationIssuedV1, ReservationReversedV1, StaySettledV1
from aidmesh_contracts.payments import CommitmentReversedV1, CommitmentSpentV1, FundsGrewV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_contracts.values import MoneyDemand
from aidmesh_payments.handlers.commitments import settle_discrepancy
from integration.payments.billing import bill, spent_by_day
from integration.payments.offices import MAKER, Desk, approved, confirmed, withdrawn

CAME_ON = date(2024, 6, 12)
NIGHT = 700
BOOKED = 7


def stay(nights: int = BOOKED) -> NeedApprovedV1:
    """A need for a bed outside, for so many nights."""
    need = approved(nights * NIGHT, by="provider")
    assert need.money is not None
    money = need.money.model_copy(update={"night_minor": NIGHT})
    return need.model_copy(update={"money": money})


def came(need: NeedApprovedV1, issue_no: int = 1) -> ReservationIssuedV1:
    return ReservationIssuedV1(
        reservation_id=ReservationId(uuid4()),
        need_id=need.need_id,
        attempt_no=1,
        issue_no=issue_no,
        how="check_in",
        served_on=CAME_ON,
        site_id=SiteId(uuid4()),
        area="UA80",
        quantity=BOOKED,
        unit="night",
    )


def left(
    need_id: NeedId,
    nights: int,
    issue_no: int = 1,
    attempt_no: int = 1,
    settle_no: int | None = None,
) -> StaySettledV1:
    return StaySettledV1(
        reservation_id=ReservationId(uuid4()),
        need_id=need_id,
        attempt_no=attempt_no,
        issue_no=issue_no,
        nights=nights,
        from_on=CAME_ON,
        to_on=date(2024, 6, 30),
        settle_no=settle_no,
    )


def undone(need: NeedApprovedV1, issue_no: int = 1) -> ReservationReversedV1:
    return ReservationReversedV1(
        reservation_id=ReservationId(uuid4()),
        need_id=need.need_id,
        attempt_no=1,
        issue_no=issue_no,
        reason="mistake",
    )


async def guest(desk: Desk, nights: int = BOOKED) -> NeedApprovedV1:
    """Someone who checked in."""
    need = stay(nights)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    await desk.feed(came(need))
    assert await desk.value("SELECT spent_minor FROM allotment") == nights * NIGHT
    await desk.told()
    return need


async def books(desk: Desk) -> tuple[int, int]:
    """What is committed and spent; every equation holds."""
    await desk.check()
    row = await desk.value(
        "SELECT array[sum(committed_minor), sum(spent_minor)]::bigint[] FROM allotment"
    )
    return row[0], row[1]


async def settle(desk: Desk, odd: UUID, source: AllotmentId) -> None:
    """A person finds money for what was missing."""
    await desk.run(lambda tx: settle_discrepancy(desk.office, tx, odd, source, MAKER, "found"))


async def test_fewer_nights_release_the_rest(desk: Desk) -> None:
    await desk.purse(20_000)
    need = await guest(desk)
    await desk.feed(left(need.need_id, 2))
    events = await desk.told()
    assert [e.spend_no for e in events if isinstance(e, CommitmentReversedV1)] == [1]
    [spent] = [e for e in events if isinstance(e, CommitmentSpentV1)]
    assert (spent.spend_no, spent.amount_minor, spent.spent_on) == (2, 1_400, CAME_ON)
    assert [e.amount_minor for e in events if isinstance(e, FundsGrewV1)] == [5 * NIGHT]
    assert await books(desk) == (0, 1_400)
    await desk.feed(left(need.need_id, 2))
    assert await desk.told() == []


@pytest.mark.parametrize("nights", [0, 2, 9])
async def test_nights_count_for_the_day_of_the_check_in(desk: Desk, nights: int) -> None:
    await desk.purse(20_000)
    need = await guest(desk)
    await desk.feed(left(need.need_id, nights))
    assert await spent_by_day(desk) == {CAME_ON: nights * NIGHT}


async def test_who_was_entered_twice_counts_once_on_that_day(desk: Desk) -> None:
    await desk.purse(20_000)
    need = await guest(desk)
    await desk.feed(undone(need))
    assert await spent_by_day(desk) == {CAME_ON: 0}
    await desk.feed(came(need, 2))
    assert await spent_by_day(desk) == {CAME_ON: BOOKED * NIGHT}


async def test_as_many_nights_as_booked_change_nothing(desk: Desk) -> None:
    await desk.purse(20_000)
    need = await guest(desk)
    await desk.feed(left(need.need_id, BOOKED))
    assert await desk.told() == []


async def test_more_nights_are_topped_up_or_opened_for_a_person(desk: Desk) -> None:
    allotment_id = await desk.purse(7_000)
    need = await guest(desk)
    await desk.feed(left(need.need_id, 9))
    assert await books(desk) == (0, 6_300)
    assert await desk.value("SELECT count(*) FROM discrepancy") == 0

    await desk.feed(undone(need), came(need, 2))
    await desk.feed(left(need.need_id, 12, 2))
    assert await books(desk) == (0, 6_300)
    assert await desk.value("SELECT about FROM discrepancy") == "longer_stay"
    assert await desk.value("SELECT amount_minor FROM discrepancy") == 3 * NIGHT
    # A donor gave more: the nights that were missing are booked.
    other = await desk.purse(5_000)
    odd = await desk.value("SELECT id FROM discrepancy")
    await settle(desk, odd, other)
    assert await books(desk) == (0, 12 * NIGHT)
    assert allotment_id != other


async def test_nights_that_are_topped_up_leave_no_question_of_what_was_charged_before(
    desk: Desk,
) -> None:
    """Whoever finds the money says why; what was asked about the sum before is no question."""
    over = Restriction(valid_from=date(2024, 6, 1), valid_to=date(2024, 6, 11))
    own = await desk.purse(7_000, restriction=over)
    need = await guest(desk)
    other = stay(2)
    await desk.feed(other)
    await desk.feed(left(need.need_id, 10))
    asked = "SELECT array_agg(about ORDER BY about) FROM discrepancy WHERE settled_at IS NULL"
    assert await desk.value(asked) == ["longer_stay", "outside_period"]
    await desk.feed(withdrawn(other))
    await settle(desk, await desk.value("SELECT id FROM discrepancy"
                                        " WHERE about = 'longer_stay'"), own)  # fmt: skip
    assert await books(desk) == (0, 10 * NIGHT)
    assert await desk.value(asked) is None
    assert await desk.value("SELECT count(*) FROM discrepancy") == 2


async def test_who_leaves_on_the_day_they_came_costs_nothing(desk: Desk) -> None:
    await desk.purse(20_000)
    need = await guest(desk)
    await desk.feed(left(need.need_id, 0))
    assert await books(desk) == (0, 0)
    # Checked in again after all.
    await desk.feed(undone(need))
    await desk.feed(came(need, 2))
    assert await books(desk) == (0, BOOKED * NIGHT)
    await desk.feed(left(need.need_id, 3, 2))
    assert await books(desk) == (0, 3 * NIGHT)


async def test_a_settlement_may_overtake_its_check_in_and_stale_ones_count_for_nothing(
    desk: Desk,
) -> None:
    await desk.purse(20_000)
    need = stay()
    await desk.feed(need)
    await desk.feed(confirmed(need))
    await desk.feed(left(need.need_id, 4))
    assert await books(desk) == (4 * NIGHT, 0)
    await desk.feed(came(need))
    assert await books(desk) == (0, 4 * NIGHT)
    await desk.feed(undone(need))
    await desk.feed(left(need.need_id, 6))  # of the check-in that was undone
    assert await books(desk) == (4 * NIGHT, 0)
    await desk.feed(came(need, 2))
    await desk.feed(left(need.need_id, 6))
    assert await books(desk) == (0, 4 * NIGHT)
    none = stay()
    await desk.feed(none)
    await desk.feed(confirmed(none))
    await desk.feed(left(none.need_id, 0))
    await desk.feed(came(none))
    assert await books(desk) == (0, 4 * NIGHT)


async def test_a_bill_by_hand_holds_whatever_check_out_says(desk: Desk) -> None:
    await desk.purse(20_000)
    need = await guest(desk)
    commitment_id = CommitmentId(await desk.value("SELECT id FROM commitment"))
    await desk.run(lambda tx: bill(desk, tx, commitment_id, 5_500))
    await desk.feed(left(need.need_id, 2))
    assert await books(desk) == (0, 5_500)
    with pytest.raises(Problem):
        await desk.run(lambda tx: bill(desk, tx, commitment_id, 90_000))
    assert await books(desk) == (0, 5_500)


async def test_prices_that_are_not_by_night_are_left_alone(desk: Desk) -> None:
    await desk.purse(20_000)
    need = approved(3_000, by="provider")
    await desk.feed(need)
    await desk.feed(confirmed(need))
    await desk.feed(came(need))
    await desk.feed(left(need.need_id, 1))
    # Before settlements named their check-in, nothing said which it was.
    nightly = stay()
    await desk.feed(nightly)
    await desk.feed(confirmed(nightly))
    await desk.feed(came(nightly))
    old = left(nightly.need_id, 1).model_copy(update={"attempt_no": None, "issue_no": None})
    await desk.feed(old)
    assert await books(desk) == (0, 3_000 + BOOKED * NIGHT)


def given() -> AidGivenV1:
    return AidGivenV1(
        need_id=NeedId(uuid4()),
        kind="shelter_outside",
        programme="relief",
        served_on=CAME_ON,
        place_area="UA80",
        money=MoneyDemand(
            amount_minor=BOOKED * NIGHT,
            currency="UAH",
            cost_category="cash",
            by="provider",
            night_minor=NIGHT,
        ),
    )


async def test_nights_that_were_given_are_settled_too(desk: Desk) -> None:
    own = await desk.purse(BOOKED * NIGHT + 100)
    fact = given()
    await desk.feed(fact)
    await desk.feed(left(fact.need_id, 5, 0, 0))
    assert await books(desk) == (0, 5 * NIGHT)

    other_need = stay(2)
    await desk.feed(other_need)
    await desk.feed(left(fact.need_id, 6, 0, 0))
    assert await books(desk) == (0, 5 * NIGHT)
    odd = await desk.value("SELECT id FROM discrepancy WHERE about = 'longer_stay'")
    elsewhere = await desk.purse(5_000)
    for source in (own, elsewhere):
        with pytest.raises(Problem):
            await settle(desk, odd, source)
    await desk.feed(withdrawn(other_need))
    await settle(desk, odd, own)
    assert await books(desk) == (0, 6 * NIGHT)


async def test_a_fact_that_is_reversed_takes_its_missing_nights_along(desk: Desk) -> None:
    await desk.purse(BOOKED * NIGHT)
    fact = given()
    await desk.feed(fact)
    await desk.feed(left(fact.need_id, 9, 0, 0))
    await desk.feed(NeedReversedV1(need_id=fact.need_id, service_no=1, reason="mistake"))
    assert await books(desk) == (0, 0)
    assert await spent_by_day(desk) == {CAME_ON: 0}
    assert await desk.value("SELECT count(*) FROM discrepancy WHERE settled_at IS NULL") == 0


async def test_of_a_stay_the_last_settlement_holds_in_any_order(desk: Desk) -> None:
    await desk.purse(20_000)
    settlements = {1: 2, 2: BOOKED, 3: 4}  # left too early, taken back, left
    for order in permutations(settlements):
        need = await guest(desk)
        before = await desk.value("SELECT sum(spent_minor) FROM allotment") - BOOKED * NIGHT
        for settle_no in order:
            await desk.feed(left(need.need_id, settlements[settle_no], settle_no=settle_no))
        assert await books(desk) == (0, before + 4 * NIGHT), order
        await desk.feed(undone(need))
        await desk.feed(withdrawn(need))


async def test_what_a_settlement_lacked_goes_with_it(desk: Desk) -> None:
    await desk.purse(BOOKED * NIGHT)
    need = await guest(desk)
    await desk.feed(left(need.need_id, 9, settle_no=1))
    await desk.feed(left(need.need_id, 8, settle_no=2))
    still_open = "SELECT array_agg(amount_minor) FROM discrepancy WHERE settled_at IS NULL"
    assert await desk.value(still_open) == [NIGHT]
    await desk.feed(left(need.need_id, 9, settle_no=1))
    assert await desk.value(still_open) == [NIGHT]
    await desk.feed(left(need.need_id, 5, settle_no=3))
    assert await desk.value(still_open) is None
    assert await books(desk) == (0, 5 * NIGHT)


async def test_nights_after_a_check_out_without_any_are_for_a_person(desk: Desk) -> None:
    await desk.purse(20_000)
    need = await guest(desk)
    await desk.feed(left(need.need_id, 0, settle_no=1))
    assert await books(desk) == (0, 0)
    await desk.feed(left(need.need_id, 3, settle_no=2))
    assert await books(desk) == (0, 0)
    odd = await desk.value("SELECT id FROM discrepancy WHERE amount_minor = $1", 3 * NIGHT)
    await settle(desk, odd, await desk.purse(3 * NIGHT))
    assert await books(desk) == (0, 3 * NIGHT)
