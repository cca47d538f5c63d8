"""Money of grants at its holder: taken in, given back, recalled, and the terms it comes with."""

from collections.abc import Sequence

from aidmesh_chassis import restoring
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import AllotmentId
from aidmesh_contracts.payments_grants import (
    AllotmentReceivedV1,
    AllotmentReturnedV1,
    AllotmentSentV1,
    GrantChangedV1,
    RecallRequestedV1,
    ReturnBookedV1,
)
from aidmesh_payments.domain import grants, ledger
from aidmesh_payments.domain.allotments import Allotment, NotEnough
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.problems import problem
from aidmesh_payments.store import allotments as store
from aidmesh_payments.store import grant_terms, owing, transfers


async def open_allotment(tx: Tx, book: Book, sent: AllotmentSentV1) -> None:
    """Make sure that the book has the allotment a transfer speaks of, locked."""
    if sent.allotment_id in book:
        return
    empty = Allotment(
        id=sent.allotment_id,
        grant_id=sent.terms.grant_id,
        budget_line=sent.budget_line,
        grantor=sent.from_region,
        currency=sent.currency,
        valid_until=sent.valid_until,
    )
    await store.open_empty(tx.conn, empty, sent.cost_categories)
    await book.add([sent.allotment_id])


def credit(book: Book, sent: AllotmentSentV1) -> None:
    """Have the holder own the money of a transfer; who waits for it is woken."""
    book.put(book[sent.allotment_id].credit(sent.amount_minor))
    book.write(
        ledger.allotment_received(
            sent.transfer_id,
            sent.terms.grant_id,
            sent.allotment_id,
            sent.currency,
            sent.amount_minor,
            book.today,
        )
    )
    book.grew(sent.allotment_id, sent.amount_minor)


def _require_grantor(
    item: Received[AllotmentSentV1] | Received[RecallRequestedV1], grantor: str
) -> None:
    if item.region != grantor:
        raise Poison("not_the_grantor")


async def receive(office: Office, tx: Tx, batch: Sequence[Received[AllotmentSentV1]]) -> None:
    """Credit transfers to this region, once each, and say so."""
    mine = [item for item in batch if item.event.to_region == office.region]
    mine.sort(key=lambda item: item.event.allotment_id)
    if not mine:
        return
    for item in mine:
        _require_grantor(item, item.event.from_region)
        if not await grant_terms.put(tx.conn, item.event.terms, item.event.from_region):
            raise Poison("not_the_grantor")
    book = await Book.open(tx, office, (item.event.allotment_id for item in mine))
    for item in mine:
        event = item.event
        await open_allotment(tx, book, event)
        if book[event.allotment_id].grantor != event.from_region:
            raise Poison("not_the_grantor")
        if book[event.allotment_id].currency != event.currency:
            raise Poison("other_currency")
        if not await transfers.insert_transfer(
            tx.conn,
            event.transfer_id,
            "allotment",
            event.allotment_id,
            event.from_region,
            office.region,
            event.amount_minor,
            event.currency,
            "received",
            event.granted_minor,
        ):
            continue
        credit(book, event)
        if await transfers.is_recalled(tx.conn, event.allotment_id):
            book.put(book[event.allotment_id].recall())
        tx.emit(
            AllotmentReceivedV1(
                allotment_id=event.allotment_id,
                transfer_id=event.transfer_id,
                grantor=event.from_region,
                holder=office.region,
                amount_minor=event.amount_minor,
                currency=event.currency,
            ),
            cause=item,
        )
    await book.close()


async def booked(office: Office, tx: Tx, batch: Sequence[Received[ReturnBookedV1]]) -> None:
    """Take what this region gave back out of transit."""
    for item in sorted(batch, key=lambda item: item.event.transfer_id):
        if item.event.holder != office.region:
            continue
        booked_id = item.event.transfer_id
        if (
            await transfers.arrive(tx.conn, booked_id, item.region) is None
            and not await owing.told_is_booked(tx.conn, booked_id)
            # A return that the backup does not know, and that people have to see to.
            and not await restoring.is_left(
                tx.conn, AllotmentReturnedV1.type, item.event.allotment_id
            )
        ):
            raise Poison("unknown_transfer")


async def obey_recall(office: Office, tx: Tx, batch: Sequence[Received[RecallRequestedV1]]) -> None:
    """Stop new commitments and return what is free; a recall may overtake its money."""
    mine = {item.event.allotment_id: item for item in batch if item.event.holder == office.region}
    if not mine:
        return
    book = await Book.open(tx, office, mine)
    for allotment_id, item in sorted(mine.items()):
        _require_grantor(item, item.event.grantor)
        await transfers.remember_recall(tx.conn, allotment_id, item.region, item.event.reason)
        if allotment_id in book:
            if book[allotment_id].grantor != item.region:
                raise Poison("not_the_grantor")
            book.put(book[allotment_id].recall())
    await book.close()


async def give_back(office: Office, tx: Tx, allotment_id: AllotmentId, amount_minor: int) -> None:
    """Return free money that is not needed here. Raises `Problem`."""
    book = await Book.open(tx, office, [allotment_id])
    if allotment_id not in book:
        raise Problem(NOT_FOUND)
    try:
        await book.give_back(allotment_id, amount_minor)
    except NotEnough:
        raise problem("return-above-free") from None
    await book.close()


async def know_grants(office: Office, tx: Tx, batch: Sequence[Received[GrantChangedV1]]) -> None:
    """Keep other regions' grants; the highest version wins.

    One that is resumed, or may pay for later days than before, wakes needs.
    """
    resumed: list[AllotmentId] = []
    for item in sorted(batch, key=lambda item: item.event.grant_id):
        event = item.event
        before = await grant_terms.state_of(tx.conn, event.grant_id)
        if not await grant_terms.put(
            tx.conn,
            event.terms,
            item.region,
            status=event.status,
            state_version=event.version,
            amount_minor=event.amount_minor,
            received_minor=event.received_minor,
        ):
            raise Poison("not_the_grantor")
        after = await grant_terms.state_of(tx.conn, event.grant_id)
        assert after is not None  # noqa: S101 - just written
        if before is None:
            continue
        is_back = before.status in ("suspended", "closed") and after.status == "active"
        if is_back or grants.wakes(after.status, before.restriction, after.restriction):
            resumed += await store.of_grant(tx.conn, event.grant_id)
    if resumed:
        book = await Book.open(tx, office, resumed)
        book.all_grew()
        await book.close()
