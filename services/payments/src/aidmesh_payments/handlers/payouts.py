"""The steps of payouts, many at once, and what they do to commitments."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final
from uuid import UUID

from aidmesh_chassis import restoring, standings
from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import CommitmentId, NeedId, PayeeRef, PayoutId
from aidmesh_payments.domain.commitments import Commitment, ReleaseCause
from aidmesh_payments.domain.payout import (
    LIVE,
    NOT_COLLECTED,
    Payout,
    PayoutRefusal,
    Verb,
    may_be_second,
    review,
    review_given,
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
from aidmesh_payments.store import discrepancies, given, late_cash
from aidmesh_payments.store import payees as payee_store
from aidmesh_payments.store import payouts as store
from aidmesh_payments.store import pickup as pickup_store
from aidmesh_payments.store.discrepancies import Discrepancy
from aidmesh_payments.store.payouts import PayoutRow

FACTS: Final = ("settle", "return", "reject")
"""What a bank or cash desk has done already."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one payout.

    Attributes:
        bank_reference, settled_on: of a settlement.
        reason: an ISO 20022 code, of a rejection or return.
        is_forgotten: of a settlement, that a person found out of what nobody could prove.
    """

    payout_id: PayoutId
    bank_reference: str | None = None
    settled_on: date | None = None
    reason: str | None = None
    batch_id: UUID | None = None
    is_forgotten: bool = False


@dataclass(frozen=True, slots=True)
class _StepsUnderWay:
    """The steps of one call: what was locked for them, and what becomes of it, step by step.

    From `touched` on it is what steps collect; `save` writes it at the end, all payouts together.

    Attributes:
        commitments: as they were when they were locked.
        attempts: the commitments of each need.
        live: payouts that are not over, by their commitment; a step that pays adds its own.
        ended: the last attempt of each need that is over.
        doubted: payouts and needs of which nobody can prove that they were not paid.
        gone: regions that answer nothing any more.
        payees: details that are here.
        touched: commitments that steps have changed, as these left them.
        stepped: payouts that took the step, as it left them.
        given_up: payouts that are over because their need was paid by another.
        odd: what a person has to look into.
        unpaid: commitments for which no money is to be found any more.
    """

    tx: Tx
    book: Book
    commitments: Mapping[CommitmentId, Commitment]
    attempts: Mapping[NeedId | None, set[CommitmentId]]
    live: dict[CommitmentId, PayoutRow]
    ended: Mapping[NeedId, int]
    doubted: AbstractSet[UUID]
    gone: AbstractSet[str]
    payees: AbstractSet[PayeeRef]
    touched: dict[CommitmentId, Commitment] = field(default_factory=dict, init=False)
    stepped: list[PayoutRow] = field(default_factory=list, init=False)
    given_up: list[PayoutRow] = field(default_factory=list, init=False)
    odd: list[Discrepancy] = field(default_factory=list, init=False)
    unpaid: list[CommitmentId] = field(default_factory=list, init=False)

    def current(self, commitment_id: CommitmentId) -> Commitment:
        """A commitment as the steps so far have left it."""
        return self.touched.get(commitment_id, self.commitments[commitment_id])

    async def save(self) -> None:
        """Write what has become of everything."""
        conn = self.tx.conn
        await commitment_store.save(conn, list(self.touched.values()))
        # First what is over: a need has one payout that is not.
        await store.save(conn, self.given_up)
        await store.save(conn, self.stepped)
        await discrepancies.open_discrepancies(conn, self.odd)
        await discrepancies.close_of_spendings(
            conn, "withdrawn_after_export", self.unpaid, "rejected"
        )
        await self.book.close()


async def take_steps(
    office: Office, tx: Tx, verb: Verb, steps: Sequence[Step], by: UUID
) -> Mapping[PayoutId, PayoutRefusal | None]:
    """Take the same step with many payouts; refused ones do not stop the others.

    Returns:
        by payout that exists, why it was refused, or None when it is done.
    """
    wanted = {each.payout_id: each for each in steps}
    under_way, rows = await _begin(office, tx, verb, wanted)
    outcomes = {
        row.id: await _take(office, under_way, verb, wanted[row.id], row, by) for row in rows
    }
    await under_way.save()
    proven = under_way.doubted & {
        each for row in under_way.stepped for each in (row.id, row.need_id)
    }
    if proven and verb in FACTS:
        await restoring.clear(tx.conn, proven, verb, by)
    return outcomes


async def _begin(
    office: Office, tx: Tx, verb: Verb, wanted: Mapping[PayoutId, Step]
) -> tuple[_StepsUnderWay, Sequence[PayoutRow]]:
    """Lock payouts with all that a step of theirs depends on; they come in the order to take."""
    found = await store.find(tx.conn, wanted)
    places = {row.commitment_id: row.allotment_id for row in found}
    is_fact = verb in FACTS
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
    refs = {row.payee_ref for row in rows.values() if row.payee_ref is not None}
    under_way = _StepsUnderWay(
        tx=tx,
        book=book,
        commitments=commitments,
        attempts=_by_need(commitments.values()),
        live={each.commitment_id: each for each in rows.values() if each.payout.state in LIVE},
        ended=ended,
        doubted=await restoring.doubted(
            tx.conn, [each for row in rows.values() for each in (row.id, row.need_id)]
        ),
        gone=await standings.gone(tx.conn),
        payees=await payee_store.here(tx.conn, refs),
    )
    # What had been let go comes last: what else was paid is known by then.
    return under_way, sorted(
        (row for row in rows.values() if row.id in wanted),
        key=lambda row: row.payout.state == "cancelled",
    )


async def _take(
    office: Office, under_way: _StepsUnderWay, verb: Verb, order: Step, row: PayoutRow, by: UUID
) -> PayoutRefusal | None:
    """Take a step with one of them; returns why it was refused, or None."""
    # What an office settled and then was gone comes back to this region's account, if at all.
    if row.assigned_to is not None and not (verb == "return" and row.assigned_to in under_way.gone):
        if verb == "cancel" and row.is_awaited:
            under_way.stepped.append(ask_back(under_way.tx, row, "returned"))
            return None
        return PayoutRefusal.PAID_ELSEWHERE
    is_cash = row.mechanism == "cash"
    is_doubted = not under_way.doubted.isdisjoint({row.id, row.need_id})
    is_forgotten = order.is_forgotten and is_doubted
    if is_doubted and not is_forgotten and may_be_second(verb, is_cash=is_cash):
        return PayoutRefusal.UNPROVEN
    payout = step(
        row.payout,
        verb,
        by,
        under_way.book.now,
        float_limit_minor=office.float_limit_minor(row.payout.currency),
        reason=order.reason,
        settled_on=order.settled_on,
        is_cash=is_cash,
        has_details=row.payee_ref is None or row.payee_ref in under_way.payees,
        is_doubted=is_doubted,
        is_forgotten=is_forgotten,
    )
    if isinstance(payout, PayoutRefusal):
        return payout
    commitment = under_way.current(row.commitment_id)
    if verb == "settle" and row.payout.state == "cancelled" and commitment.state != "released":
        # It was drawn up anew with other details: its money is for the one that came after it.
        return PayoutRefusal.WRONG_STATE
    changed = replace(row, payout=payout, batch_id=order.batch_id or row.batch_id)
    if verb == "settle":
        changed = _settle(under_way, row.payout, changed, order)
    elif verb == "return":
        await _come_back(under_way, row.need_id, commitment, order)
    elif verb == "reject":
        _come_to_nothing(under_way, row, commitment)
    elif verb == "cancel":
        _let_go(under_way, commitment, "returned")
    elif verb == NOT_COLLECTED:
        _let_go(under_way, commitment, "not_collected")
    under_way.stepped.append(changed)
    under_way.tx.emit(payout_state(changed), version=payout.version)
    return None


def _settle(under_way: _StepsUnderWay, before: Payout, row: PayoutRow, order: Step) -> PayoutRow:
    """Spend the money of a payout that was paid: also of one that had been let go."""
    book, touched = under_way.book, under_way.touched
    commitment = under_way.current(row.commitment_id)
    settled_on = order.settled_on or book.today
    row = replace(row, bank_reference=order.bank_reference, settled_on=settled_on)
    if before.state == "cancelled":
        assert commitment.state == "released"  # noqa: S101 - its money was let go with it
        others = [
            (under_way.current(each), under_way.live.get(each))
            for each in under_way.attempts[row.need_id] - {commitment.id}
        ]
        late = pay_late(book, row, commitment, others, settled_on)
        row, commitment = late.row, late.commitment
        touched.update({each.id: each for each in late.released})
        under_way.given_up.extend(late.given_up)
        if late.discrepancy is not None:
            under_way.odd.append(late.discrepancy)
    else:
        commitment = pay(book, commitment, row, settled_on)
    touched[commitment.id] = commitment
    under_way.live[commitment.id] = row
    return row


async def _come_back(
    under_way: _StepsUnderWay, need_id: NeedId, commitment: Commitment, order: Step
) -> None:
    """Take money in that had been paid."""
    reason = (order.reason or "").lower()
    if commitment.state != "spent":
        # No money was found for it yet, and none is needed any more.
        tell_reversed(under_way.book, commitment, reason, fulfils=True)
        await late_cash.close_unpaid(under_way.tx.conn, commitment.id, "returned")
    else:
        under_way.touched[commitment.id] = reverse_attempt(
            under_way.book, commitment, reason, fulfils=True, ended_no=under_way.ended[need_id]
        )


def _come_to_nothing(under_way: _StepsUnderWay, row: PayoutRow, commitment: Commitment) -> None:
    """Let go of what was not carried out, if its need was withdrawn, or it was given up, since."""
    is_over = commitment.attempt_no <= under_way.ended.get(row.need_id, 0)
    if commitment.state == "committed" and (is_over or row.is_given_up):
        # It left before that, and nobody was paid: nobody waits for it.
        _let_go(under_way, commitment, "returned" if row.withdrawal == "returned" else "withdrawn")
        under_way.unpaid.append(commitment.id)


def _let_go(under_way: _StepsUnderWay, commitment: Commitment, why: ReleaseCause) -> None:
    released = let_go(under_way.book, commitment, why)
    under_way.touched[commitment.id] = released
    under_way.tx.emit(released_event(released))


def _by_need(commitments: Iterable[Commitment]) -> Mapping[NeedId | None, set[CommitmentId]]:
    found: dict[NeedId | None, set[CommitmentId]] = defaultdict(set)
    for each in commitments:
        found[each.need_id].add(each.id)
    return found


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
    """Review what one person paid alone, or entered as given. Raises `Problem`.

    Args:
        payout_id: of what was entered as given, which has no payout, the need's id.
    """
    row = (await store.lock(tx.conn, [payout_id])).get(payout_id)
    if row is None:
        await _review_given(tx, payout_id, by)
        return
    reviewed = review(row.payout, by)
    if isinstance(reviewed, PayoutRefusal):
        raise problem(reviewed)
    await store.save(tx.conn, [replace(row, payout=reviewed)])


async def _review_given(tx: Tx, need_id: UUID, by: UUID) -> None:
    found = await given.lock(tx.conn, need_id)
    if found is None:
        raise Problem(NOT_FOUND)
    entered_by, is_reviewed = found
    refused = review_given(entered_by, by, is_reviewed=is_reviewed)
    if refused is not None:
        raise problem(refused)
    await given.review(tx.conn, need_id, by)
