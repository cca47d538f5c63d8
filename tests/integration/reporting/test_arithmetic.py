"""Results against a naive model: random order, duplicates, reversals, merges, rebuilds."""

import json
import random
from collections.abc import Sequence
from datetime import date
from uuid import UUID

import pytest

from aidmesh_chassis.db import Database
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import GrantId, NeedId, PersonId, ReservationId
from aidmesh_contracts.intake import (
    NeedFulfilledV1,
    NeedReversedV1,
    PersonMergedV1,
    PersonUnmergedV1,
)
from aidmesh_contracts.inventory import AidBookedV1, StaySettledV1
from aidmesh_contracts.reporting import MonthlyResultsV1
from aidmesh_contracts.values import GrantShare
from aidmesh_reporting.checks import CHECKS
from aidmesh_reporting.domain.results import Cell, Dimension, Line
from aidmesh_reporting.handlers.facts import record
from aidmesh_reporting.handlers.publishing import publish
from aidmesh_reporting.rebuild import rebuild
from aidmesh_reporting.store import months, results
from integration.reporting.model import FROM, TO, expected, history, received

SPLITS: Sequence[tuple[Dimension, ...]] = (
    (),
    ("kind",),
    ("month",),
    ("grant",),
    ("kind", "area", "month", "grant"),
    ("kind", "area", "grant", "unit"),
)


async def take(db: Database, *batch: Received[Event]) -> None:
    async with db.transaction() as tx:
        await record(tx, batch)


async def shown(
    db: Database, by: Sequence[Dimension], from_on: date = FROM, to_on: date = TO
) -> dict[Cell, Line]:
    async with db.read() as conn:
        return await results.lines(conn, from_on, to_on, by)


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_and_any_duplicates_give_what_is_counted_by_hand(
    facts_db: Database, seed: int
) -> None:
    chance = random.Random(seed)
    events = history(chance, needs=25)
    messages = [received(event, number) for number, event in enumerate(events)]
    messages += chance.sample(messages, len(messages) // 3)
    chance.shuffle(messages)
    while messages:
        size = chance.randint(1, 20)
        await take(facts_db, *messages[:size])
        del messages[:size]
        if chance.random() < 0.3:
            async with facts_db.transaction() as tx:
                await publish(tx)
    for by in SPLITS:
        assert await shown(facts_db, by) == expected(events, FROM, TO, by), by
    part = (date(2024, 2, 10), date(2024, 3, 3))
    assert await shown(facts_db, ("kind",), *part) == expected(events, *part, ("kind",))

    async with facts_db.transaction() as tx:
        await publish(tx)
    await assert_published(facts_db, events)

    assert await broken(facts_db) == []
    before = {by: await shown(facts_db, by) for by in SPLITS}
    assert await rebuild(facts_db) == len(events)
    assert {by: await shown(facts_db, by) for by in SPLITS} == before
    assert await broken(facts_db) == []
    published = await publications(facts_db)
    async with facts_db.transaction() as tx:
        await publish(tx)
    assert await publications(facts_db) == published  # nothing changed, nothing is restated


async def broken(db: Database) -> list[str]:
    """The checks that do not hold."""
    async with db.read() as conn:
        return [check.name for check in CHECKS if await conn.fetch(check.sql)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE booked_share SET amount_minor = amount_minor + 1",
        "UPDATE booked_share SET grant_id = NULL",
        "UPDATE booked_fact SET area = 'UA80'",
        "DELETE FROM booked_share",
        (
            "WITH gone AS (DELETE FROM booked_share RETURNING need_id) "
            "DELETE FROM booked_fact WHERE need_id IN (SELECT need_id FROM gone)"
        ),
        "INSERT INTO booked_fact SELECT gen_random_uuid(), event_id, now() FROM booked_fact",
    ],
)
async def test_verify_finds_facts_that_count_otherwise_than_booked(
    facts_db: Database, change: str
) -> None:
    await take(facts_db, received(booked(1, 135_000), 3), received(booked(2, 500, None), 4))
    await take(facts_db, received(booked(1, 900), 2))
    assert await broken(facts_db) == []
    async with facts_db.transaction() as tx:
        await tx.conn.execute("ALTER TABLE booked_share DROP CONSTRAINT booked_share_need_id_fkey")
        await tx.conn.execute(change)
    assert await broken(facts_db) == ["facts_count_as_booked"]


async def publications(db: Database) -> list[MonthlyResultsV1]:
    async with db.read() as conn:
        rows = await conn.fetch("SELECT payload FROM outbox ORDER BY seq")
    return [MonthlyResultsV1.model_validate_json(row["payload"]) for row in rows]


