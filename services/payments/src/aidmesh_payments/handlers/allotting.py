"""Money between a grant and its holders, at the grant's end; `holding` is the other."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from aidmesh_chassis import conflicts, standings
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, GrantId, RebalancingId, TransferId, derive_id
from aidmesh_contracts.payments_grants import (
    AllotmentChangedV1,
    AllotmentReceivedV1,
    AllotmentReturnedV1,
    AllotmentSentV1,
    RecallRequestedV1,
    ReturnBookedV1,
)
from aidmesh_payments.domain import fencing, grants, ledger
from aidmesh_payments.domain.grants import Grant, Granted, GrantRefusal, Override
from aidmesh_payments.domain.money import Rate, to_grant_currency
from aidmesh_payments.domain.restored_grants import lend, lent_reason
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.holding import credit, open_allotment
from aidmesh_payments.handlers.office import Office, check_region
from aidmesh_payments.handlers.returning import credit_grant, tell_grants
from aidmesh_payments.problems import problem
from aidmesh_payments.store import allotments as store
from aidmesh_payments.store import funding, transfers
from aidmesh_payments.store import granted as granted_store
from aidmesh_payments.store import grants as grant_store
from aidmesh_payments.store import ledger as ledger_store
from aidmesh_payments.store import lost as lost_store
from aidmesh_payments.store.granted import GrantAllotment

RETURN: Final = "return"
"""Among the conflicts: what was given back, and is credited to nobody."""


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


async def allot(
    office: Office,
    tx: Tx,
    order: Order,
    maker: UUID | None,
    override: Override | None = None,
    *,
    is_fact: bool = False,
) -> None:
    """Give money of a grant to a holder: the own region has it at once, another by event.

    Args:
        is_fact: it was given before a restore, whatever grant, line and holder are by now.

    Raises:
        Problem: the decision refuses.
    """
    if not is_fact:
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
    granted_minor = _granted_minor(order, grant.currency, rate)
    if is_fact:
        grant = _lend(book, grant, granted_minor, order.transfer_id)
    decided = grants.allot(grant, line, granted_minor, maker, override, is_fact=is_fact)
    if isinstance(decided, GrantRefusal):
        raise problem(decided)
    grant, line = decided
    await grant_store.save(tx.conn, [grant])
    await grant_store.save_line(tx.conn, grant.id, line)
    await _remember(tx, order, granted_minor, rate, is_fact=is_fact)
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
    await _send(office, book, sent)
    await tell_grants(tx, [grant])
    await book.close()


async def _rate(tx: Tx, order: Order, grant_currency: str, today: date) -> Rate:
    if order.currency == grant_currency:
        return Rate("1", today, "same_currency")
    if order.rate is not None:
        return order.rate
    kept = await funding.latest_rate(tx.conn, grant_currency, order.currency, today)
    if kept is None:
        raise problem("rate-missing")
    return Rate(*kept)


def _granted_minor(order: Order, grant_currency: str, rate: Rate) -> int:
    """What the grant counts as gone. Raises `Problem`: it is worth nothing."""
    granted_minor = order.granted_minor
    if granted_minor is None:
        granted_minor = to_grant_currency(
            order.amount_minor, order.currency, grant_currency, rate.text
        )
    if granted_minor == 0:
        raise problem("amount-is-zero")
    return granted_minor


def _lend(book: Book, grant: Grant, granted_minor: int, transfer_id: TransferId) -> Grant:
    """Have enough for what was given; `restoring.settle` takes back what is lent."""
    lent, lacking_minor = lend(grant, granted_minor)
    if lacking_minor:
        book.write(
            ledger.exchange_difference(
                derive_id("restore", "lent", transfer_id),
                grant.id,
                grant.currency,
                -lacking_minor,
                book.today,
                lent_reason(book.tx.origin.epoch),
            )
        )
    return lent


async def _remember(tx: Tx, order: Order, granted_minor: int, rate: Rate, *, is_fact: bool) -> None:
    """Note what the holder was given. Raises `Problem`: the allotment there is another's."""
    before = await granted_store.allotment(tx.conn, order.allotment_id)
    if before is not None and (
        (before.recall_reason is not None and not is_fact)
        or (before.grant_id, before.budget_line, before.holder, before.currency)
        != (order.grant_id, order.budget_line, order.to_region, order.currency)
    ):
        raise problem("wrong-state")
    granted = Granted(0, 0) if before is None else before.granted
    await granted_store.put_allotment(
        tx.conn,
        GrantAllotment(
            id=order.allotment_id,
            grant_id=order.grant_id,
            budget_line=order.budget_line,
            holder=order.to_region,
            currency=order.currency,
            granted=replace(
                granted,
                amount_minor=granted.amount_minor + order.amount_minor,
                granted_minor=granted.granted_minor + granted_minor,
            ),
            rate=rate.text,
            valid_until=order.valid_until,
            recall_reason=None,
        ),
        rate.on,
        rate.source,
    )


