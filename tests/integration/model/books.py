"""What the services' books say when everything is quiet, and whether it is what happened."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from aidmesh_chassis.checks import Check
from aidmesh_chassis.db import Database
from aidmesh_contracts.days import day_of
from aidmesh_intake.checks import CHECKS as OF_INTAKE
from aidmesh_intake.domain.need import Need, State, Wait
from aidmesh_intake.domain.waitlist import place_of
from aidmesh_intake.store import needs as need_store
from aidmesh_inventory.checks import CHECKS as OF_INVENTORY
from aidmesh_payments.checks import CHECKS as OF_PAYMENTS
from aidmesh_reporting.checks import CHECKS as OF_REPORTING
from integration.model.town import Town
from integration.model.truth import ITEMS, PRICES_MINOR, Truth

CHECKS = (OF_INTAKE, OF_INVENTORY, OF_PAYMENTS, OF_REPORTING)
IN_LINE = (Wait.SHORT, Wait.BEHIND)
ROUNDS_MAX = 4
RESERVATIONS = """
SELECT r.*, (SELECT sum(quantity)::int FROM allocation WHERE reservation_id = r.id) AS pieces
FROM reservation r WHERE attempt_no > 0 ORDER BY state_at, id
"""
SLOT_DAYS = 21
"""How far ahead the catalogue looks for a paid appointment."""


@dataclass
class Books:
    """A picture of all books at one time."""

    now: datetime
    needs: list[Need]
    lots: list[dict[str, Any]]
    reservations: list[dict[str, Any]]
    slots: list[dict[str, Any]]
    lacking: list[dict[str, Any]]
    allotments: list[dict[str, Any]]
    commitments: list[dict[str, Any]]
    payouts: list[dict[str, Any]]
    odd: list[dict[str, Any]]
    services: list[dict[str, Any]]
    facts: list[dict[str, Any]]

    @property
    def on_their_way(self) -> set[object]:
        """Needs with a payment that nobody can stop any more, whatever became of the attempt."""
        gone = ("exported", "accepted", "settled")
        return {each["need_id"] for each in self.payouts if each["state"] in gone}

    @property
    def is_restless(self) -> bool:
        """Whether something is to be asked for again after a while."""
        return any(
            need.state in (State.APPROVED, State.HELD)
            or (need.wait is Wait.HOLD_EXPIRED and need.id not in self.on_their_way)
            for need in self.needs
        )


async def needs_of(town: Town) -> list[Need]:
    """All needs, in the order in which they were asked for."""
    async with town.intake.db.read() as conn:
        ids = await conn.fetch("SELECT id FROM need ORDER BY queue_no, quantity, attempt_no")
        found = [await need_store.read(conn, row["id"]) for row in ids]
    return [each for each in found if each is not None]


async def calm(town: Town, chance: random.Random) -> None:
    """Carry and do whatever there is, until nobody is to be asked again after a while."""
    await town.settle(chance)
    for _ in range(ROUNDS_MAX):
        if not (await read(town)).is_restless:
            return
        await town.pass_time(timedelta(minutes=31))
        await town.settle(chance)


async def read(town: Town) -> Books:
    """Look into all books."""
    async with town.intake.db.transaction() as tx:
        now = tx.now
    stock, money = town.inventory.database, town.desk.db
    return Books(
        now=now,
        needs=await needs_of(town),
        lots=await _rows(stock, "SELECT * FROM lot"),
        reservations=await _rows(stock, RESERVATIONS),
        slots=await _rows(stock, "SELECT * FROM slot WHERE taken < seats"),
        lacking=await _rows(stock, "SELECT * FROM discrepancy WHERE status = 'open'"),
        allotments=await _rows(money, "SELECT * FROM allotment"),
        commitments=await _rows(money, "SELECT * FROM commitment"),
        payouts=await town.payouts(),
        odd=await _rows(money, "SELECT * FROM discrepancy WHERE settled_at IS NULL"),
        services=await _rows(
            town.results,
            "SELECT need_id, service_no FROM service EXCEPT"
            " SELECT need_id, service_no FROM reversal",
        ),
        facts=await _rows(
            town.results, "SELECT need_id FROM booked_fact EXCEPT SELECT need_id FROM reversal"
        ),
    )


async def check(town: Town, truth: Truth) -> None:
    """Everything that was said is heard: whatever the books say is what happened.

    Raises:
        AssertionError: it is not.
    """
    books = await read(town)
    needs_are_where_they_belong(books, truth)
    holds_live_for_live_attempts(books)
    goods_are_conserved(books, truth)
    money_is_conserved(books, truth)
    nobody_waits_for_what_is_free(books, truth)
    for database, checks in zip(town.databases, CHECKS, strict=True):
        await _right(database, checks)


def needs_are_where_they_belong(books: Books, truth: Truth) -> None:
    """Each is served if, and only if, somebody has it; once in the results, too."""
    has = {need_id for need_id, _ in truth.handed} | truth.given.keys()
    has |= {need_id for need_id, _ in truth.paid.values()}
    counted = Counter(each["need_id"] for each in books.services)
    for need in books.needs:
        assert counted[need.id] == (need.state is State.FULFILLED), "one service, once reported"
        if need.attention is not None:
            continue  # two attempts went out: a person looks at it
        assert (need.state is State.FULFILLED) == (need.id in has), (need.id, need.state)
        if need.state is State.FULFILLED:
            continue
        allowed = {State.WAITLISTED, State.READY}
        if need.id in truth.cancelled:
            allowed = {State.CANCELLED}
        if need.id in truth.served | truth.let_go:
            allowed |= {State.WAITLISTED, State.READY, State.REQUESTED, State.CANCELLED}
        assert need.state in allowed, (need.id, need.state, need.reason)
        assert need.wait is not Wait.HOLD_EXPIRED or need.id in books.on_their_way
    told = {each["need_id"] for each in books.facts}
    assert told == {
        need.id for need in books.needs if need.id in truth.given and need.ask.of_supply
    }, "the results know who bore what was given"
    units = Counter[str]()
    for need in books.needs:
        units[need.kind] += 0 if need.given else need.quantity
    assert units == Counter(truth.asked), "what was split is as much as before"


def holds_live_for_live_attempts(books: Books) -> None:
    """What is set aside is for a need that is ready, and a ready need has all it takes."""
    goods = {
        (each["need_id"], each["attempt_no"]): each["state"]
        for each in books.reservations
        if each["state"] in ("held", "confirmed")
    }
    money = {
        (each["need_id"], each["attempt_no"]): each["state"]
        for each in books.commitments
        if each["state"] in ("held", "committed") and each["need_id"] not in _past_stopping(books)
    }
    ready = {(each.id, each.attempt_no): each for each in books.needs if each.state is State.READY}
    assert goods == {key: "confirmed" for key, need in ready.items() if need.ask.of_supply}
    assert money == {
        key: "committed"
        for key, need in ready.items()
        if need.ask.of_money and need.id not in _past_stopping(books)
    }


def _past_stopping(books: Books) -> set[object]:
    """Needs that were withdrawn when their payment had left: its outcome is waited for."""
    return {each["need_id"] for each in books.odd if each["about"] == "withdrawn_after_export"}


def goods_are_conserved(books: Books, truth: Truth) -> None:
    """On hand is what came less what went out; held is what is set aside for the ready."""
    kinds: dict[UUID, str] = {need.id: need.kind for need in books.needs}
    assert {each["id"] for each in books.lots} == truth.lots.keys()
    for item in set(ITEMS.values()):
        came = sum(truth.lots[key] for key, code in truth.items.items() if code == item)
        out = sum(
            pieces
            for (need_id, _), pieces in truth.handed.items()
            if ITEMS.get(kinds[need_id]) == item
        )
        out += sum(count for kind, count in truth.given.values() if ITEMS.get(kind) == item)
        out -= sum(each["quantity"] for each in books.lacking if each["code"] == item)
        lots = [each for each in books.lots if each["item"] == item]
        assert sum(each["on_hand"] for each in lots) == came - out
        assert sum(each["held"] for each in lots) == sum(
            need.quantity
            for need in books.needs
            if need.state is State.READY and ITEMS.get(need.kind) == item
        )


def money_is_conserved(books: Books, truth: Truth) -> None:
    """Spent is what people and providers have got; a recalled purse keeps only what is bound."""
    for row in books.allotments:
        purse = truth.purses[row["id"]]
        bound = row["held_minor"] + row["committed_minor"] + row["spent_minor"]
        assert row["received_minor"] == purse.came_minor
        assert bound <= row["received_minor"] - row["returned_minor"], "the holder's equation"
        if purse.is_recalled:
            assert bound == row["received_minor"] - row["returned_minor"]
        else:
            assert row["returned_minor"] == 0
    kinds: dict[UUID, str] = {need.id: need.kind for need in books.needs}
    paid = sum(amount for _, amount in truth.paid.values())
    paid += sum(PRICES_MINOR.get(kind, 0) * count for kind, count in truth.given.values())
    assert paid == _spent(books, "payout") + _odd(books, "no_money", "paid_twice")
    owed = sum(
        PRICES_MINOR[kinds[need_id]] * count
        for (need_id, _), count in truth.handed.items()
        if kinds[need_id] in PRICES_MINOR
    )
    assert owed == _spent(books, "provider") + _odd(books, "late_service")


def _spent(books: Books, purpose: str) -> int:
    return sum(
        each["amount_minor"]
        for each in books.commitments
        if (each["state"], each["purpose"]) == ("spent", purpose)
    )


def _odd(books: Books, *about: str) -> int:
    return sum(each["amount_minor"] for each in books.odd if each["about"] in about)


def nobody_waits_for_what_is_free(books: Books, truth: Truth) -> None:
    """Whoever is first in line wants more than there is."""
    waiting = [each for each in books.needs if each.state is State.WAITLISTED]
    for item in set(ITEMS.values()):
        free = sum(each["on_hand"] - each["held"] for each in books.lots if each["item"] == item)
        line = [each for each in _line(waiting, "stock", IN_LINE) if ITEMS[each.kind] == item]
        assert not line or _lacks(line[0]) > free, (item, free, line[0])
    for row in books.allotments:
        purse = truth.purses[row["id"]]
        free = row["received_minor"] - row["returned_minor"] - row["held_minor"]
        free -= row["committed_minor"] + row["spent_minor"]
        line = _line(waiting, "money", (*IN_LINE, Wait.RECALLED, Wait.RESTRICTED))
        line = [each for each in line if purse.bears(each.kind)]
        assert not line or _lacks(line[0]) > free, (row, free, line[0])
    today = day_of(books.now)
    usable = [each for each in books.slots if _is_ahead(each["starts_at"], books.now, today)]
    assert not usable or not _line(waiting, "slot", IN_LINE), usable


def _line(needs: Sequence[Need], resource: str, waits: Sequence[Wait]) -> list[Need]:
    return sorted(
        (
            each
            for each in needs
            if each.wait in waits and each.blocked_by and each.blocked_by.resource == resource
        ),
        key=place_of,
    )


def _lacks(need: Need) -> int:
    """How much of what it waits for it wants at least."""
    assert need.blocked_by is not None
    return need.blocked_by.quantity // (need.quantity if need.splittable else 1)


def _is_ahead(starts_at: datetime, now: datetime, today: date) -> bool:
    return starts_at > now and day_of(starts_at) <= today + timedelta(days=SLOT_DAYS)


async def _right(database: Database, checks: Sequence[Check]) -> None:
    async with database.read() as conn:
        for each in checks:
            found = [str(row[0]) for row in await conn.fetch(each.sql)]
            assert not found, (each.name, found)


async def _rows(database: Database, query: str) -> list[dict[str, Any]]:
    async with database.read() as conn:
        return [dict(row) for row in await conn.fetch(query)]
