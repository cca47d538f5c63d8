"""Growth finds whoever can use it: the database's choice is that of the domain."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import NeedId, SiteId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.inventory import SupplyGrewV1
from aidmesh_contracts.values import BlockedBy, CapacityDemand
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import Need, State, Wait
from aidmesh_intake.domain.waitlist import SLACK, Growth, Waiter
from aidmesh_intake.store import growth as growth_store
from aidmesh_intake.store import needs as need_store
from aidmesh_intake.store.matching import CONCERNS, KEEPS, MAY_USE, WAITING
from integration.intake.world import SITE, World, grew, only, refused

MANY = 60
ELSEWHERE = "UA46"
DISTRICT = "UA8012"


async def waiting(world: World, kind: str, **wanted: object) -> UUID:
    """A need that was refused for lack of supply."""
    need_id = await world.request(kind, None, **wanted)
    for approved in only(await world.published(), NeedApprovedV1):
        await world.feed(refused(approved))
    assert await world.state(need_id) == "waitlisted"
    return need_id


def grew_in(area: str, item: str) -> SupplyGrewV1:
    return grew(item, 1).model_copy(update={"area": area, "site_id": SiteId(uuid4())})


async def woken(world: World, *growths: SupplyGrewV1) -> list[UUID]:
    return [each.need_id for each in only(await world.feed(*growths), NeedApprovedV1)]


async def test_growth_that_nobody_can_use_hides_none_that_somebody_can(world: World) -> None:
    need_id = await waiting(world, "food_parcel")
    foreign = [grew_in(ELSEWHERE, "food_parcel") for _ in range(MANY)]
    assert await woken(world, *foreign, grew("food_parcel", 1)) == [need_id]
    later = await waiting(world, "food_parcel")
    assert await woken(world, *foreign) == []
    assert await woken(world, grew("food_parcel", 1)) == [later]


async def test_growth_kept_for_one_need_hides_none_for_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await world.post(
        "/v1/requests",
        {
            "person": {"client_code": "large", "area": "UA80"},
            "asked_on": "2024-01-01",
            "needs": [{"kind": "hiv_test", "quantity": 900}],
        },
        status=201,
    )
    large = UUID(answer["needs"][0]["need_id"])
    await world.post(f"/v1/needs/{large}:approve", {"override_reason": "for_a_festival"})
    for approved in only(await world.published(), NeedApprovedV1):
        await world.feed(refused(approved))
    assert await world.state(large) == "waitlisted"
    small = await world.request("hiv_test")
    assert (await world.need(small))["wait"] == "behind"
    for _ in range(30):
        (approved,) = only(await world.feed(grew("hiv_test", 1)), NeedApprovedV1)
        assert approved.need_id == large, "what grew may complete what was there"
        assert only(await world.feed(refused(approved)), NeedApprovedV1) == []
    other = await waiting(world, "hiv_test", place_area=ELSEWHERE)
    monkeypatch.setattr(growth_store, "GROWTHS_MAX", 10)
    assert await woken(world, grew_in(ELSEWHERE, "hiv_test")) == [other]
    assert await world.state(small) == "waitlisted"


async def test_what_was_not_looked_at_stays_to_be_offered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth_store, "GROWTHS_MAX", 10)
    needs = [await waiting(world, "food_parcel", place_area=ELSEWHERE)]
    needs += [await world.request("food_parcel", place_area=ELSEWHERE) for _ in range(MANY)]
    foreign = [grew("food_parcel", 1) for _ in range(MANY)]
    fitting = [grew_in(ELSEWHERE, "food_parcel") for _ in needs]
    found = await woken(world, *foreign, *fitting)
    while await world.sweep("pending_growth"):
        found += [each.need_id for each in only(await world.published(), NeedApprovedV1)]
    assert found == needs
    async with world.db.read() as conn:
        assert await conn.fetchval("SELECT count(*) FROM growth WHERE pending") == 0


async def test_what_a_large_need_kept_goes_to_those_behind_when_it_leaves(world: World) -> None:
    answer = await world.post(
        "/v1/requests",
        {
            "person": {"client_code": "large", "area": "UA80"},
            "asked_on": "2024-01-01",
            "needs": [{"kind": "hiv_test", "quantity": 2}],
        },
        status=201,
    )
    large = UUID(answer["needs"][0]["need_id"])
    (approved,) = only(await world.published(), NeedApprovedV1)
    await world.feed(refused(approved))
    small = await world.request("hiv_test", place_area=DISTRICT)
    assert (await world.need(small))["wait"] == "behind"
    (again,) = only(await world.feed(grew_in(DISTRICT, "hiv_test")), NeedApprovedV1)
    assert again.need_id == large
    assert only(await world.feed(refused(again)), NeedApprovedV1) == []
    await world.post(f"/v1/needs/{large}:cancel", {"reason": "moved_away"})
    assert [each.need_id for each in only(await world.published(), NeedApprovedV1)] == [small]


async def test_the_database_finds_those_who_wait_by_the_index(world: World) -> None:
    first = await world.request("food_parcel")
    chance = random.Random(7)
    async with world.db.transaction() as tx:
        template = await need_store.read(tx.conn, NeedId(first))
        assert template is not None
        needs = [_need(template, chance, tx.now) for _ in range(1_000)]
        await need_store.insert(tx.conn, needs)
        growths = [_growth(chance, needs, tx.now) for _ in range(100)]
        await growth_store.add_growth(tx.conn, growths)
        await tx.conn.execute("ANALYZE need, growth, wake")
        rows = await tx.conn.fetch(
            f"""
            EXPLAIN SELECT FROM growth g CROSS JOIN LATERAL (
                SELECT FROM {WAITING} w WHERE {CONCERNS} AND {MAY_USE} LIMIT 1) AS waiting
            """,  # noqa: S608 - constants
            day_of(tx.now),
            SLACK,
        )
    plan = "\n".join(row[0] for row in rows)
    assert "((blocked_resource = g.resource) AND (blocked_code = g.code))" in plan
    assert "One-Time Filter: ((g.resource = 'money'::text)" in plan, "supply looks at no money"
    assert "Seq Scan on need" not in plan


async def test_the_database_matches_as_the_domain_does(world: World) -> None:
    first = await world.request("food_parcel")
    chance = random.Random(7)
    async with world.db.transaction() as tx:
        template = await need_store.read(tx.conn, NeedId(first))
        assert template is not None
        today = day_of(tx.now)
        needs = [_need(template, chance, tx.now) for _ in range(80)]
        await need_store.insert(tx.conn, needs)
        growths = [_growth(chance, needs, tx.now) for _ in range(80)]
        growths += [_own_growth(need, tx.now) for need in needs]
        await growth_store.add_growth(tx.conn, growths)
        tried = await _try(tx, chance, needs, growths)
        rows = await tx.conn.fetch(
            f"""
            SELECT w.id AS need_id, g.id AS growth_id, {MAY_USE} AS may_use, {KEEPS} AS keeps
            FROM growth g CROSS JOIN LATERAL {WAITING} w WHERE {CONCERNS}
            """,  # noqa: S608 - constants
            today,
            SLACK,
        )
    found = {(row["need_id"], row["growth_id"]): (row["may_use"], row["keeps"]) for row in rows}
    usable = kept = 0
    for need in needs:
        waiter = _waiter(need, tried, today)
        for growth in growths:
            # What another region may be about to take is woken by nothing.
            offered = need.wait is Wait.OFFERED
            expected = (
                not offered and waiter.may_use(growth),
                not offered and waiter.keeps(growth),
            )
            assert found.get((need.id, growth.id), (False, False)) == expected
            usable += expected[0]
            kept += expected[1]
    assert usable > 30
    assert kept > 30


def _need(template: Need, chance: random.Random, now: datetime) -> Need:
    resource, code = chance.choice(
        [
            ("stock", "parcel"),
            ("stock", "kit"),
            ("money", "food/UAH"),
            ("money", "cash/UAH"),
            ("slot", "legal"),
            ("slot", "legal"),
        ]
    )
    supply = resource != "money"
    quantity = chance.randint(1, 4)
    at = now + timedelta(seconds=chance.choice([-60, -3, 0, 3, 60]))
    return replace(
        template,
        id=NeedId(uuid4()),
        queue_no=chance.randint(1, 9),
        quantity=quantity,
        ask=_look(chance, day_of(now)) if resource == "slot" else template.ask,
        needed_by=chance.choice([None, day_of(now) + timedelta(days=chance.randint(1, 20))]),
        splittable=chance.random() < 0.3,
        state=State.WAITLISTED,
        deadline_at=None,
        blocked_by=BlockedBy.model_validate(
            {
                "resource": resource,
                "code": code,
                "site_id": chance.choice([None, None, SITE]) if supply else None,
                "area": chance.choice([None, "UA80", "UA46"]) if supply else None,
                "quantity": quantity,
            }
        ),
        wait=chance.choice([Wait.SHORT] * 5 + list(Wait)),
        decided_at=chance.choice([None, at]),
        waiting_since=at,
    )


def _look(chance: random.Random, today: date) -> Ask:
    """An appointment on days that move on, that the request named, or that were written down."""
    first = today + timedelta(days=chance.randint(-9, 9))
    days = chance.choice([None, 7, 14])
    return Ask(
        capacity=CapacityDemand(
            resource="slot",
            code="legal",
            from_on=first,
            to_on=chance.choice([None, first + timedelta(days=12)])
            if days is None
            else first + timedelta(days=days),
            as_written=days is None and chance.random() < 0.5,
        ),
        days=days,
    )


def _growth(chance: random.Random, needs: Sequence[Need], now: datetime) -> Growth:
    resource = chance.choice(["stock", "money", "slot"])
    supply = resource != "money"
    codes: dict[str, list[str | None]] = {
        "stock": ["parcel", "kit"],
        "slot": ["legal"],
        "money": [None],
    }
    at = now + timedelta(seconds=chance.choice([-60, -3, 0, 3, 60]))
    return Growth(
        id=uuid4(),
        resource=resource,
        code=chance.choice(codes[resource]),
        currency=None if supply else chance.choice(["UAH", "EUR"]),
        programmes=None if supply else chance.choice([None, frozenset({"food", "health"})]),
        site_id=chance.choice([None, SITE, uuid4()]) if supply else None,
        area=chance.choice([None, "UA80", "UA8012", "UA46"]) if supply else None,
        left=chance.randint(1, 4),
        cap=None,
        freed_by=chance.choice([None, chance.choice(needs).id]),
        grew_at=at,
        received_at=now + timedelta(seconds=chance.choice([-60, 0, 60])),
        on=day_of(now) + timedelta(days=chance.randint(0, 30)) if resource == "slot" else None,
    )


def _own_growth(need: Need, now: datetime) -> Growth:
    """What a need let go, of exactly what it waits for."""
    assert need.blocked_by is not None
    resource, code = need.blocked_by.resource, need.blocked_by.code
    later = now + timedelta(seconds=120)
    return Growth(
        id=uuid4(),
        resource=resource,
        code=None if resource == "money" else code,
        currency=code.rpartition("/")[2] if resource == "money" else None,
        programmes=None,
        site_id=None,
        area=None,
        left=1,
        cap=None,
        freed_by=need.id,
        grew_at=later,
        received_at=later,
    )


async def _try(
    tx: Tx, chance: random.Random, needs: Sequence[Need], growths: Sequence[Growth]
) -> set[tuple[UUID, UUID]]:
    """Caps, and needs that were woken before."""
    for growth in growths:
        growth.cap = chance.choice([None, 1, 2])
        await tx.conn.execute("UPDATE growth SET cap = $2 WHERE id = $1", growth.id, growth.cap)
    pairs: list[tuple[UUID, UUID]] = [(need.id, growth.id) for need in needs for growth in growths]
    tried = {pair for pair in pairs if chance.random() < 0.2}
    await tx.conn.executemany(
        "INSERT INTO wake (need_id, growth_id, attempt_no, quantity, status)"
        " VALUES ($1, $2, 1, 1, 'given_back')",
        list(tried),
    )
    return tried


def _waiter(need: Need, tried: set[tuple[UUID, UUID]], today: date) -> Waiter:
    assert need.blocked_by is not None
    assert need.waiting_since is not None
    place = need.ask.place_on(today, need.needed_by)
    return Waiter(
        need_id=need.id,
        priority=need.priority,
        asked_on=need.asked_on,
        queue_no=need.queue_no,
        blocked_by=need.blocked_by,
        decided_at=need.decided_at,
        waiting_since=need.waiting_since,
        short=need.wait is Wait.SHORT,
        let_go=need.wait in (Wait.HOLD_EXPIRED, Wait.NOT_COLLECTED),
        piece=1 if need.splittable else None,
        tried=frozenset(growth_id for need_id, growth_id in tried if need_id == need.id),
        first_on=None if place is None else place.from_on,
        last_on=None if place is None else place.to_on,
    )
