"""Purchases: from a budget line's allotment to what is ordered, received, billed and paid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from aidmesh_chassis import restoring
from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import day_of, is_future
from aidmesh_contracts.ids import AllotmentId, CommitmentId, GrantId, PurchaseId, derive_id
from aidmesh_contracts.payments import (
    PurchaseBilledV1,
    PurchaseCanceledV1,
    PurchaseChangedV1,
    PurchaseOrderedV1,
)
from aidmesh_contracts.restriction import Use
from aidmesh_payments.domain import commitments as commitment_rules
from aidmesh_payments.domain import purchase as rules
from aidmesh_payments.domain.allotments import NotEnough
from aidmesh_payments.domain.choosing import Purse
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.domain.payout import PayoutRefusal
from aidmesh_payments.domain.purchase import Line, Purchase, PurchaseRefusal
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.commitments import resize
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.spending import reverse_spending, tell_spent
from aidmesh_payments.problems import problem
from aidmesh_payments.store import commitments as commitment_store
from aidmesh_payments.store import grants as grant_store
from aidmesh_payments.store import purchases as store
from aidmesh_payments.store.purchases import PurchaseRow


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to buy, and for what."""

    allotment_id: AllotmentId
    supplier: str
    cost_category: str
    programme: str
    area: str
    planned_on: date
    lines: tuple[Line, ...]


async def draw_up(office: Office, tx: Tx, purchase_id: PurchaseId, wish: Wish, by: UUID) -> None:
    """Keep a draft; no money is set aside before it is ordered. Raises `Problem`."""
    _, purses = await Book.open_purse(tx, office, wish.allotment_id)
    if not purses:
        raise Problem(NOT_FOUND)
    drafted = rules.draft(wish.lines, by)
    if drafted.amount_minor == 0:
        raise problem("amount-is-zero")
    await store.insert(
        tx.conn,
        PurchaseRow(
            id=purchase_id,
            allotment_id=wish.allotment_id,
            commitment_id=None,
            supplier=wish.supplier,
            cost_category=wish.cost_category,
            programme=wish.programme,
            area=wish.area,
            currency=purses[0].currency,
            planned_on=wish.planned_on,
            purchase=drafted,
        ),
    )


async def _lock(office: Office, tx: Tx, purchase_id: PurchaseId) -> tuple[Book, list[Purse]]:
    allotment_id = await store.allotment_of(tx.conn, purchase_id)
    if allotment_id is None:
        raise Problem(NOT_FOUND)
    return await Book.open_purse(tx, office, allotment_id)


def _check(purse: Purse, row: PurchaseRow, today: date) -> None:
    """Refuse what donor or budget line do not allow.

    Kinds of need are not asked here: goods carry the restriction along, and it is asked again
    when they are handed out.
    """
    use = Use(
        programme=row.programme,
        kind="purchase",
        on=row.planned_on,
        service_area=row.area,
        stay_area=row.area,
        origin_area=row.area,
        cost_category=row.cost_category,
    )
    terms = purse.restriction.model_copy(update={"kinds": None})
    misfit = terms.misfit(use)
    if misfit is not None:
        raise problem("restriction-misfit", misfit=misfit.value)
    if not replace(purse, restriction=terms).fits(use, today):
        raise problem("restriction-misfit", misfit="budget_line")
    if not purse.usable:
        raise problem("grant-not-active")


async def order(office: Office, tx: Tx, purchase_id: PurchaseId, by: UUID) -> None:
    """Approve and order: the money is committed, inventory is told what will come.

    Of an order that had been cancelled, and of which goods came all the same, nothing more will.

    Raises:
        Problem: the decision refuses.
    """
    book, purses = await _lock(office, tx, purchase_id)
    purse = purses[0]
    await _check_proven(tx, purchase_id)
    commitment_id = CommitmentId(derive_id("commitment", "purchase", purchase_id))
    known = (await commitment_store.lock(tx.conn, [commitment_id])).get(commitment_id)
    row = (await store.lock(tx.conn, [purchase_id]))[purchase_id]
    _check(purse, row, book.today)
    ordered = rules.order(
        row.purchase, by, float_limit_minor=office.float_limit_minor(row.currency)
    )
    if isinstance(ordered, PurchaseRefusal):
        raise problem(ordered)
    try:
        book.put(book[row.allotment_id].commit_free(ordered.amount_minor))
    except NotEnough:
        raise problem("allotment-short") from None
    if known is None:
        await commitment_store.insert(
            tx.conn,
            [
                Commitment(
                    id=commitment_id,
                    need_id=None,
                    attempt_no=0,
                    allotment_id=row.allotment_id,
                    grant_id=purse.grant_id,
                    amount_minor=ordered.amount_minor,
                    currency=row.currency,
                    purpose="purchase",
                    state="committed",
                    programme=row.programme,
                )
            ],
        )
    else:
        taken_up = commitment_rules.take_up(known, ordered.amount_minor)
        await commitment_store.save(tx.conn, [taken_up])
    await store.save(tx.conn, [replace(row, purchase=ordered, commitment_id=commitment_id)])
    if ordered.is_to_come:
        await _tell_ordered(tx, purse.grant_id, replace(row, purchase=ordered))
    await book.close()


