"""Queries about people: nothing that travels tells who is meant, and there are not many of them."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.base import Event
from aidmesh_contracts.intake_links import LookupAnsweredV1, LookupAskedV1
from aidmesh_intake import oprf
from aidmesh_intake.handlers import answering
from aidmesh_intake.handlers.answering import WAITING_MAX
from integration.intake.linked import PHONE, Pair, confirm, look_for, person, status
from integration.intake.sides import two_sides
from integration.intake.world import only
from support.servers import DatabaseFactory

DAY_MAX = 3


@pytest.fixture
async def strict(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two regions that answer little."""
    async with two_sides(database, tmp_path, lookups_day_max=DAY_MAX) as (kyiv, lviv):
        yield Pair(kyiv, lviv)


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


async def test_no_more_queries_of_a_region_wait_than_may_and_those_beyond_are_refused_at_once(
    pair: Pair,
) -> None:
    kyiv = pair.kyiv
    sealed = base64.b64encode(b"sealed").decode()

    async def ask(region: str, queries: int) -> list[UUID]:
        """Ask in one batch; which were refused."""
        asked = [LookupAskedV1(lookup_id=uuid4(), sealed=sealed) for _ in range(queries)]
        await kyiv.hear(region, *asked)
        refused = only(await kyiv.said(), LookupAnsweredV1)
        assert all(each.sealed is None for each in refused)
        last = [each.lookup_id for each in asked][queries - len(refused) :]
        assert {each.lookup_id for each in refused} == set(last)
        return last

    assert await ask("lviv", WAITING_MAX - 2) == []
    beyond = await ask("lviv", 5)
    assert len(beyond) == 3
    assert len(await ask("lviv", 1)) == 1
    # Each region for itself.
    assert await ask("odesa", 2) == []
    kept = "SELECT count(*) FROM lookup_in WHERE status = 'waiting' AND from_region = 'lviv'"
    assert await kyiv.value(kept) == WAITING_MAX
    over = "SELECT count(*) FROM lookup_in WHERE status = 'done' AND id = ANY($1::uuid[])"
    assert await kyiv.value(over, beyond) == 3


async def test_who_asks_too_often_is_told_so(strict: Pair) -> None:
    lviv = strict.lviv
    for _ in range(DAY_MAX):
        await look_for(lviv, await person(lviv, client_code=None), "kyiv")
    refused = await look_for(lviv, await person(lviv, client_code=None), "kyiv", status=429)
    assert refused["type"].endswith("too-many-lookups")


@pytest.mark.parametrize(("carries", "evaluates", "says"), [(10, 10, "matched"), (5, 6, "refused")])
async def test_no_more_is_evaluated_than_one_answer_carries(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, carries: int, evaluates: int, says: str
) -> None:
    """The database cuts off whoever evaluates everybody, again and again: who asks waits on."""
    kyiv, lviv = pair.sides
    numbers = {
        await person(kyiv, legal_name=None, contact={"channel": "sms", "address": number}): number
        for number in (f"+38067000000{place}" for place in range(5))
    }
    monkeypatch.setattr(answering, "LISTED_MAX", carries)
    monkeypatch.setattr(answering, "READ_MAX", 2)
    evaluated: list[bytes] = []
    value_of = oprf.value_of

    def counted(key: bytes, data: bytes) -> bytes:
        evaluated.append(data)
        return value_of(key, data)

    monkeypatch.setattr(oprf, "value_of", counted)
    # Of a code and a number for each, these are among the last that are read.
    contact = {"channel": "sms", "address": numbers[max(numbers)]}
    await look_for(lviv, await person(lviv, legal_name=None, contact=contact), "kyiv")
    await pair.settle()
    assert await status(lviv) == [says]
    assert len(evaluated) == evaluates


async def test_what_travels_looks_the_same_whoever_is_known(pair: Pair) -> None:
    """Sizes and numbers of messages until the answer was compared, with a match and without."""
    kyiv, lviv = pair.sides
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


async def test_the_owner_cannot_tell_who_is_asked_about(pair: Pair) -> None:
    """Everything that Kyiv can open of two queries about one person, and of one about another."""
    kyiv, lviv = pair.sides
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


async def test_no_contact_or_fingerprint_is_in_anything_that_leaves_or_is_kept(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    hers, ours, link_id = await pair.found()
    await confirm(kyiv, link_id)
    await confirm(lviv, link_id)
    await pair.settle()
    number = PHONE.replace(" ", "").removeprefix("+")
    for side in pair.sides:
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


async def test_a_query_says_the_same_of_the_same_list_under_another_key(pair: Pair) -> None:
    """A guess that was evaluated once is of no use against the next answer."""
    kyiv, lviv = pair.sides
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


async def test_locked_regions_answer_when_they_are_unlocked(pair: Pair) -> None:
    kyiv, lviv = pair.sides
    await person(kyiv)
    await look_for(lviv, await person(lviv), "kyiv")
    ring = kyiv.world.service.app.state.context.vault.ring
    ring.lock()
    await pair.settle()
    assert await status(lviv) == ["asked"]
    ring.unlock()
    await pair.settle()
    assert await status(lviv) == ["matched"]


async def test_what_cannot_be_read_is_refused_and_harms_nobody(pair: Pair) -> None:
    kyiv, lviv = pair.sides
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
