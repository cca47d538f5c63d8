"""The steps of payouts, many at once, and what they do to commitments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import CommitmentId, PayeeRef, PayoutId, derive_id
from aidmesh_payments.domain import commitments as rules
from aidmesh_payments.domain.allotments import NotEnough
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.domain.payout import (
    NOT_COLLECTED,
    Payout,
    PayoutRefusal,
    Verb,
    is_uncollected,
    review,
    step,
)
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.needs import (
    discrepancy_of,
    draft_of,
    let_go,
    payout_state,
    released_event,
)
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.spending import reverse_spending, tell_spent
from aidmesh_payments.problems import problem
from aidmesh_payments.store import commitments as commitment_store
from aidmesh_payments.store import late_cash
from aidmesh_payments.store import payouts as store
from aidmesh_payments.store import pickup as pickup_store
from aidmesh_payments.store.commitments import Discrepancy
from aidmesh_payments.store.payouts import PayoutRow

Lacking = Literal["no_money", "paid_twice"]
"""Why the books cannot bear cash that was paid."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one payout.

    Attributes:
        bank_reference, settled_on: of a settlement.
        reason: an ISO 20022 code, of a rejection or return.
    """

    payout_id: PayoutId
    bank_reference: str | None = None
    settled_on: date | None = None
    reason: str | None = None
    batch_id: UUID | None = None


async def take_steps(
    office: Office, tx: Tx, verb: Verb, steps: Sequence[Step], by: UUID
) -> Mapping[PayoutId, PayoutRefusal | None]:
    """Take the same step with many payouts; refused ones do not stop the others.

    Returns:
        by payout that exists, why it was refused, or None when it is done.
    """
    wanted = {each.payout_id: each for each in steps}
    found = await store.find(tx.conn, wanted)
    if verb in ("settle", "return"):
        # What was let go, or has no money, depends on what else becomes of the need.
        await commitment_store.begin_facts(
            tx.conn,
            (row.need_id for row in found if verb == "return" or is_uncollected(row.payout)),
        )
    book = await Book.open(tx, office, (row.allotment_id for row in found))
    commitments = await commitment_store.lock(tx.conn, (row.commitment_id for row in found))
    locked = await store.lock(tx.conn, wanted)
    outcomes: dict[PayoutId, PayoutRefusal | None] = {}
    saved: list[PayoutRow] = []
    touched: dict[CommitmentId, Commitment] = {}
    odd: list[Discrepancy] = []
    for payout_id, row in locked.items():
        order = wanted[payout_id]
        payout = step(
            row.payout,
            verb,
            by,
            book.now,
            float_limit_minor=office.float_limit_minor(row.payout.currency),
            reason=order.reason,
            settled_on=order.settled_on,
            is_cash=row.mechanism == "cash",
        )
        commitment = commitments[row.commitment_id]
        lacking: Lacking | None = None
        if verb == "settle" and is_uncollected(row.payout) and isinstance(payout, Payout):
            paid_now = any(each.need_id == row.need_id for each in saved)
            late = "paid_twice" if paid_now else await _take_up_again(book, row, commitment)
            if isinstance(late, PayoutRefusal):
                payout = late
            elif isinstance(late, Commitment):
                commitment = late
            else:
                lacking = late
        if isinstance(payout, PayoutRefusal):
            outcomes[payout_id] = payout
            continue
        changed = replace(row, payout=payout, batch_id=order.batch_id or row.batch_id)
        if verb == "settle":
            settled_on = order.settled_on or book.today
            changed = replace(changed, bank_reference=order.bank_reference, settled_on=settled_on)
            if lacking is None:
                touched[commitment.id] = pay(book, commitment, changed, settled_on)
            else:
                changed = replace(changed, paid_twice=lacking == "paid_twice")
                odd.append(_paid_without_money(commitment, changed, lacking, settled_on))
        elif verb == "return" and commitment.state != "spent":
            # No money was found for it yet, and none is needed any more.
            await late_cash.close_unpaid(tx.conn, commitment.id, "returned")
        elif verb == "return":
            touched[commitment.id] = reverse_spending(
                book, commitment, (order.reason or "").lower(), fulfils=True
            )
        elif verb in ("cancel", NOT_COLLECTED):
            touched[commitment.id] = let_go(
                book, commitment, "returned" if verb == "cancel" else "not_collected"
            )
            tx.emit(released_event(touched[commitment.id]))
        saved.append(changed)
        tx.emit(payout_state(changed), version=payout.version)
        outcomes[payout_id] = None
    await commitment_store.save(tx.conn, list(touched.values()))
    await store.save(tx.conn, saved)
    await commitment_store.open_discrepancies(tx.conn, odd)
    await book.close()
    return outcomes


async def _take_up_again(
    book: Book, row: PayoutRow, commitment: Commitment
) -> Commitment | Lacking | PayoutRefusal:
    """Commit the money once more of cash that was fetched before its time was over.

    The word of it came late: the cash had been let go. Intake fulfils the need by it, whatever
    attempt it is at. That it was paid is a fact: only a payment that can still be stopped is to
    be stopped first.
    """
    live = (await store.live_of_needs(book.tx.conn, [row.need_id])).values()
    for other in await store.find(book.tx.conn, live):
        can_stop = other.payout.state in ("draft", "approved")
        return PayoutRefusal.WRONG_STATE if can_stop else "paid_twice"
    try:
        book.put(book[commitment.allotment_id].commit_free(commitment.amount_minor))
    except NotEnough:
        return "no_money"
    return replace(commitment, state="committed", cause=None)


def _paid_without_money(
    commitment: Commitment, row: PayoutRow, about: Lacking, on: date
) -> Discrepancy:
    return discrepancy_of(commitment, about, on)._replace(
        id=derive_id("discrepancy", about, row.id)
    )


def pay(book: Book, commitment: Commitment, row: PayoutRow, on: date) -> Commitment:
    """Spend what is committed for a payout that was settled on a day."""
    book.put(book[commitment.allotment_id].spend(commitment.amount_minor))
    spent = rules.spend(commitment, on)
    tell_spent(book, spent, fulfils=True, payout_id=row.id, reference=row.bank_reference or "")
    return spent


async def take_step(office: Office, tx: Tx, verb: Verb, order: Step, by: UUID) -> None:
    """Take one step with one payout. Raises `Problem`."""
    outcomes = await take_steps(office, tx, verb, [order], by)
    if order.payout_id not in outcomes:
        raise Problem(NOT_FOUND)
    refusal = outcomes[order.payout_id]
    if refusal is not None:
        raise problem(refusal)


async def _lock_one(
    office: Office, tx: Tx, payout_id: PayoutId
) -> tuple[Book, Commitment, PayoutRow]:
    found = await store.find(tx.conn, [payout_id])
    if not found:
        raise Problem(NOT_FOUND)
    book = await Book.open(tx, office, [found[0].allotment_id])
    commitment = (await commitment_store.lock(tx.conn, [found[0].commitment_id]))[
        found[0].commitment_id
    ]
    return book, commitment, (await store.lock(tx.conn, [payout_id]))[payout_id]


async def redo(
    office: Office, tx: Tx, payout_id: PayoutId, by: UUID, payee_ref: PayeeRef | None
) -> PayoutId:
    """Draw up a rejected or returned payout again, with corrected details. Raises `Problem`."""
    _, commitment, row = await _lock_one(office, tx, payout_id)
    newest = row.payout_no == await store.last_number(tx.conn, row.commitment_id)
    failed = row.payout.state in ("rejected", "returned")
    if not (failed and newest and commitment.state == "committed"):
        raise problem("wrong-state")
    payee_ref = payee_ref or commitment.payee_ref
    if payee_ref is not None and not await store.has_payee(tx.conn, payee_ref, row.need_id):
        # Of another need, or of somebody who was erased since.
        raise problem("payee-unusable", rule="unknown", payout_id=row.id)
    draft = draft_of(commitment, row.payout_no + 1)
    draft = replace(
        draft,
        payee_ref=payee_ref,
        payout=Payout(commitment.amount_minor, commitment.currency, maker=by),
    )
    await store.insert(tx.conn, [draft])
    if payee_ref is not None:
        await store.set_payees(tx.conn, {commitment.id: payee_ref})
    await pickup_store.restart_clock(tx.conn, commitment.id)
    tx.emit(payout_state(draft), version=1)
    return draft.id


async def give_up(office: Office, tx: Tx, payout_id: PayoutId) -> None:
    """Let go of the money of a rejected or returned payout. Raises `Problem`."""
    book, commitment, row = await _lock_one(office, tx, payout_id)
    live = await store.lock_live_of(tx.conn, [commitment.id])
    if row.payout.state not in ("rejected", "returned") or live or commitment.state != "committed":
        raise problem("wrong-state")
    released = let_go(book, commitment, "returned")
    tx.emit(released_event(released))
    await commitment_store.save(tx.conn, [released])
    await book.close()


async def review_one(tx: Tx, payout_id: PayoutId, by: UUID) -> None:
    """Review what one person paid alone. Raises `Problem`."""
    row = (await store.lock(tx.conn, [payout_id])).get(payout_id)
    if row is None:
        raise Problem(NOT_FOUND)
    reviewed = review(row.payout, by)
    if isinstance(reviewed, PayoutRefusal):
        raise problem(reviewed)
    await store.save(tx.conn, [replace(row, payout=reviewed)])
