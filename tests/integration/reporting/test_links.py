"""People who are known in two or three regions: each whole counts them once, and says so."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

import aidmesh_reporting
from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.db import Database
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.keys import TOKENS, KeyRing, create_region_keys
from aidmesh_chassis.service import Service
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import LinkId, NeedId, PersonId
from aidmesh_contracts.intake import (
    NeedFulfilledV1,
    NeedReversedV1,
    PersonMergedV1,
    PersonUnmergedV1,
)
from aidmesh_contracts.intake_links import PersonLinkedV1, PersonPartedV1
from aidmesh_contracts.reporting import LinkServedV1, MonthlyResultsV1
from aidmesh_contracts.streams import Stream
from aidmesh_reporting.app import build
from aidmesh_reporting.config import Settings
from aidmesh_reporting.handlers import linking
from aidmesh_reporting.handlers.linking import ORPHAN_DAYS, hear, tell
from aidmesh_reporting.handlers.publishing import publish
from aidmesh_reporting.rebuild import rebuild
from aidmesh_reporting.store import links
from integration.reporting.model import received
from support.servers import DatabaseFactory

MARCH = date(2024, 3, 4)
APRIL = date(2024, 4, 4)
ADVISORY = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
MIGRATION = (
    Path(aidmesh_reporting.__file__).parent / "migrations" / "0014_reporting_dirty_links.sql"
)
_numbers = count(1)


@dataclass
class Office:
    """One region's reporting."""

    region: str
    service: Service
    db: Database
    keys: Path
    seen: set[UUID] = field(default_factory=set)

    async def take(self, *events: Event, region: str | None = None) -> None:
        """Take in facts, each under an id of its own."""
        (handler,) = {
            handler
            for each in self.service.subscriptions
            if each.stream is Stream.LOCAL
            for handler in each.handlers.values()
        }
        batch = [received(event, next(_numbers), region or self.region) for event in events]
        async with self.db.transaction() as tx:
            await handler(tx, batch)

    async def hear(self, region: str, *events: LinkServedV1) -> None:
        async with self.db.transaction() as tx:
            await hear(tx, [received(event, next(_numbers), region) for event in events])

    async def serve(self, person: UUID, day: date = MARCH, need: UUID | None = None) -> UUID:
        need_id = need or uuid4()
        await self.take(
            NeedFulfilledV1(
                need_id=NeedId(need_id), service_no=1, kind="food_parcel", programme="food",
                person_ids=(PersonId(person),), area="UA80", asked_on=day, served_on=day,
                quantity=1, unit="piece", sensitive=False,
            )
        )  # fmt: skip
        return need_id

    async def spread(self, *offices: "Office") -> None:
        """Tell what there is to tell to these offices."""
        async with self.db.transaction() as tx:
            await tell(tx)
        async with self.db.transaction() as tx:
            await publish(tx)
        async with self.db.read() as conn:
            said = await conn.fetch("SELECT event_id, to_region, payload FROM handoff")
            published = await conn.fetch("SELECT event_id, payload FROM outbox ORDER BY seq")
        by_name = {each.region: each for each in offices}
        for row in said:
            if row["event_id"] not in self.seen and row["to_region"] in by_name:
                self.seen.add(row["event_id"])
                event = LinkServedV1.model_validate_json(row["payload"])
                await by_name[row["to_region"]].hear(self.region, event)
        for row in published:
            for office in offices:
                event_id = UUID(int=row["event_id"].int ^ hash(office.region) & 0xFFFF)
                if event_id not in self.seen:
                    self.seen.add(event_id)
                    month = MonthlyResultsV1.model_validate_json(row["payload"])
                    await office.take(month, region=self.region)

    async def whole(self, *roles: Role, to: str = "2024-03-31", by: str = "") -> dict[str, Any]:
        signer = KeyRing(self.keys, [TOKENS]).token_signer()
        token = issue_token(
            signer, uuid4(), roles or (Role.LEAD,), self.region, datetime.now(UTC), 600
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.service.app), base_url="http://reporting"
        ) as client:
            answer = await client.get(
                "/v1/results",
                params={"from": "2024-03-01", "to": to, "by": by},
                headers={"Authorization": f"Bearer {token}"},
            )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["whole"]
        return found

    async def people(self, **query: Any) -> int:
        total = (await self.whole(**query))["total"]
        assert total["people_exact"]
        return int(total["people"])

    async def value(self, query: str) -> Any:
        async with self.db.read() as conn:
            return await conn.fetchval(query)


Offices = Callable[..., Any]


