"""Money between a grant and its holders, at both ends."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from aidmesh_chassis import restoring, standings
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import AllotmentId, GrantId, RebalancingId, TransferId
from aidmesh_contracts.payments import (
    AllotmentChangedV1,
    AllotmentReceivedV1,
    AllotmentReturnedV1,
    AllotmentSentV1,
    GrantChangedV1,
    RecallRequestedV1,
    ReturnBookedV1,
)
from aidmesh_payments.domain import grants, ledger
from aidmesh_payments.domain.allotments import Allotment, NotEnough
from aidmesh_payments.domain.grants import Granted, GrantRefusal, Override
from aidmesh_payments.domain.money import Rate, to_grant_currency, today_in_kyiv
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.office import Office, check_region
from aidmesh_payments.handlers.returning import credit_grant, tell_grants
from aidmesh_payments.problems import problem
from aidmesh_payments.store import allotments as store
from aidmesh_payments.store import funding, lost, transfers
from aidmesh_payments.store import granted as granted_store
from aidmesh_payments.store import grants as grant_store
from aidmesh_payments.store import ledger as ledger_store
from aidmesh_payments.store.granted import GrantAllotment


class Order(BaseModel):
    """An allotment to make, or (with `allotment_id` of one that is there) to raise.

    Attributes:
        amount_minor: in the currency of spending.
        rate: None where grant and spending share a currency, or to take the newest kept.
        granted_minor: what the grant counts as gone, in its currency; None to convert.
        rebalancing_id: the proposal that it carries out.
    """

    model_config = ConfigDict(frozen=True)

    allotment_id: AllotmentId
    transfer_id: TransferId
    grant_id: GrantId
    budget_line: str
    to_region: str
    amount_minor: int
    currency: str
    rate: Rate | None = None
    valid_until: date | None = None
    granted_minor: int | None = None
    rebalancing_id: RebalancingId | None = None


async def _rate(tx: Tx, order: Order, grant_currency: str, today: date) -> Rate:
    if order.currency == grant_currency:
        return Rate("1", today, "same_currency")
    if order.rate is not None:
        return order.rate
    kept = await funding.latest_rate(tx.conn, grant_currency, order.currency, today)
    if kept is None:
        raise problem("rate-missing")
    return Rate(*kept)


async def allot(
    office: Office, tx: Tx, order: Order, maker: UUID | None, override: Override | None = None
) -> None:
    """Give money of a grant to a holder: the own region has it at once, another by event.

    Raises:
        Problem: the decision refuses.
    """
    check_region(office, order.to_region)
    await standings.check(tx.conn, order.to_region)
    # A raised allotment of the own region is locked before its grant, like everywhere.
    book = await Book.open(tx, office, [order.allotment_id])
    grant = (await grant_store.lock(tx.conn, [order.grant_id])).get(order.grant_id)
    terms = await grant_store.terms(tx.conn, order.grant_id)
    if grant is None or terms is None:
        raise Problem(NOT_FOUND)
    line = await grant_store.line(tx.conn, grant.id, order.budget_line)
    rate = await _rate(tx, order, grant.currency, book.today)
    granted_minor = order.granted_minor
    if granted_minor is None:
        granted_minor = to_grant_currency(
            order.amount_minor, order.currency, grant.currency, rate.text
        )
    if granted_minor == 0:
        raise problem("not-so-much")
    decided = grants.allot(grant, line, granted_minor, maker, override)
    if isinstance(decided, GrantRefusal):
        raise problem(decided)
    grant, line = decided
    await grant_store.save(tx.conn, [grant])
    await grant_store.save_line(tx.conn, grant.id, line)
    before = await granted_store.allotment(tx.conn, order.allotment_id)
    if before is not None and (
        before.recall_reason is not None
        or (before.grant_id, before.budget_line, before.holder, before.currency)
        != (grant.id, order.budget_line, order.to_region, order.currency)
    ):
        raise problem("wrong-state")
    held_before = Granted(0, 0) if before is None else before.granted
    await granted_store.put_allotment(
        tx.conn,
        GrantAllotment(
            id=order.allotment_id,
            grant_id=grant.id,
            budget_line=order.budget_line,
            holder=order.to_region,
            currency=order.currency,
            granted=replace(
                held_before,
                amount_minor=held_before.amount_minor + order.amount_minor,
                granted_minor=held_before.granted_minor + granted_minor,
            ),
            rate=rate.text,
            valid_until=order.valid_until,
            recall_reason=None,
        ),
        rate.on,
        rate.source,
    )
    book.write(
        ledger.allotment_sent(
            order.transfer_id,
            grant.id,
            order.allotment_id,
            grant.currency,
            granted_minor,
            order.currency,
            order.amount_minor,
            book.today,
        )
    )
    sent = AllotmentSentV1(
        allotment_id=order.allotment_id,
        transfer_id=order.transfer_id,
        terms=terms,
        budget_line=order.budget_line,
        cost_categories=line.cost_categories,
        from_region=office.region,
        to_region=order.to_region,
        amount_minor=order.amount_minor,
        currency=order.currency,
        granted_minor=granted_minor,
        rate=rate.text,
        valid_until=order.valid_until,
        rebalancing_id=order.rebalancing_id,
    )
    own = order.to_region == office.region
    is_new = await transfers.insert_transfer(
        tx.conn,
        order.transfer_id,
        "allotment",
        order.allotment_id,
        office.region,
        order.to_region,
        order.amount_minor,
        order.currency,
        "received" if own else "in_transit",
        granted_minor,
    )
    if not is_new:
        raise problem("wrong-state")
    if own:
        await _open(tx, book, sent)
        _credit(book, sent)
    else:
        tx.emit(sent)
    await tell_grants(tx, [grant])
    await book.close()


async def _open(tx: Tx, book: Book, sent: AllotmentSentV1) -> None:
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


def _credit(book: Book, sent: AllotmentSentV1) -> None:
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


def _from(item: Received[AllotmentSentV1] | Received[RecallRequestedV1], grantor: str) -> None:
    if item.region != grantor:
        raise Poison("not_the_grantor")


async def receive(office: Office, tx: Tx, batch: Sequence[Received[AllotmentSentV1]]) -> None:
    """Credit transfers to this region, once each, and say so."""
    mine = [item for item in batch if item.event.to_region == office.region]
    mine.sort(key=lambda item: item.event.allotment_id)
    if not mine:
        return
    for item in mine:
        _from(item, item.event.from_region)
        if not await store.put_terms(tx.conn, item.event.terms, item.event.from_region):
            raise Poison("not_the_grantor")
    book = await Book.open(tx, office, (item.event.allotment_id for item in mine))
    for item in mine:
        event = item.event
        await _open(tx, book, event)
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
        _credit(book, event)
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


async def arrived(office: Office, tx: Tx, batch: Sequence[Received[AllotmentReceivedV1]]) -> None:
    """Take our transfers out of transit."""
    for item in sorted(batch, key=lambda item: item.event.transfer_id):
        if item.event.grantor != office.region:
            continue
        if await transfers.arrive(tx.conn, item.event.transfer_id, item.region) is None:
            raise Poison("unknown_transfer")


async def booked(office: Office, tx: Tx, batch: Sequence[Received[ReturnBookedV1]]) -> None:
    """Take what this region gave back out of transit."""
    for item in sorted(batch, key=lambda item: item.event.transfer_id):
        if item.event.holder != office.region:
            continue
        booked_id = item.event.transfer_id
        if (
            await transfers.arrive(tx.conn, booked_id, item.region) is None
            and not await lost.told_is_booked(tx.conn, booked_id)
            # A return that the backup does not know, and that people have to see to.
            and not await restoring.is_left(
                tx.conn, AllotmentReturnedV1.type, item.event.allotment_id
            )
        ):
            raise Poison("unknown_transfer")


async def take_back(office: Office, tx: Tx, batch: Sequence[Received[AllotmentReturnedV1]]) -> None:
    """Credit what holders gave back to our grants, once by transfer."""
    mine = [item for item in batch if item.event.grantor == office.region]
    made = {
        item.event.allotment_id: await granted_store.allotment(tx.conn, item.event.allotment_id)
        for item in mine
    }
    for item in mine:
        ours = made[item.event.allotment_id]
        if ours is None or ours.holder != item.region or ours.currency != item.event.currency:
            raise Poison("not_the_holder")
    await grant_store.lock(tx.conn, (ours.grant_id for ours in made.values() if ours is not None))
    journals: list[ledger.Journal] = []
    for item in mine:
        event = item.event
        if await transfers.insert_transfer(
            tx.conn,
            event.transfer_id,
            "return",
            event.allotment_id,
            event.holder,
            office.region,
            event.amount_minor,
            event.currency,
            "received",
        ):
            journals += await credit_grant(
                tx,
                office.region,
                event.allotment_id,
                event.transfer_id,
                event.amount_minor,
                today_in_kyiv(tx.now),
                event.rebalancing_id,
            )
            tx.emit(
                ReturnBookedV1(
                    allotment_id=event.allotment_id,
                    transfer_id=event.transfer_id,
                    grantor=office.region,
                    holder=event.holder,
                    amount_minor=event.amount_minor,
                    currency=event.currency,
                ),
                cause=item,
            )
    await ledger_store.post(tx.conn, journals)


async def obey_recall(office: Office, tx: Tx, batch: Sequence[Received[RecallRequestedV1]]) -> None:
    """Stop new commitments and return what is free; a recall may overtake its money."""
    mine = {item.event.allotment_id: item for item in batch if item.event.holder == office.region}
    if not mine:
        return
    book = await Book.open(tx, office, mine)
    for allotment_id, item in sorted(mine.items()):
        _from(item, item.event.grantor)
        await transfers.remember_recall(tx.conn, allotment_id, item.region, item.event.reason)
        if allotment_id in book:
            if book[allotment_id].grantor != item.region:
                raise Poison("not_the_grantor")
            book.put(book[allotment_id].recall())
    await book.close()


async def recall(office: Office, tx: Tx, allotment_id: AllotmentId, reason: str) -> None:
    """Ask a holder for what is free. Raises `Problem`."""
    book = await Book.open(tx, office, [allotment_id])
    made = await granted_store.allotment(tx.conn, allotment_id)
    if made is None:
        raise Problem(NOT_FOUND)
    await grant_store.lock(tx.conn, [made.grant_id])
    await granted_store.note_recall(tx.conn, allotment_id, reason)
    if made.holder == office.region:
        await transfers.remember_recall(tx.conn, allotment_id, office.region, reason)
        book.put(book[allotment_id].recall())
    else:
        tx.emit(
            RecallRequestedV1(
                allotment_id=allotment_id, grantor=office.region, holder=made.holder, reason=reason
            )
        )
    await book.close()


async def give_back(office: Office, tx: Tx, allotment_id: AllotmentId, amount_minor: int) -> None:
    """Return free money that is not needed here. Raises `Problem`."""
    book = await Book.open(tx, office, [allotment_id])
    if allotment_id not in book:
        raise Problem(NOT_FOUND)
    try:
        await book.give_back(allotment_id, amount_minor)
    except NotEnough:
        raise problem("not-so-much") from None
    await book.close()


async def know_grants(office: Office, tx: Tx, batch: Sequence[Received[GrantChangedV1]]) -> None:
    """Keep other regions' grants; the highest version wins.

    One that is resumed, or may pay for later days than before, wakes needs.
    """
    resumed: list[AllotmentId] = []
    for item in sorted(batch, key=lambda item: item.event.grant_id):
        event = item.event
        before = await store.grant_state(tx.conn, event.grant_id)
        if not await store.put_terms(
            tx.conn,
            event.terms,
            item.region,
            status=event.status,
            state_version=event.version,
            amount_minor=event.amount_minor,
            received_minor=event.received_minor,
        ):
            raise Poison("not_the_grantor")
        after = await store.grant_state(tx.conn, event.grant_id)
        assert after is not None  # noqa: S101 - just written
        if before is None:
            continue
        is_back = (before.status, after.status) == ("suspended", "active")
        if is_back or grants.wakes(after.status, before.restriction, after.restriction):
            resumed += await store.of_grant(tx.conn, event.grant_id)
    if resumed:
        book = await Book.open(tx, office, resumed)
        book.all_grew()
        await book.close()


async def know_allotments(tx: Tx, batch: Sequence[Received[AllotmentChangedV1]]) -> None:
    """Keep other regions' allotments as they last told."""
    states = [item.event for item in batch if item.region == item.event.holder]
    if states:
        await store.keep_elsewhere(tx.conn, states)
