"""Stock as a simple model has it: pieces in lots, some of them promised, some given."""

from collections.abc import Collection
from datetime import date
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from aidmesh_contracts.inventory import SupplyGrewV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.handlers import shipping, sweeps
from aidmesh_inventory.handlers.adjustments import Adjustment, adjust
from aidmesh_inventory.handlers.moving import Fault, Move, Moved, move
from aidmesh_inventory.handlers.reversals import reverse_receipt
from aidmesh_inventory.handlers.terms import Correction, correct
from aidmesh_inventory.store.shipments import Book, NewLine
from integration.inventory.machine import Machine
from integration.inventory.world import DAY, approved, confirmed, withdrawn


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
