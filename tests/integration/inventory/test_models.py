"""Stock and beds against simple models: whatever happens in whatever order, the books hold.

The machines drive the real handlers on a real database.
"""

import asyncio
from collections.abc import Awaitable, Collection, Iterator
from datetime import date, timedelta
from itertools import count
from typing import TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from aidmesh_contracts.days import day_of
from aidmesh_contracts.inventory import SupplyGrewV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.handlers import shipping, stays, sweeps
from aidmesh_inventory.handlers.adjustments import Adjustment, adjust
from aidmesh_inventory.handlers.hold import reservation_id_of
from aidmesh_inventory.handlers.moving import Fault, Move, Moved, move
from aidmesh_inventory.handlers.reversals import reverse_receipt
from aidmesh_inventory.handlers.terms import Correction, correct
from aidmesh_inventory.store.shipments import Book, NewLine
from integration.inventory.world import DAY, World, approved, confirmed, night, withdrawn
from support.servers import Databases

T = TypeVar("T")
TABLES = (
    "asset, bed_booking, bed, slot_booking, slot, capacity_state, attempt_ended, discrepancy,"
    " lot_correction, shipment, movement, allocation, reservation, stock_state, lot, receipt, item,"
    " site, outbox"
)


class Machine(RuleBasedStateMachine):
    """What both machines need: a loop, and a database emptied for each run.

    Ids are numbers in their order, anew in each run: they decide ties, so a run can be repeated.
    """

    runner: asyncio.Runner
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.do(self.world.execute(f"TRUNCATE {TABLES} CASCADE"))
        numbers = count(1)
        self.world.new_id = lambda: UUID(int=next(numbers))

    def do(self, work: Awaitable[T]) -> T:
        """Run something in the loop that all runs share."""

        async def run() -> T:
            return await work

        return self.runner.run(run())


