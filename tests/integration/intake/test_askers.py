"""Whoever asked for a household and is not of it any more hears nothing of what comes for it."""

from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import MessageId, NeedId
from aidmesh_contracts.intake import (
    NeedApprovedV1,
    NeedClosedV1,
    NeedReadyV1,
    NeedWithdrawnV1,
    PayeeErasedV1,
)
from aidmesh_contracts.inventory import ReservationReleasedV1
from aidmesh_contracts.notification import MessageSentV1
from aidmesh_intake.checks import CHECKS
from integration.intake.test_erasing import CASH, erase, value
from integration.intake.test_leaving import join, leave
from integration.intake.test_one_person import family, person
from integration.intake.world import (
    World,
    confirmed,
    held,
    issued,
    money_held,
    money_made,
    only,
    undone,
)

RENT: Final = CASH | {"kind": "rent_support", "quantity": 1}
PARCEL: Final[dict[str, Any]] = {"kind": "food_parcel", "quantity": 3, "place_area": "UA80"}


async def ask(world: World, person_id: str, home: str, **need: Any) -> UUID:
    """A member asks for the whole household, with a note."""
    body = {
        "for_whom": "household",
        "person_id": person_id,
        "household_id": home,
        "note": "CanaryStory",
        "needs": [PARCEL | need],
    }
    made = (await world.post("/v1/requests", body, status=201))["needs"][0]
    return UUID(made["need_id"])


async def comes(world: World, need_id: UUID, attempt_no: int = 1) -> list[Event]:
    """What was asked for becomes ready."""
    await world.feed(held(need_id, attempt_no))
    published = await world.feed(confirmed(need_id, attempt_no))
    assert await world.state(need_id) == "ready"
    return published


def message(need_id: UUID, attempt_no: int = 1) -> MessageSentV1:
    """A message left."""
    return MessageSentV1.model_validate(
        {
            "message_id": MessageId(uuid4()),
            "need_id": NeedId(need_id),
            "attempt_no": attempt_no,
            "sent_at": "2024-05-06T09:00:00Z",
        }
    )


async def to_tell(world: World) -> list[str]:
    """Of what somebody is to be told in person."""
    found = (await world.get("/v1/needs", to_tell=True))["needs"]
    return [each["need_id"] for each in found]


async def is_nobodys(world: World, need_id: UUID, home: str, state: str) -> bool:
    """Whether it goes on as no one member's of the household."""
    need = await world.need(need_id)
    return (need["person_id"], need["household_id"], need["state"]) == (None, home, state)


async def listed(world: World, person_id: str, **more: Any) -> set[UUID]:
    """What is found of somebody, such as by their code."""
    found = await world.get("/v1/needs", person_id=person_id, **more)
    return {UUID(each["need_id"]) for each in found["needs"]}


async def test_what_comes_for_a_household_is_found_by_every_member(world: World) -> None:
    members, home = await family(world)
    need_id = await ask(world, members[0], home)
    own = await world.request("hygiene_kit", "one")
    await comes(world, need_id)
    assert await listed(world, members[0]) == {need_id, own}
    assert await listed(world, members[1], state="ready") == {need_id}
    # By whatever record stands for a member, and by nobody else's.
    root = await person(world, "root")
    assert await listed(world, root) == set()
    await world.merge(members[1], root)
    assert await listed(world, root) == {need_id}
    # It is no one member's, and still theirs.
    await leave(world, home, members[0])
    assert await is_nobodys(world, need_id, home, "ready")
    assert await listed(world, members[0]) == {own}
    assert await listed(world, root) == await listed(world, members[2]) == {need_id}
    await world.feed(issued(need_id))
    assert await listed(world, members[2]) == set()


async def test_what_is_sensitive_is_found_under_nobody_but_who_asked(world: World) -> None:
    members, home = await family(world)
    need_id = await ask(world, members[0], home, kind="legal_advice", quantity=1)
    assert await listed(world, members[0]) == {need_id}
    assert await listed(world, members[1]) == set()
    await leave(world, home, members[0])
    assert await listed(world, members[0]) == await listed(world, members[1]) == set()


