"""Needs and the waitlist against a simple model, while the clock moves.

The machine drives the real intake and the real inventory on real databases. What they say to each
other waits until it is handed on, so that holds run out and answers come late. Whenever it is
quiet: if something usable is free, the first who waits for it is being asked.

`--hypothesis-profile thorough` plays many more and longer ones.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from aidmesh_contracts.days import day_of
from aidmesh_intake.domain.need import Need, State, Wait
from aidmesh_intake.domain.waitlist import place_of
from aidmesh_intake.store import needs as need_store
from aidmesh_inventory.domain.requests import Way
from integration.region import Region, open_region
from support.servers import Databases

T = TypeVar("T")
ITEM, SLOT = "hiv_test", "counseling"
TAKEN = (State.HELD, State.READY, State.FULFILLED)
INTAKE_TABLES = "wake, growth, need_event, need, request, person, household, outbox"
INVENTORY_TABLES = (
    "slot_booking, slot, capacity_state, attempt_ended, discrepancy, movement, allocation,"
    " reservation, stock_state, lot, receipt, item, site, outbox"
)


class Asked(NamedTuple):
    """What somebody asks for; `within` so many days."""

    kind: str
    quantity: int
    danger: bool
    within: int | None


ASKS = st.builds(Asked, st.just(ITEM), st.integers(1, 2), st.booleans(), st.none()) | st.builds(
    Asked, st.just(SLOT), st.just(1), st.booleans(), st.none() | st.integers(0, 18)
)
SLOT_DAYS = st.sampled_from([1, 2, 14, 15, 16, 17])
"""Counseling is looked for fourteen days ahead."""


class Waiting(RuleBasedStateMachine):
    """Tests at one site, and appointments there."""

    runner: asyncio.Runner
    region: Region

    def __init__(self) -> None:
        super().__init__()
        self.do(self.empty())
        self.site_id = self.do(self.region.inventory.site())
        self.do(self.region.inventory.item(ITEM))
        self.received = 0
        self.slots: dict[UUID, date] = {}
        self.known: list[UUID] = []
        self.is_quiet = False

    def do(self, work: Awaitable[T]) -> T:
        """Run something in the loop that all runs share."""

        async def run() -> T:
            return await work

        return self.runner.run(run())

    async def empty(self) -> None:
        """Begin with nothing, today."""
        async with self.region.intake.db.connection() as conn:
            await conn.execute(f"TRUNCATE {INTAKE_TABLES} CASCADE")
        await self.region.inventory.execute(f"TRUNCATE {INVENTORY_TABLES} CASCADE")
        await self.region.set_clock(timedelta())

    async def needs(self) -> list[Need]:
        async with self.region.intake.db.transaction() as tx:
            found = [await need_store.read(tx.conn, each) for each in self.known]
        return [each for each in found if each is not None]

    def some(self, data: st.DataObject, *states: State) -> Need | None:
        found = [each for each in self.do(self.needs()) if each.state in states]
        return data.draw(st.sampled_from(found)) if found else None

    @initialize(
        day=st.sampled_from([15, 16]), tests=st.integers(1, 2), danger=st.booleans(), more=ASKS
    )
    def some_wait_already(self, day: int, tests: int, danger: bool, more: Asked) -> None:
        """For tests, and for an appointment that is free but too far ahead."""
        self.supply(1, [day])
        self.ask([Asked(ITEM, 2, danger, None), Asked(SLOT, 1, danger, None)])
        self.ask([Asked(ITEM, tests, False, None), more])
        self.quiet()

    @rule(asked=st.lists(ASKS, min_size=1, max_size=3))
    def ask(self, asked: list[Asked]) -> None:
        today = self.do(self.region.today())
        for each in asked:
            self.do(self._ask(each, today))

    async def _ask(self, asked: Asked, today: date) -> None:
        need: dict[str, object] = {"kind": asked.kind, "quantity": asked.quantity}
        if asked.within is not None:
            need["needed_by"] = str(today + timedelta(days=asked.within))
        answer = await self.region.intake.post(
            "/v1/requests",
            {
                "person": {"client_code": f"c-{len(self.known)}", "area": "UA80"},
                "answers": {"in_danger_now": asked.danger},
                "needs": [need],
            },
            status=201,
        )
        self.known.append(UUID(answer["needs"][0]["need_id"]))

    @rule(tests=st.integers(0, 2), days=st.lists(SLOT_DAYS, max_size=2))
    def supply(self, tests: int, days: list[int]) -> None:
        if tests:
            self.do(self.region.inventory.stock(self.site_id, tests, ITEM))
            self.received += tests
        today = self.do(self.region.today())
        for each in days:
            day = today + timedelta(days=each)
            self.slots[self.do(self.region.inventory.slot(self.site_id, day))] = day

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        need = self.some(data, State.WAITLISTED, State.APPROVED, State.HELD, State.READY)
        if need is not None:
            path = f"/v1/needs/{need.id}:cancel"
            self.do(self.region.intake.post(path, {"reason": "moved_away"}))

    @rule(data=st.data())
    def hand_over(self, data: st.DataObject) -> None:
        need = self.some(data, State.READY)
        if need is not None:
            on = self.do(self.region.today())
            way: Way = "handover" if need.kind == ITEM else "attendance"
            self.do(self.region.inventory.issue(need.id, way, on, need.attempt_no))

    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """A caseworker asks for one that waits; it keeps its place."""
        need = self.some(data, State.WAITLISTED)
        if need is not None:
            self.do(self.region.intake.post(f"/v1/needs/{need.id}:approve"))

    @rule(days=st.integers(1, 3))
    def days_pass(self, days: int) -> None:
        self.do(self.region.pass_time(by=timedelta(days=days)))

    @rule()
    def holds_run_out(self) -> None:
        self.do(self.region.pass_time(by=timedelta(minutes=16)))
        self.do(self.region.sweep_inventory())

    @rule()
    def quiet(self) -> None:
        """Everything that was said is heard, and whatever is due is done."""
        self.do(self.region.settle())
        self.do(self.region.sweep())
        # What is asked for again after a while is asked for.
        self.do(self.region.pass_time(by=timedelta(minutes=31)))
        self.do(self.region.sweep())
        self.is_quiet = True

    @invariant()
    def the_first_is_being_asked(self) -> None:
        if not self.is_quiet:
            return
        self.is_quiet = False
        self.do(self.check())

    async def check(self) -> None:
        needs = await self.needs()
        assert {each.state for each in needs} <= {
            State.WAITLISTED,
            State.READY,
            State.FULFILLED,
            State.CANCELLED,
            State.EXPIRED,
        }, "nothing is left half done"
        waiting = [each for each in needs if each.state is State.WAITLISTED]
        assert all(each.wait in (Wait.SHORT, Wait.BEHIND) for each in waiting)
        await self.check_tests(needs, waiting)
        await self.check_slots(needs, waiting)
        await self.region.inventory.books_are_right()

    async def check_tests(self, needs: list[Need], waiting: list[Need]) -> None:
        taken = sum(n.quantity for n in needs if n.kind == ITEM and n.state in TAKEN)
        free = self.received - taken
        counted = await self.region.inventory.value(
            "SELECT coalesce(sum(on_hand - held), 0) FROM lot"
        )
        assert free == counted >= 0
        line = sorted((n for n in waiting if n.kind == ITEM), key=place_of)
        assert not line or line[0].quantity > free, "the first fits, and nobody asks for it"

    async def check_slots(self, needs: list[Need], waiting: list[Need]) -> None:
        async with self.region.inventory.database.transaction() as tx:
            now: datetime = tx.now
        rows = await self.region.inventory.rows(
            "SELECT g.slot_id, r.need_id FROM slot_booking g"
            " JOIN reservation r ON r.id = g.reservation_id WHERE g.live"
        )
        served = {n.id for n in needs if n.kind == SLOT and n.state in TAKEN}
        assert {row["need_id"] for row in rows} == served
        assert len(rows) == len({row["slot_id"] for row in rows}), "one seat, one visitor"
        starts = await self.region.inventory.rows("SELECT id, starts_at FROM slot")
        begun = {row["id"] for row in starts if row["starts_at"] <= now}
        free = self.slots.keys() - {row["slot_id"] for row in rows} - begun
        today = day_of(now)
        for need in (each for each in waiting if each.kind == SLOT):
            place = need.place_on(today)
            assert place is not None
            for slot_id in free:
                day = self.slots[slot_id]
                usable = place.from_on <= day and (place.to_on is None or day <= place.to_on)
                assert not usable, "a free slot would do, and nobody is asked"

    def teardown(self) -> None:
        self.quiet()
        self.the_first_is_being_asked()


@pytest.fixture
def machine_region(databases: Databases, tmp_path: Path) -> Iterator[None]:
    """One region and one loop for all runs of the machine."""
    with asyncio.Runner() as runner:
        Waiting.runner = runner
        Waiting.region = runner.run(open_region(databases.create, tmp_path))
        yield
        runner.run(Waiting.region.close())
        runner.run(databases.drop())


@pytest.mark.usefixtures("machine_region")
@pytest.mark.timeout(3600)
def test_if_something_is_free_the_first_who_waits_is_asked() -> None:
    thorough = settings.get_current_profile_name() == "thorough"
    run_state_machine_as_test(
        Waiting,
        settings=settings(
            max_examples=200 if thorough else 15,
            stateful_step_count=50 if thorough else 25,
            # Each step costs tens of milliseconds: to find the shortest failure takes minutes.
            phases=list(Phase) if thorough else [Phase.explicit, Phase.reuse, Phase.generate],
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