async def _tell_ordered(tx: Tx, grant_id: GrantId, row: PurchaseRow) -> None:
    terms = await grant_store.terms(tx.conn, grant_id)
    assert terms is not None  # noqa: S101 - a foreign key
    tx.emit(
        PurchaseOrderedV1(
            purchase_id=row.id,
            grant_id=grant_id,
            restriction=terms.restriction,
            currency=row.currency,
            lines=_goods(row.purchase),
            terms_version=terms.terms_version,
        )
    )


def _goods(purchase: Purchase) -> tuple[PurchaseOrderedV1.Line, ...]:
    return tuple(
        PurchaseOrderedV1.Line(
            item=line.item, quantity=line.quantity, unit_value_minor=line.cost_minor
        )
        for line in purchase.lines
        if line.item is not None
    )


async def correct_bill(
    office: Office,
    tx: Tx,
    purchase_id: PurchaseId,
    by: UUID,
    amount_minor: int,
    reference: str,
    reason: str,
    prices: Mapping[int, int] | None = None,
) -> None:
    """Put a bill right that is not paid yet; the commitment follows it. Raises `Problem`."""
    before, after = await _step(
        office,
        tx,
        purchase_id,
        lambda purchase, _: rules.correct_bill(purchase, by, amount_minor, prices),
        lambda book, commitment: resize(book, commitment, amount_minor),
        lambda row: replace(row, invoice_reference=reference),
    )
    _tell_prices(tx, before, after)
    await store.note_correction(tx.conn, "bill", before, reason, by)


async def reverse_payment(
    office: Office,
    tx: Tx,
    purchase_id: PurchaseId,
    by: UUID,
    reason: str,
    came_back_on: date | None = None,
) -> None:
    """Undo a payment by a journal of its own: the bill is open again.

    Args:
        came_back_on: the day on which the supplier gave the money back, and for which that counts.
            None where it never left like that: the payment is undone on its own day, so that
            entered again, with whichever day, it counts once.

    Raises:
        Problem: the decision refuses, or money came back before it was paid, or in the future.
    """
    if came_back_on is not None and is_future(came_back_on, tx.now):
        raise problem("day-in-future")

    def undo(book: Book, commitment: Commitment) -> Commitment:
        paid_on = commitment.spent_on
        if came_back_on is not None and paid_on is not None and came_back_on < paid_on:
            raise problem("came-back-too-early")
        on = came_back_on or paid_on
        return reverse_spending(book, commitment, reason, fulfils=False, on=on)

    before, _ = await _step(
        office,
        tx,
        purchase_id,
        lambda purchase, currency: rules.reverse_payment(
            purchase, by, float_limit_minor=office.float_limit_minor(currency)
        ),
        undo,
        lambda row: replace(row, bank_reference=None, paid_on=None),
    )
    await store.note_correction(tx.conn, "payment", before, reason, by)


async def _check_proven(tx: Tx, purchase_id: PurchaseId) -> None:
    """Refuse what may have been done after the backup that this region was restored from."""
    if await restoring.doubted(tx.conn, [purchase_id]):
        raise problem(PayoutRefusal.UNPROVEN)