async def assert_published(db: Database, events: Sequence[Event]) -> None:
    """The last version of each month says what the model counts."""
    last: dict[str, MonthlyResultsV1] = {}
    for event in await publications(db):
        known = last.get(event.month)
        assert event.version == (1 if known is None else known.version + 1)
        last[event.month] = event
    by_month = expected(events, FROM, TO, ("month",))
    for cell, line in by_month.items():
        assert cell.month is not None
        event = last[cell.month]
        assert (event.people, event.services, event.contacts) == (
            line.people,
            line.services,
            line.contacts,
        )
        assert sum(each.services for each in event.lines) == line.services
        year, number = map(int, cell.month.split("-"))
        next_month = date(year, number + 1, 1)
        until = date.fromordinal(next_month.toordinal() - 1)
        assert event.year_people == expected(events, FROM, until, ()).get(Cell(), Line()).people
    for name, event in last.items():
        if Cell(month=name) not in by_month:
            assert (event.people, event.services, event.lines) == (0, 0, ())


def service(number: int, people: Sequence[int], served_on: date = FROM) -> NeedFulfilledV1:
    return NeedFulfilledV1(
        need_id=NeedId(UUID(int=number)),
        service_no=1,
        kind="food_parcel",
        programme="relief",
        person_ids=tuple(PersonId(UUID(int=person)) for person in people),
        area="UA80",
        asked_on=FROM,
        served_on=served_on,
        quantity=1,
        unit="piece",
        shares=(GrantShare(grant_id=GrantId(UUID(int=9)), amount_minor=500, currency="UAH"),),
    )


async def test_a_reversal_may_come_before_its_service(facts_db: Database) -> None:
    undone = NeedReversedV1(need_id=NeedId(UUID(int=1)), service_no=1, reason="mistake")
    await take(facts_db, received(undone, 1))
    await take(facts_db, received(service(1, [1]), 2), received(service(2, [1, 2]), 3))
    assert (await shown(facts_db, ()))[Cell()].services == 1


def guest(number: int, attempt_no: int | None, issue_no: int | None) -> NeedFulfilledV1:
    """Seven nights booked by one grant, for the `number`-th time."""
    return service(1, [1]).model_copy(
        update={
            "service_no": number, "attempt_no": attempt_no, "issue_no": issue_no,
            "unit": "night", "quantity": 7,
        }
    )  # fmt: skip


def stay(
    attempt_no: int | None, issue_no: int | None, nights: int, amount_minor: int | None = None
) -> StaySettledV1:
    grant_id = GrantId(UUID(int=9))
    share = GrantShare(grant_id=grant_id, amount_minor=amount_minor or 0, currency="UAH")
    return StaySettledV1(
        reservation_id=ReservationId(UUID(int=50 + (attempt_no or 0))),
        need_id=NeedId(UUID(int=1)),
        attempt_no=attempt_no,
        issue_no=issue_no,
        nights=nights,
        from_on=FROM,
        to_on=FROM,
        shares=None if amount_minor is None else (share,),
    )


async def test_the_nights_of_a_stay_that_was_reversed_do_not_count_again(
    facts_db: Database,
) -> None:
    undone = NeedReversedV1(need_id=NeedId(UUID(int=1)), service_no=1, reason="mistake")
    await take(facts_db, received(guest(1, 1, 1), 1), received(stay(1, 1, 14, 1_400), 2))
    line = (await shown(facts_db, ()))[Cell()]
    assert (line.quantities, line.amounts) == ({"night": 14}, {"UAH": 1_400})
    await take(facts_db, received(undone, 3), received(guest(2, 2, 1), 4))
    line = (await shown(facts_db, ()))[Cell()]
    assert (line.quantities, line.amounts) == ({"night": 7}, {"UAH": 500})
    await take(facts_db, received(stay(2, 1, 3, 300), 5))
    line = (await shown(facts_db, ()))[Cell()]
    assert (line.quantities, line.amounts) == ({"night": 3}, {"UAH": 300})


async def test_of_a_guest_checked_in_again_the_last_stay_holds(facts_db: Database) -> None:
    undone = NeedReversedV1(need_id=NeedId(UUID(int=1)), service_no=1, reason="mistake")
    # The first stay is told of last.
    await take(
        facts_db, received(guest(2, 1, 2), 1), received(undone, 2), received(stay(1, 2, 3, 300), 3)
    )
    await take(facts_db, received(guest(1, 1, 1), 4), received(stay(1, 1, 14, 1_400), 5))
    line = (await shown(facts_db, ()))[Cell()]
    assert (line.quantities, line.amounts) == ({"night": 3}, {"UAH": 300})


