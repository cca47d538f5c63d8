"""What grew counts once, and never for whose release it was."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, CommitmentId, NeedId, SiteId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.inventory import SupplyGrewV1
from aidmesh_contracts.payments import CommitmentRefusedV1, CommitmentReleasedV1, FundsGrewV1
from aidmesh_contracts.values import BlockedBy
from integration.intake.world import World, grew, held, money_held, money_made, only, refused

AMOUNT_MINOR = 360_000
_BEGUN = datetime.now(UTC)


def at(second: int) -> datetime:
    """A moment that the needs of these tests were refused before."""
    return _BEGUN + timedelta(hours=1, seconds=second)


def seats(
    quantity: int, second: int, *, total: bool = False, day: int = 3, site_id: SiteId | None = None
) -> SupplyGrewV1:
    """Seats of one day, told at some second."""
    on = day_of(_BEGUN) + timedelta(days=day)
    told = {"resource": "slot", "on": on, "is_total": total}
    if site_id is not None:
        told["site_id"] = site_id
    return grew("counseling", quantity, at=at(second)).model_copy(update=told)


async def waiting(world: World, count: int) -> None:
    """So many needs wait for counseling."""
    for _ in range(count):
        await world.request("counseling")
    asked = only(await world.published(), NeedApprovedV1)
    await world.feed(*(refused(each) for each in asked))


async def woken(world: World, *events: SupplyGrewV1) -> list[NeedApprovedV1]:
    return only(await world.feed(*events), NeedApprovedV1)


@pytest.mark.parametrize("late", [seats(2, 1, total=True), seats(2, 1)])
@pytest.mark.parametrize("at_once", [True, False])
async def test_what_a_later_total_has_counted_counts_no_more(
    world: World, late: SupplyGrewV1, at_once: bool
) -> None:
    await waiting(world, 3)
    if at_once:
        assert len(await woken(world, seats(1, 2, total=True), late)) == 1
    else:
        assert len(await woken(world, seats(1, 2, total=True))) == 1
        assert await woken(world, late) == []
    assert await world.sweep("pending_growth") == 0
    assert len(await woken(world, seats(1, 3))) == 1, "later growth adds to it"


@pytest.mark.parametrize(
    "other", [seats(1, 1, day=4), seats(1, 1, site_id=SiteId(uuid4())), seats(1, 3)]
)
async def test_a_total_speaks_of_its_own_day_and_site(world: World, other: SupplyGrewV1) -> None:
    await waiting(world, 2)
    assert len(await woken(world, seats(1, 2, total=True))) == 1
    assert len(await woken(world, other)) == 1


async def test_seats_given_back_after_a_total_are_in_the_total(world: World) -> None:
    await waiting(world, 3)
    (first,) = await woken(world, seats(1, 1))
    (second,) = await woken(world, seats(1, 2, total=True))
    assert await woken_by(world, first) == []
    assert await world.sweep("pending_growth") == 0
    assert len(await woken_by(world, second)) == 1, "what the total said goes on"


async def woken_by(world: World, asked: NeedApprovedV1) -> list[NeedApprovedV1]:
    """Who is woken when a need finds no use for what it was woken for."""
    return only(await world.feed(refused(asked, reason="restricted")), NeedApprovedV1)


async def test_seats_left_over_after_a_total_are_in_the_total(world: World) -> None:
    why = {"override_reason": "with_an_interpreter"}
    wide = await world.request("counseling", quantity=2)
    await world.post(f"/v1/needs/{wide}:approve", why, Role.LEAD)
    (asked,) = only(await world.published(), NeedApprovedV1)
    assert asked.capacity is not None
    assert asked.capacity.places == 2
    await world.feed(refused(asked))
    (again,) = await woken(world, seats(2, 1))
    await waiting(world, 1)
    assert len(await woken(world, seats(1, 2, total=True))) == 1
    await waiting(world, 1)
    assert only(await world.feed(held(again.need_id, 2)), NeedApprovedV1) == []
    assert await world.sweep("pending_growth") == 0


def funds(second: float, freed_by: UUID | None = None) -> FundsGrewV1:
    """More money, so many seconds from now."""
    return FundsGrewV1(
        allotment_id=AllotmentId(uuid4()),
        programmes=("cash",),
        currency="UAH",
        amount_minor=AMOUNT_MINOR,
        freed_by=None if freed_by is None else NeedId(freed_by),
        grew_at=datetime.now(UTC) + timedelta(seconds=second),
    )


async def cash(world: World) -> UUID:
    """A need whose cash waits to be fetched."""
    need_id = await world.request("financial_aid")
    await world.feed(money_held(need_id, AMOUNT_MINOR), money_made(need_id, AMOUNT_MINOR))
    assert await world.state(need_id) == "ready"
    await world.published()
    return need_id


def lapsed(need_id: UUID) -> CommitmentReleasedV1:
    return CommitmentReleasedV1(
        commitment_id=CommitmentId(uuid4()),
        need_id=NeedId(need_id),
        attempt_no=1,
        cause="not_collected",
    )


def short(asked: NeedApprovedV1) -> CommitmentRefusedV1:
    return CommitmentRefusedV1(
        need_id=asked.need_id,
        attempt_no=asked.attempt_no,
        reason="short",
        blocked_by=BlockedBy(resource="money", code="cash/UAH", quantity=AMOUNT_MINOR),
        decided_at=datetime.now(UTC),
    )


async def nobody_is_asked(
    world: World, *batches: Sequence[FundsGrewV1 | CommitmentReleasedV1]
) -> None:
    """None is woken when these come in, nor by what stays pending."""
    for batch in batches:
        assert only(await world.feed(*batch), NeedApprovedV1) == []
    assert await world.sweep("pending_growth") == 0
    assert await world.sweep("retries") == 0


@pytest.mark.parametrize("order", ["growth first", "release first", "at once"])
async def test_cash_that_was_not_fetched_does_not_wake_whose_it_was(
    world: World, order: str
) -> None:
    need_id = await cash(world)
    over, own = lapsed(need_id), funds(1, freed_by=need_id)
    batches: dict[str, list[list[FundsGrewV1 | CommitmentReleasedV1]]] = {
        "growth first": [[own], [over]],
        "release first": [[over], [own]],
        "at once": [[own, over]],
    }
    await nobody_is_asked(world, *batches[order])
    assert await world.state(need_id) == "waitlisted"
    (again,) = only(await world.feed(funds(1)), NeedApprovedV1)
    assert again.need_id == need_id


async def test_its_own_money_that_others_did_not_use_does_not_wake_it(world: World) -> None:
    """It stays pending with what others gave back to it."""
    need_id, other = await cash(world), await world.request("financial_aid")
    (asked,) = only(await world.published(), NeedApprovedV1)
    assert asked.need_id == other
    await world.feed(short(asked))
    (asked,) = only(await world.feed(lapsed(need_id), funds(1, freed_by=need_id)), NeedApprovedV1)
    assert asked.need_id == other
    given_back = short(asked).model_copy(update={"reason": "restricted"})
    assert only(await world.feed(given_back), NeedApprovedV1) == []
    await nobody_is_asked(world)
    await world.post(f"/v1/needs/{other}:cancel", {"reason": "moved_away"})
    assert await world.state(need_id) == "waitlisted"


async def test_money_that_was_there_before_it_lapsed_does_not_wake_it(world: World) -> None:
    """A refusal may have overlooked what grew just before; what was let go was let go knowingly."""
    await world.feed(funds(0))
    need_id = await cash(world)
    await nobody_is_asked(world, [lapsed(need_id)], [funds(1, freed_by=need_id)])
    assert await world.state(need_id) == "waitlisted"


async def test_money_that_came_since_it_lapsed_wakes_it_though_heard_of_before(
    world: World,
) -> None:
    """Intake was away for a while, say."""
    need_id = await cash(world)
    await nobody_is_asked(world, [funds(-10)])
    said_at = datetime.now(UTC) - timedelta(seconds=20)
    (again,) = only(await world.feed(lapsed(need_id), said_at=said_at), NeedApprovedV1)
    assert again.need_id == need_id
