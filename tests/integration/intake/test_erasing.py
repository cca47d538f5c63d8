"""Erasing persons and households in intake."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import (
    NeedClosedV1,
    NeedReadyUntilV1,
    NeedReadyV1,
    NeedWithdrawnV1,
    PayeeErasedV1,
    PayeeSealedV1,
    PersonErasedV1,
)
from aidmesh_contracts.payments import CommitmentReversedV1
from aidmesh_intake.checks import CHECKS
from aidmesh_intake.domain.records import replace
from aidmesh_intake.domain.steps import ready_event
from aidmesh_intake.handlers.locking import lock_needs
from integration.intake.test_privacy import REQUEST
from integration.intake.world import (
    World,
    money_held,
    money_made,
    money_spent,
    only,
)

CASH = {"kind": "financial_aid", "payee": {"mechanism": "cash", "legal_name": "Canary"}}


async def create(world: World, **changes: Any) -> dict[str, Any]:
    """A request with everything one could say."""
    found: dict[str, Any] = await world.post("/v1/requests", REQUEST | changes, status=201)
    return found


async def erase(world: World, person_id: str, status: int = 200) -> dict[str, Any]:
    answer: dict[str, Any] = await world.post(
        f"/v1/persons/{person_id}:erase", None, Role.LEAD, status=status
    )
    return answer


async def household(world: World, *person_ids: str) -> str:
    body = {"person_ids": list(person_ids), "area": "UA80", "code": f"home-{uuid4()}"}
    return str((await world.post("/v1/households", body, status=201))["household_id"])


async def ask_for(world: World, household_id: str, **changes: Any) -> UUID:
    """Something for a household and no one member, with a note."""
    body = {
        "for_whom": "household",
        "household_id": household_id,
        "note": "CanaryStory",
        "answers": {"violence_at_home": True},
        "needs": [{"kind": "food_parcel", "place_area": "UA80"}],
    }
    answer = await world.post("/v1/requests", body | changes, status=201)
    return UUID(answer["needs"][0]["need_id"])


async def value(world: World, query: str, *args: object) -> Any:
    async with world.db.read() as conn:
        return await conn.fetchval(query, *args)


async def test_erasure_deletes_the_key_and_what_was_sealed(world: World) -> None:
    done = await create(world)
    await world.published()
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE outbox SET status = 'acked', ack_seq = seq, acked_at = now()")
    path = f"/v1/persons/{done['person_id']}"
    await world.post(f"{path}:erase", status=403)
    receipt = await erase(world, done["person_id"])
    events = await world.published()
    assert len(only(events, PersonErasedV1)) == 1
    assert only(events, NeedClosedV1)[0].reason == "person_erased"
    (payee,) = only(events, PayeeErasedV1)
    assert str(payee.need_id) == done["needs"][0]["need_id"]
    assert payee.payee_ref == await value(world, "SELECT payee_ref FROM need")
    # The household had no one else.
    assert receipt["erased_household_ids"] == [str(await value(world, "SELECT id FROM household"))]
    assert (receipt["kept"], receipt["payments_kept_until"]) == ("nothing", None)
    gone = await world.get(path, status=410)
    assert gone["type"] == "urn:aidmesh:problem:person-erased"
    await world.get(f"/v1/persons/{uuid4()}", status=404)
    await erase(world, done["person_id"], status=404)
    await world.post("/v1/persons:find", {"client_code": "CanaryCode"}, status=404)
    for query in (
        "SELECT count(*) FROM outbox WHERE stream = 'PRIVATE' AND payload IS NOT NULL",
        "SELECT count(*) FROM request WHERE sealed_reasons IS NOT NULL",
        "SELECT count(*) FROM household WHERE code_lookup IS NOT NULL",
    ):
        assert await value(world, query) == 0
    assert await value(world, "SELECT count(*) FROM erased_person") == 1
    # Somebody new may carry the code.
    assert (await create(world))["person_id"] != done["person_id"]


async def test_erasure_forgets_since_when_hours_counted(world: World) -> None:
    exposed_at = datetime.now(UTC) - timedelta(hours=5)
    need_id = await world.request("pep_navigation", exposed_at=exposed_at.isoformat())
    until = exposed_at + timedelta(hours=72)
    told = """
        SELECT count(*) FROM outbox WHERE position($1::text IN convert_from(payload, 'UTF8')) > 0
           AND (stream = 'PRIVATE') = $2
    """
    hour = until.strftime("%Y-%m-%dT%H:%M:%S")
    (ready,) = only(await world.published(), NeedReadyUntilV1)
    assert (ready.need_id, ready.until_at) == (need_id, until)
    assert await value(world, told, hour, True) == 1
    assert await value(world, told, hour, False) == 0, "only where nothing is kept for long"
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE outbox SET status = 'acked', ack_seq = seq, acked_at = now()")
    shown = await world.need(need_id)
    assert shown["needed_until"] is not None
    await erase(world, shown["person_id"])
    assert await value(world, "SELECT needed_until FROM need") is None
    assert await value(world, told, hour, True) == 0
    assert await value(world, told, hour, False) == 0


async def test_an_hour_is_told_only_where_somebody_is_told_of_it(world: World) -> None:
    """A household as such is sent no message: nobody takes the hour in, and nobody forgets it."""
    exposed_at = datetime.now(UTC) - timedelta(hours=5)
    need_id = await world.request("pep_navigation", exposed_at=exposed_at.isoformat())
    async with world.db.transaction() as tx:
        (need,) = (await lock_needs(tx, [need_id])).values()
    for one, in_person in [
        (need, True),
        (replace(need, person_id=None), False),
        (replace(need, needed_by=day_of(exposed_at)), False),
    ]:
        news = ready_event(one, in_person=in_person)
        assert type(news) is NeedReadyV1
        assert news.until_at != need.needed_until


async def test_what_was_not_published_yet_is_withdrawn(world: World) -> None:
    done = await create(world)
    await erase(world, done["person_id"])
    async with world.db.read() as conn:
        rows = await conn.fetch(
            "SELECT DISTINCT stream, status, payload IS NULL AS blank FROM outbox ORDER BY stream"
        )
    assert [tuple(row) for row in rows] == [
        ("LOCAL", "pending", False),
        ("PRIVATE", "withdrawn", True),
    ]


async def test_records_of_one_person_go_together(world: World) -> None:
    first, second = (
        await create(world),
        await create(world, person={"client_code": "other", "area": "UA80"}),
    )
    await world.merge(second["person_id"], first["person_id"])
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE outbox SET status = 'acked', ack_seq = seq, acked_at = now()")
    await world.published()
    await erase(world, second["person_id"])
    events = await world.published()
    assert {str(each.person_id) for each in only(events, PersonErasedV1)} == {
        first["person_id"],
        second["person_id"],
    }
    assert len(only(events, PayeeErasedV1)) == 2
    assert await value(world, "SELECT count(*) FROM request WHERE sealed_reasons IS NOT NULL") == 0


async def test_the_receipt_says_what_is_kept_of_payments(world: World) -> None:
    done = await create(world)
    need_id = UUID(done["needs"][0]["need_id"])
    amount = await value(world, "SELECT (ask #>> '{money,amount_minor}')::bigint FROM need")
    if await world.state(need_id) == "requested":
        await world.post(f"/v1/needs/{need_id}:approve", {}, Role.LEAD)
    await world.feed(money_held(need_id, amount))
    await world.feed(money_made(need_id, amount))
    await world.feed(money_spent(need_id, amount, fulfils=True))
    assert await world.state(need_id) == "fulfilled"
    receipt = await erase(world, done["person_id"])
    today = await value(world, "SELECT (now() AT TIME ZONE 'Europe/Kyiv')::date")
    assert receipt["payments_kept_until"] == date(today.year + 5, 12, 31).isoformat()
    assert "legal date" in receipt["kept"]


async def test_a_household_has_its_own_key(world: World) -> None:
    home = await household(world)
    assert await value(world, "SELECT wrapped_key FROM household") is None
    await ask_for(world, home)
    wrapped = await value(world, "SELECT wrapped_key FROM household")
    await ask_for(world, home)
    assert await value(world, "SELECT wrapped_key FROM household") == wrapped
    vault = world.service.app.state.context.vault.open()
    async with world.db.read() as conn:
        rows = await conn.fetch("SELECT id, sealed_reasons FROM request")
    locker = vault.household_locker(UUID(home), wrapped)
    for row in rows:
        said = vault.show_reasons(locker, row["id"], row["sealed_reasons"])
        assert said.answers == {"violence_at_home": True}
        assert said.note is not None
        assert said.note.reveal() == "CanaryStory"


async def test_the_last_member_takes_the_household_along(world: World) -> None:
    persons = [
        (await world.post("/v1/persons", {"client_code": f"m-{n}"}, status=201))["person_id"]
        for n in range(3)
    ]
    home = await household(world, *persons)
    need_id = await ask_for(world, home, needs=[CASH | {"place_area": "UA80"}])
    # One record stands for two: the person lives on in the other, so the household is not empty.
    other = (await world.post("/v1/persons", {"client_code": "root"}, status=201))["person_id"]
    await world.merge(persons[2], other)
    await world.published()
    for person_id in persons[:2]:
        assert (await erase(world, person_id))["erased_household_ids"] == []
    assert await value(world, "SELECT count(*) FROM request WHERE sealed_reasons IS NOT NULL") == 1
    await world.published()
    assert (await erase(world, other))["erased_household_ids"] == [home]
    events = await world.published()
    assert [each.need_id for each in only(events, PayeeErasedV1)] == [need_id]
    assert {each.reason for each in only(events, NeedClosedV1)} == {"household_erased"}
    assert await world.state(need_id) == "cancelled"
    row = await value(world, "SELECT (wrapped_key, code_lookup, area)::text FROM household")
    assert row == "(,,)"
    assert await value(world, "SELECT count(*) FROM request WHERE sealed_reasons IS NOT NULL") == 0
    await world.get(f"/v1/households/{home}", status=404)
    await world.post(f"/v1/households/{home}:join", {"person_ids": [persons[0]]}, status=404)


async def test_a_household_is_erased_and_its_members_stay(world: World) -> None:
    person = (await world.post("/v1/persons", {"client_code": "m"}, status=201))["person_id"]
    home = await household(world, person)
    need_id = await ask_for(world, home)
    own = await world.request("hygiene_kit", "m")
    path = f"/v1/households/{home}:erase"
    await world.post(path, status=403)
    receipt = await world.post(path, None, Role.LEAD)
    assert receipt["erased_household_ids"] == [home]
    await world.post(path, None, Role.LEAD, status=404)
    assert await world.state(need_id) == "cancelled"
    assert await world.state(own) != "cancelled"
    assert (await world.get(f"/v1/persons/{person}"))["household_id"] is None
    body = {
        "for_whom": "household",
        "household_id": home,
        "needs": [{"kind": "food_parcel", "place_area": "UA80"}],
    }
    await world.post("/v1/requests", body, status=422)


@pytest.mark.parametrize("named", ["code", "id"])
async def test_a_request_and_an_erasure_at_once_leave_nothing_behind(
    world: World, named: str
) -> None:
    for number in range(6):
        who_in_words = {
            "client_code": f"race-{number}",
            "household_code": f"home-{number}",
            "area": "UA80",
        }
        first = await create(world, person=who_in_words)
        who: dict[str, Any] = (
            {"person": who_in_words}
            if named == "code"
            else {"person": None, "person_id": first["person_id"]}
        )
        await world.published()

        async def ask(who: dict[str, Any] = who) -> int:
            answer = await world.client.post(
                "/v1/requests", json=REQUEST | who, headers=world.headers()
            )
            return answer.status_code

        status, _ = await asyncio.gather(ask(), erase(world, first["person_id"]))
        assert status in (201, 404, 409)
        events = await _all_events(world)
        gone = {each.need_id for each in only(events, PayeeErasedV1)}
        alive = await value(
            world,
            "SELECT array_agg(n.id) FROM need n JOIN person p ON p.id = n.person_id"
            " WHERE p.erased_at IS NULL",
        )
        sealed = {each.need_id for each in only(events, PayeeSealedV1)}
        assert sealed - gone <= set(alive or ())
        async with world.db.read() as conn:
            for check in CHECKS:
                assert await conn.fetch(check.sql) == [], check.name


async def _all_events(world: World) -> list[Event]:
    """Everything that was published and not withdrawn."""
    world._seen = 0
    async with world.db.transaction() as tx:
        await tx.conn.execute("DELETE FROM outbox WHERE payload IS NULL")
    return await world.published()


async def test_a_need_that_opens_again_ends(world: World) -> None:
    done = await create(world)
    need_id = UUID(done["needs"][0]["need_id"])
    amount = await value(world, "SELECT (ask #>> '{money,amount_minor}')::bigint FROM need")
    if await world.state(need_id) == "requested":
        await world.post(f"/v1/needs/{need_id}:approve", {}, Role.LEAD)
    await world.feed(money_held(need_id, amount))
    await world.feed(money_made(need_id, amount))
    spent = money_spent(need_id, amount, fulfils=True)
    await world.feed(spent)
    await erase(world, done["person_id"])
    assert await world.state(need_id) == "fulfilled"
    # The bank sends the money back.
    await world.feed(
        CommitmentReversedV1(
            commitment_id=spent.commitment_id,
            need_id=spent.need_id,
            attempt_no=spent.attempt_no,
            spend_no=spent.spend_no,
            fulfils=True,
            reason="ac04",
        )
    )
    assert await world.state(need_id) == "ready"
    assert await world.sweep("erased") == 1
    assert await world.state(need_id) == "cancelled"
    assert len(only(await world.published(), NeedWithdrawnV1)) == 1
    assert await world.sweep("erased") == 0
