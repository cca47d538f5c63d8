"""A region on real databases: intake, inventory, payments and reporting, with one moved clock."""

import contextlib
import random
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from aidmesh_chassis.auth import Role
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.outbox import Origin
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, GrantId, PayoutId
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.consumers import subscriptions as of_inventory
from aidmesh_inventory.domain.requests import Way
from aidmesh_inventory.handlers import handover
from aidmesh_inventory.handlers import sweeps as inventory_sweeps
from aidmesh_inventory.handlers.hold import reservation_id_of
from aidmesh_payments.consumers import subscriptions as of_payments
from aidmesh_payments.domain.payout import PayoutRefusal, Verb
from aidmesh_payments.handlers import allotting
from aidmesh_payments.handlers import sweeps as payments_sweeps
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.payouts import Step, give_up, redo, take_steps
from aidmesh_reporting.consumers import subscriptions as of_reporting
from integration.intake.world import World as Intake
from integration.intake.world import open_world
from integration.inventory.world import World as Inventory
from integration.model.post import Part, Post
from integration.payments.offices import MAKER, Desk
from integration.region import INTAKE_SWEEPS, give_clock
from support.servers import DatabaseFactory

FLOAT_LIMIT_MINOR = 200_000
SERVICES = ("intake", "inventory", "payments", "reporting")
DELIVERED: dict[str, object] = {
    "code": "test_delivered",
    "names": {"uk": "тест кур'єром", "en": "test by courier", "de": "Test per Kurier"},
    "programme": "prevention",
    "stock": [{"item": "hiv_test", "quantity": 1}],
    "money": {
        "prices": [{"from_on": "2022-03-01", "amount_minor": 50_000}],
        "cost_category": "delivery",
        "by": "provider",
    },
    "auto_approve": {"quantity_max": 2},
    "base_points": 30,
}
"""A kind that takes goods and money: none of those that come with the package does."""

_TABLES = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    " AND tablename <> 'kind' AND tablename NOT LIKE '%pogo%'"
)


