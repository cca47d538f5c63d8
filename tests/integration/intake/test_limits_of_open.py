"""Limits bind whoever still waits, whose payment came back, and who is somebody's member."""

from typing import Any
from uuid import UUID

from aidmesh_contracts.intake import NeedApprovedV1, NeedFulfilledV1
from aidmesh_contracts.payments import CommitmentReleasedV1, CommitmentReversedV1
from integration.intake.test_one_person import ask, family, person
from integration.intake.world import (
    World,
    commitment_of,
    confirmed,
    held,
    issued,
    money_held,
    money_made,
    money_spent,
    only,
    refused,
)

PAYEE = {"mechanism": "iban", "legal_name": "Canary", "iban": "UA213223130000026007233566001"}
AID_MINOR = 360_000


async def days_pass(world: World, need_id: UUID, days: int) -> None:
    """As if the need had been entered so much earlier."""
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            "UPDATE need SET planned_on = planned_on - $2::int, asked_on = asked_on - $2::int"
            " WHERE id = $1",
            need_id,
            days,
        )


async def test_who_still_waits_gets_no_second_one_when_the_window_is_over(world: World) -> None:
    first = await world.request("food_parcel", "one")
    (approved,) = only(await world.published(), NeedApprovedV1)
    await world.feed(refused(approved))
    assert await world.state(first) == "waitlisted"
    await days_pass(world, first, 40)
    second = await world.request("food_parcel", "one")
    assert (await world.state(second), (await world.need(second))["reason"]) == (
        "requested",
        "limit",
    )


async def test_what_was_given_before_the_window_is_over(world: World) -> None:
    first = await world.request("food_parcel", "one")
    await world.feed(held(first), confirmed(first))
    await world.feed(issued(first))
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE need SET served_on = served_on - 40 WHERE id = $1", first)
    assert await world.state(await world.request("food_parcel", "one")) == "approved"


async def cash(world: World) -> UUID:
    who = {"person": {"client_code": "one", "area": "UA80"}}
    needs = [{"kind": "financial_aid", "payee": PAYEE}]
    answer = await world.post("/v1/requests", who | {"needs": needs}, status=201)
    return UUID(answer["needs"][0]["need_id"])


async def test_a_payment_that_came_back_is_still_asked_for(world: World) -> None:
    first = await cash(world)
    await world.feed(money_held(first, AID_MINOR), money_made(first, AID_MINOR))
    await world.feed(money_spent(first, AID_MINOR, fulfils=True))
    commitment_id = commitment_of(first, 1)
    await world.feed(
        CommitmentReversedV1(
            commitment_id=commitment_id,
            need_id=first,
            attempt_no=1,
            spend_no=1,
            fulfils=True,
            reason="ac04",
        )
    )
    await world.feed(
        CommitmentReleasedV1(
            commitment_id=commitment_id, need_id=first, attempt_no=1, cause="returned", undone_no=1
        )
    )
    assert await world.state(first) == "requested"
    second = await cash(world)
    assert (await world.state(second), (await world.need(second))["reason"]) == (
        "requested",
        "limit",
    )
    await world.post(f"/v1/needs/{first}:approve")
    assert await world.state(first) == "approved"


async def test_a_member_is_one_by_whatever_record(world: World) -> None:
    members, home = await family(world)
    root = await person(world, "root")
    await ask(world, "food_parcel", person_id=root)
    await world.merge(members[2], root)
    whole: dict[str, Any] = {"for_whom": "household", "household_id": home}
    assert (await ask(world, "food_parcel", 2, **whole))["reason"] == "limit"
    need_id = UUID((await ask(world, "hygiene_kit", **whole))["need_id"])
    await world.feed(held(need_id), confirmed(need_id))
    (done,) = only(await world.feed(issued(need_id)), NeedFulfilledV1)
    assert {str(each) for each in done.person_ids} == {members[0], members[1], root}