@pytest.fixture
async def offices(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Offices]:
    """Offices by name."""
    create_region_keys(tmp_path / "keys")
    async with AsyncExitStack() as opened:

        async def make(*names: str) -> list[Office]:
            made = []
            for name in names:
                dsn = SecretStr(await database("reporting"))
                service = build(Settings(region=name, database_url=dsn, keys_dir=tmp_path / "keys"))
                assert service.database is not None
                await service.database.open()
                opened.push_async_callback(service.database.close)
                made.append(Office(name, service, service.database, tmp_path / "keys"))
            return made

        yield make


async def settle(*offices: Office) -> None:
    """Until everybody knows everything: links first, then the months that they change."""
    for _ in range(3):
        for office in offices:
            await office.spread(*(each for each in offices if each is not office))


async def link(one: Office, ours: UUID, other: Office, theirs: UUID) -> LinkId:
    link_id = LinkId(uuid4())
    await one.take(PersonLinkedV1(link_id=link_id, person_id=PersonId(ours), region=other.region))
    await other.take(PersonLinkedV1(link_id=link_id, person_id=PersonId(theirs), region=one.region))
    return link_id


class Asked:
    """Remembers of which regions was asked, and asks."""

    def __init__(self, ask: Callable[..., Awaitable[Any]]) -> None:
        self.of: list[tuple[str, ...]] = []
        self._ask = ask

    async def __call__(self, conn: object, months: object, *regions: str) -> Any:
        self.of.append(regions)
        return await self._ask(conn, months, *regions)


async def test_who_is_linked_counts_once_and_twice_again_once_parted(offices: Offices) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers)
    need_id = await lviv.serve(ours)
    await lviv.serve(uuid4())
    await settle(kyiv, lviv)
    assert [await kyiv.people(), await lviv.people()] == [3, 3]
    link_id = await link(kyiv, hers, lviv, ours)
    await settle(kyiv, lviv)
    for office in (kyiv, lviv):
        whole = await office.whole()
        assert (whole["total"]["people"], whole["twice"]) == (2, 1)
        assert whole["total"]["services"] == 3
        (month,) = (await office.whole(by="month"))["lines"]
        assert month["people"] == 2
        # By kind nobody knows whom to leave out: so many at most.
        (kind,) = (await office.whole(by="kind"))["lines"]
        assert (kind["people"], kind["people_exact"]) == (3, False)
        # Who may not see everything is told nothing of people in two regions.
        plain = await office.whole(Role.FINANCE)
        assert plain["twice"] is None
    # A service that was entered wrong counts for nobody.
    await lviv.take(NeedReversedV1(need_id=NeedId(need_id), service_no=1, reason="mistake"))
    await settle(kyiv, lviv)
    assert [await kyiv.people(), await lviv.people()] == [2, 2]
    await lviv.serve(ours)
    await settle(kyiv, lviv)
    assert [await kyiv.people(), await lviv.people()] == [2, 2]
    for office in (kyiv, lviv):
        await office.take(PersonPartedV1(link_id=link_id))
    await settle(kyiv, lviv)
    assert [await kyiv.people(), await lviv.people()] == [3, 3]
    for office in (kyiv, lviv):
        kept = "SELECT (SELECT count(*) FROM link_heard) + (SELECT count(*) FROM link_told)"
        assert await office.value(kept) == 0


async def test_months_are_restated_for_a_third_region_but_not_of_few_people(
    offices: Offices,
) -> None:
    kyiv, lviv, odesa = await offices("kyiv", "lviv", "odesa")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers)
    await lviv.serve(ours)
    await settle(kyiv, lviv, odesa)
    await link(kyiv, hers, lviv, ours)
    await settle(kyiv, lviv, odesa)
    version = "SELECT version FROM world_month WHERE region = 'lviv' AND month = '2024-03'"
    # Of one person nothing is said, not even that there was nothing: it is not told again.
    assert await odesa.value(version) == 1
    assert await odesa.people() == 2
    assert await kyiv.people() == 1
    for _ in range(4):
        await lviv.serve(uuid4())
    await settle(kyiv, lviv, odesa)
    assert [await each.people() for each in (kyiv, lviv, odesa)] == [5, 5, 5]
    assert (await odesa.whole())["twice"] == 1
    assert await odesa.value(version) > 1


async def test_somebody_served_in_different_months_counts_in_each_and_once_in_all(
    offices: Offices,
) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers, MARCH)
    await lviv.serve(ours, APRIL)
    await link(kyiv, hers, lviv, ours)
    await settle(kyiv, lviv)
    for office in (kyiv, lviv):
        months = (await office.whole(to="2024-04-30", by="month"))["lines"]
        assert [each["people"] for each in months] == [1, 1]
        # Of several months it is no more than an upper bound that both can tell.
        total = (await office.whole(to="2024-04-30"))["total"]
        assert total["people_exact"] is False
        assert total["people"] == (1 if office is lviv else 2)


