"""Who counts once, counted by hand; and what counting many of them reads."""

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import pytest

from aidmesh_chassis.db import Database
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import LinkId
from aidmesh_contracts.intake import NeedFulfilledV1, NeedReversedV1
from aidmesh_contracts.intake_links import PersonLinkedV1, PersonPartedV1
from aidmesh_contracts.reporting import LinkServedV1
from aidmesh_reporting.domain.months import month_of
from aidmesh_reporting.handlers.facts import record
from aidmesh_reporting.handlers.linking import hear
from aidmesh_reporting.store import links
from integration.reporting.model import PEOPLE, history, received, same_people

MONTHS = ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05"]
OWN = "kyiv"
OTHERS = ["chernihiv", "dnipro", "lviv", "odesa"]
Counts = tuple[int, dict[str, int]]
E = TypeVar("E", bound=Event)


@dataclass
class Known:
    """Months in which each person had services here, and in other regions."""

    here: Mapping[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    there: Mapping[UUID, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))

    def both(
        self,
        months: Collection[str],
        *,
        before: bool,
        other: str | None = None,
        told: Collection[tuple[str, str]] | None = None,
    ) -> Counts:
        """People whom both sides had in some months: in all, and by month."""
        total, by_month = 0, defaultdict[str, int](int)
        for root, had in self.here.items():
            here = had & set(months)
            there = {
                month
                for region, month in self.there[root]
                if month in months
                and (region < OWN) is before
                and (other is None or region == other)
                and (told is None or (region, month) in told)
            }
            total += bool(here and there)
            for month in here & there:
                by_month[month] += 1
        return total, dict(by_month)


async def linked(db: Database, chance: random.Random) -> Known:
    """A history of services, merges and links."""
    events: list[Event] = history(chance, needs=40)
    of = {LinkId(UUID(int=50 + no)): chance.choice(PEOPLE) for no in range(16)}
    regions = {link_id: chance.choice(OTHERS) for link_id in of}
    over = set(chance.sample(sorted(of), 3))
    for link_id, person in of.items():
        linked = PersonLinkedV1(link_id=link_id, person_id=person, region=regions[link_id])
        events.append(linked)
        if link_id in over:
            events.append(PersonPartedV1(link_id=link_id))
    said = {link_id: chance.sample(MONTHS, chance.randint(0, 4)) for link_id in of}
    async with db.transaction() as tx:
        await record(tx, [received(each, number) for number, each in enumerate(events)])
        heard = [
            LinkServedV1(link_id=link_id, months=tuple(months), version=1)
            for link_id, months in said.items()
        ]
        for number, each in enumerate(heard):
            await hear(tx, [received(each, 1000 + number, regions[each.link_id])])
    roots = same_people(events)
    undone = {(each.need_id, each.service_no) for each in _of(events, NeedReversedV1)}
    known = Known()
    for service in _of(events, NeedFulfilledV1):
        if (service.need_id, service.service_no) not in undone:
            for person in service.person_ids:
                known.here[roots[person]].add(month_of(service.served_on))
    for link_id in of.keys() - over:
        known.there[roots[of[link_id]]].update((regions[link_id], each) for each in said[link_id])
    return known


def _of(events: Sequence[Event], wanted: type[E]) -> Iterator[E]:
    return (each for each in events if isinstance(each, wanted))


@pytest.mark.parametrize("seed", range(8))
async def test_who_is_known_in_two_regions_is_counted_as_by_hand(
    facts_db: Database, seed: int
) -> None:
    chance = random.Random(seed)
    known = await linked(facts_db, chance)
    told = set(chance.sample([(region, month) for region in OTHERS for month in MONTHS], 12))
    seen = 0
    async with facts_db.read() as conn:
        for months in (MONTHS, MONTHS[1:3], ["2024-02"], ["2024-12"], []):
            assert await links.elsewhere(conn, months, OWN) == known.both(months, before=True)
            assert await links.elsewhere(conn, months, OWN, told) == known.both(
                months, before=True, told=told
            )
            for other in ("lviv", "odesa"):
                counted = await links.shared(conn, months, OWN, other)
                assert counted == known.both(months, before=False, other=other)
                seen += counted[0]
    assert seen


SERVICES = 12
"""Of each person, one a month."""


async def crowd(conn: asyncpg.Connection, people: int) -> list[str]:
    """So many people, each linked and served here and there in every month; returns the months."""
    months = [f"2024-{number:02d}" for number in range(1, SERVICES + 1)]
    await conn.execute(
        """
        WITH person AS (SELECT gen_random_uuid() AS id FROM generate_series(1, $1)),
        link AS (
            INSERT INTO person_link (link_id, person_id, region)
            SELECT gen_random_uuid(), id, 'dnipro' FROM person RETURNING link_id),
        heard AS (
            INSERT INTO link_heard (link_id, region, version, months)
            SELECT link_id, 'dnipro', 1, $2 FROM link),
        given AS (
            SELECT gen_random_uuid() AS need_id, id AS person_id, month
            FROM person CROSS JOIN unnest($2::text[]) AS m (month)),
        served AS (
            INSERT INTO service_person (need_id, service_no, person_id)
            SELECT need_id, 1, person_id FROM given)
        INSERT INTO service (need_id, service_no, event_id, kind, programme, area, asked_on,
                             served_on, month, quantity, unit)
        SELECT need_id, 1, need_id, 'food_parcel', 'food', 'UA80', on_day, on_day, month, 1, 'piece'
        FROM given CROSS JOIN LATERAL (SELECT (month || '-01')::date AS on_day) d
        """,
        people,
        months,
    )
    return months


def rows_read(plan: Mapping[str, Any]) -> float:
    """Rows that went through the steps of a plan, those that it threw away included."""
    names = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    own = sum(plan.get(name, 0) for name in names) * plan["Actual Loops"]
    return float(own + sum(map(rows_read, plan.get("Plans", ()))))


@pytest.mark.parametrize("analyzed", [True, False])
async def test_counting_reads_each_service_of_those_who_are_linked_a_few_times(
    facts_db: Database, *, analyzed: bool
) -> None:
    people = 400
    asked: asyncio.Future[asyncpg.connection.LoggedQuery] = asyncio.Future()
    async with facts_db.transaction() as tx:
        months = await crowd(tx.conn, people)
        if analyzed:
            await tx.conn.execute("ANALYZE service, service_person, person_link, link_heard")
        with tx.conn.query_logger(asked.set_result):
            counted = await links.elsewhere(tx.conn, months, OWN)
        query = await asked
        text = await tx.conn.fetchval(
            f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query.query}", *query.args
        )
    assert counted == (people, dict.fromkeys(months, people))
    (found,) = json.loads(text)
    assert rows_read(found["Plan"]) < 20 * people * SERVICES