class StockMachine(Machine):
    """Pieces of one item in the lots of two sites."""

    def __init__(self) -> None:
        super().__init__()
        self.sites = [self.do(self.world.site(code)) for code in ("kyiv-1", "kyiv-2")]
        self.do(self.world.item())
        self.lots: dict[UUID, int] = {}
        self.at: dict[UUID, UUID] = {}  # the site of each lot, and of what a need was given
        self.reversed: set[UUID] = set()
        self.sent: set[UUID] = set()  # receipts some of whose pieces left for another region
        self.needs: dict[UUID, tuple[str, int]] = {}  # state and pieces
        self.grown = 0

    def pieces(self, *states: str, site_id: UUID | None = None) -> int:
        return sum(
            count
            for need_id, (state, count) in self.needs.items()
            if state in states and site_id in (None, self.at[need_id])
        )

    def on_hand_at(self, site_id: UUID) -> int:
        came = sum(count for lot_id, count in self.lots.items() if self.at[lot_id] == site_id)
        return came - self.pieces("issued", site_id=site_id)

    def free_at(self, site_id: UUID) -> int:
        return self.on_hand_at(site_id) - self.pieces("held", "confirmed", site_id=site_id)

    def some(self, data: st.DataObject, *states: str) -> UUID:
        found = [need for need, (state, _) in self.needs.items() if state in states]
        return data.draw(st.sampled_from(sorted(found)))

    @initialize(quantity=st.integers(1, 6))
    def first(self, quantity: int) -> None:
        self.receive(quantity, 0)

    @rule(quantity=st.integers(1, 6), site=st.integers(0, 1))
    def receive(self, quantity: int, site: int) -> None:
        lot_id = self.do(self.world.stock(self.sites[site], quantity))
        self.lots[lot_id], self.at[lot_id] = quantity, self.sites[site]
        self.grown += quantity

    @rule(data=st.data(), quantity=st.integers(1, 4), to=st.integers(0, 1))
    def move(self, data: st.DataObject, quantity: int, to: int) -> None:
        lot_id, site_id = data.draw(st.sampled_from(sorted(self.lots))), self.sites[to]
        free = self.free_of(lot_id)
        wanted = Move(self.world.new_id(), lot_id, quantity, site_id, DAY, None)

        async def apply() -> Moved | Fault:
            async with self.world.database.transaction() as tx:
                return await move(tx, wanted, None)

        done = self.do(apply())
        if self.at[lot_id] == site_id:
            assert done == "same-site"
        elif lot_id in self.reversed:
            assert done == "already-reversed"
        elif quantity > free:
            assert done == "fewer-free"
        else:
            assert isinstance(done, Moved)
            to_lot_id = done.to_lot.lot_id
            assert self.at.setdefault(to_lot_id, site_id) == site_id
            assert self.receipt_of(to_lot_id) == self.receipt_of(lot_id)
            self.lots[lot_id] -= quantity
            self.lots[to_lot_id] = self.lots.get(to_lot_id, 0) + quantity
            self.grown += quantity

    @rule(data=st.data(), quantity=st.integers(1, 4))
    def dispatch(self, data: st.DataObject, quantity: int) -> None:
        lot_id = data.draw(st.sampled_from(sorted(self.lots)))
        is_free = quantity <= self.free_of(lot_id)
        order = shipping.Order(self.world.new_id(), "lviv", self.world.new_id(), None)
        line = NewLine(self.world.new_id(), lot_id, quantity)

        async def apply() -> Book | shipping.Fault:
            async with self.world.database.transaction() as tx:
                book = await shipping.prepare(tx, "kyiv", order, [line])
                if isinstance(book, str):
                    return book
                return await shipping.dispatch(tx, "kyiv", order.shipment_id, DAY, None)

        done = self.do(apply())
        if not is_free:
            assert done == "not-free"
        else:
            assert isinstance(done, Book)
            self.lots[lot_id] -= quantity
            self.sent.add(self.receipt_of(lot_id))

    @rule(quantity=st.integers(1, 4), priority=st.integers(0, 2))
    def hold(self, quantity: int, priority: int) -> None:
        need = approved(need_id=self.world.new_id(), quantity=quantity, priority=priority)
        fits = any(quantity <= self.free_at(site_id) for site_id in self.sites)
        self.do(self.world.take(need))
        assert self.do(self.world.state(need.need_id)) == ("held" if fits else None)
        if fits:
            query = "SELECT site_id FROM reservation WHERE need_id = $1"
            self.at[need.need_id] = self.do(self.world.value(query, need.need_id))
            self.needs[need.need_id] = ("held", quantity)

    @precondition(lambda self: self.pieces("held"))
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        need_id = self.some(data, "held")
        self.do(self.world.take(confirmed(need_id)))
        self.needs[need_id] = ("confirmed", self.needs[need_id][1])

    @precondition(lambda self: self.pieces("held", "confirmed", "issued"))
    @rule(data=st.data())
    def issue(self, data: st.DataObject) -> None:
        need_id = self.some(data, "held", "confirmed", "issued")
        state, count = self.needs[need_id]
        fault = {"held": "not-confirmed", "issued": "already-issued", "confirmed": None}
        assert self.do(self.world.issue(need_id)) == fault[state]
        if state == "confirmed":
            self.needs[need_id] = ("issued", count)

    @precondition(lambda self: self.pieces("issued"))
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        need_id = self.some(data, "issued")
        assert self.do(self.world.undo(need_id))
        self.needs[need_id] = ("confirmed", self.needs[need_id][1])

    @precondition(lambda self: self.pieces("held", "confirmed"))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        self.over(self.some(data, "held", "confirmed"))

    def over(self, need_id: UUID) -> None:
        self.do(self.world.take(withdrawn(need_id)))
        self.grown += self.needs.pop(need_id)[1]

    @precondition(lambda self: self.pieces("held"))
    @rule(data=st.data(), late=st.booleans())
    def expire(self, data: st.DataObject, late: bool) -> None:
        need_id = self.some(data, "held")
        self.do(self.world.expire(need_id))
        if late:
            self.do(self.world.take(confirmed(need_id)))
        else:
            assert self.do(self.world.run(sweeps.expire_holds)) == 1
        assert self.do(self.world.state(need_id)) == "expired"
        self.grown += self.needs.pop(need_id)[1]

    @rule(data=st.data(), counted=st.integers(0, 6))
    def count(self, data: st.DataObject, counted: int) -> None:
        lot_id = data.draw(st.sampled_from(sorted(self.lots)))
        query = "SELECT on_hand FROM lot WHERE id = $1"
        before, free = int(self.do(self.world.value(query, lot_id))), self.free_of(lot_id)
        wanted = Adjustment(self.world.new_id(), lot_id, "count", counted, "counted", DAY)

        async def apply() -> None:
            async with self.world.database.transaction() as tx:
                await adjust(tx, wanted, None)

        self.do(apply())
        if lot_id in self.reversed:
            counted = before
        self.lots[lot_id] += counted - before
        self.grown += max(0, self.free_of(lot_id) - free)
        self.give_up([lot_id])

    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        lot_id = data.draw(st.sampled_from(sorted(self.lots)))
        receipt_id = self.receipt_of(lot_id)
        lots = sorted(each for each in self.lots if self.receipt_of(each) == receipt_id)
        given = self.do(
            self.world.value(
                "SELECT count(*) FROM allocation a JOIN reservation r ON r.id = a.reservation_id"
                " WHERE a.lot_id = ANY ($1::uuid[]) AND r.state = 'issued'",
                lots,
            )
        )

        async def apply() -> object:
            async with self.world.database.transaction() as tx:
                return await reverse_receipt(tx, receipt_id, "wrong_item", None)

        done = self.do(apply())
        if lot_id in self.reversed:
            assert done == "already-reversed"
        elif given or receipt_id in self.sent:
            assert done == "goods-gone"
        else:
            assert done == lots
            self.lots.update(dict.fromkeys(lots, 0))
            self.reversed.update(lots)
            self.give_up(lots)

    @rule(data=st.data(), restricted=st.booleans())
    def correct_terms_and_back(self, data: st.DataObject, restricted: bool) -> None:
        lot_id = data.draw(st.sampled_from(sorted(self.lots)))
        if lot_id in self.reversed:
            return
        before = self.free_of(lot_id)
        if restricted:
            self.correct(lot_id, restriction=Restriction(programmes=("hygiene",)))
            self.grown += before
            self.give_up()
        else:
            self.correct(lot_id, expiry=date(2026, 3, 3))
            self.give_up([lot_id])
        self.books_hold()
        others = {site_id: self.free_at(site_id) for site_id in self.sites}
        others[self.at[lot_id]] -= self.free_of(lot_id)
        pieces = max(0, *others.values()) + 1
        need = approved(need_id=self.world.new_id(), quantity=pieces)
        self.do(self.world.take(need))
        assert self.do(self.world.state(need.need_id)) is None, "nothing of it may be given"
        self.correct(lot_id)
        self.grown += self.free_of(lot_id)

    def correct(
        self, lot_id: UUID, expiry: date | None = None, restriction: Restriction | None = None
    ) -> None:
        """Give a lot other terms."""
        version = self.do(self.world.value("SELECT version FROM lot WHERE id = $1", lot_id))
        wanted = Correction(lot_id, version, expiry, restriction, 0, "UAH", "entry_error")

        async def apply() -> None:
            async with self.world.database.transaction() as tx:
                assert await correct(tx, wanted, self.world.new_id()) is None

        self.do(apply())

    def free_of(self, lot_id: UUID) -> int:
        """Pieces of a lot that nobody was promised."""
        query = "SELECT on_hand - held FROM lot WHERE id = $1"
        return int(self.do(self.world.value(query, lot_id)))

    def receipt_of(self, lot_id: UUID) -> UUID:
        """What a lot came by, wherever it lies now."""
        query = "SELECT receipt_id FROM lot WHERE id = $1"
        return UUID(str(self.do(self.world.value(query, lot_id))))

    def give_up(self, lost: Collection[UUID] = ()) -> None:
        """Forget the needs that were relocated since less is left than was promised.

        Of pieces in a lot that lost some nobody is told here.
        """
        query = "SELECT COALESCE(sum(a.quantity), 0) FROM allocation a JOIN reservation r"
        query += " ON r.id = a.reservation_id WHERE r.need_id = $1 AND a.lot_id <> ALL ($2::uuid[])"
        for need_id, (state, _) in list(self.needs.items()):
            if self.do(self.world.state(need_id)) == "relocated":
                assert state in ("held", "confirmed")
                self.grown += int(self.do(self.world.value(query, need_id, lost)))
                del self.needs[need_id]

    @invariant()
    def books_hold(self) -> None:
        query = "SELECT COALESCE(sum(on_hand), 0) AS on_hand, COALESCE(sum(held), 0) AS held"
        for site_id in self.sites:
            (totals,) = self.do(self.world.rows(f"{query} FROM lot WHERE site_id = $1", site_id))
            assert totals["held"] == self.pieces("held", "confirmed", site_id=site_id)
            assert totals["on_hand"] == self.on_hand_at(site_id)
            assert self.free_at(site_id) >= 0
        grown = self.do(self.world.emitted(SupplyGrewV1))
        assert sum(each.quantity for each in grown) == self.grown
        self.do(self.world.books_are_right())