async def test_of_a_check_out_that_was_corrected_the_last_word_holds(facts_db: Database) -> None:
    wrong = stay(1, 1, 2, 200).model_copy(update={"settle_no": 1})
    right = stay(1, 1, 5, 500).model_copy(update={"settle_no": 3})
    # The correction is told of first, by a transaction that began before the other.
    await take(facts_db, received(guest(1, 1, 1), 1), received(right, 2))
    await take(facts_db, received(wrong, 3))
    line = (await shown(facts_db, ()))[Cell()]
    assert (line.quantities, line.amounts) == ({"night": 5}, {"UAH": 500})


async def test_stays_told_of_without_their_check_in_count_once(facts_db: Database) -> None:
    await take(facts_db, received(guest(1, None, None), 1), received(stay(None, None, 4), 2))
    line = (await shown(facts_db, ()))[Cell()]
    assert (line.quantities, line.amounts) == ({"night": 4}, {"UAH": 500})


def booked(
    number: int, amount_minor: int, area: str | None = "UA63", grant: int = 9
) -> AidBookedV1:
    share = GrantShare(grant_id=GrantId(UUID(int=grant)), amount_minor=amount_minor, currency="UAH")
    return AidBookedV1(need_id=NeedId(UUID(int=number)), area=area, shares=(share,))


def outreach(number: int) -> NeedFulfilledV1:
    """Aid entered as given to thirty people, of which intake knows no grant."""
    return service(number, []).model_copy(update={"headcount": 30, "shares": ()})


@pytest.mark.parametrize("booked_first", [False, True])
async def test_a_fact_counts_for_its_grant_and_where_its_site_is(
    facts_db: Database, booked_first: bool
) -> None:
    order = [received(outreach(1), 1), received(booked(1, 135_000), 2)]
    for each in reversed(order) if booked_first else order:
        await take(facts_db, each)
    await take(facts_db, *order)
    of_grant = Cell(area="UA63", grant=GrantId(UUID(int=9)))
    found = await shown(facts_db, ("area", "grant"))
    assert found.keys() == {of_grant}
    line = found[of_grant]
    assert (line.services, line.contacts, line.amounts) == (1, 30, {"UAH": 135_000})

    async with facts_db.read() as conn:
        (traced,) = await results.trace(
            conn, FROM, TO, kind=None, area="UA63", grant_id=of_grant.grant,
            without_grant=False, after=None, limit=9,
        )  # fmt: skip
    assert traced.event_ids == [each.event_id for each in order]


async def test_a_fact_that_was_reversed_leaves_nothing_with_its_grant(facts_db: Database) -> None:
    undone = NeedReversedV1(need_id=NeedId(UUID(int=1)), service_no=1, reason="mistake")
    await take(facts_db, received(outreach(1), 1), received(undone, 2))
    await take(facts_db, received(booked(1, 135_000), 3))
    assert await shown(facts_db, ("grant",)) == {}


async def test_facts_that_were_told_of_before_count_as_they_were_entered(
    facts_db: Database,
) -> None:
    await take(facts_db, received(outreach(1), 1))
    await take(facts_db, received(outreach(2), 2), received(booked(2, 500, None), 3))
    found = await shown(facts_db, ("area", "grant"))
    assert found[Cell(area="UA80")].services == 1
    assert found[Cell(area="UA80", grant=GrantId(UUID(int=9)))].services == 1


async def test_of_a_fact_that_is_booked_again_the_last_word_holds(facts_db: Database) -> None:
    # A region that was restored may book it from other lots.
    again = booked(1, 900, "UA46", grant=8)
    await take(facts_db, received(outreach(1), 1), received(again, 5))
    await take(facts_db, received(booked(1, 135_000), 2))
    line = (await shown(facts_db, ("area", "grant")))[Cell(area="UA46", grant=GrantId(UUID(int=8)))]
    assert line.amounts == {"UAH": 900}


async def test_the_nights_of_a_fact_are_borne_as_settled(facts_db: Database) -> None:
    fact = guest(1, 0, 0).model_copy(update={"shares": ()})
    await take(facts_db, received(fact, 1), received(booked(1, 700), 2))
    line = (await shown(facts_db, ()))[Cell()]
    assert (line.quantities, line.amounts) == ({"night": 7}, {"UAH": 700})
    await take(facts_db, received(stay(0, 0, 3, 300), 3))
    line = (await shown(facts_db, ()))[Cell()]
    assert (line.quantities, line.amounts) == ({"night": 3}, {"UAH": 300})


async def test_what_is_booked_of_a_fact_restates_its_month(facts_db: Database) -> None:
    await take(facts_db, received(outreach(1), 1))
    async with facts_db.transaction() as tx:
        await publish(tx)
    await take(facts_db, received(booked(1, 135_000), 2))
    async with facts_db.transaction() as tx:
        assert await publish(tx) == 1
    lines = [each.lines[0] for each in await publications(facts_db)]
    assert [(each.area, each.grant_id) for each in lines] == [
        ("UA80", None),
        ("UA63", GrantId(UUID(int=9))),
    ]


