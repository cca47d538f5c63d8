"""Two members of staff unite two records, and a lead parts them again as they were."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_contracts.intake import NeedReadyV1, PersonMergedV1, PersonUnmergedV1
from aidmesh_intake.handlers.people import FINDS_THEM, OF_SOMEBODY_ELSE
from integration.intake.test_one_person import AGREED, CONTACT, ask, cards, person, started
from integration.intake.world import World, confirmed, held, only


async def propose(world: World, person_id: str, into: str) -> str:
    """A caseworker thinks that they are one."""
    made = await world.post(f"/v1/persons/{person_id}:merge", {"into_person_id": into})
    assert made["state"] == "proposed"
    return str(made["merge_id"])


async def unmerge(world: World, person_id: str, status: int = 200) -> None:
    """A lead finds that they were two."""
    await world.post(f"/v1/persons/{person_id}:unmerge", None, Role.LEAD, status=status)


async def stands_for(world: World, person_id: str) -> str:
    """The record that stands for one."""
    return str((await world.get(f"/v1/persons/{person_id}"))["person_id"])


async def change(world: World, person_id: str, status: int, **fields: object) -> Any:
    """Write a person anew, as of their first version if no other is given."""
    answer = await world.client.put(
        f"/v1/persons/{person_id}", json={"version": 1} | fields, headers=world.headers()
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def of_code(rule: str) -> list[dict[str, str]]:
    """What a refusal says of a code, and of nothing else."""
    return [{"field": "body.client_code", "rule": rule}]


async def test_who_proposed_does_not_confirm(world: World) -> None:
    first, second = await person(world, "one"), await person(world, "two")
    merge_id = await propose(world, second, first)
    assert await propose(world, second, first) == merge_id
    path = f"/v1/merges/{merge_id}:confirm"
    problem = await world.post(path, None, Role.LEAD, status=409)
    assert problem["type"] == "urn:aidmesh:problem:second-person-needed"
    await world.post(path, None, by=uuid4(), status=403)
    assert only(await world.published(), PersonMergedV1) == []
    assert await stands_for(world, second) == second
    (listed,) = (await world.get("/v1/merges"))["merges"]
    assert (listed["person_id"], listed["into_person_id"]) == (second, first)
    await world.post(path, None, Role.LEAD, by=uuid4())
    assert await stands_for(world, second) == first
    assert (await world.get("/v1/merges"))["merges"] == []
    (merged,) = (await world.get("/v1/merges", person_id=first))["merges"]
    assert (merged["state"], merged["proposed_by"]) == ("merged", str(world.staff_id))
    await world.post(path, None, Role.LEAD, by=uuid4(), status=409)


async def test_what_was_withdrawn_is_not_confirmed(world: World) -> None:
    first, second = await person(world, "one"), await person(world, "two")
    merge_id = await propose(world, second, first)
    await world.post(f"/v1/merges/{merge_id}:withdraw")
    await world.post(f"/v1/merges/{merge_id}:withdraw", status=409)
    await world.post(f"/v1/merges/{merge_id}:confirm", None, Role.LEAD, by=uuid4(), status=409)
    await world.post(f"/v1/merges/{uuid4()}:confirm", None, Role.LEAD, status=404)
    assert await stands_for(world, second) == second
    await world.merge(second, first)


async def test_a_merge_taken_back_parts_them_as_they_were(world: World) -> None:
    first = await person(world, "one")
    second = await person(world, "two", contact=CONTACT)
    wanted = {code: str(await world.request("food_parcel", code)) for code in ("one", "two")}
    await world.merge(second, first)
    assert (await ask(world, "food_parcel", person_id=first))["reason"] == "limit"
    await cards(world)
    await world.post(f"/v1/persons/{second}:unmerge", status=403)
    await unmerge(world, second)
    (back,) = [
        event
        for event in await world.published(from_start=True)
        if isinstance(event, PersonUnmergedV1)
    ]
    assert (str(back.person_id), str(back.into_person_id), back.merge_no) == (second, first, 1)
    assert await stands_for(world, second) == second
    assert (await world.post("/v1/persons:find", {"client_code": "two"}))["person_id"] == second
    rows = (await world.get("/v1/needs", person_id=second))["needs"]
    assert {row["need_id"] for row in rows} == {wanted["two"]}
    await unmerge(world, second, status=409)
    assert (await world.get("/v1/merges", person_id=first))["merges"] == []


async def doubted(world: World, need_ids: Iterable[UUID]) -> list[bool]:
    """Which of these needs are under attention since two were parted."""
    return [(await world.need(each))["attention"] == "parted" for each in need_ids]


async def test_what_was_asked_for_by_a_code_of_both_is_looked_at_and_told_in_person(
    world: World,
) -> None:
    one, two = await person(world, "one"), await person(world, "two")
    before = [await world.request("food_parcel", code) for code in ("one", "two")]
    await world.merge(one, two)
    told, coming = [await world.request(kind, "one") for kind in ("hygiene_kit", "food_voucher")]
    assert (await world.need(told))["person_id"] == two
    await world.feed(held(told), confirmed(told))
    await world.post(f"/v1/needs/{told}:told")
    await world.published()
    await unmerge(world, one)
    (ready,) = only(await world.published(), NeedReadyV1)
    assert (ready.need_id, str(ready.person_id), ready.in_person) == (told, two, True)
    assert await doubted(world, [told, coming, *before]) == [True, True, False, False]
    (listed,) = (await world.get("/v1/needs", to_tell=True))["needs"]
    assert (listed["need_id"], listed["message"]) == (str(told), "changed")
    under = (await world.get("/v1/needs", attention=True))["needs"]
    assert {row["need_id"] for row in under} == {str(told), str(coming)}
    # What becomes ready only now is told in person too.
    (ready,) = only(await world.feed(held(coming), confirmed(coming)), NeedReadyV1)
    assert (ready.need_id, ready.in_person) == (coming, True)
    # Whoever tells them has looked whose it is; else somebody says so.
    await world.post(f"/v1/needs/{told}:told")
    problem = await world.post(f"/v1/needs/{coming}:settle", {"reason": "given_twice"}, status=409)
    assert problem["rule"] == "not_of_this_kind"
    await world.post(f"/v1/needs/{coming}:settle", {"reason": "theirs"})
    assert await doubted(world, [told, coming]) == [False, False]
    await world.post(f"/v1/needs/{coming}:settle", {"reason": "theirs"}, status=409)


async def test_it_is_not_looked_at_once_it_is_over(world: World) -> None:
    one, two = await person(world, "one"), await person(world, "two")
    await world.merge(one, two)
    wrong, later = [await world.request(kind, "one") for kind in ("hygiene_kit", "food_parcel")]
    await world.post(f"/v1/needs/{later}:cancel", {"reason": "moved_away"})
    await unmerge(world, one)
    assert await doubted(world, [wrong, later]) == [True, False]
    await world.post(f"/v1/needs/{wrong}:cancel", {"reason": "entry_error"})
    assert (await world.get("/v1/needs", attention=True))["needs"] == []


async def test_what_all_asked_for_who_stood_for_a_record_is_looked_at(world: World) -> None:
    a, b, c = [await person(world, code) for code in ("a", "b", "c")]
    own = await world.request("hygiene_kit", "c")
    await world.merge(a, b)
    as_b, of_c = await world.request("hygiene_kit", "a"), await world.request("food_parcel", "c")
    await world.merge(b, c)
    as_c = await world.request("food_voucher", "a")
    assert [(await world.need(each))["person_id"] for each in (as_b, as_c)] == [b, c]
    await unmerge(world, a)
    assert await doubted(world, [as_b, as_c, own, of_c]) == [True, True, False, False]


async def test_the_contact_is_used_again(world: World) -> None:
    first = await person(world, "one")
    second = await person(world, "two", contact=CONTACT, consents=AGREED)
    await world.merge(second, first)
    await cards(world)
    await unmerge(world, second)
    (card,) = await cards(world)
    assert (card["person_id"], card["version"], card["safe"]) == (second, 3, True)
    assert card["address"] == CONTACT["address"]


async def test_a_page_of_before_the_merge_overwrites_nobody(world: World) -> None:
    first = await person(world, "one", contact=CONTACT, consents=AGREED)
    second = await person(world, "two", contact=CONTACT)
    found = {each: await world.get(f"/v1/persons/{each}") for each in (first, second)}
    assert found[first]["version"] == found[second]["version"] == 1
    await world.merge(first, second)
    await cards(world)
    await change(world, first, 409, client_code="three", contact=CONTACT, consents=AGREED)
    assert await world.get(f"/v1/persons/{second}") == found[second]
    assert (await world.post("/v1/persons:find", {"client_code": "two"}))["person_id"] == second
    await world.post("/v1/persons:find", {"client_code": "three"}, status=404)
    assert await cards(world) == []


async def test_the_code_of_another_record_is_refused_where_it_was_typed(world: World) -> None:
    behind = await person(world, "behind")
    root = (await world.post("/v1/persons", {"chosen_name": "Root"}, status=201))["person_id"]
    other, hidden = await person(world, "other"), await person(world, "hidden")
    await world.merge(behind, root)
    await world.merge(hidden, other)
    shown = await world.get(f"/v1/persons/{root}")
    expected = {"behind": FINDS_THEM, "other": OF_SOMEBODY_ELSE, "hidden": OF_SOMEBODY_ELSE}
    for code, rule in expected.items():
        problem = await change(world, root, 422, client_code=code)
        assert problem["type"] == "urn:aidmesh:problem:invalid-request"
        assert problem["errors"] == of_code(rule)
        # Of whose it is nothing is told.
        assert other not in str(problem)
        assert hidden not in str(problem)
    assert await world.get(f"/v1/persons/{root}") == shown
    # One that nobody has is theirs, and stays so; the record behind keeps its own.
    await change(world, root, 200, client_code="root")
    await change(world, root, 200, client_code="root", version=2)
    for code in ("root", "behind"):
        assert (await world.post("/v1/persons:find", {"client_code": code}))["person_id"] == root


async def test_a_code_that_somebody_is_given_meanwhile_is_refused_too(world: World) -> None:
    first, second = await person(world, "one"), await person(world, "two")
    lookup = "SELECT code_lookup FROM person WHERE id = $1"
    async with world.db.transaction() as tx:
        # The code "two" is free for whoever looks for it, and has just been taken again.
        taken = await tx.conn.fetchval(lookup, second)
        await tx.conn.execute("UPDATE person SET code_lookup = NULL WHERE id = $1", second)
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE person SET code_lookup = $2 WHERE id = $1", second, taken)
        changing = await started(world, change(world, first, 422, client_code="two"))
    assert (await changing)["errors"] == of_code(OF_SOMEBODY_ELSE)
    assert (await world.post("/v1/persons:find", {"client_code": "one"}))["person_id"] == first


async def test_merges_of_a_pair_are_counted(world: World) -> None:
    first, second = await person(world, "one"), await person(world, "two")
    for _ in range(2):
        await world.merge(second, first)
        await unmerge(world, second)
    await world.merge(second, first)
    events = await world.published()
    assert [each.merge_no for each in only(events, PersonMergedV1)] == [1, 2, 3]
    assert [each.merge_no for each in only(events, PersonUnmergedV1)] == [1, 2]


async def test_a_record_in_between_takes_along_who_was_behind_it(world: World) -> None:
    a, b, c = [await person(world, code) for code in ("a", "b", "c")]
    await world.merge(a, b)
    await world.merge(b, c)
    assert [await stands_for(world, each) for each in (a, b, c)] == [c, c, c]
    await unmerge(world, b)
    assert [await stands_for(world, each) for each in (a, b, c)] == [b, b, c]
    await world.merge(b, c)
    await unmerge(world, a)
    assert [await stands_for(world, each) for each in (a, b, c)] == [a, c, c]
    await unmerge(world, b)
    assert [await stands_for(world, each) for each in (a, b, c)] == [a, b, c]


async def test_who_was_erased_does_not_come_back(world: World) -> None:
    first, second = await person(world, "one"), await person(world, "two")
    await world.merge(second, first)
    await world.post(f"/v1/persons/{first}:erase", None, Role.LEAD)
    await unmerge(world, second, status=404)


async def test_locked_keys_unite_nobody(world: World) -> None:
    first, second = await person(world, "one"), await person(world, "two")
    merge_id = await propose(world, second, first)
    world.service.app.state.context.vault.ring.lock()
    await world.post(f"/v1/merges/{merge_id}:confirm", None, Role.LEAD, by=uuid4(), status=423)
