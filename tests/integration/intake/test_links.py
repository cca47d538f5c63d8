"""People in two regions, between two real databases: who asks whom, what is told, who decides."""

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
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
    PersonLinkedV1,
    PersonPartedV1,
)
from integration.intake.sides import Side, exchange, two_sides
from integration.intake.world import only
from support.servers import DatabaseFactory

PHONE = "+380 67 765 43 21"
AGREED = {"same_person": "2024-05-01"}
DAY_MAX = 3
SWEEPS = ("lookups", "compared_lookups", "closed_lookups")


@dataclass
class Pair:
    """kyiv, where the person came first, and lviv, which opened a case of its own."""

    kyiv: Side
    lviv: Side

    async def settle(self) -> None:
        """Deliver and sweep until nothing more happens."""
        while True:
            await exchange(self.kyiv, self.lviv)
            done = [await side.world.sweep(name) for side in self.sides for name in SWEEPS]
            if not any(done):
                break
        await exchange(self.kyiv, self.lviv)

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.kyiv, self.lviv

    async def found(self) -> tuple[UUID, UUID, UUID]:
        """Lviv asks about somebody whom Kyiv knows: her there, her here, and the link."""
        hers = await person(self.kyiv)
        ours = await person(self.lviv)
        await look_for(self.lviv, ours, "kyiv")
        await self.settle()
        (link,) = await links(self.lviv, ours)
        return hers, ours, UUID(link["link_id"])


