"""Two records of one person, two members of one household: limits, lists and contacts."""

import asyncio
import base64
import json
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh_chassis.auth import Role
from aidmesh_chassis.keys import NOTIFICATION
from aidmesh_contracts.intake import ContactSealedV1
from aidmesh_intake.store import households as household_store
from aidmesh_intake.store import persons as person_store
from aidmesh_intake.store.persons import PersonRow
from integration.intake.world import World, only
from support.waiting import eventually

T = TypeVar("T")
CONTACT = {
    "channel": "email",
    "address": "somebody@example.org",
    "hours_from": "10:00",
    "hours_to": "18:00",
    "wording": "neutral",
    "safe": True,
}
AGREED = {"contact": "2024-01-05"}


async def person(world: World, code: str, **more: object) -> str:
    """Somebody new."""
    made = await world.post("/v1/persons", {"client_code": code} | more, status=201)
    return str(made["person_id"])


async def merge(world: World, person_id: str, into: str) -> None:
    """Two members of staff find that they are one."""
    await world.merge(person_id, into)


async def cards(world: World) -> list[dict[str, Any]]:
    """The contact cards published since the last look, opened."""
    opened = world.keys.opener(NOTIFICATION)
    sealed = only(await world.published(), ContactSealedV1)
    return [json.loads(opened(base64.b64decode(each.sealed))) for each in sealed]


async def test_a_limit_counts_what_either_record_got(world: World) -> None:
    first, second = await person(world, "one"), await person(world, "two")
    for code in ("one", "two"):
        await world.request("food_parcel", code)
    await merge(world, second, first)
    for code in ("one", "two"):
        again = await world.request("food_parcel", code)
        assert (await world.need(again))["reason"] == "limit"


async def ask(world: World, kind: str, quantity: int = 1, **who: object) -> dict[str, Any]:
    """A request for somebody who is known; its need."""
    body = {"needs": [{"kind": kind, "quantity": quantity, "place_area": "UA80"}]} | who
    made = await world.post("/v1/requests", body, status=201)
    found: dict[str, Any] = made["needs"][0]
    return found


async def family(world: World) -> tuple[list[str], str]:
    """Three persons and their household."""
    members = [await person(world, code, household_code="home") for code in ("one", "two", "three")]
    return members, (await world.get(f"/v1/persons/{members[0]}"))["household_id"]


async def test_many_for_one_are_not_one_for_each(world: World) -> None:
    many = await world.request("food_parcel", "one", quantity=5)
    assert (await world.need(many))["reason"] == "limit"
    assert await world.state(many) == "requested"
    assert (await world.post(f"/v1/needs/{many}:approve", status=409))["rule"] == "limit"
    await world.post(
        f"/v1/needs/{many}:approve", {"override_reason": "shares_with_neighbors"}, Role.LEAD
    )
    assert await world.state(many) == "approved"


async def test_a_household_by_its_id_gets_one_for_each_member(world: World) -> None:
    members, home = await family(world)
    whole = {"for_whom": "household", "household_id": home}
    assert (await ask(world, "food_parcel", 4, **whole))["reason"] == "limit"
    assert (await ask(world, "food_parcel", 3, **whole))["state"] == "approved"
    assert (await ask(world, "food_parcel", 1, **whole))["reason"] == "limit"
    for member in members:
        assert (await ask(world, "food_parcel", person_id=member))["reason"] == "limit"
        assert (await ask(world, "food_voucher", person_id=member))["state"] == "approved"


async def test_what_a_member_got_counts_for_the_household(world: World) -> None:
    members, home = await family(world)
    assert (await ask(world, "food_parcel", person_id=members[1]))["state"] == "approved"
    whole = {"for_whom": "household", "household_id": home}
    assert (await ask(world, "food_parcel", 3, **whole))["reason"] == "limit"


