"""Approved payouts go to the office that their grant names, and its answers come back."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple
from uuid import UUID

from aidmesh_chassis import peer_keys, restoring, standings
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.keys import PAYMENTS, KeyRing
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import CommitmentId, PayeeRef, PayoutId, derive_id
from aidmesh_contracts.payments import PayoutAssignedV1, PayoutOutcomeV1
from aidmesh_payments.domain.commitments import Commitment, ReleaseCause
from aidmesh_payments.domain.payout import LIVE, Payout, follow
from aidmesh_payments.handlers import assignments
from aidmesh_payments.handlers.assignments import Assignment
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.ending import (
    discrepancy_of,
    let_go,
    payout_state,
    released_event,
)
from aidmesh_payments.handlers.needs import draft_of
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.payees import opened
from aidmesh_payments.handlers.spending import pay, reverse_attempt
from aidmesh_payments.store import assigned as store
from aidmesh_payments.store import commitments as commitment_store
from aidmesh_payments.store import discrepancies
from aidmesh_payments.store import payees as payee_store
from aidmesh_payments.store import payouts as payout_store
from aidmesh_payments.store import pickup as pickup_store
from aidmesh_payments.store.assigned import Assignable
from aidmesh_payments.store.discrepancies import Discrepancy
from aidmesh_payments.store.payouts import PayoutRow

LIMIT = 200
_WRONG_DETAILS = "AC01"


async def assign(office: Office, keys: KeyRing, purpose: str, tx: Tx) -> int:
    """Hand approved payouts to the offices that pay them; a sweep. Returns how many were seen.

    It waits for the key of this service and for that of the other office. Details that cannot be
    used come back as the bank would send them back, to be corrected.
    """
    if PAYMENTS in keys.missing:
        return 0
    # Nothing is handed over while that office is found to be gone, and what it has is taken back.
    await standings.lock_fence(tx.conn, exclusive=False)
    found = await store.lock_assignable(tx.conn, office.region, peer_keys.SEAL, LIMIT)
    if not found:
        return 0
    sealing_keys = {
        name: await peer_keys.sealing_key(tx.conn, name) for name in {each.office for each in found}
    }
    saved: list[PayoutRow] = []
    opened_for: list[tuple[PayeeRef, UUID, str]] = []
    for each in found:
        approver = each.row.payout.approver
        assert approver is not None  # noqa: S101 - it is approved
        try:
            payee = opened(keys, each.sealed, each.row.id)
        except Problem:
            payout = follow(each.row.payout, "rejected", _WRONG_DETAILS, None)
            saved.append(replace(each.row, payout=payout))
            tx.emit(payout_state(saved[-1]), version=payout.version)
            continue
        opened_for.append((each.payee_ref, approver, f"handed to the paying office {each.office}"))
        box = Assignment(
            grant_id=each.grant_id,
            allotment_id=each.allotment_id,
            amount_minor=each.row.payout.amount_minor,
            currency=each.row.payout.currency,
            approver=approver,
            sealed_by=each.row.payout.sealed_by,
            purpose=purpose,
            payee=payee,
        )
        _hand_over(tx, each, assignments.sealed(box, sealing_keys[each.office]))
        saved.append(replace(each.row, assigned_to=each.office, outcome_version=0))
    await payee_store.note_access(tx.conn, opened_for)
    await payout_store.save(tx.conn, saved)
    return len(found)


def _hand_over(tx: Tx, each: Assignable, box: bytes) -> None:
    sealed = base64.b64encode(box).decode()
    tx.hand_over(PayoutAssignedV1(payout_id=each.row.id, sealed=sealed), each.office)


class _Followed(NamedTuple):
    """What became of a payout and its money.

    Attributes:
        again: the payout that is to be approved in its place.
    """

    row: PayoutRow
    commitment: Commitment
    again: PayoutRow | None = None
    odd: Discrepancy | None = None


async def take_outcomes(office: Office, tx: Tx, batch: Sequence[Received[PayoutOutcomeV1]]) -> None:
    """Do what local settlement would do, as the paying office says; the highest version wins.

    What it said in between may have been lost or come later.
    """
    newest = _newest(batch)
    found = {row.id: row for row in await payout_store.find(tx.conn, newest)}
    for item in batch:
        row = found.get(item.event.payout_id)
        if row is None or (row.offices and item.region not in row.offices):
            raise Poison("not_the_paying_office")
    need_ids = {row.need_id for row in found.values()}
    await commitment_store.begin_facts(tx.conn, need_ids)
    ended = await commitment_store.ended_of(tx.conn, need_ids)
    book = await Book.open(tx, office, (row.allotment_id for row in found.values()))
    commitments = await commitment_store.lock(
        tx.conn, (row.commitment_id for row in found.values())
    )
    rows = await payout_store.lock(tx.conn, newest)
    doubted = await restoring.doubted(
        tx.conn, [each for row in rows.values() for each in (row.id, row.need_id)]
    )
    touched: dict[CommitmentId, Commitment] = {}
    saved: list[PayoutRow] = []
    again: list[PayoutRow] = []
    odd: list[Discrepancy] = []
    for found_row in rows.values():
        item = newest[found_row.id]
        row = found_row
        if not row.offices and doubted & {row.id, row.need_id}:
            # It was handed over after the backup that this region was restored from.
            row = replace(row, assigned_to=item.region)
        if row.assigned_to != item.region:
            # That office was gone, and the payout came back to this one. Was it paid twice?
            if _is_news(row, item) and item.event.state in ("exported", "settled", "returned"):
                odd.append(_question(row, commitments[row.commitment_id], item, book.today))
            continue
        if item.event.version <= row.outcome_version:
            continue
        done = _follow(book, row, commitments[row.commitment_id], ended[row.need_id], item)
        saved.append(done.row)
        touched[row.commitment_id] = done.commitment
        again += [] if done.again is None else [done.again]
        odd += [] if done.odd is None else [done.odd]
    await commitment_store.save(tx.conn, list(touched.values()))
    await payout_store.save(tx.conn, saved)
    await payout_store.insert(tx.conn, again)
    for draft in again:
        # Corrected details may say cash: then it waits to be fetched from now on.
        await pickup_store.restart_clock(tx.conn, draft.commitment_id)
    asked = await discrepancies.asked_about(
        tx.conn, "withdrawn_after_export", (row.commitment_id for row in rows.values())
    )
    await discrepancies.open_discrepancies(
        tx.conn, [each for each in odd if each.commitment_id not in asked]
    )
    unpaid = [
        row.commitment_id
        for row in saved
        if row.payout.state == "rejected" and touched[row.commitment_id].state == "released"
    ]
    await discrepancies.close_of_spendings(tx.conn, "withdrawn_after_export", unpaid, "rejected")
    await book.close()


def _newest(
    batch: Sequence[Received[PayoutOutcomeV1]],
) -> dict[PayoutId, Received[PayoutOutcomeV1]]:
    """Of each payout what has the highest version."""
    newest: dict[PayoutId, Received[PayoutOutcomeV1]] = {}
    for item in batch:
        known = newest.get(item.event.payout_id)
        if known is None or known.event.version < item.event.version:
            newest[item.event.payout_id] = item
    return newest


def _is_news(row: PayoutRow, item: Received[PayoutOutcomeV1]) -> bool:
    """Of what an office had said before it was gone nobody is asked again.

    That is known of the last one that had it, as long as no other has it.
    """
    is_last = row.assigned_to is None and row.taken_from[-1:] == (item.region,)
    return not is_last or item.event.version > row.outcome_version


def _question(
    row: PayoutRow, commitment: Commitment, item: Received[PayoutOutcomeV1], on: date
) -> Discrepancy:
    """What became of the money? Asked of each word of that office: it may say more, later."""
    asked = discrepancy_of(commitment, "withdrawn_after_export", on)
    of_word = derive_id("discrepancy", asked.about, row.id, item.region, item.event.version)
    return asked._replace(id=of_word)


def _follow(
    book: Book,
    row: PayoutRow,
    commitment: Commitment,
    ended_no: int,
    item: Received[PayoutOutcomeV1],
) -> _Followed:
    said, before = item.event, row.payout.state
    row = replace(row, outcome_version=said.version)
    if (
        said.state == "received"
        or said.state == before
        or before not in LIVE
        or (before == "settled" and said.state != "returned")
    ):
        return _Followed(row, commitment)
    payout = follow(row.payout, said.state, said.reason, said.settled_by)
    row = replace(
        row,
        payout=payout,
        bank_reference=said.bank_reference or row.bank_reference,
        settled_on=said.settled_on or row.settled_on,
    )
    again: PayoutRow | None = None
    odd: Discrepancy | None = None
    if said.state in ("settled", "returned") and before != "settled":
        commitment = pay(book, commitment, row, row.settled_on or book.today)
    if said.state == "returned":
        commitment = reverse_attempt(
            book,
            commitment,
            (said.reason or "").lower(),
            fulfils=True,
            ended_no=ended_no,
            cause=item,
        )
    book.tx.emit(payout_state(row), cause=item, version=payout.version)
    if said.state == "cancelled" and row.withdrawal == "corrected":
        again = draft_of(commitment, row.payout_no + 1)
        again = replace(again, payout=Payout(commitment.amount_minor, commitment.currency))
        book.tx.emit(payout_state(again), cause=item, version=1)
    elif said.state == "cancelled" or (
        said.state == "rejected" and (row.is_given_up or commitment.attempt_no <= ended_no)
    ):
        why: ReleaseCause = "returned" if row.withdrawal == "returned" else "withdrawn"
        commitment = let_go(book, commitment, why, item)
        book.tx.emit(released_event(commitment), cause=item)
    elif said.state in ("exported", "settled") and row.withdrawal == "withdrawn":
        # It left before it could be asked back: a person finds out what to do about it.
        odd = _question(row, commitment, item, book.today)
    return _Followed(row, commitment, again, odd)