async def _step(
    office: Office,
    tx: Tx,
    purchase_id: PurchaseId,
    decide: Callable[[Purchase, str], Purchase | PurchaseRefusal],
    apply: Callable[[Book, Commitment], Commitment] | None,
    note: Callable[[PurchaseRow], PurchaseRow] = lambda row: row,
) -> tuple[PurchaseRow, PurchaseRow]:
    """Lock in order, decide by purchase and currency, change the commitment with it, save.

    Returns:
        the purchase as it was before, and as it is now.
    """
    book, _ = await _lock(office, tx, purchase_id)
    commitment_id = CommitmentId(derive_id("commitment", "purchase", purchase_id))
    commitments = await commitment_store.lock(tx.conn, [commitment_id])
    row = (await store.lock(tx.conn, [purchase_id]))[purchase_id]
    decided = decide(row.purchase, row.currency)
    if isinstance(decided, PurchaseRefusal):
        raise problem(decided)
    if apply is not None:
        await commitment_store.save(tx.conn, [apply(book, each) for each in commitments.values()])
    after = note(replace(row, purchase=decided))
    await store.save(tx.conn, [after])
    await book.close()
    return row, after


async def receive(office: Office, tx: Tx, purchase_id: PurchaseId) -> None:
    """Say by hand that all has come; inventory expects no more. Raises `Problem`."""
    _, after = await _step(
        office, tx, purchase_id, lambda purchase, _: rules.receive(purchase), None
    )
    if after.purchase.has_goods:
        tx.emit(changed_event(after))


def changed_event(row: PurchaseRow) -> PurchaseChangedV1:
    """What inventory is told where somebody says that all has come, or that does not hold."""
    return PurchaseChangedV1(
        purchase_id=row.id, is_to_come=row.purchase.is_to_come, version=row.purchase.version
    )


async def invoice(
    office: Office,
    tx: Tx,
    purchase_id: PurchaseId,
    by: UUID,
    amount_minor: int,
    reference: str,
    prices: Mapping[int, int] | None = None,
) -> None:
    """Take in the bill; the commitment follows it, up or down.

    Args:
        prices: of one piece by line of goods, where they are not as ordered: what comes from now
            on is worth so much.

    Raises:
        Problem: the decision refuses.
    """
    before, after = await _step(
        office,
        tx,
        purchase_id,
        lambda purchase, _: rules.invoice(purchase, by, amount_minor, prices),
        lambda book, commitment: resize(book, commitment, amount_minor),
        lambda row: replace(row, invoice_reference=reference),
    )
    _tell_prices(tx, before, after)


def _tell_prices(tx: Tx, before: PurchaseRow, after: PurchaseRow) -> None:
    lines = _goods(after.purchase)
    if lines != _goods(before.purchase):
        tx.emit(PurchaseBilledV1(purchase_id=after.id, lines=lines, version=after.purchase.version))


async def pay(
    office: Office,
    tx: Tx,
    purchase_id: PurchaseId,
    by: UUID,
    bank_reference: str,
    paid_on: date | None,
) -> None:
    """Pay the bill: the money is spent. Raises `Problem`."""
    if paid_on is not None and is_future(paid_on, tx.now):
        raise problem("day-in-future")
    day = paid_on or day_of(tx.now)
    await _check_proven(tx, purchase_id)

    def spend(book: Book, commitment: Commitment) -> Commitment:
        book.put(book[commitment.allotment_id].spend(commitment.amount_minor))
        spent = commitment_rules.spend(commitment, day)
        tell_spent(book, spent, fulfils=False, reference=bank_reference)
        return spent

    await _step(
        office,
        tx,
        purchase_id,
        lambda purchase, currency: rules.pay(
            purchase, by, float_limit_minor=office.float_limit_minor(currency)
        ),
        spend,
        lambda row: replace(row, bank_reference=bank_reference, paid_on=day),
    )


async def cancel(
    office: Office, tx: Tx, purchase_id: PurchaseId, by: UUID, reason: str = "cancelled"
) -> None:
    """Give up an order of which nothing was counted in; inventory takes in no more for it.

    Of one that was said to have come, or was billed, who gave it up and why is kept.

    Raises:
        Problem: the decision refuses.
    """

    def release(book: Book, commitment: Commitment) -> Commitment:
        released = commitment_rules.release(commitment, "withdrawn")
        if released is None:
            raise problem("wrong-state")
        book.put(book[commitment.allotment_id].release_committed(commitment.amount_minor))
        book.grew(commitment.allotment_id, commitment.amount_minor)
        return released

    before, _ = await _step(
        office, tx, purchase_id, lambda purchase, _: rules.cancel(purchase), release
    )
    if before.purchase.state != "draft" and before.purchase.has_goods:
        tx.emit(PurchaseCanceledV1(purchase_id=purchase_id))
    if before.purchase.state in ("received", "invoiced"):
        await store.note_correction(tx.conn, "order", before, reason, by)
