"""The steps of payouts, many at once, and what they do to commitments."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from aidmesh_chassis import restoring
from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import CommitmentId, NeedId, PayeeRef, PayoutId
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.domain.payout import (
    LIVE,
    NOT_COLLECTED,
    Payout,
    PayoutRefusal,
    Verb,
    is_uncollected,
    may_be_second,
    review,
    step,
)
from aidmesh_payments.handlers.asking import ask_back
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.ending import let_go, payout_state, released_event
from aidmesh_payments.handlers.late_cash import pay_late
from aidmesh_payments.handlers.needs import draft_of
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.spending import pay, reverse_attempt, tell_reversed
from aidmesh_payments.problems import problem
from aidmesh_payments.store import commitments as commitment_store
from aidmesh_payments.store import discrepancies, late_cash
from aidmesh_payments.store import payees as payee_store
from aidmesh_payments.store import payouts as store
from aidmesh_payments.store import pickup as pickup_store
from aidmesh_payments.store.discrepancies import Discrepancy
from aidmesh_payments.store.payouts import PayoutRow


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
    places = {row.commitment_id: row.allotment_id for row in found}
    is_fact = verb in ("settle", "return", "reject")
    ended: Mapping[NeedId, int] = {}
    if is_fact:
        # What was let go, or has no money, depends on what else becomes of the need.
        need_ids = {row.need_id for row in found}
        await commitment_store.begin_facts(tx.conn, need_ids)
        ended = await commitment_store.ended_of(tx.conn, need_ids)
        attempts = await commitment_store.locate(tx.conn, need_ids, ("payout",))
        places = {each.id: each.allotment_id for each in attempts}
    book = await Book.open(tx, office, places.values())
    commitments = await commitment_store.lock(tx.conn, places)
    rows = await store.lock(tx.conn, wanted, live_of=places if is_fact else ())
    doubted = await restoring.doubted(
        tx.conn, [each for row in rows.values() for each in (row.id, row.need_id)]
    )
    outcomes: dict[PayoutId, PayoutRefusal | None] = {}
    saved: list[PayoutRow] = []
    touched: dict[CommitmentId, Commitment] = {}
    given_up: list[PayoutRow] = []
    odd: list[Discrepancy] = []
    unpaid: list[CommitmentId] = []
    # Cash that had been let go comes last: what else was paid is known by then.
    ordered = sorted(
        (row for row in rows.values() if row.id in wanted),
        key=lambda row: is_uncollected(row.payout),
    )
    attempts_of = _by_need(commitments.values())
    live = {each.commitment_id: each for each in rows.values() if each.payout.state in LIVE}
    for row in ordered:
        order = wanted[row.id]
        if row.assigned_to is not None:
            outcomes[row.id] = PayoutRefusal.PAID_ELSEWHERE
            if verb == "cancel" and row.is_awaited:
                saved.append(ask_back(tx, row, "returned"))
                outcomes[row.id] = None
            continue
        is_cash = row.mechanism == "cash"
        if may_be_second(verb, is_cash=is_cash) and doubted & {row.id, row.need_id}:
            outcomes[row.id] = PayoutRefusal.UNPROVEN
            continue
        payout = step(
            row.payout,
            verb,
            by,
            book.now,
            float_limit_minor=office.float_limit_minor(row.payout.currency),
            reason=order.reason,
            settled_on=order.settled_on,
            is_cash=is_cash,
        )
        if isinstance(payout, PayoutRefusal):
            outcomes[row.id] = payout
            continue
        commitment = commitments[row.commitment_id]
        changed = replace(row, payout=payout, batch_id=order.batch_id or row.batch_id)
        if verb == "settle":
            settled_on = order.settled_on or book.today
            changed = replace(changed, bank_reference=order.bank_reference, settled_on=settled_on)
            if is_uncollected(row.payout):
                others = [
                    (touched.get(each, commitments[each]), live.get(each))
                    for each in attempts_of[row.need_id] - {commitment.id}
                ]
                late = pay_late(book, changed, commitment, others, settled_on)
                changed, commitment = late.row, late.commitment
                touched |= {each.id: each for each in late.released}
                given_up += late.given_up
                odd += [] if late.discrepancy is None else [late.discrepancy]
            else:
                commitment = pay(book, commitment, changed, settled_on)
            touched[commitment.id] = commitment
            live[commitment.id] = changed
        elif verb == "return" and commitment.state != "spent":
            # No money was found for it yet, and none is needed any more.
            tell_reversed(book, commitment, (order.reason or "").lower(), fulfils=True)
            await late_cash.close_unpaid(tx.conn, commitment.id, "returned")
        elif verb == "return":
            touched[commitment.id] = reverse_attempt(
                book,
                commitment,
                (order.reason or "").lower(),
                fulfils=True,
                ended_no=ended[row.need_id],
            )
        elif (
            verb == "reject"
            and commitment.state == "committed"
            and commitment.attempt_no <= ended.get(row.need_id, 0)
        ):
            # It left before its need was withdrawn, and nobody was paid: nobody waits for it.
            touched[commitment.id] = let_go(book, commitment, "withdrawn")
            tx.emit(released_event(touched[commitment.id]))
            unpaid.append(commitment.id)
        elif verb in ("cancel", NOT_COLLECTED):
            touched[commitment.id] = let_go(
                book, commitment, "returned" if verb == "cancel" else "not_collected"
            )
            tx.emit(released_event(touched[commitment.id]))
        saved.append(changed)
        tx.emit(payout_state(changed), version=payout.version)
        outcomes[row.id] = None
    await commitment_store.save(tx.conn, list(touched.values()))
    # First what is over: a need has one payout that is not.
    await store.save(tx.conn, given_up)
    await store.save(tx.conn, saved)
    await discrepancies.open_discrepancies(tx.conn, odd)
    await discrepancies.close_withdrawn(tx.conn, unpaid, "rejected")
    await book.close()
    return outcomes


def _by_need(commitments: Iterable[Commitment]) -> Mapping[NeedId | None, set[CommitmentId]]:
    found: dict[NeedId | None, set[CommitmentId]] = defaultdict(set)
    for each in commitments:
        found[each.need_id].add(each.id)
    return found


async def take_step(office: Office, tx: Tx, verb: Verb, order: Step, by: UUID) -> None:
    """Take one step with one payout. Raises `Problem`."""
    done(await take_steps(office, tx, verb, [order], by), order)


def done(outcomes: Mapping[PayoutId, PayoutRefusal | None], step: Step) -> None:
    """Check that a step was taken. Raises `Problem`: it was refused, or there is no such payout."""
    if step.payout_id not in outcomes:
        raise Problem(NOT_FOUND)
    refusal = outcomes[step.payout_id]
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
    # Cash of another attempt may have been fetched after all.
    is_paid = row.need_id in await store.live_of_needs(tx.conn, [row.need_id])
    if is_paid or not (failed and newest and commitment.state == "committed"):
        raise problem("wrong-state")
    payee_ref = payee_ref or commitment.payee_ref
    if payee_ref is not None and not await payee_store.has(tx.conn, payee_ref, row.need_id):
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
        await payee_store.redirect(tx.conn, {commitment.id: payee_ref})
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
