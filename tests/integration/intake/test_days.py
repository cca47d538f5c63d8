"""Days that go by while needs wait, and requests of sites."""

from datetime import date, timedelta
from uuid import UUID

from aidmesh_chassis.auth import Role
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.intake import AidGivenV1, NeedApprovedV1, NeedClosedV1, NeedFulfilledV1
from aidmesh_contracts.inventory import SupplyGrewV1
from integration.intake.world import KYIV, SITE, World, grew, held, only, refused

OTHER = SiteId(UUID("33333333-3333-4333-8333-333333333333"))


async def today_at(world: World) -> date:
    async with world.db.transaction() as tx:
        return day_of(tx.now)


async def let_pass(world: World, need_id: UUID, days: int) -> None:
    """So many days go by for a need."""
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            """
            UPDATE need SET first_on = first_on - $2::int, last_on = last_on - $2::int,
                ask = CASE WHEN last_on IS NULL THEN ask ELSE jsonb_set(
                    ask, '{capacity,to_on}', to_jsonb((last_on - $2::int)::text)) END
            WHERE id = $1
            """,
            need_id,
            days,
        )
        await tx.conn.execute(
            """
            UPDATE need SET ask = jsonb_set(ask, '{capacity,from_on}', to_jsonb(first_on::text))
            WHERE id = $1
            """,
            need_id,
        )


async def waiting(world: World, kind: str, **wanted: str) -> UUID:
    need_id = await world.request(kind, None, **wanted)
    (approved,) = only(await world.published(), NeedApprovedV1)
    await world.feed(refused(approved))
    assert await world.state(need_id) == "waitlisted"
    return need_id


async def woken(world: World, resource: str, code: str) -> list[NeedApprovedV1]:
    growth = grew(code, 1).model_copy(update={"resource": resource})
    assert isinstance(growth, SupplyGrewV1)
    return only(await world.feed(growth), NeedApprovedV1)


async def test_a_guest_who_waited_is_asked_for_the_nights_to_come(world: World) -> None:
    today = await today_at(world)
    until = today + timedelta(days=20)
    need_id = await waiting(world, "shelter_night", to_on=str(until))
    # What is as usual is left out.
    assert (await world.need(need_id))["ask"] == {
        "capacity": {
            "resource": "bed", "code": "shelter", "from_on": str(today), "to_on": str(until),
        }
    }  # fmt: skip
    await let_pass(world, need_id, 14)
    (asked,) = await woken(world, "bed", "shelter")
    assert asked.need_id == need_id
    assert asked.capacity is not None
    assert (asked.capacity.from_on, asked.capacity.to_on) == (today, until - timedelta(days=14))


async def test_an_appointment_whose_days_ran_out_is_looked_for_again(world: World) -> None:
    today = await today_at(world)
    need_id = await waiting(world, "counseling", needed_by=str(today + timedelta(days=9)))
    await let_pass(world, need_id, 60)
    assert await world.sweep("last_days") == 0
    (asked,) = await woken(world, "slot", "counseling")
    assert asked.capacity is not None
    assert asked.capacity.from_on == today
    assert asked.capacity.to_on == today + timedelta(days=9)


async def test_newcomers_stay_behind_a_guest_whose_first_night_has_passed(world: World) -> None:
    first = await waiting(world, "shelter_night")
    outside = await waiting(world, "shelter_outside")
    slot = await waiting(world, "counseling")
    for need_id in (first, outside, slot):
        await let_pass(world, need_id, 30)
    for kind in ("shelter_night", "shelter_outside", "counseling"):
        newcomer = await world.request(kind)
        shown = await world.need(newcomer)
        assert (shown["state"], shown["wait"]) == ("waitlisted", "behind"), kind


async def test_newcomers_take_the_days_that_those_who_wait_cannot_use(world: World) -> None:
    today = await today_at(world)
    soon = today + timedelta(days=3)
    await waiting(world, "counseling", needed_by=str(soon))
    assert await world.state(await world.request("counseling")) == "approved"
    within = await world.request("counseling", needed_by=str(soon))
    assert (await world.need(within))["wait"] == "behind"
    # Beds are another matter: by when they are needed says nothing of the nights.
    await world.published()
    await waiting(world, "shelter_outside", needed_by=str(soon))
    newcomer = await world.request("shelter_outside")
    assert (await world.need(newcomer))["wait"] == "behind"


async def test_newcomers_take_the_hours_that_those_who_wait_cannot_use(world: World) -> None:
    today = await today_at(world)
    first = await waiting(world, "counseling", needed_by=str(today))
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE need SET needed_until = now() WHERE id = $1", first)
    newcomer = await world.request("counseling", needed_by=str(today))
    assert await world.state(newcomer) == "approved"


