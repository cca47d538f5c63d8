"""Who waits now, and who may see of whom."""

import asyncio
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

import aidmesh_reporting
from aidmesh_chassis.auth import Role
from aidmesh_chassis.db import Database
from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import NeedClosedV1, NeedReversedV1, NeedUnlistedV1, NeedWaitlistedV1
from aidmesh_contracts.values import BlockedBy
from aidmesh_reporting.rebuild import rebuild
from aidmesh_reporting.store import needs
from aidmesh_reporting.store.kept import empty_read_models
from integration.reporting.model import received
from integration.reporting.region import Built, service
from support.paging import walk

MIGRATION = Path(aidmesh_reporting.__file__).parent / "migrations/0015_reporting_waits_over.sql"


def waits(
    number: int, version: int = 0, *, code: str = "parcel", kind: str = "food_parcel", **more: bool
) -> NeedWaitlistedV1:
    return NeedWaitlistedV1(
        need_id=NeedId(UUID(int=1000 + number)),
        version=version,
        attempt_no=1,
        kind=kind,
        area="UA80",
        asked_on=date(2024, 3, number),
        blocked_by=BlockedBy(resource="stock", code=code, quantity=2),
        **more,
    )


def unlisted(number: int, version: int) -> NeedUnlistedV1:
    return NeedUnlistedV1(need_id=NeedId(UUID(int=1000 + number)), version=version)


async def kept(built: Built) -> set[int]:
    """The needs that are kept as waiting."""
    async with built.db.read() as conn:
        return {row["need_id"].int - 1000 for row in await conn.fetch("SELECT * FROM waiting")}


async def test_waiting_needs_are_those_that_wait_now_in_whatever_order_it_is_told(
    built: Built,
) -> None:
    told = [
        waits(1, 2),
        waits(2, 2),
        unlisted(2, 3),  # it is being asked for
        waits(3, 2),
        unlisted(3, 3),
        waits(3, 4, code="kit"),  # it was refused once more, for something else
        waits(4, 2),
        waits(4, 3, code="kit"),  # it was moved, and waits on
        waits(5, 2),
        unlisted(5, 3),
        service(5, [5]),
        NeedReversedV1(need_id=NeedId(UUID(int=1005)), service_no=1, reason="entry_error"),
    ]
    lines: list[dict[str, object]] = []
    for first, order in ((1, told), (100, told[::-1])):
        async with built.db.transaction() as tx:
            await empty_read_models(tx.conn)
        for number, event in enumerate(order, start=first):
            await built.take(received(event, number))
        async with built.client(Role.LEAD) as client:
            lines = (await client.get("/v1/waiting")).json()["waiting"]
        assert {each["code"]: each["needs"] for each in lines} == {"kit": 2, "parcel": 1}
        assert {each["code"]: each["quantity"] for each in lines} == {"kit": 4, "parcel": 2}
        assert await kept(built) == {1, 3, 4}, "what waits no longer is not read with it"
    await rebuild(built.db)
    async with built.client(Role.LEAD) as client:
        assert (await client.get("/v1/waiting")).json()["waiting"] == lines


async def test_what_was_told_without_versions_waits_until_it_is_served_or_closed(
    built: Built,
) -> None:
    closed = NeedClosedV1(need_id=NeedId(UUID(int=1003)), state="cancelled", reason="moved_away")
    await built.take(received(service(1, [1]), 1), received(closed, 2))
    await built.take(*(received(waits(number), 10 + number) for number in range(1, 6)))
    async with built.client(Role.CASEWORKER, Role.LEAD) as client:
        [line] = (await client.get("/v1/waiting")).json()["waiting"]
        assert (line["needs"], line["quantity"], line["oldest_asked_on"]) == (3, 6, "2024-03-02")
        assert (await client.get("/v1/closed")).json()["closed"] == [
            {"state": "cancelled", "reason": "moved_away", "needs": 1}
        ]
    await built.take(received(unlisted(2, 7), 20))
    async with built.client(Role.LEAD) as client:
        [line] = (await client.get("/v1/waiting")).json()["waiting"]
    assert line["needs"] == 2
    async with built.client(Role.FINANCE) as client:
        assert (await client.get("/v1/closed")).json()["closed"] == [
            {"state": "cancelled", "reason": None, "needs": 1}
        ]


