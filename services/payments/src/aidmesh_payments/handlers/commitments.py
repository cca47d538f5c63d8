"""Commitments whose amount changes, and discrepancies that a person settles."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import AllotmentId, CommitmentId
from aidmesh_payments.domain import commitments as rules
from aidmesh_payments.domain.allotments import Allotment, NotEnough
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.handlers.book import Book, Cause
from aidmesh_payments.handlers.ending import let_go
from aidmesh_payments.handlers.needs import commitment_id_of
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.spending import pay, reverse_spending, tell_spent
from aidmesh_payments.problems import problem
from aidmesh_payments.store import commitments as store
from aidmesh_payments.store import discrepancies, late_cash


def resize(book: Book, commitment: Commitment, amount_minor: int) -> Commitment:
    """Change a committed amount: spending less releases the rest, more is topped up.

    Raises:
        Problem: there is not so much free.
    """
    more = amount_minor - commitment.amount_minor
    allotment = book[commitment.allotment_id]
    if more > 0:
        try:
            book.put(allotment.commit_free(more))
        except NotEnough:
            raise problem("allotment-short") from None
    elif more < 0:
        book.put(allotment.release_committed(-more))
        book.grew(allotment.id, -more, commitment.need_id)
    return replace(commitment, amount_minor=amount_minor)


def check_free(book: Book, commitment: Commitment, amount_minor: int) -> None:
    """Try whether a commitment could be of so much; nothing is booked. Raises `NotEnough`."""
    more = amount_minor - commitment.amount_minor
    if more > 0:
        book[commitment.allotment_id].commit_free(more)


def charge(
    book: Book, commitment: Commitment, amount_minor: int, reason: str, cause: Cause = None
) -> Commitment:
    """Change what a provider gets; spent money is reversed and spent anew, so that both show.

    Both count for the day of the service: its month has what the provider gets, and no other has
    anything of it.

    Raises:
        NotEnough: there is not so much free; nothing was changed.
    """
    check_free(book, commitment, amount_minor)
    spent_on = commitment.spent_on
    if spent_on is not None:
        commitment = reverse_spending(
            book, commitment, reason, fulfils=False, on=spent_on, cause=cause
        )
    commitment = resize(book, commitment, amount_minor)
    if spent_on is not None:
        book.put(book[commitment.allotment_id].spend(amount_minor))
        commitment = rules.spend(commitment, spent_on)
        tell_spent(book, commitment, fulfils=False, cause=cause)
    return commitment


def charge_nothing(book: Book, commitment: Commitment, cause: Cause) -> Commitment:
    """Whoever left on the day they came slept no night: all of the money is free again."""
    if commitment.state == "spent":
        commitment = reverse_spending(
            book, commitment, "check_out", fulfils=False, on=commitment.spent_on, cause=cause
        )
    if commitment.state == "released":
        return commitment
    return let_go(book, commitment, "withdrawn", cause)


def late_of(
    commitment: Commitment,
    late: Mapping[CommitmentId, CommitmentId],
    current: Mapping[CommitmentId, Commitment],
) -> Commitment | None:
    """What was booked beside a commitment for its stay, and still is."""
    found = current.get(late[commitment.id]) if commitment.id in late else None
    return found if found is not None and found.state == "spent" else None


async def settle_discrepancy(
    office: Office,
    tx: Tx,
    discrepancy_id: UUID,
    allotment_id: AllotmentId | None,
    by: UUID,
    note: str,
) -> None:
    """Settle a fact that did not fit the books.

    With an allotment the money is booked there now, whatever its terms say: the note is the
    record of why. Without one nothing is booked. Raises `Problem`.
    """
    need_id = await discrepancies.need_of_discrepancy(tx.conn, discrepancy_id)
    if need_id is not None:
        # Its fact may be reversed right now; whoever comes second sees what the first did.
        await store.begin_facts(tx.conn, [need_id])
    wanted = [] if allotment_id is None else [allotment_id]
    book = await Book.open(tx, office, wanted)
    book.by_hand()
    found = await discrepancies.lock_discrepancy(tx.conn, discrepancy_id)
    if found is None or (allotment_id is not None and allotment_id not in book):
        raise Problem(NOT_FOUND)
    odd, is_open = found
    if not is_open:
        raise problem("wrong-state")
    booked_on = None if allotment_id is None else await _book_late(book, odd, allotment_id)
    await discrepancies.settle_discrepancy(tx.conn, discrepancy_id, by, note, booked_on)
    await book.close()


async def _book_late(
    book: Book, odd: discrepancies.Discrepancy, allotment_id: AllotmentId
) -> CommitmentId | None:
    """Book it; returns what bears it beside the commitment that it is about."""
    if odd.about in ("withdrawn_after_export", "outside_period"):
        # The payout itself tells what became of the money; or it is booked, and was spent.
        raise problem("wrong-state")
    allotment = book[allotment_id]
    if allotment.currency != odd.currency:
        raise problem("restriction-misfit", misfit="currency")
    if odd.about in ("no_money", "paid_twice") and odd.commitment_id is not None:
        await _pay_late(book, odd, odd.commitment_id, allotment)
        return None
    if odd.about == "longer_stay" and await _top_up(book, odd, allotment_id):
        return None
    known = [
        each.id for each in await store.locate(book.tx.conn, [odd.need_id]) if not each.attempt_no
    ]
    before = (await store.lock(book.tx.conn, known)).values()
    if any(each.state != "released" for each in before):
        # What was booked late for a need already, or for aid that was given, stands alone.
        raise problem("wrong-state")
    try:
        book.put(allotment.commit_free(odd.amount_minor))
    except NotEnough:
        raise problem("allotment-short") from None
    released = next(iter(before), None)
    if released is None:
        late = _first_late(odd, allotment)
        await store.insert(book.tx.conn, [late])
    else:
        # It bore what a correction took back; now it bears what holds.
        await store.move(book.tx.conn, released.id, allotment)
        late = _borne_by(released, allotment, odd.amount_minor)
    book.put(book[allotment_id].spend(odd.amount_minor))
    late = rules.spend(late, odd.occurred_on)
    await store.save(book.tx.conn, [late])
    tell_spent(book, late, fulfils=False)
    return None if late.id == odd.commitment_id else late.id


def _borne_by(commitment: Commitment, allotment: Allotment, amount_minor: int) -> Commitment:
    return replace(
        commitment,
        allotment_id=allotment.id,
        grant_id=allotment.grant_id,
        amount_minor=amount_minor,
        state="committed",
        cause=None,
    )


def _first_late(odd: discrepancies.Discrepancy, allotment: Allotment) -> Commitment:
    return Commitment(
        id=commitment_id_of(odd.need_id, 0),
        need_id=odd.need_id,
        attempt_no=0,
        allotment_id=allotment.id,
        grant_id=allotment.grant_id,
        amount_minor=odd.amount_minor,
        currency=odd.currency,
        purpose="provider",
        state="committed",
        programme=odd.programme,
    )


async def _pay_late(
    book: Book, odd: discrepancies.Discrepancy, commitment_id: CommitmentId, allotment: Allotment
) -> None:
    """Spend money that was found for cash that had been paid out; it moves to where that is."""
    commitment = (await store.lock(book.tx.conn, [commitment_id]))[commitment_id]
    row = await late_cash.lock_settled_of(book.tx.conn, commitment_id)
    if row is None or commitment.state != "released":
        raise problem("wrong-state")
    try:
        book.put(allotment.commit_free(commitment.amount_minor))
    except NotEnough:
        raise problem("allotment-short") from None
    await store.move(book.tx.conn, commitment_id, allotment)
    await late_cash.move(book.tx.conn, row.id, allotment)
    moved = _borne_by(commitment, allotment, commitment.amount_minor)
    # That the need was served by it was told when it was entered.
    await store.save(book.tx.conn, [pay(book, moved, row, odd.occurred_on, fulfils=False)])


async def _top_up(book: Book, odd: discrepancies.Discrepancy, allotment_id: AllotmentId) -> bool:
    """Charge nights that were missing to the money that paid for the others, if that is meant."""
    assert odd.commitment_id is not None  # noqa: S101 - it is about one
    commitment = (await store.lock(book.tx.conn, [odd.commitment_id]))[odd.commitment_id]
    if commitment.allotment_id != allotment_id or commitment.state not in ("committed", "spent"):
        return False
    try:
        commitment = charge(book, commitment, commitment.amount_minor + odd.amount_minor, odd.about)
    except NotEnough:
        raise problem("allotment-short") from None
    await store.save(book.tx.conn, [commitment])
    return True
