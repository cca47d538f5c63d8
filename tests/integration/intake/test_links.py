"""People in two regions, between two real databases: who asks whom, what is told, who decides."""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import LinkId
from aidmesh_contracts.intake_links import (
    LinkFoundV1,
    LinkSaidV1,
    LookupAnsweredV1,
    LookupAskedV1,
    LookupClosedV1,
)
from integration.intake.linked import (
    SWEEPS,
    Pair,
    change,
    confirm,
    links,
    look_for,
    person,
    refuse,
    status,
    told,
)
from integration.intake.sides import Side
from integration.intake.world import only


async def test_somebody_in_each_region_decides_and_both_tell_their_reporting(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    hers, ours, link_id = await pair.found()
    assert await status(lviv) == ["matched"]
    (there,) = await links(kyiv, hers)
    assert there["link_id"] == str(link_id)
    assert (there["region"], there["by"], there["state"]) == (
        "lviv",
        ["contact", "name"],
        "perhaps",
    )
    assert [each["link_id"] for each in await links(kyiv, undecided=True)] == [str(link_id)]
    assert (await confirm(kyiv, link_id))["state"] == "perhaps"
    await pair.settle()
    assert await told(kyiv) == await told(lviv) == ([], [])
    assert (await confirm(lviv, link_id))["state"] == "linked"
    await pair.settle()
    for side, person_id, region in ((kyiv, hers, "lviv"), (lviv, ours, "kyiv")):
        (event,) = (await told(side))[0]
        assert (event.person_id, event.region, event.link_id) == (person_id, region, link_id)
        (link,) = await links(side, person_id)
        assert link["state"] == "linked"
    # It can be parted again, from either side.
    assert (await refuse(kyiv, link_id))["state"] == "parted"
    await pair.settle()
    for side, person_id in ((kyiv, hers), (lviv, ours)):
        assert [each.link_id for each in (await told(side))[1]] == [link_id]
        (link,) = await links(side, person_id)
        assert link["state"] == "parted"
        await confirm(side, link_id, status=409)
    # What was parted may be found anew: it was somebody's mistake, perhaps.
    await look_for(lviv, ours, "kyiv")
    await pair.settle()
    assert {each["state"] for each in await links(lviv, ours)} == {"parted", "perhaps"}


async def test_what_one_region_refuses_is_over_in_both_and_not_asked_again(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    hers, ours, link_id = await pair.found()
    await confirm(lviv, link_id)
    assert (await refuse(kyiv, link_id))["state"] == "refused"
    await pair.settle()
    for side, person_id in ((kyiv, hers), (lviv, ours)):
        (link,) = await links(side, person_id)
        assert link["state"] == "refused"
        await confirm(side, link_id, status=409)
    await look_for(lviv, ours, "kyiv")
    await pair.settle()
    assert len(await links(lviv, ours)) == len(await links(kyiv, hers)) == 1
    assert await told(kyiv) == ([], [])
    # The other way round it is the same pair.
    await look_for(kyiv, hers, "lviv")
    await pair.settle()
    assert len(await links(lviv, ours)) == len(await links(kyiv, hers)) == 1


async def test_while_a_region_is_dark_the_query_waits(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    await person(kyiv)
    ours = await person(lviv)
    await look_for(lviv, ours, "kyiv")
    await look_for(lviv, ours, "kyiv", status=409)
    assert await status(lviv) == ["asked"]
    await pair.settle()
    assert await status(lviv) == ["matched"]


async def test_nobody_is_found_who_did_not_agree_in_both_regions(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    hers = await person(kyiv, consents={})
    ours = await person(lviv)
    silent = await person(lviv, consents={"contact": "2024-05-01", "referral": "2024-05-01"})
    await look_for(lviv, ours, "kyiv")
    refused = await look_for(lviv, silent, "kyiv", status=409)
    assert refused["type"].endswith("no-consent-to-lookup")
    await pair.settle()
    assert await status(lviv) == ["nothing"]
    assert await links(lviv) == await links(kyiv, hers) == []
    # Nothing of her is even listed.
    assert await kyiv.value("SELECT count(*) FROM lookup_in WHERE listed IS NOT NULL") == 0


async def test_who_thinks_better_of_it_between_answer_and_match_is_not_found(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    hers = await person(kyiv)
    ours = await person(lviv)
    await look_for(lviv, ours, "kyiv")
    await kyiv.hear("lviv", *await lviv.said())
    await kyiv.world.sweep("lookups")
    await change(kyiv, hers, consents={})
    await pair.settle()
    assert await status(lviv) == ["matched"]
    assert await links(lviv) == await links(kyiv) == []


async def test_a_client_code_that_was_shown_names_its_owner_alone(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    hers = await person(kyiv, client_code="KY-77", legal_name=None, contact=None)
    await person(kyiv, client_code="KY-78", legal_name=None, contact=None)
    ours = await person(lviv, client_code="LV-1", legal_name=None, contact=None)
    await look_for(lviv, ours, "kyiv", status=409)  # there is nothing to compare
    await look_for(lviv, ours, "kyiv", code="ky-77")
    await pair.settle()
    (link,) = await links(kyiv)
    assert (link["person_id"], link["by"]) == (str(hers), ["code"])


async def test_a_telephone_of_two_is_for_people_to_tell_apart(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    mother = await person(kyiv, legal_name="Канарейка Стара")
    daughter = await person(kyiv)
    ours = await person(lviv)
    await look_for(lviv, ours, "kyiv")
    await pair.settle()
    by = {each["person_id"]: each["by"] for each in await links(kyiv)}
    assert by == {str(mother): ["contact"], str(daughter): ["contact", "name"]}
    assert len(await links(lviv, ours)) == 2


async def test_who_takes_their_consent_back_is_linked_no_more_in_either_region(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    hers, ours, link_id = await pair.found()
    await confirm(kyiv, link_id)
    await confirm(lviv, link_id)
    await pair.settle()
    await change(lviv, ours, consents={})
    await pair.settle()
    for side, person_id in ((kyiv, hers), (lviv, ours)):
        assert await links(side, person_id) == []
        assert [each.link_id for each in (await told(side))[1]] == [link_id]
        assert await side.value("SELECT count(*) FROM person_link WHERE person_id IS NOT NULL") == 0
    assert await status(lviv) == []


@pytest.mark.parametrize("where", ["here", "there"])
async def test_an_erasure_takes_the_link_along_in_the_other_region(pair: Pair, where: str) -> None:
    kyiv, lviv = pair.sides
    hers, ours, link_id = await pair.found()
    await confirm(kyiv, link_id)
    side, person_id = (kyiv, hers) if where == "there" else (lviv, ours)
    await side.world.post(f"/v1/persons/{person_id}:erase", None, Role.LEAD)
    await pair.settle()
    for each in pair.sides:
        kept = await each.value(
            "SELECT count(*) FROM person_link WHERE person_id IS NOT NULL OR by <> '{}'"
        )
        assert kept == 0
    left = await lviv.value("SELECT count(*) FROM lookup_out WHERE secrets IS NOT NULL")
    assert left == 0


async def test_an_erasure_overtakes_everything_that_is_under_way(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    await person(kyiv)
    ours = await person(lviv)
    await look_for(lviv, ours, "kyiv")
    (asked,) = only(await lviv.said(), LookupAskedV1)
    await lviv.world.post(f"/v1/persons/{ours}:erase", None, Role.LEAD)
    (closed,) = await lviv.said()
    assert closed == LookupClosedV1(lookup_id=asked.lookup_id)
    await kyiv.hear("lviv", closed)
    await kyiv.hear("lviv", asked)
    await pair.settle()
    assert await kyiv.value("SELECT status FROM lookup_in") == "done"
    assert await kyiv.value("SELECT count(*) FROM lookup_in WHERE sealed IS NOT NULL") == 0


async def test_nobody_speaks_for_another_region(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    _, ours, link_id = await pair.found()
    lookup_id = UUID(str(await lviv.value("SELECT id FROM lookup_out")))
    said = LinkSaidV1(link_id=LinkId(link_id), said="yes")
    found = LinkFoundV1(link_id=LinkId(uuid4()), lookup_id=lookup_id, by=("name",))
    words: Sequence[tuple[Side, Event]] = (
        (kyiv, said),
        (lviv, said),
        (lviv, found),
        (lviv, found.model_copy(update={"lookup_id": uuid4()})),
        (lviv, LookupAnsweredV1(lookup_id=lookup_id)),
        (kyiv, LookupClosedV1(lookup_id=lookup_id)),
        (kyiv, LookupAskedV1(lookup_id=lookup_id, sealed="AQ==")),
    )
    for side, word in words:
        with pytest.raises(Poison):
            await side.hear("odesa", word)
    (link,) = await links(lviv, ours)
    assert link["theirs"] == "open"


@pytest.mark.parametrize("seed", range(3))
async def test_both_regions_say_the_same_whatever_the_wire_does(pair: Pair, seed: int) -> None:
    dice = random.Random(seed)
    kyiv, lviv = pair.sides
    people = {
        side.world.region: [
            await person(side, client_code=None, contact=None, legal_name=f"Канарейка Тест{who}")
            for who in "абв"
        ]
        for side in pair.sides
    }
    other = {"kyiv": lviv, "lviv": kyiv}
    wire: list[tuple[Side, Event]] = []
    delivered: set[int] = set()

    async def deliver(place: int) -> None:
        delivered.add(place)
        side, event = wire[place]
        await other[side.world.region].hear(side.world.region, event)

    async def listen() -> None:
        for side in pair.sides:
            for name in SWEEPS:
                await side.world.sweep(name)
            wire.extend([(side, each) for each in await side.said()])

    async def post(side: Side, path: str, sent: object = None, *roles: Role) -> None:
        answer = await side.world.client.post(path, json=sent, headers=side.world.headers(*roles))
        assert answer.status_code in (200, 201, 404, 409), answer.text

    for _ in range(70):
        side = dice.choice(pair.sides)
        person_id = dice.choice(people[side.world.region])
        found = await side.value(
            "SELECT array_agg(id) FROM person_link WHERE person_id IS NOT NULL"
        )
        act = dice.random()
        if wire and act < 0.5:
            await deliver(dice.randrange(len(wire)))
        elif act < 0.7:
            to = other[side.world.region].world.region
            await post(side, f"/v1/persons/{person_id}:look-for", {"to_region": to})
        elif act < 0.95 and found:
            step = dice.choice(["confirm", "confirm", "confirm", "refuse"])
            await post(side, f"/v1/links/{dice.choice(found)}:{step}")
        elif act > 0.98:
            await post(side, f"/v1/persons/{person_id}:erase", None, Role.LEAD)
        await listen()
    while len(delivered) < len(wire):
        for place in range(len(wire)):
            if place not in delivered:
                await deliver(place)
        await listen()
    rows: dict[UUID, dict[str, Any]] = {}
    for side in pair.sides:
        async with side.world.db.read() as conn:
            for row in await conn.fetch("SELECT id, mine, theirs, person_id FROM person_link"):
                rows.setdefault(row["id"], {})[side.world.region] = row
    assert rows
    for at in rows.values():
        one, other_row = at["kyiv"], at["lviv"]
        assert (one["mine"], one["theirs"]) == (other_row["theirs"], other_row["mine"])
        assert (one["person_id"] is None) == (other_row["person_id"] is None)
    for side in pair.sides:
        began, ended = await told(side)
        in_force = {each.link_id for each in began} - {each.link_id for each in ended}
        linked = await side.value(
            "SELECT coalesce(array_agg(id), '{}') FROM person_link"
            " WHERE mine = 'yes' AND theirs = 'yes'"
        )
        assert in_force == set(linked)