@pytest.mark.parametrize("goes", ["out", "elsewhere"])
async def test_who_left_is_not_told_of_what_comes_for_the_household(
    world: World, goes: str
) -> None:
    members, home = await family(world)
    need_id = await ask(world, members[0], home)
    if goes == "out":
        await leave(world, home, members[0])
    else:
        other = (await world.post("/v1/households", {"code": "other"}, status=201))["household_id"]
        await join(world, other, members[0])
    assert await is_nobodys(world, need_id, home, "approved")
    (ready,) = only(await comes(world, need_id), NeedReadyV1)
    assert ready.person_id is None
    assert await to_tell(world) == [str(need_id)]


@pytest.mark.parametrize("told", [None, "message", "in_person"])
async def test_what_who_left_was_told_or_is_about_to_be_is_told_the_others(
    world: World, told: str | None
) -> None:
    members, home = await family(world)
    need_id = await ask(world, members[0], home)
    (ready,) = only(await comes(world, need_id), NeedReadyV1)
    assert str(ready.person_id) == members[0]
    if told == "message":
        await world.feed(message(need_id))
    elif told == "in_person":
        await world.post(f"/v1/needs/{need_id}:told")
    assert await to_tell(world) == ([] if told else [str(need_id)])
    await world.published()
    await leave(world, home, members[0])
    # No message goes out that waits, and what one that was leaving said counts no more.
    (again,) = only(await world.published(), NeedReadyV1)
    assert (again.attempt_no, again.in_person, again.person_id) == (1, True, None)
    await world.feed(message(need_id))
    assert await to_tell(world) == [str(need_id)]
    need = await world.need(need_id)
    assert (need["told_at"], need["message"], need["person_id"]) == (None, "asker_left", None)
    await world.post(f"/v1/needs/{need_id}:told")
    assert await to_tell(world) == []


async def test_who_stays_is_told_as_ever(world: World) -> None:
    members, home = await family(world)
    need_id = await ask(world, members[0], home)
    await leave(world, home, members[1])
    await join(world, home, members[0])
    assert (await world.need(need_id))["person_id"] == members[0]
    # Nobody else is there whom one could tell.
    await leave(world, home, members[0], members[2])
    assert (await world.need(need_id))["person_id"] == members[0]
    (ready,) = only(await comes(world, need_id), NeedReadyV1)
    assert str(ready.person_id) == members[0]


async def test_a_person_leaves_with_all_their_records(world: World) -> None:
    members, home = await family(world)
    need_id = await ask(world, members[0], home)
    root = await person(world, "root")
    await world.merge(members[0], root)
    by_root = await ask(world, root, home, quantity=1, kind="hygiene_kit")
    # Whoever stands for a member is one.
    await leave(world, home, members[1])
    assert (await world.need(need_id))["person_id"] == members[0]
    await leave(world, home, root)
    assert await is_nobodys(world, need_id, home, "approved")
    assert await is_nobodys(world, by_root, home, "approved")


async def test_who_turns_out_to_be_no_member_is_not_told(world: World) -> None:
    members, home = await family(world)
    root = await person(world, "root")
    await world.merge(members[0], root)
    by_root, own = (
        await ask(world, root, home),
        await ask(world, members[1], home, kind="hygiene_kit"),
    )
    await world.post(f"/v1/persons/{members[0]}:unmerge", None, Role.LEAD)
    assert (await world.need(own))["person_id"] == members[1]
    assert await is_nobodys(world, by_root, home, "approved")


@pytest.mark.parametrize("state", ["requested", "approved", "ready"])
async def test_money_waits_until_a_person_says_to_whom_it_is_paid(world: World, state: str) -> None:
    members, home = await family(world)
    need_id = await ask(world, members[0], home, **RENT)
    amount = await value(world, "SELECT (ask #>> '{money,amount_minor}')::bigint FROM need")
    if state != "requested":
        await world.post(f"/v1/needs/{need_id}:approve")
    if state == "ready":
        await world.feed(money_held(need_id, amount))
        await world.feed(money_made(need_id, amount))
    assert await world.state(need_id) == state
    await world.published()
    await leave(world, home, members[0])
    published = await world.published()
    assert len(only(published, NeedWithdrawnV1)) == (state != "requested")
    assert await is_nobodys(world, need_id, home, "requested")
    assert (await world.need(need_id))["reason"] == "asker_left"
    assert only(published, PayeeErasedV1) == []
    await world.post(f"/v1/needs/{need_id}:approve")
    (approved,) = only(await world.published(), NeedApprovedV1)
    assert approved.attempt_no == (1 if state == "requested" else 2)