async def test_while_the_other_region_has_told_no_results_nobody_is_left_out(
    offices: Offices,
) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers)
    await lviv.serve(ours)
    link_id = await link(kyiv, hers, lviv, ours)
    await lviv.hear("kyiv", LinkServedV1(link_id=link_id, months=("2024-03",), version=1))
    assert await lviv.people() == 1


async def test_what_is_said_of_a_link_may_come_first_late_or_again(offices: Offices) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers)
    await lviv.serve(ours)
    await settle(kyiv, lviv)
    link_id = LinkId(uuid4())
    newer = LinkServedV1(link_id=link_id, months=("2024-03",), version=2)
    older = LinkServedV1(link_id=link_id, months=(), version=1)
    await lviv.hear("kyiv", newer)
    await lviv.hear("kyiv", older, newer)
    linked = PersonLinkedV1(link_id=link_id, person_id=PersonId(ours), region="kyiv")
    await lviv.take(linked)
    assert await lviv.people() == 1
    with pytest.raises(Poison):
        await lviv.hear("odesa", LinkServedV1(link_id=link_id, months=(), version=3))
    await lviv.take(PersonPartedV1(link_id=link_id))
    await lviv.take(linked)
    await lviv.hear("kyiv", LinkServedV1(link_id=link_id, months=("2024-03",), version=4))
    assert await lviv.people() == 2
    assert await lviv.value("SELECT count(*) FROM link_heard") == 0


async def test_a_whole_asks_of_each_region_once_for_all_months_and_once_for_its_year(
    offices: Offices, monkeypatch: pytest.MonkeyPatch
) -> None:
    kyiv, lviv, odesa = made = await offices("kyiv", "lviv", "odesa")
    one = {office.region: uuid4() for office in made}
    for office in made:
        for month in range(1, 13):
            await office.serve(one[office.region], date(2024, month, 4))
    for other in (lviv, odesa):
        await link(kyiv, one["kyiv"], other, one[other.region])
    published, asked = Asked(links.elsewhere), Asked(links.shared)
    monkeypatch.setattr(links, "elsewhere", published)
    await kyiv.spread()
    assert published.of == [("kyiv",)] * 12
    await settle(*made)
    monkeypatch.setattr(links, "shared", asked)
    whole = await kyiv.whole(to="2024-12-31")
    assert (whole["total"]["people"], whole["twice"]) == (1, 2)
    lines = (await kyiv.whole(to="2024-12-31", by="month"))["lines"]
    assert [each["people"] for each in lines] == [1] * 10
    assert sorted(asked.of) == [("kyiv", "lviv")] * 4 + [("kyiv", "odesa")] * 4  # of two answers


async def test_the_facts_are_locked_only_to_tell_what_has_changed(offices: Offices) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers = uuid4()
    await kyiv.serve(hers)
    await link(kyiv, hers, lviv, uuid4())
    await settle(kyiv, lviv)
    kept_of_orphan = "SELECT count(*) FROM link_heard WHERE region = 'odesa'"

    async def locks() -> int:
        """Tell; how many locks of facts that took."""
        async with kyiv.db.transaction() as tx:
            before = await tx.conn.fetchval(ADVISORY)
            await tell(tx)
            return int(await tx.conn.fetchval(ADVISORY)) - int(before)

    assert await locks() == 0
    await kyiv.serve(hers, APRIL)
    assert await locks() == 1
    assert await locks() == 0
    # What was said of a link that never came about is forgotten, though nothing else is to be said.
    await kyiv.hear("odesa", LinkServedV1(link_id=LinkId(uuid4()), months=(), version=1))
    assert await locks() == 0
    assert await kyiv.value(kept_of_orphan) == 1
    async with kyiv.db.transaction() as tx:
        await tx.conn.execute(
            "UPDATE link_heard SET heard_at = heard_at - make_interval(days => $1)", ORPHAN_DAYS + 1
        )
    assert await locks() == 1
    assert await kyiv.value(kept_of_orphan) == 0


@dataclass
class Told:
    """What Kyiv tells Lviv of its link, and what it looks at for that."""

    kyiv: Office
    looked: list[int] = field(default_factory=list)

    async def months(self) -> list[str]:
        """Tell; the months that were told last."""
        async with self.kyiv.db.transaction() as tx:
            self.looked.append(await tell(tx))
        async with self.kyiv.db.read() as conn:
            told = await conn.fetchval("SELECT months FROM link_told")
        return list(told or ())


def merging(one: UUID, into: UUID) -> dict[str, Any]:
    return {"person_id": PersonId(one), "into_person_id": PersonId(into), "merge_no": 1}