@pytest.fixture
async def two(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two regions that know each other's keys."""
    async with two_sides(database, tmp_path) as (kyiv, lviv):
        yield Pair(kyiv, lviv)


@pytest.fixture
async def strict(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two regions that answer little."""
    async with two_sides(database, tmp_path, lookups_day_max=DAY_MAX) as (kyiv, lviv):
        yield Pair(kyiv, lviv)


def body(**fields: Any) -> dict[str, Any]:
    return {
        "client_code": f"c-{uuid4()}",
        "legal_name": "Канарейка Тестова",
        "birth_year": 1984,
        "contact": {"channel": "sms", "address": PHONE},
        "consents": AGREED,
    } | fields


async def person(side: Side, **fields: Any) -> UUID:
    """Somebody new, by default the same woman each time."""
    made = await side.world.post("/v1/persons", body(**fields), status=201)
    return UUID(made["person_id"])


async def change(side: Side, person_id: UUID, **fields: Any) -> None:
    known = await side.world.get(f"/v1/persons/{person_id}")
    answer = await side.world.client.put(
        f"/v1/persons/{person_id}",
        json=body(**fields) | {"version": known["version"]},
        headers=side.world.headers(),
    )
    assert answer.status_code == 200, answer.text


async def look_for(side: Side, person_id: UUID, region: str, status: int = 201, **more: Any) -> Any:
    return await side.world.post(
        f"/v1/persons/{person_id}:look-for", {"to_region": region} | more, status=status
    )


async def links(side: Side, person_id: UUID | None = None, **query: Any) -> list[dict[str, Any]]:
    if person_id is not None:
        query["person_id"] = str(person_id)
    found: list[dict[str, Any]] = (await side.world.get("/v1/links", **query))["links"]
    return found


async def status(side: Side) -> list[str]:
    rows = (await side.world.get("/v1/lookups"))["lookups"]
    return [row["status"] for row in rows]


async def confirm(side: Side, link_id: UUID, status: int = 200) -> Any:
    return await side.world.post(f"/v1/links/{link_id}:confirm", status=status)


async def refuse(side: Side, link_id: UUID, status: int = 200) -> Any:
    return await side.world.post(f"/v1/links/{link_id}:refuse", status=status)


async def told(side: Side) -> tuple[list[PersonLinkedV1], list[PersonPartedV1]]:
    """What reporting was told so far."""
    events = await side.world.published(from_start=True)
    return only(events, PersonLinkedV1), only(events, PersonPartedV1)


async def test_somebody_in_each_region_decides_and_both_tell_their_reporting(two: Pair) -> None:
    kyiv, lviv = two.sides
    hers, ours, link_id = await two.found()
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
    await two.settle()
    assert await told(kyiv) == await told(lviv) == ([], [])
    assert (await confirm(lviv, link_id))["state"] == "linked"
    await two.settle()
    for side, person_id, region in ((kyiv, hers, "lviv"), (lviv, ours, "kyiv")):
        (event,) = (await told(side))[0]
        assert (event.person_id, event.region, event.link_id) == (person_id, region, link_id)
        (link,) = await links(side, person_id)
        assert link["state"] == "linked"
    # It can be parted again, from either side.
    assert (await refuse(kyiv, link_id))["state"] == "parted"
    await two.settle()
    for side, person_id in ((kyiv, hers), (lviv, ours)):
        assert [each.link_id for each in (await told(side))[1]] == [link_id]
        (link,) = await links(side, person_id)
        assert link["state"] == "parted"
        await confirm(side, link_id, status=409)
    # What was parted may be found anew: it was somebody's mistake, perhaps.
    await look_for(lviv, ours, "kyiv")
    await two.settle()
    assert {each["state"] for each in await links(lviv, ours)} == {"parted", "perhaps"}


async def test_what_one_region_refuses_is_over_in_both_and_not_asked_again(two: Pair) -> None:
    kyiv, lviv = two.sides
    hers, ours, link_id = await two.found()
    await confirm(lviv, link_id)
    assert (await refuse(kyiv, link_id))["state"] == "refused"
    await two.settle()
    for side, person_id in ((kyiv, hers), (lviv, ours)):
        (link,) = await links(side, person_id)
        assert link["state"] == "refused"
        await confirm(side, link_id, status=409)
    await look_for(lviv, ours, "kyiv")
    await two.settle()
    assert len(await links(lviv, ours)) == len(await links(kyiv, hers)) == 1
    assert await told(kyiv) == ([], [])
    # The other way round it is the same two.
    await look_for(kyiv, hers, "lviv")
    await two.settle()
    assert len(await links(lviv, ours)) == len(await links(kyiv, hers)) == 1


async def test_while_a_region_is_dark_the_query_waits(two: Pair) -> None:
    kyiv, lviv = two.sides
    await person(kyiv)
    ours = await person(lviv)
    await look_for(lviv, ours, "kyiv")
    await look_for(lviv, ours, "kyiv", status=409)
    assert await status(lviv) == ["asked"]
    await two.settle()
    assert await status(lviv) == ["matched"]


async def test_nobody_is_found_who_did_not_agree_in_both_regions(two: Pair) -> None:
    kyiv, lviv = two.sides
    hers = await person(kyiv, consents={})
    ours = await person(lviv)
    silent = await person(lviv, consents={"contact": "2024-05-01", "referral": "2024-05-01"})
    await look_for(lviv, ours, "kyiv")
    refused = await look_for(lviv, silent, "kyiv", status=409)
    assert refused["type"].endswith("no-consent-to-lookup")
    await two.settle()
    assert await status(lviv) == ["nothing"]
    assert await links(lviv) == await links(kyiv, hers) == []
    # Nothing of her is even listed.
    assert await kyiv.value("SELECT count(*) FROM lookup_in WHERE listed IS NOT NULL") == 0


async def test_who_thinks_better_of_it_between_answer_and_match_is_not_found(two: Pair) -> None:
    kyiv, lviv = two.sides
    hers = await person(kyiv)
    ours = await person(lviv)
    await look_for(lviv, ours, "kyiv")
    await kyiv.hear("lviv", *await lviv.said())
    await kyiv.world.sweep("lookups")
    await change(kyiv, hers, consents={})
    await two.settle()
    assert await status(lviv) == ["matched"]
    assert await links(lviv) == await links(kyiv) == []


async def test_a_client_code_that_was_shown_names_its_owner_alone(two: Pair) -> None:
    kyiv, lviv = two.sides
    hers = await person(kyiv, client_code="KY-77", legal_name=None, contact=None)
    await person(kyiv, client_code="KY-78", legal_name=None, contact=None)
    ours = await person(lviv, client_code="LV-1", legal_name=None, contact=None)
    await look_for(lviv, ours, "kyiv", status=409)  # there is nothing to compare
    await look_for(lviv, ours, "kyiv", code="ky-77")
    await two.settle()
    (link,) = await links(kyiv)
    assert (link["person_id"], link["by"]) == (str(hers), ["code"])


async def test_a_telephone_of_two_is_for_people_to_tell_apart(two: Pair) -> None:
    kyiv, lviv = two.sides
    mother = await person(kyiv, legal_name="Канарейка Стара")
    daughter = await person(kyiv)
    ours = await person(lviv)
    await look_for(lviv, ours, "kyiv")
    await two.settle()
    by = {each["person_id"]: each["by"] for each in await links(kyiv)}
    assert by == {str(mother): ["contact"], str(daughter): ["contact", "name"]}
    assert len(await links(lviv, ours)) == 2


async def test_who_takes_their_consent_back_is_linked_no_more_in_either_region(two: Pair) -> None:
    kyiv, lviv = two.sides
    hers, ours, link_id = await two.found()
    await confirm(kyiv, link_id)
    await confirm(lviv, link_id)
    await two.settle()
    await change(lviv, ours, consents={})
    await two.settle()
    for side, person_id in ((kyiv, hers), (lviv, ours)):
        assert await links(side, person_id) == []
        assert [each.link_id for each in (await told(side))[1]] == [link_id]
        assert await side.value("SELECT count(*) FROM person_link WHERE person_id IS NOT NULL") == 0
    assert await status(lviv) == []


@pytest.mark.parametrize("where", ["here", "there"])
async def test_an_erasure_takes_the_link_along_in_the_other_region(two: Pair, where: str) -> None:
    kyiv, lviv = two.sides
    hers, ours, link_id = await two.found()
    await confirm(kyiv, link_id)
    side, person_id = (kyiv, hers) if where == "there" else (lviv, ours)
    await side.world.post(f"/v1/persons/{person_id}:erase", None, Role.LEAD)
    await two.settle()
    for each in two.sides:
        kept = await each.value(
            "SELECT count(*) FROM person_link WHERE person_id IS NOT NULL OR by <> '{}'"
        )
        assert kept == 0
    left = await lviv.value("SELECT count(*) FROM lookup_out WHERE secrets IS NOT NULL")
    assert left == 0


async def test_an_erasure_overtakes_everything_that_is_under_way(two: Pair) -> None:
    kyiv, lviv = two.sides
    await person(kyiv)
    ours = await person(lviv)
    await look_for(lviv, ours, "kyiv")
    (asked,) = only(await lviv.said(), LookupAskedV1)
    await lviv.world.post(f"/v1/persons/{ours}:erase", None, Role.LEAD)
    (closed,) = await lviv.said()
    assert closed == LookupClosedV1(lookup_id=asked.lookup_id)
    await kyiv.hear("lviv", closed)
    await kyiv.hear("lviv", asked)
    await two.settle()
    assert await kyiv.value("SELECT status FROM lookup_in") == "done"
    assert await kyiv.value("SELECT count(*) FROM lookup_in WHERE sealed IS NOT NULL") == 0


async def test_a_day_has_a_limit_that_a_restart_does_not_lift(strict: Pair) -> None:
    kyiv, lviv = strict.sides
    await person(kyiv)
    # Whoever stole Lviv's keys asks as much as they like; their own limit binds them not.
    asked: list[Event] = []
    for _ in range(DAY_MAX + 2):
        ours = await person(lviv, client_code=None)
        await lviv.execute("UPDATE lookup_out SET asked_at = now() - interval '2 days'")
        await look_for(lviv, ours, "kyiv")
    asked = await lviv.said()
    await kyiv.hear("lviv", *asked)

    async def answered() -> int:
        while await kyiv.world.sweep("lookups"):
            pass
        return int(await kyiv.value("SELECT count(*) FROM lookup_in WHERE answered_at IS NOT NULL"))

    assert await answered() == DAY_MAX
    # Everything that counts is in the database.
    await kyiv.hear("lviv", *asked)
    assert await answered() == DAY_MAX
    await kyiv.execute("UPDATE lookup_in SET answered_at = answered_at - interval '23 hours'")
    assert await answered() == DAY_MAX
    await kyiv.execute("UPDATE lookup_in SET answered_at = answered_at - interval '2 hours'")
    assert await answered() == DAY_MAX + 2


async def test_who_asks_too_often_is_told_so(strict: Pair) -> None:
    lviv = strict.lviv
    for _ in range(DAY_MAX):
        await look_for(lviv, await person(lviv, client_code=None), "kyiv")
    refused = await look_for(lviv, await person(lviv, client_code=None), "kyiv", status=429)
    assert refused["type"].endswith("too-many-lookups")


async def test_what_travels_looks_the_same_whoever_is_known(two: Pair) -> None:
    """Sizes and numbers of messages until the answer was compared, with a match and without."""
    kyiv, lviv = two.sides
    for number in range(10):
        await person(kyiv, contact={"channel": "sms", "address": f"+38067000{number:04}"})
    sizes: list[list[tuple[str, int]]] = []
    for address in ("+380670000001", "+380990000001"):
        ours = await person(lviv, legal_name=None, contact={"channel": "sms", "address": address})
        await look_for(lviv, ours, "kyiv")
        said: list[Event] = []
        for side, other, sweep in (
            (lviv, kyiv, None),
            (kyiv, lviv, "lookups"),
            (lviv, kyiv, "compared_lookups"),
        ):
            if sweep is not None:
                await side.world.sweep(sweep)
            words = await side.said()
            await other.hear(side.world.region, *words)
            said += words
        sizes.append([(each.type, len(each.model_dump_json())) for each in said])
    assert sizes[0] == sizes[1]
    assert sorted(await status(lviv)) == ["matched", "nothing"]


async def test_the_owner_cannot_tell_who_is_asked_about(two: Pair) -> None:
    """Everything that Kyiv can open of two queries about one person, and of one about another."""
    kyiv, lviv = two.sides
    ours = await person(lviv)
    other = await person(lviv, legal_name="Інша Людина", contact=None)
    seen: list[bytes] = []
    for person_id in (ours, ours, other):
        await look_for(lviv, person_id, "kyiv")
        (asked,) = only(await lviv.said(), LookupAskedV1)
        vault = kyiv.world.service.app.state.context.vault
        await kyiv.hear("lviv", asked)
        sealed = await kyiv.value("SELECT sealed FROM lookup_in WHERE id = $1", asked.lookup_id)
        seen.append(vault.unseal(sealed))
        await kyiv.world.sweep("lookups")
        await lviv.hear("kyiv", *await kyiv.said())
        await lviv.world.sweep("compared_lookups")
        await kyiv.hear("lviv", *await lviv.said())
    assert len({len(each) for each in seen}) == 1
    elements = [each[16 + 32 * place :][:32] for each in seen for place in range(4)]
    assert len(set(elements)) == len(elements) == 12


async def test_no_contact_or_fingerprint_is_in_anything_that_leaves_or_is_kept(two: Pair) -> None:
    kyiv, lviv = two.sides
    hers, ours, link_id = await two.found()
    await confirm(kyiv, link_id)
    await confirm(lviv, link_id)
    await two.settle()
    number = PHONE.replace(" ", "").removeprefix("+")
    for side in two.sides:
        async with side.world.db.read() as conn:
            sent = [row["payload"] for row in await conn.fetch("SELECT payload FROM handoff")]
            sent += [row["payload"] for row in await conn.fetch("SELECT payload FROM outbox")]
            kept = await conn.fetch("SELECT t::text FROM lookup_out t")
            kept += await conn.fetch("SELECT t::text FROM lookup_in t")
            kept += await conn.fetch("SELECT t::text FROM person_link t")
        texts = [(each or b"").decode() for each in sent] + [row[0] for row in kept]
        assert len(texts) > 5
        for text in texts:
            for canary in (number, number[3:], PHONE, "Канарейка", "kanareika", "Тестова", "1984"):
                assert canary not in text
        # Nothing says of whom Lviv's link is in Kyiv, or the other way round.
        others = str(hers if side is lviv else ours)
        assert not any(others in text for text in texts)
    # What could be compared is gone once it was.
    assert await lviv.value("SELECT count(*) FROM lookup_out WHERE secrets IS NOT NULL") == 0
    assert await kyiv.value("SELECT count(*) FROM lookup_in WHERE listed IS NOT NULL") == 0


async def test_a_query_says_the_same_of_the_same_list_under_another_key(two: Pair) -> None:
    """A guess that was evaluated once is of no use against the next answer."""
    kyiv, lviv = two.sides
    await person(kyiv)
    lists: list[bytes] = []
    for _ in range(2):
        ours = await person(lviv)
        await look_for(lviv, ours, "kyiv")
        await kyiv.hear("lviv", *await lviv.said())
        await kyiv.world.sweep("lookups")
        (answer,) = only(await kyiv.said(), LookupAnsweredV1)
        await lviv.hear("kyiv", answer)
        vault = lviv.world.service.app.state.context.vault
        sealed = await lviv.value("SELECT sealed FROM lookup_out WHERE person_id = $1", ours)
        lists.append(vault.unseal(sealed)[16 + 4 * 32 :])
    tokens = [{each[place : place + 6] for place in range(0, len(each), 6)} for each in lists]
    assert not tokens[0] & tokens[1]


async def test_nobody_speaks_for_another_region(two: Pair) -> None:
    kyiv, lviv = two.sides
    _, ours, link_id = await two.found()
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


async def test_locked_regions_answer_when_they_are_unlocked(two: Pair) -> None:
    kyiv, lviv = two.sides
    await person(kyiv)
    await look_for(lviv, await person(lviv), "kyiv")
    ring = kyiv.world.service.app.state.context.vault.ring
    ring.lock()
    await two.settle()
    assert await status(lviv) == ["asked"]
    ring.unlock()
    await two.settle()
    assert await status(lviv) == ["matched"]


async def test_what_cannot_be_read_is_refused_and_harms_nobody(two: Pair) -> None:
    kyiv, lviv = two.sides
    await person(kyiv)
    await kyiv.hear("lviv", LookupAskedV1(lookup_id=uuid4(), sealed="bm90aGluZw=="))
    ours = await person(lviv)
    lookup_id = UUID((await look_for(lviv, ours, "kyiv"))["lookup_id"])
    (asked,) = await lviv.said()
    # An answer that is nonsense ends the query.
    await lviv.hear("kyiv", LookupAnsweredV1(lookup_id=lookup_id, sealed="bm90aGluZw=="))
    await lviv.world.sweep("compared_lookups")
    assert await status(lviv) == ["refused"]
    await kyiv.hear("lviv", asked)
    while await kyiv.world.sweep("lookups"):
        pass
    states = await kyiv.value("SELECT array_agg(status ORDER BY status) FROM lookup_in")
    assert states == ["answered", "done"]


@pytest.mark.parametrize("seed", range(3))
async def test_both_regions_say_the_same_whatever_the_wire_does(two: Pair, seed: int) -> None:
    dice = random.Random(seed)
    kyiv, lviv = two.sides
    people = {
        side.world.region: [
            await person(side, client_code=None, contact=None, legal_name=f"Канарейка Тест{who}")
            for who in "абв"
        ]
        for side in two.sides
    }
    other = {"kyiv": lviv, "lviv": kyiv}
    wire: list[tuple[Side, Event]] = []
    delivered: set[int] = set()

    async def deliver(place: int) -> None:
        delivered.add(place)
        side, event = wire[place]
        await other[side.world.region].hear(side.world.region, event)

    async def listen() -> None:
        for side in two.sides:
            for name in SWEEPS:
                await side.world.sweep(name)
            wire.extend([(side, each) for each in await side.said()])

    async def post(side: Side, path: str, sent: object = None, *roles: Role) -> None:
        answer = await side.world.client.post(path, json=sent, headers=side.world.headers(*roles))
        assert answer.status_code in (200, 201, 404, 409), answer.text

    for _ in range(70):
        side = dice.choice(two.sides)
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
    for side in two.sides:
        async with side.world.db.read() as conn:
            for row in await conn.fetch("SELECT id, mine, theirs, person_id FROM person_link"):
                rows.setdefault(row["id"], {})[side.world.region] = row
    assert rows
    for at in rows.values():
        one, other_row = at["kyiv"], at["lviv"]
        assert (one["mine"], one["theirs"]) == (other_row["theirs"], other_row["mine"])
        assert (one["person_id"] is None) == (other_row["person_id"] is None)
    for side in two.sides:
        began, ended = await told(side)
        in_force = {each.link_id for each in began} - {each.link_id for each in ended}
        linked = await side.value(
            "SELECT coalesce(array_agg(id), '{}') FROM person_link"
            " WHERE mine = 'yes' AND theirs = 'yes'"
        )
        assert in_force == set(linked)