async def test_a_merge_restates_the_months_it_touches(facts_db: Database) -> None:
    await take(
        facts_db,
        received(service(1, [1]), 1),
        received(service(2, [2], date(2024, 2, 5)), 2),
        received(service(3, [3], date(2024, 2, 6)), 3),
    )
    async with facts_db.transaction() as tx:
        await publish(tx)
    merged = PersonMergedV1(person_id=PersonId(UUID(int=2)), into_person_id=PersonId(UUID(int=1)))
    await take(facts_db, received(merged, 4))
    async with facts_db.transaction() as tx:
        assert await publish(tx) == 2
    told = [
        (each.month, each.version, each.people, each.year_people)
        for each in await publications(facts_db)
    ]
    assert told == [
        ("2024-01", 1, 1, 1),
        ("2024-02", 1, 2, 3),
        ("2024-02", 2, 2, 2),  # January's numbers stay the same, so it is not told again
    ]
    unmerged = PersonUnmergedV1(**merged.model_dump())
    await take(facts_db, received(unmerged, 5), received(unmerged, 6), received(merged, 7))
    async with facts_db.transaction() as tx:
        assert await publish(tx) == 2
    told = [
        (each.month, each.version, each.people, each.year_people)
        for each in await publications(facts_db)
    ]
    assert told[3:] == [("2024-02", 3, 2, 3)]


async def test_that_a_month_is_settled_is_told_even_of_one_without_services(
    facts_db: Database,
) -> None:
    await take(facts_db, received(service(1, [1]), 1))
    for month in ("2024-01", "2024-02", "2024-01"):
        async with facts_db.transaction() as tx:
            await publish(tx)
            await months.settle(tx.conn, month, UUID(int=9))
            await months.mark_dirty(tx.conn, [month])
    async with facts_db.transaction() as tx:
        await publish(tx)
    told = [(each.month, each.version, each.settled) for each in await publications(facts_db)]
    assert told == [("2024-01", 1, False), ("2024-01", 2, True), ("2024-02", 1, True)]


async def test_what_is_published_says_nothing_about_a_single_person(facts_db: Database) -> None:
    await take(facts_db, received(service(1, [77]), 1))
    async with facts_db.transaction() as tx:
        await publish(tx)
        await tx.flush()
        row = await tx.conn.fetchrow("SELECT stream, subject, payload FROM outbox")
    assert row is not None
    assert row["stream"] == "EVENTS"
    assert row["subject"] == "aid.kyiv.reporting.results.published.v1"
    text = json.dumps(json.loads(row["payload"]))
    assert str(UUID(int=77)) not in text
    assert str(UUID(int=1)) not in text


async def test_a_month_is_published_when_it_rests_or_has_changed_for_a_minute(
    facts_db: Database,
) -> None:
    async def sweep() -> int:
        async with facts_db.transaction() as tx:
            return await publish(tx, rest_s=3.0)

    async def age(column: str, seconds: int) -> None:
        async with facts_db.transaction() as tx:
            await tx.conn.execute(
                f"UPDATE dirty_month SET {column} = {column} - make_interval(secs => $1)",  # noqa: S608
                seconds,
            )

    await take(facts_db, received(service(1, [1]), 1))
    assert await sweep() == 0
    await age("changed_at", 4)
    await take(facts_db, received(service(2, [2]), 2))
    assert await sweep() == 0  # it changed again
    await age("changed_at", 4)
    assert await sweep() == 1
    assert await sweep() == 0
    await take(facts_db, received(service(3, [3]), 3))
    await age("since", 61)
    assert await sweep() == 1
    assert [each.people for each in await publications(facts_db)] == [2, 3]


async def test_other_regions_are_not_told_of_a_few_people_with_sensitive_help(
    facts_db: Database,
) -> None:
    few = service(1, [1]).model_copy(update={"kind": "pep", "sensitive": True})
    many = [
        service(10 + each, [each]).model_copy(update={"kind": "hiv_test", "sensitive": True})
        for each in range(6)
    ]
    plain = service(20, [3]).model_copy(update={"sensitive": False})
    await take(facts_db, *(received(each, number) for number, each in enumerate([few, plain])))
    await take(facts_db, *(received(each, 10 + number) for number, each in enumerate(many)))
    async with facts_db.transaction() as tx:
        await publish(tx)
    [event] = await publications(facts_db)
    assert {(line.kind, line.area, line.services, line.sensitive) for line in event.lines} == {
        ("other", "UA00", 7, True),
        ("food_parcel", "UA80", 1, False),
    }
    assert (event.services, event.people) == (8, 6)