async def test_only_links_of_people_who_were_touched_are_looked_at(offices: Offices) -> None:
    (kyiv,) = await offices("kyiv")
    told = Told(kyiv)
    # The first of them stands for all who are one person, and stays so when another one parts.
    twin, hers, record, before = (UUID(int=each) for each in range(1, 5))
    await kyiv.serve(record, date(2024, 1, 4))
    await kyiv.take(PersonMergedV1(**merging(twin, hers)))
    linked = {"link_id": LinkId(uuid4()), "region": "lviv"}
    await kyiv.take(PersonLinkedV1(**linked, person_id=PersonId(hers)))
    assert await told.months() == []
    await kyiv.serve(before)
    assert await told.months() == []
    assert told.looked == [1, 0]
    march, april = await kyiv.serve(hers), await kyiv.serve(hers, APRIL)
    assert await told.months() == ["2024-03", "2024-04"]
    await kyiv.take(NeedReversedV1(need_id=NeedId(april), service_no=1, reason="mistake"))
    assert await told.months() == ["2024-03"]
    # What another record of hers has had is hers, also when it is served later, until they part.
    await kyiv.take(PersonMergedV1(**merging(record, hers)))
    assert await told.months() == ["2024-01", "2024-03"]
    await kyiv.serve(record, date(2024, 5, 4))
    assert await told.months() == ["2024-01", "2024-03", "2024-05"]
    await kyiv.take(PersonUnmergedV1(**merging(record, hers)))
    assert await told.months() == ["2024-03"]
    await kyiv.take(NeedReversedV1(need_id=NeedId(march), service_no=1, reason="mistake"))
    assert await told.months() == []
    assert told.looked == [1, 0, *[1] * 6]
    assert await told.months() == []
    assert told.looked[-1] == 0
    # One that is over is not looked at any more, and a reversal may come before its service.
    await kyiv.serve(hers)
    await kyiv.take(PersonPartedV1(link_id=linked["link_id"]))
    assert await told.months() == []
    assert told.looked[-1] == 0


async def test_more_links_than_are_told_at_once_are_all_looked_at(
    offices: Offices, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kyiv,) = await offices("kyiv")
    monkeypatch.setattr(linking, "TOLD_MAX", 2)
    people = [uuid4() for _ in range(5)]
    for person in people:
        await kyiv.serve(person)
        await kyiv.take(
            PersonLinkedV1(link_id=LinkId(uuid4()), person_id=PersonId(person), region="lviv")
        )
    looked = []
    for _ in range(4):
        async with kyiv.db.transaction() as tx:
            looked.append(await tell(tx))
    assert looked == [2, 2, 1, 0]
    assert await kyiv.value("SELECT count(*) FROM link_told") == 5


async def test_after_a_rebuild_or_an_upgrade_every_link_is_looked_at(offices: Offices) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers = uuid4()
    await kyiv.serve(hers)
    await link(kyiv, hers, lviv, uuid4())
    await link(kyiv, uuid4(), lviv, uuid4())
    over = await link(kyiv, uuid4(), lviv, uuid4())
    await settle(kyiv, lviv)
    await kyiv.take(PersonPartedV1(link_id=over))
    dirty = "SELECT count(*) FROM dirty_link"
    assert await kyiv.value(dirty) == 0
    await rebuild(kyiv.db)
    assert await kyiv.value(dirty) == 2
    apply = MIGRATION.read_text().partition("-- migrate: apply")[2].partition("-- migrate")[0]
    async with kyiv.db.transaction() as tx:
        await tx.conn.execute(f"DROP TABLE dirty_link; {apply}")
    assert await kyiv.value(dirty) == 2


async def test_a_rebuild_keeps_who_counts_once(offices: Offices) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers)
    await lviv.serve(ours)
    await link(kyiv, hers, lviv, ours)
    await settle(kyiv, lviv)
    await rebuild(lviv.db)
    assert await lviv.people() == 1


@pytest.mark.parametrize("seed", range(2))
async def test_nobody_is_left_out_and_with_every_link_everybody_counts_once(
    offices: Offices, seed: int
) -> None:
    dice = random.Random(seed)
    names = ["dnipro", "kyiv", "lviv"]
    made = await offices(*dice.sample(names, 3))
    records = [
        {office.region: uuid4() for office in dice.sample(made, dice.randint(1, 3))}
        for _ in range(14)
    ]
    for each in records:
        for office in made:
            if office.region in each:
                await office.serve(each[office.region])
    pairs = [
        (one, each[one.region], other, each[other.region])
        for each in records
        for one in made
        for other in made
        if one.region < other.region and {one.region, other.region} <= set(each)
    ]
    dice.shuffle(pairs)
    before = None
    for part in (pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]):
        for pair in part:
            await link(*pair)
        await settle(*made)
        counted = {await office.people() for office in made}
        assert len(counted) == 1
        assert min(counted) >= len(records)
        assert before is None or min(counted) <= before
        before = min(counted)
    assert before == len(records)
