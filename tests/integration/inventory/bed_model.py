"""Beds as a simple model has them: who has which of them on which nights."""

from datetime import date, timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from aidmesh_contracts.days import day_of
from aidmesh_inventory.handlers import stays
from aidmesh_inventory.handlers.hold import reservation_id_of
from integration.inventory.machine import Machine
from integration.inventory.world import DAY, approved, confirmed, night, withdrawn

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

        if gone > self.today:  # nobody has left yet
            assert self.do(leave()) == {reservation_id: "day-in-future"}
            return
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