async def test_a_member_and_the_household_at_once_do_not_both_pass(world: World) -> None:
    members, home = await family(world)
    kind = await world.get("/v1/kinds/food_parcel")
    by_hand = kind | {"auto_approve": None, "version": kind["version"] + 1}
    answer = await world.client.put(
        "/v1/kinds/food_parcel", json=by_hand, headers=world.headers(Role.LEAD)
    )
    assert answer.status_code == 200, answer.text
    whole = await ask(world, "food_parcel", 3, for_whom="household", household_id=home)
    own = await ask(world, "food_parcel", person_id=members[0])

    async def approve(need: dict[str, Any]) -> int:
        path = f"/v1/needs/{need['need_id']}:approve"
        answer = await world.client.post(path, headers=world.headers())
        return answer.status_code

    assert sorted(await asyncio.gather(approve(whole), approve(own))) == [200, 409]


@pytest.mark.parametrize("decided_first", [True, False])
async def test_who_moves_in_by_a_request_takes_along_what_they_wait_for(
    world: World, *, decided_first: bool
) -> None:
    await person(world, "one")
    before = await world.request("rent_support", "one")
    if decided_first:
        await world.post(f"/v1/needs/{before}:approve", by=uuid4())
    lives = {"client_code": "one", "household_code": "home"}
    body = {"person": lives, "needs": [{"kind": "hygiene_kit", "place_area": "UA80"}]}
    await world.post("/v1/requests", body, status=201)
    other = await person(world, "two", household_code="home")
    theirs = (await ask(world, "rent_support", person_id=other))["need_id"]
    first, second = (before, theirs) if decided_first else (theirs, before)
    if not decided_first:
        await world.post(f"/v1/needs/{first}:approve", by=uuid4())
    assert (await world.need(second))["objection"]["what"] == "limit"
    problem = await world.post(f"/v1/needs/{second}:approve", by=uuid4(), status=409)
    assert problem["rule"] == "limit"


async def test_a_household_that_nobody_is_known_of_is_limited(world: World) -> None:
    home = (await world.post("/v1/households", {}, status=201))["household_id"]
    whole = {"for_whom": "household", "household_id": home}
    assert (await ask(world, "food_parcel", **whole))["state"] == "approved"
    assert (await ask(world, "food_parcel", **whole))["reason"] == "limit"


async def test_what_waits_for_approval_is_checked_against_both_records(world: World) -> None:
    first, second = await person(world, "one"), await person(world, "two")
    waiting = await world.request("food_parcel", "two", quantity=6)
    assert await world.state(waiting) == "requested"
    await world.request("food_parcel", "one")
    await merge(world, second, first)
    answer = await world.post(f"/v1/needs/{waiting}:approve", status=409)
    assert answer["rule"] == "limit"


async def test_a_person_has_the_needs_of_both_records(world: World) -> None:
    first, second = await person(world, "one"), await person(world, "two")
    wanted = {str(await world.request("hygiene_kit", code)) for code in ("one", "two")}
    await merge(world, second, first)
    page = await world.get("/v1/needs", person_id=first)
    assert {row["need_id"] for row in page["needs"]} == wanted


async def test_the_contact_of_a_merged_record_is_used_no_more(world: World) -> None:
    first = await person(world, "one")
    second = await person(world, "two", contact=CONTACT, consents=AGREED)
    assert [card["safe"] for card in await cards(world)] == [True]
    await merge(world, second, first)
    (card,) = await cards(world)
    assert (card["person_id"], card["version"], card["safe"]) == (second, 2, False)
    assert "address" not in card


async def test_a_card_is_sealed_anew_when_the_language_to_write_in_changes(world: World) -> None:
    more = {"contact": CONTACT, "consents": AGREED}
    person_id = await person(world, "one", languages=["fr", "en"], **more)
    assert [card["language"] for card in await cards(world)] == ["en"]
    changes = {"ro en": [], "ro de en": ["de"], "ro fr": ["ro"]}
    for version, (spoken, told) in enumerate(changes.items(), start=1):
        body = {"client_code": "one", "version": version, "languages": spoken.split()} | more
        answer = await world.client.put(
            f"/v1/persons/{person_id}", json=body, headers=world.headers()
        )
        assert answer.status_code == 200, answer.text
        assert [card["language"] for card in await cards(world)] == told