@pytest.mark.parametrize("corrected", [False, True])
async def test_the_payee_goes_with_who_left_unless_another_was_named(
    world: World, corrected: bool
) -> None:
    members, home = await family(world)
    need_id = await ask(world, members[0], home, **RENT)
    await leave(world, home, members[0])
    await world.published()
    if corrected:
        body = {"mechanism": "cash", "legal_name": "Somebody else"}
        await world.post(f"/v1/needs/{need_id}:correct-payee", body)
    await world.published()
    await erase(world, members[0])
    gone = [each.need_id for each in only(await world.published(), PayeeErasedV1)]
    assert gone == ([] if corrected else [need_id])
    assert await world.state(need_id) == ("requested" if corrected else "cancelled")


async def test_what_a_household_waits_for_outlives_who_asked(world: World) -> None:
    members, home = await family(world)
    parcel, cash = await ask(world, members[0], home), await ask(world, members[0], home, **CASH)
    own = await world.request("hygiene_kit", "one")
    await comes(world, parcel)
    await world.published()
    receipt = await erase(world, members[0])
    assert receipt["erased_household_ids"] == []
    events = await world.published()
    assert await is_nobodys(world, parcel, home, "ready")
    assert await to_tell(world) == [str(parcel)]
    (ready,) = only(events, NeedReadyV1)
    assert (ready.need_id, ready.in_person, ready.person_id) == (parcel, True, None)
    # What was theirs alone ends, and what was paid to whom they named.
    assert {each.need_id for each in only(events, NeedClosedV1)} == {own, cash}
    assert [each.need_id for each in only(events, PayeeErasedV1)] == [cash]
    assert await value(world, "SELECT count(*) FROM request WHERE sealed_reasons IS NOT NULL") == 0
    assert await world.sweep("erased") == 0
    await holds(world)
    await erase(world, members[1])
    assert await is_nobodys(world, parcel, home, "ready")
    assert (await erase(world, members[2]))["erased_household_ids"] == [home]
    assert await world.state(parcel) == "cancelled"
    await holds(world)


async def holds(world: World) -> None:
    """What must hold in intake's books."""
    async with world.db.read() as conn:
        for check in CHECKS:
            assert await conn.fetch(check.sql) == [], check.name


async def test_nothing_tells_when_something_happened_to_who_was_erased(world: World) -> None:
    members, home = await family(world)
    need_id = await ask(world, members[0], home)
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE need SET needed_until = now() + interval '1 day'")
    await leave(world, home, members[1])
    assert (await world.need(need_id))["needed_until"] is not None
    await erase(world, members[0])
    assert (await world.need(need_id))["needed_until"] is None


@pytest.mark.parametrize("goes", ["leaves", "erased"])
async def test_what_opens_again_is_no_one_members(world: World, goes: str) -> None:
    members, home = await family(world)
    need_id = await ask(world, members[0], home)
    await comes(world, need_id)
    await world.feed(issued(need_id))
    if goes == "leaves":
        await leave(world, home, members[0])
    else:
        await erase(world, members[0])
    assert (await world.need(need_id))["person_id"] == members[0]
    await world.feed(undone(need_id))
    if goes == "erased":
        assert await world.sweep("erased") == 1
    assert await is_nobodys(world, need_id, home, "ready")
    assert await world.sweep("erased") == 0
    # Nobody fetched it: what comes next is told the others.
    gone = ReservationReleasedV1(
        reservation_id=held(need_id).reservation_id,
        need_id=NeedId(need_id),
        attempt_no=1,
        cause="relocated",
    )
    await world.feed(gone)
    (ready,) = only(await comes(world, need_id, 2), NeedReadyV1)
    assert (ready.person_id, ready.in_person) == (None, False)