async def test_who_waits_for_what_is_sensitive_is_counted_by_role(built: Built) -> None:
    told = [
        waits(1, kind="kind_1", sensitive=False),
        waits(2, kind="kind_2", sensitive=True),
        waits(3, kind="kind_3"),
    ]
    await built.take(*(received(event, number) for number, event in enumerate(told)))
    for role, kinds in [
        (Role.LOGISTICIAN, ["kind_1"]),
        (Role.FINANCE, ["kind_1"]),
        (Role.CASEWORKER, ["kind_1", "kind_2", "kind_3"]),
        (Role.LEAD, ["kind_1", "kind_2", "kind_3"]),
    ]:
        async with built.client(role) as client:
            rows = (await client.get("/v1/waiting")).json()["waiting"]
        assert sorted(row["kind"] for row in rows) == kinds


async def test_what_is_waited_for_and_how_needs_ended_is_read_page_by_page(built: Built) -> None:
    told = [waits(number, code=code) for number, code in enumerate("aabbbcd", start=1)]
    over = [
        NeedClosedV1(need_id=NeedId(UUID(int=2000 + number)), state=state, reason=reason)
        for number, (state, reason) in enumerate(
            [("cancelled", "moved_away"), ("cancelled", "not_needed"), ("expired", "deadline")]
        )
    ]
    await built.take(*(received(event, number) for number, event in enumerate((*told, *over))))
    async with built.client(Role.LEAD) as client:

        async def get(path: str, query: dict[str, str]) -> Any:
            return (await client.get(path, params=query)).json()

        waiting = await walk(partial(get, "/v1/waiting"), "waiting")
        assert [(each["code"], each["needs"]) for each in waiting] == [
            ("b", 3), ("a", 2), ("c", 1), ("d", 1),
        ]  # fmt: skip
        closed = await walk(partial(get, "/v1/closed"), "closed")
        assert [(each["state"], each["reason"]) for each in closed] == [
            ("cancelled", "moved_away"), ("cancelled", "not_needed"), ("expired", "deadline"),
        ]  # fmt: skip


async def test_what_waited_before_is_forgotten_once(built: Built) -> None:
    await built.take(received(unlisted(2, 3), 1), received(unlisted(3, 3), 2))
    async with built.db.transaction() as tx:  # as it was kept until then
        await tx.conn.execute(
            """
            INSERT INTO waiting (need_id, version, attempt_no, kind, area, asked_on, resource,
                                 code, quantity)
            SELECT ($1::uuid[])[n], ($2::int[])[n], 1, 'food_parcel', 'UA80', '2024-03-01', 'stock',
                   'parcel', 1 FROM generate_series(1, 3) n
            """,
            [UUID(int=1000 + number) for number in (1, 2, 3)],
            [2, 2, 4],
        )
        await tx.conn.execute(MIGRATION.read_text().split("-- migrate: rollback")[0])
    assert await kept(built) == {1, 3}


async def test_what_waits_is_found_without_reading_all_that_ever_did(facts_db: Database) -> None:
    asked: asyncio.Future[asyncpg.connection.LoggedQuery] = asyncio.Future()
    async with facts_db.transaction() as tx:
        await tx.conn.execute(
            """
            INSERT INTO unlisted (need_id, version)
            SELECT gen_random_uuid(), 3 FROM generate_series(1, 20000);
            INSERT INTO waiting (need_id, version, attempt_no, kind, area, asked_on, resource,
                                 code, quantity)
            SELECT need_id, 4, 1, 'food_parcel', 'UA80', '2024-03-01', 'stock', 'parcel', 1
            FROM unlisted LIMIT 1000;
            ANALYZE waiting, unlisted
            """
        )
        with tx.conn.query_logger(asked.set_result):
            [line] = await needs.waiting(tx.conn, sensitive_too=True, after=None, limit=10)
        query = await asked
        rows = await tx.conn.fetch(f"EXPLAIN {query.query}", *query.args)
    assert line["needs"] == 1000
    plan = "\n".join(row[0] for row in rows)
    assert "unlisted_pkey" in plan, plan
    assert "Seq Scan on unlisted" not in plan, plan