async def test_a_need_ends_with_its_last_night_or_day_but_not_with_days_that_move_on(
    world: World,
) -> None:
    today = await today_at(world)
    soon = str(today + timedelta(days=2))
    over = [
        await waiting(world, "shelter_night", to_on=soon),
        await waiting(world, "counseling", from_on=str(today), to_on=soon),
    ]
    stays = [await waiting(world, "shelter_outside"), await waiting(world, "legal_advice")]
    written = await waiting(
        world,
        "group_session",
        from_on=str(today - timedelta(days=9)),
        to_on=str(today - timedelta(days=3)),
    )
    await let_pass(world, over[0], 1)  # one night is left
    await let_pass(world, over[1], 2)  # today is its last day
    assert await world.sweep("last_days") == 0
    await let_pass(world, over[0], 1)
    await let_pass(world, over[1], 1)
    for need_id in stays:
        await let_pass(world, need_id, 90)
    assert await world.sweep("last_days") == 2
    closed = only(await world.published(), NeedClosedV1)
    assert {(each.need_id, each.state) for each in closed} == {(need, "expired") for need in over}
    for need_id in (*stays, written):
        assert await world.state(need_id) == "waitlisted"


async def ask_for_site(world: World, **need: object) -> UUID:
    answer = await world.post(
        "/v1/requests",
        {
            "for_whom": "site",
            "site_id": str(SITE),
            "needs": [{"kind": "furniture_center", "place_area": "UA63", **need}],
        },
        status=201,
    )
    return UUID(answer["needs"][0]["need_id"])


async def test_goods_for_a_site_may_come_from_any_other(world: World) -> None:
    need_id = await ask_for_site(world)
    shown = await world.need(need_id)
    assert (shown["site_id"], shown["to_site_id"]) == (None, str(SITE))
    await world.post(f"/v1/needs/{need_id}:approve", None, Role.LEAD)
    (approved,) = only(await world.published(), NeedApprovedV1)
    assert (approved.site_id, approved.to_site_id, approved.place_area) == (None, SITE, "UA63")

    # A warehouse may be named all the same.
    narrow = await ask_for_site(world, site_id=str(OTHER))
    await world.post(f"/v1/needs/{narrow}:approve", None, Role.LEAD)
    (from_there,) = only(await world.published(), NeedApprovedV1)
    assert (from_there.site_id, from_there.to_site_id) == (OTHER, SITE)

    given = await ask_for_site(world, given=True)
    events = await world.published()
    (fact,) = only(events, AidGivenV1)
    assert (fact.need_id, fact.site_id, fact.to_site_id) == (given, None, SITE)
    (served,) = only(events, NeedFulfilledV1)
    assert (served.site_id, served.attempt_no, served.issue_no) == (SITE, 0, 0)


async def test_a_row_for_a_site_names_where_the_goods_go(world: World) -> None:
    head = "row_id,kind,for_site,site_id,place_area"
    rows = f"1,furniture_center,true,{SITE},{KYIV}\n2,furniture_center,true,,{KYIV}"
    answer = await world.client.post(
        "/v1/requests:import",
        params={"source": "centers", "format": "csv"},
        content=f"{head}\n{rows}\n".encode(),
        headers={**world.headers(), "Content-Type": "text/csv", "Idempotency-Key": "k" * 16},
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["accepted"] == 1
    assert [(each["line"], each["rule"]) for each in told["problems"]] == [(3, "site_id_missing")]
    (row,) = (await world.get("/v1/needs"))["needs"]
    shown = await world.need(row["need_id"])
    assert (shown["site_id"], shown["to_site_id"]) == (None, str(SITE))


async def test_an_attempt_goes_by_the_day_it_begins_unless_a_day_gone_by_was_written(
    world: World,
) -> None:
    today = await today_at(world)
    chosen = await waiting(world, "food_parcel", planned_on=str(today + timedelta(days=3)))
    (again,) = await woken(world, "stock", "food_parcel")
    assert (again.need_id, again.planned_on) == (chosen, today + timedelta(days=3))
    await world.feed(refused(again))
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE need SET planned_on = planned_on - 90")
    (again,) = await woken(world, "stock", "food_parcel")
    assert (again.need_id, again.planned_on) == (chosen, today)
    await world.feed(held(chosen, again.attempt_no))

    written = await waiting(world, "food_parcel", planned_on=str(today - timedelta(days=90)))
    (again,) = await woken(world, "stock", "food_parcel")
    assert (again.need_id, again.planned_on) == (written, today - timedelta(days=90))