class Town:
    """Four services of one region, what they say to each other, and what people do there."""

    def __init__(self, intake: Intake, inventory: Inventory, desk: Desk, results: Database) -> None:
        self.intake = intake
        self.inventory = inventory
        self.desk = desk
        self.results = results
        self._seeds: dict[Database, dict[str, list[tuple[object, ...]]]] = {}
        self.databases = (intake.db, inventory.database, desk.db, results)
        self.post = Post(
            (
                Part("intake", intake.db, intake.service.subscriptions),
                Part("inventory", inventory.database, of_inventory("kyiv")),
                Part("payments", desk.db, of_payments(desk.office)),
                Part("reporting", results, of_reporting()),
            )
        )

    async def close(self) -> None:
        """Close what was opened."""
        await self.intake.client.aclose()
        for database in self.databases:
            await database.close()

    async def empty(self) -> None:
        """Begin with nothing, today, as after the migrations; the catalogue of kinds stays."""
        for database in self.databases:
            async with database.connection() as conn:
                names = [row[0] for row in await conn.fetch(_TABLES)]
                if database not in self._seeds:
                    rows = {each: await conn.fetch(f"SELECT * FROM {each}") for each in names}  # noqa: S608
                    self._seeds[database] = {
                        name: [tuple(row) for row in kept] for name, kept in rows.items() if kept
                    }
                used = " UNION ALL ".join(
                    f"SELECT '{each}' WHERE EXISTS (SELECT FROM {each})"  # noqa: S608
                    for each in names
                )
                # To truncate a hundred empty tables takes most of a second.
                full = [row[0] for row in await conn.fetch(used)]
                if full:
                    await conn.execute(f"TRUNCATE {', '.join(full)} CASCADE")
                for name, seeds in self._seeds[database].items():
                    await conn.copy_records_to_table(name, records=seeds)
                await conn.execute("UPDATE moved.clock SET ahead = '0'")
        self.post.forget()

    async def today(self) -> date:
        """The day in Kyiv by the region's clock."""
        async with self.inventory.database.transaction() as tx:
            return day_of(tx.now)

    async def pass_time(self, by: timedelta) -> None:
        """Move all clocks; the services were up, but nothing happens yet."""
        for database in self.databases:
            async with database.connection() as conn:
                await conn.execute("UPDATE moved.clock SET ahead = ahead + $1", by)
        for part in (self.inventory, self.desk):
            await part.execute("UPDATE pickup_clock SET seen_at = clock_timestamp()")

    async def sweep_inventory(self) -> int:
        """What time brings about in inventory."""
        sweeps: tuple[Callable[[Tx], Awaitable[int]], ...] = (
            inventory_sweeps.expire_holds,
            inventory_sweeps.take_back_uncollected,
            inventory_sweeps.release_no_shows,
            inventory_sweeps.tell_slots,
        )
        return sum([await self.inventory.run(each) for each in sweeps])

    async def sweep_payments(self) -> int:
        """What time brings about in payments."""
        sweeps = (payments_sweeps.expire_holds, payments_sweeps.expire_collections)
        done = [await self.desk.run(partial(each, self.desk.office)) for each in sweeps]
        return sum(int(each) for each in done)

    async def sweep_intake(self) -> int:
        """What time brings about in intake."""
        return sum([await self.intake.sweep(each) for each in INTAKE_SWEEPS])

    async def carry_all(self, chance: random.Random) -> None:
        """Carry all letters, in any order, until nobody has anything more to say to them."""
        await self.post.collect()
        while self.post.waiting:
            some = list(self.post.waiting)
            chance.shuffle(some)
            await self.post.carry(some[: chance.randint(1, len(some))])

    async def settle(self, chance: random.Random) -> None:
        """The same, and do what is due, until nothing more follows."""
        await self.carry_all(chance)
        await self.sweep_inventory()
        await self.sweep_payments()
        await self.sweep_intake()
        await self.post.collect()
        if self.post.waiting:
            await self.settle(chance)

    async def site(self) -> UUID:
        """The one site, with the items that are given there."""
        site_id = await self.inventory.site()
        for item in ("hiv_test", "hiv_self_test"):
            await self.inventory.item(item)
        return site_id

    async def slot(self, site_id: UUID, day: date) -> UUID:
        """A slot with one seat, of the kind that is paid for."""
        return await self.inventory.slot(site_id, day, code="counseling_paid")

    async def allot(self, grant_id: GrantId, amount_minor: int) -> AllotmentId:
        """Money of a grant, for this region to spend."""
        return await self.desk.allot(grant_id, amount_minor)

    async def grant(self, *programmes: str) -> GrantId:
        """A grant that came in whole, perhaps only for some programmes."""
        rule = Restriction(programmes=programmes or None)
        return await self.desk.grant(1_000_000_000, restriction=rule)

    async def recall(self, allotment_id: AllotmentId) -> None:
        """The grantor wants money back."""
        await self.desk.run(
            lambda tx: allotting.recall(self.desk.office, tx, allotment_id, "donor_cut")
        )

    async def ask(self, **need: Any) -> UUID:
        """A request for one need of a new person."""
        danger = need.pop("danger", False)
        number = len(self.post.events)
        answer = await self.intake.post(
            "/v1/requests",
            {
                "person": {"client_code": f"c-{number}-{random.random()}", "area": "UA80"},
                "answers": {"in_danger_now": danger},
                "needs": [need],
            },
            status=201,
        )
        return UUID(answer["needs"][0]["need_id"])

    async def act(self, need_id: UUID, verb: str, *roles: Role, body: object = None) -> None:
        """Somebody at the desk does something to a need."""
        await self.intake.post(f"/v1/needs/{need_id}:{verb}", body, *roles)

    async def tell_all(self) -> None:
        """Whoever is ready and does not know is told."""
        async with self.intake.db.read() as conn:
            ready = await conn.fetch(
                "SELECT id FROM need WHERE state = 'ready' AND told_at IS NULL ORDER BY queue_no"
            )
        for row in ready:
            await self.act(row["id"], "told")

    async def issue(self, need_id: UUID, attempt_no: int, way: Way) -> str | None:
        """Hand over, or note that somebody came; what is wrong, if anything is."""
        return await self.inventory.issue(need_id, way, await self.today(), attempt_no)

    async def undo(self, need_id: UUID, attempt_no: int) -> bool:
        """Take that back; False where it was not issued."""
        reservation_id = reservation_id_of(need_id, attempt_no)
        async with self.inventory.database.transaction() as tx:
            return await handover.undo(tx, reservation_id, "mistake", None) is not None

    async def step(self, verb: Verb, payout_id: PayoutId, by: UUID) -> PayoutRefusal | None:
        """A step of a payout; why it was refused, if it was."""
        order = Step(payout_id, "bank-1", await self.today(), "AC04")
        done = await self.desk.run(lambda tx: take_steps(self.desk.office, tx, verb, [order], by))
        refusal: PayoutRefusal | None = done[payout_id]
        return refusal

    async def payouts(self) -> list[dict[str, Any]]:
        """All payouts, the oldest first."""
        async with self.desk.db.read() as conn:
            rows = await conn.fetch("SELECT * FROM payout ORDER BY recorded_at, id")
        return [dict(row) for row in rows]

    async def pay_again(self, payout_id: PayoutId) -> PayoutId | None:
        """Draw a payment that came back up anew; None where nothing is bound for it any more."""
        with contextlib.suppress(Problem):
            again: PayoutId = await self.desk.run(
                lambda tx: redo(self.desk.office, tx, payout_id, MAKER, None)
            )
            return again
        return None

    async def give_up(self, payout_id: PayoutId) -> bool:
        """Let go of the money of a payment that came back; False where nothing is bound for it."""
        with contextlib.suppress(Problem):
            await self.desk.run(lambda tx: give_up(self.desk.office, tx, payout_id))
            return True
        return False


async def open_town(database: DatabaseFactory, folder: Path) -> Town:
    """Make the databases and open the services on them."""
    dsns = [await database(each) for each in SERVICES]
    for dsn in dsns:
        await give_clock(dsn)
    intake = await open_world(dsns[0], folder)
    others = []
    for dsn, service in zip(dsns[1:], SERVICES[1:], strict=True):
        others.append(Database(dsn, Origin("kyiv", service)))
        await others[-1].open()
    office = Office("kyiv", {"UAH": FLOAT_LIMIT_MINOR}, lambda: frozenset({"kyiv"}))
    town = Town(intake, Inventory(others[0]), Desk(office, others[1]), others[2])
    kind = await intake.client.put(
        "/v1/kinds/test_delivered", json=DELIVERED, headers=intake.headers(Role.LEAD)
    )
    assert kind.status_code == 200, kind.text
    return town