async def _send(office: Office, book: Book, sent: AllotmentSentV1) -> None:
    """Have the holder credited: here at once, elsewhere when it hears. Raises `Problem`."""
    is_own = sent.to_region == office.region
    is_new = await transfers.insert_transfer(
        book.tx.conn,
        sent.transfer_id,
        "allotment",
        sent.allotment_id,
        sent.from_region,
        sent.to_region,
        sent.amount_minor,
        sent.currency,
        "received" if is_own else "in_transit",
        sent.granted_minor,
    )
    if not is_new:
        raise problem("wrong-state")
    if is_own:
        await open_allotment(book.tx, book, sent)
        credit(book, sent)
    else:
        book.tx.emit(sent)


async def arrived(office: Office, tx: Tx, batch: Sequence[Received[AllotmentReceivedV1]]) -> None:
    """Take our transfers out of transit."""
    for item in sorted(batch, key=lambda item: item.event.transfer_id):
        if item.event.grantor != office.region:
            continue
        if await transfers.arrive(tx.conn, item.event.transfer_id, item.region) is None:
            raise Poison("unknown_transfer")


async def take_back(office: Office, tx: Tx, batch: Sequence[Received[AllotmentReturnedV1]]) -> None:
    """Credit what holders gave back to our grants, once by transfer.

    What was taken back already, or is more than they have, is credited to nobody: people see it.
    """
    mine = [item for item in batch if item.event.grantor == office.region]
    made = await granted_store.allotments(tx.conn, (item.event.allotment_id for item in mine))
    for item in mine:
        ours = made.get(item.event.allotment_id)
        if ours is None or ours.holder != item.region or ours.currency != item.event.currency:
            raise Poison("not_the_holder")
    await grant_store.lock(tx.conn, (ours.grant_id for ours in made.values()))
    may_credit = await _creditable(tx, [item.event for item in mine])
    in_vain = [item for item, may in zip(mine, may_credit, strict=True) if not may]
    if in_vain:
        await conflicts.leave_to_people(tx.conn, RETURN, in_vain)
    journals: list[ledger.Journal] = []
    for item, may in zip(mine, may_credit, strict=True):
        event = item.event
        if may and await transfers.insert_transfer(
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
                day_of(tx.now),
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


async def _creditable(tx: Tx, events: Sequence[AllotmentReturnedV1]) -> list[bool]:
    """Which of these are credited, or were before; their grants are locked."""
    ids = {event.allotment_id for event in events}
    # Read under the lock: others may have been credited while we waited for it.
    made = await granted_store.allotments(tx.conn, ids)
    return fencing.creditable(
        [
            fencing.GivenBack(
                event.transfer_id, event.allotment_id, event.amount_minor, event.fences
            )
            for event in events
        ],
        {each: ours.granted.outstanding_minor for each, ours in made.items()},
        await lost_store.reissued_for(tx.conn, ids),
        await transfers.known(tx.conn, [event.transfer_id for event in events]),
    )


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


async def know_allotments(tx: Tx, batch: Sequence[Received[AllotmentChangedV1]]) -> None:
    """Keep other regions' allotments as they last told."""
    states = [item.event for item in batch if item.region == item.event.holder]
    if states:
        await store.keep_elsewhere(tx.conn, states)