Nights = tuple[date, date | None]
"""From the first one to the day of leaving; None for an open end."""


class BedMachine(Machine):
    """Guests in the three beds of one shelter, some of whom nobody saw leave."""

    def __init__(self) -> None:
        super().__init__()
        site_id = self.do(self.world.site())
        self.beds = set(self.do(self.world.beds(site_id, 3)))
        self.guests: dict[UUID, str] = {}  # held, in, left, or here: a check-out was taken back
        self.nights: dict[UUID, dict[UUID, Nights]] = {}  # by need and bed
        self.today = self.do(self.read_today())

    async def read_today(self) -> date:
        async with self.world.database.transaction() as tx:
            return day_of(tx.now)

    def taken(self, bed_id: UUID, wanted: Nights) -> bool:
        """Whether somebody has the bed on one of these nights, or may have."""
        for need_id, state in self.guests.items():
            if bed_id in self.nights[need_id]:
                first, last = self.nights[need_id][bed_id]
                if share_a_night((first, None if state == "here" else last), wanted):
                    return True
        return False

    def some(self, data: st.DataObject, *states: str) -> UUID:
        found = [need for need, state in self.guests.items() if state in states]
        return data.draw(st.sampled_from(sorted(found)))

    def has(self, *states: str) -> bool:
        return any(state in states for state in self.guests.values())

    def first_of(self, need_id: UUID) -> date:
        return min(first for first, _ in self.nights[need_id].values())

    def last_of(self, need_id: UUID) -> date | None:
        """The first of the days of leaving."""
        return min((last for _, last in self.nights[need_id].values() if last), default=None)

    def read_nights(self, need_id: UUID) -> dict[UUID, Nights]:
        """What the books say of a guest."""
        rows = self.do(
            self.world.rows(
                "SELECT bed_id, lower(stay) AS first, upper(stay) AS last FROM bed_booking"
                " WHERE reservation_id = $1 AND live",
                reservation_id_of(need_id, 1),
            )
        )
        return {row["bed_id"]: (row["first"], row["last"]) for row in rows}

    @initialize(data=st.data(), nights=st.integers(1, 5), stayed=st.integers(0, 5))
    def one_has_left(self, data: st.DataObject, nights: int, stayed: int) -> None:
        self.book(0, nights, 1, False)
        self.check_in(data, 0)
        self.check_out(data, stayed)

    @rule(
        start=st.integers(0, 8),
        nights=st.none() | st.integers(1, 5),
        places=st.integers(1, 2),
        ahead=st.booleans(),
    )
    def book(self, start: int, nights: int | None, places: int, ahead: bool) -> None:
        first = (self.today if ahead else DAY) + timedelta(days=start)
        need = approved(
            need_id=self.world.new_id(), items=(), capacity=night(first, nights, places)
        )
        wanted = (first, None if nights is None else first + timedelta(days=nights))
        free = {bed_id for bed_id in self.beds if not self.taken(bed_id, wanted)}
        self.do(self.world.take(need))
        state = self.do(self.world.state(need.need_id))
        assert state == ("held" if places <= len(free) else None)
        if state is not None:
            picked = self.read_nights(need.need_id)
            assert picked.keys() <= free
            assert picked == dict.fromkeys(picked, wanted)
            assert len(picked) == places
            self.guests[need.need_id], self.nights[need.need_id] = "held", picked

    @precondition(lambda self: self.has("held"))
    @rule(data=st.data(), shift=st.integers(0, 2))
    def check_in(self, data: st.DataObject, shift: int) -> None:
        need_id = self.some(data, "held")
        came, last = self.first_of(need_id) + timedelta(days=shift), self.last_of(need_id)
        if came > self.today:
            return  # nobody has come yet
        self.do(self.world.take(confirmed(need_id)))
        fault = self.do(self.world.issue(need_id, "check_in", came))
        if last is not None and came >= last:
            assert fault == "stay-over"
            self.over(need_id)
        else:
            assert fault is None
            self.guests[need_id] = "in"
            self.nights[need_id] = {
                bed_id: (came, until) for bed_id, (_, until) in self.nights[need_id].items()
            }

    @precondition(lambda self: self.has("in", "here"))
    @rule(data=st.data(), stayed=st.integers(0, 6))
    def check_out(self, data: st.DataObject, stayed: int) -> None:
        need_id = self.some(data, "in", "here")
        first, last = self.first_of(need_id), self.last_of(need_id)
        # Overstaying may meet the next guest: tested apart.
        gone = min(first + timedelta(days=stayed), last or date.max)
        reservation_id = reservation_id_of(need_id, 1)

        async def leave() -> dict[UUID, stays.LeaveFault]:
            async with self.world.database.transaction() as tx:
                return await stays.check_out(tx, {reservation_id: gone})

        assert self.do(leave()) == {}
        self.guests[need_id] = "left"
        self.nights[need_id] = dict.fromkeys(self.nights[need_id], (first, gone))

    @precondition(lambda self: self.has("left"))
    @rule(data=st.data())
    def still_here(self, data: st.DataObject) -> None:
        need_id = self.some(data, "left")

        async def undo() -> stays.StayFault | None:
            async with self.world.database.transaction() as tx:
                reservation_id = reservation_id_of(need_id, 1)
                return await stays.undo_check_out(tx, reservation_id, "still_here")

        if self.do(undo()) is None:
            self.guests[need_id] = "here"
            # Where others have slept since, the books can't have them all.
            self.nights[need_id] = self.read_nights(need_id)
        else:
            assert any(first == last for first, last in self.nights[need_id].values())

    @precondition(lambda self: self.has("in", "here"))
    @rule(data=st.data())
    def was_not_checked_in(self, data: st.DataObject) -> None:
        need_id = self.some(data, "in", "here")
        assert self.do(self.world.undo(need_id))
        self.guests[need_id] = "held"

    @precondition(lambda self: self.has("held"))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.over(self.some(data, "held"))

    def over(self, need_id: UUID) -> None:
        self.do(self.world.take(withdrawn(need_id)))
        del self.guests[need_id], self.nights[need_id]

    @invariant()
    def no_bed_has_two_guests(self) -> None:
        self.do(self.world.books_are_right())
        for need_id in self.guests:
            left_at_once = {
                bed_id: nights for bed_id, nights in self.nights[need_id].items()
                if nights[0] == nights[1]
            }  # fmt: skip
            found = self.read_nights(need_id)
            assert found | left_at_once == self.nights[need_id]

    @invariant()
    def what_is_free_is_counted(self) -> None:
        (counted,) = self.do(self.world.rows("SELECT first_on, free_by_day FROM capacity_state"))
        days = [counted["first_on"] + timedelta(days=n) for n in range(len(counted["free_by_day"]))]
        assert counted["free_by_day"] == [
            sum(not self.taken(bed_id, (day, day + timedelta(days=1))) for bed_id in self.beds)
            for day in days
        ]


def share_a_night(one: Nights, other: Nights) -> bool:
    """Whether two stays have a night in common."""
    first = max(one[0], other[0])
    return first < min(one[1] or date.max, other[1] or date.max)


@pytest.fixture
def machine_world(databases: Databases) -> Iterator[None]:
    """One database and one loop for all runs of a machine."""
    with asyncio.Runner() as runner:
        database = Database(runner.run(databases.create("inventory")), Origin("kyiv", "inventory"))
        runner.run(database.open())
        Machine.runner, Machine.world = runner, World(database)
        yield
        runner.run(database.close())
        runner.run(databases.drop())


@pytest.mark.usefixtures("machine_world")
@pytest.mark.parametrize("machine", [StockMachine, BedMachine])
def test_the_books_follow_the_model(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