async def test_consent_that_was_taken_back_stays_so(world: World) -> None:
    person_id = await person(world, "one", contact=CONTACT, consents=AGREED)
    assert [card["safe"] for card in await cards(world)] == [True]
    body = {"client_code": "one", "contact": CONTACT, "consents": {}}
    for version, told in ((1, [False]), (2, [])):
        answer = await world.client.put(
            f"/v1/persons/{person_id}", json=body | {"version": version}, headers=world.headers()
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["consents"] == {}
        assert [card["safe"] for card in await cards(world)] == told


async def test_two_members_at_once_do_not_both_pass_the_limit(world: World) -> None:
    members = [await person(world, code, household_code="home") for code in ("one", "two")]
    households = {(await world.get(f"/v1/persons/{member}"))["household_id"] for member in members}
    assert len(households) == 1
    needs = [await world.request("rent_support", code) for code in ("one", "two")]

    async def approve(need: UUID) -> int:
        answer = await world.client.post(f"/v1/needs/{need}:approve", headers=world.headers())
        return answer.status_code

    assert sorted(await asyncio.gather(*map(approve, needs))) == [200, 409]


async def test_who_moves_out_while_a_request_by_their_code_waits(world: World) -> None:
    members, home = await family(world)
    async with world.db.transaction() as tx:
        await person_store.by_ids(tx.conn, [UUID(members[0])], lock=True)
        asking = await started(world, ask(world, "rent_support", person={"client_code": "one"}))
        await household_store.move(tx.conn, [UUID(members[0])], out_of=UUID(home))
    need = await world.need((await asking)["need_id"])
    assert need["person_id"] == members[0]
    assert need["household_id"] is None


async def test_who_is_merged_while_a_request_by_their_code_waits(world: World) -> None:
    first, second = await person(world, "one"), await person(world, "two")
    body = {
        "person": {"client_code": "two"},
        "needs": [{"kind": "food_parcel", "place_area": "UA80"}],
    }
    async with world.db.transaction() as tx:
        await person_store.by_ids(tx.conn, [UUID(second)], lock=True)
        asking = await started(world, world.post("/v1/requests", body, status=409))
        await person_store.repoint(tx.conn, UUID(second), UUID(first))
    assert (await asking)["field"] == "client_code"
    again = await world.request("food_parcel", "two")
    assert (await world.need(again))["person_id"] == first


async def test_who_is_erased_while_a_request_by_their_code_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = person_store.insert

    async def late(conn: asyncpg.Connection, persons: Sequence[PersonRow]) -> set[UUID]:
        # Somebody else registers them first, and erases them before they are locked here.
        monkeypatch.setattr(person_store, "insert", insert)
        first = await person(world, "one")
        taken = await insert(conn, persons)
        await world.post(f"/v1/persons/{first}:erase", None, Role.LEAD)
        return taken

    monkeypatch.setattr(person_store, "insert", late)
    body = {
        "person": {"client_code": "one"},
        "needs": [{"kind": "food_parcel", "place_area": "UA80"}],
    }
    refused = await world.post("/v1/requests", body, status=409)
    assert (refused["type"], refused["field"]) == ("urn:aidmesh:problem:conflict", "client_code")
    again = await world.request("food_parcel", "one")
    assert await world.state(again) == "approved"


async def started(world: World, step: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run it until it waits for a lock."""

    async def waits() -> bool:
        async with world.db.read() as conn:
            return bool(
                await conn.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database())"
                )
            )

    task = asyncio.create_task(step)
    await eventually(waits)
    return task
