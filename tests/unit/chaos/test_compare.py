"""Each promise is found broken when it is: the book says one thing, the mesh another."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh.chaos.book import Book
from aidmesh.chaos.compare import Known, asks_agree
from aidmesh.chaos.copies import differences
from aidmesh.chaos.judge import CHECKS
from aidmesh.chaos.snapshot import (
    Held,
    Lot,
    Message,
    Need,
    Night,
    Payout,
    Reservation,
    Seen,
    Sent,
)
from aidmesh_chassis.auth import Role
from unit.chaos.booking import accept, asked

PARCEL, BED, CASH, WAITS = (str(UUID(int=number)) for number in range(1, 5))
LOT, RESERVATION, RECEIPT, MESSAGE, PAYOUT, ALLOTMENT = (f"id-{number}" for number in range(6))
DIFFERENCE = "difference"
DAY = date(2024, 5, 1)
BEDS = (uuid4(), uuid4())
PLACE = (-20, DAY, 1)


def need(kind: str, state: str, **fields: Any) -> Need:
    empty = Need(kind, state, 1, False, None, None, None, None, None, PLACE, False, False)
    return empty._replace(**fields)


def whole() -> Known:
    """A little of everything, as it should be."""
    book = Book()
    accept(book, "receive", answer={"receipt_id": RECEIPT, "lot_ids": [LOT]}, quantity="5")
    for need_id, kind in (
        (PARCEL, "food_parcel"), (BED, "shelter_night"), (CASH, "travel"), (WAITS, "hygiene_kit"),
    ):  # fmt: skip
        asked(book, need_id, kind)
    accept(book, "issue", need=PARCEL, reservation=RESERVATION, lots=f"{LOT}:1")
    accept(book, "told", need=BED)
    accept(book, "instalment", grant="g", amount_minor="900", reference="in-1")
    accept(book, "allot", answer={"allotment_id": ALLOTMENT}, to="kyiv", amount_minor="500")
    accept(book, "raise", allotment=ALLOTMENT, amount_minor="50")
    accept(book, "approve", path="/payouts:approve", need=CASH,
           answer={"rows": [{"status": "done", "id": PAYOUT}]})  # fmt: skip
    accept(book, "settle", payout=PAYOUT, holder="kyiv", amount_minor="120", reference="b-1")
    accept(book, "settle_difference", discrepancy=DIFFERENCE)
    accept(book, "aside_goods", key="lviv/food_parcel")
    accept(book, "erase", person="person")
    seen = Seen(
        region="kyiv",
        needs={
            PARCEL: need("food_parcel", "fulfilled"),
            BED: need("shelter_night", "ready", was_told=True),
            CASH: need("travel", "fulfilled"),
            WAITS: need("hygiene_kit", "waitlisted", wait="short", blocked_by="stock:hygiene_kit",
                        quantity=1),
        },
        reservations={RESERVATION: Reservation(UUID(PARCEL), "issued", 1, False)},
        lots={LOT: Lot("food_parcel", 4, 0, 5, 1)},
        receipts={RECEIPT: 5},
        nights=(Night(BEDS[0], UUID(BED), DAY, None),),
        beds=BEDS,
        free_seats=0,
        payouts={PAYOUT: Payout("settled", "b-1", 120)},
        orders={},
        instalments={"in-1": 900},
        sent={ALLOTMENT: Sent(550, 0, False)},
        held={ALLOTMENT: Held(550, 0, 0, 120, "active")},
        messages={MESSAGE: Message(UUID(BED), 1, "need_ready", "sent")},
        transfers={},
        shipments={},
        offers={},
        referrals={},
        settled=frozenset({DIFFERENCE}),
        aside=frozenset({"lviv/food_parcel"}),
        erased=frozenset({"person"}),
    )  # fmt: skip
    return Known(book, {"kyiv": seen}, [MESSAGE], frozenset({"need_ready"}))


def found(known: Known) -> set[str]:
    violations = [violation for check in CHECKS for violation in check(known)]
    assert all(violation.about and all(violation.about) for violation in violations)
    return {violation.promise for violation in violations}


def changed(**fields: object) -> Known:
    known = whole()
    seen = replace(known.world["kyiv"], **fields)  # type: ignore[arg-type]
    return replace(known, world={"kyiv": seen})


def sent(*ids: str) -> Known:
    return replace(whole(), sent=ids)


def booked(add: Callable[[Book], object]) -> Known:
    known = whole()
    add(known.book)
    return known


def needs(**states: Need) -> dict[str, Need]:
    return {**whole().world["kyiv"].needs, **states}


def came_back(book: Book) -> None:
    accept(book, "return_paid", payout=PAYOUT, holder="kyiv", amount_minor="120")


def rejected(book: Book) -> None:
    accept(book, "reject_payout", payout=PAYOUT)


def drawn_up_again(book: Book) -> None:
    accept(book, "redo", payout=PAYOUT, answer={"payout_id": "another"})


def unanswered(book: Book) -> None:
    book.begin("told", "kyiv", "intake", "/x", Role.LEAD, {}, {"need": BED})


NEVER = "accepted is present"
STATE = "every need is in a right state"
STOCK = "stock is what came less what went"
LOTS = "handed out ≤ received, per lot"
MONEY = "allotments and ledgers are conserved to the cent"
TOLD = "no message is sent twice, none without a visible state"
IDLE = "nobody waits for what is free"

BROKEN: list[tuple[str, Known, set[str]]] = [
    ("never answered", booked(unanswered), {"every operation is answered"}),
    ("a need is gone", changed(needs={k: v for k, v in needs().items() if k != BED}), {NEVER}),
    ("a receipt is short", changed(receipts={RECEIPT: 4}), {NEVER}),
    ("nobody was told", changed(needs=needs(**{BED: need("shelter_night", "ready")})), {NEVER}),
    ("a payout is open", changed(payouts={PAYOUT: Payout("approved", None, 120)}), {NEVER}),
    ("paid with another reference", changed(payouts={PAYOUT: Payout("settled", "x", 120)}),
     {NEVER}),
    ("paid, it says, and it came back", booked(came_back), {NEVER, MONEY, STATE}),
    ("paid, and rejected", booked(rejected), {NEVER}),
    ("never drawn up again", booked(drawn_up_again), {NEVER}),
    ("a difference is open", changed(settled=frozenset()), {NEVER}),
    ("a person is known still", changed(erased=frozenset()), {NEVER}),
    ("it is proposed again", changed(aside=frozenset()), {NEVER}),
    ("approved, and nobody did", changed(payouts={PAYOUT: Payout("draft", "b-1", 120)}), {NEVER}),
    ("an instalment is gone", changed(instalments={}), {NEVER, MONEY}),
    ("an instalment came twice", changed(instalments={"in-1": 900, "in-2": 900}), {MONEY}),
    ("served and not fulfilled", changed(needs=needs(**{PARCEL: need("food_parcel", "held")})),
     {STATE}),
    ("a need nobody asked for", changed(needs=needs(other=need("travel", "requested"))), {STATE}),
    ("expired on a day that goes on", changed(needs=needs(**{WAITS: need(
        "hygiene_kit", "expired")})), {STATE}),
    ("served, and expired all the same", changed(needs=needs(**{PARCEL: need(
        "food_parcel", "expired", is_over=True)})), {STATE}),
    ("cancelled and alive", booked(lambda book: accept(book, "cancel", need=BED)), {STATE}),
    ("a referral is held for ever",
     changed(needs=needs(**{BED: need("shelter_night", "ready", pending=True, was_told=True)})),
     {STATE}),
    ("one piece too few", changed(lots={LOT: Lot("food_parcel", 3, 0, 5, 2)}), {STOCK}),
    ("more went than came", changed(lots={LOT: Lot("food_parcel", 4, 0, 5, 6)}), {LOTS}),
    ("a lot is gone", changed(lots={}), {STOCK}),
    ("a lot that never came", changed(lots={
        LOT: Lot("food_parcel", 4, 0, 5, 1), "x": Lot("food_parcel", 1, 0, 1, 0)}), {STOCK}),
    ("one lot was booked for another", changed(lots={
        LOT: Lot("food_parcel", 5, 0, 5, 0), "x": Lot("food_parcel", -1, 0, 0, 1)}),
     {STOCK, LOTS}),
    ("more than came was handed out of a lot", booked(lambda book: accept(
        book, "issue", need=PARCEL, reservation="r", lots=f"{LOT}:5")), {STOCK, LOTS}),
    ("moved, says only the book", booked(lambda book: accept(
        book, "move", lot=LOT, quantity="2",
        answer={"from_lot": {"lot_id": LOT}, "to_lot": {"lot_id": "x"}})), {STOCK}),
    ("moved, says nobody", changed(lots={
        LOT: Lot("food_parcel", 2, 0, 5, 3), "x": Lot("food_parcel", 2, 0, 2, 0)}), {STOCK}),
    ("more is held than there is", changed(lots={LOT: Lot("food_parcel", 4, 5, 5, 1)}), {LOTS}),
    ("handed out twice", booked(lambda book: accept(
        book, "issue", need=BED, reservation="r", lots=f"{LOT}:1")), {STOCK, STATE}),
    ("a bed with two guests", changed(nights=(
        Night(BEDS[0], UUID(BED), DAY, None), Night(BEDS[0], UUID(CASH), DAY, None))),
     {"no bed is double-booked"}),
    ("a cent is gone", changed(held={ALLOTMENT: Held(550, 0, 0, 119, "active")}), {MONEY}),
    ("a cent never arrived", changed(held={ALLOTMENT: Held(549, 0, 0, 120, "active")}), {MONEY}),
    ("a cent came back of itself", changed(sent={ALLOTMENT: Sent(550, 1, False)}), {MONEY}),
    ("more bound than there is", changed(held={ALLOTMENT: Held(550, 0, 431, 120, "active")}),
     {MONEY}),
    ("recalled and active", booked(lambda book: accept(book, "recall", allotment=ALLOTMENT)),
     {MONEY}),
    ("an allotment is gone", changed(held={}), {NEVER, MONEY}),
    ("an allotment nobody made", changed(held={
        ALLOTMENT: Held(550, 0, 0, 120, "active"), "x": Held(1, 0, 1, 0, "active")}), {MONEY}),
    ("a message left twice", sent(MESSAGE, MESSAGE), {TOLD}),
    ("a message never left", sent(), {TOLD}),
    ("a message nobody knows", sent(MESSAGE, "id-9"), {TOLD}),
    ("a message is sending for ever", changed(messages={
        MESSAGE: Message(UUID(BED), 1, "need_ready", "sending")}), {TOLD}),
    ("no message at all", replace(changed(messages={}), sent=[]), {TOLD}),
    ("waits for what is free", changed(needs=needs(**{WAITS: need(
        "hygiene_kit", "waitlisted", wait="short", blocked_by="stock:food_parcel", quantity=1)})),
     {IDLE}),
    ("waits for a free bed", changed(needs=needs(**{WAITS: need(
        "shelter_night", "waitlisted", wait="short", blocked_by="bed:shelter", quantity=1,
        first_on=DAY, last_on=DAY)})), {IDLE}),
    ("waits for free money", changed(needs=needs(**{WAITS: need(
        "travel", "waitlisted", wait="short", blocked_by="money:cash/UAH", quantity=430)})),
     {IDLE}),
]  # fmt: skip


def test_what_is_as_it_should_be_is_no_violation() -> None:
    assert found(whole()) == set()


@pytest.mark.parametrize(
    ("known", "promises"), [each[1:] for each in BROKEN], ids=[each[0] for each in BROKEN]
)
def test_what_is_broken_is_found(known: Known, promises: set[str]) -> None:
    assert found(known) == promises


def test_whose_last_day_has_passed_may_have_expired() -> None:
    over = need("hygiene_kit", "expired", is_over=True)

    assert found(changed(needs=needs(**{WAITS: over}))) == set()


def test_the_second_in_a_queue_waits_for_the_first() -> None:
    """A small need may wait behind a large one that nothing serves."""
    large = need("travel", "waitlisted", wait="short", blocked_by="money:cash/UAH", quantity=999)
    small = large._replace(wait="behind", quantity=10, place=(-20, DAY, 2))
    known = changed(needs=needs(**{WAITS: large, BED: small}))

    assert IDLE not in found(known)


@pytest.mark.parametrize(
    ("kyiv", "lviv", "holds"),
    [
        ({"t": "accepted"}, {"t": "accepted"}, True),
        ({"t": "accepted"}, {"t": "asked"}, False),
        ({"t": "asked"}, {}, False),
    ],
)
def test_both_ends_of_an_ask_have_to_agree(
    kyiv: dict[str, str], lviv: dict[str, str], holds: bool
) -> None:
    known = whole()
    seen = known.world["kyiv"]
    world = {
        "kyiv": replace(seen, transfers=kyiv),
        "lviv": replace(seen, region="lviv", transfers=lviv),
    }

    assert (list(asks_agree(replace(known, world=world))) == []) == holds


def test_a_copy_that_differs_is_told_apart() -> None:
    own: dict[str, tuple[object, ...]] = {"a": (1,), "b": (2,), "c": (3,)}

    assert differences(own, own) == []
    assert differences(own, {"a": (1,), "b": (9,), "d": (4,)}) == [
        "b: (9,), not (2,)",
        "c: missing, not (3,)",
        "d: (4,), not there",
    ]
