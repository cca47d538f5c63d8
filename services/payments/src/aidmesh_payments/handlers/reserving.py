"""What a restored region commits as used since its backup, in ways that nobody can prove."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from aidmesh_chassis.db import Tx
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId, CommitmentId, PurchaseId, derive_id
from aidmesh_contracts.payments import CommitmentHeldV1, CommitmentReleasedV1
from aidmesh_contracts.payments_grants import AllotmentChangedV1
from aidmesh_payments.domain import purchase as purchase_rules
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.domain.purchase import RESTORE, Line
from aidmesh_payments.domain.restoring import Figures, Word, unproven_minor
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import commitments as commitment_store
from aidmesh_payments.store import purchases as purchase_store
from aidmesh_payments.store import restoring as store
from aidmesh_payments.store.purchases import PurchaseRow

UNPROVEN: Final = "unproven"
COUNTRY: Final = "UA80"


def words_of(events: Iterable[Event]) -> Mapping[AllotmentId, list[Word]]:
    """What the own log says of commitments, by allotment."""
    places: dict[CommitmentId, AllotmentId] = {}
    words: dict[AllotmentId, list[Word]] = defaultdict(list)
    for event in events:
        if isinstance(event, CommitmentHeldV1):
            places[event.commitment_id] = event.allotment_id
            words[event.allotment_id].append(Word(event.commitment_id, "held", event.amount_minor))
        elif isinstance(event, CommitmentReleasedV1) and event.commitment_id in places:
            words[places[event.commitment_id]].append(Word(event.commitment_id, "released", 0))
    return words


async def reserve(
    office: Office,
    tx: Tx,
    later: Mapping[AllotmentId, AllotmentChangedV1],
    told: Sequence[Event],
) -> dict[AllotmentId, int]:
    """Commit what was used since the backup in ways that nobody can prove.

    It is an order that people cancel when they know better, or bill and pay when the bank says so.

    Args:
        later: how allotments of this region stood when others heard of them last.
        told: what the own log still holds of payments' own LOCAL events, in order.

    Returns:
        the allotments of which something was committed, with how much. Of allotments that are
        not in the books nothing can be promised.
    """
    words = words_of(told)
    known = await store.known_commitments(
        tx.conn, [word.commitment_id for each in words.values() for word in each]
    )
    book = await Book.open(tx, office, {*later, *words})
    reserved: dict[AllotmentId, int] = {}
    for allotment_id in sorted({*later, *words}):
        if allotment_id not in book:
            continue
        allotment = book[allotment_id]
        state = later.get(allotment_id)
        amount_minor = unproven_minor(
            Figures(
                allotment.received_minor,
                allotment.returned_minor,
                allotment.held_minor + allotment.committed_minor + allotment.spent_minor,
            ),
            None if state is None else _figures(state),
            [word for word in words.get(allotment_id, ()) if word.commitment_id not in known],
        )
        if not amount_minor:
            continue
        reserved[allotment_id] = amount_minor
        # Recalled allotments take nothing new; this is nothing new.
        book.put(replace(allotment, committed_minor=allotment.committed_minor + amount_minor))
        await _note(tx, book, allotment_id, amount_minor)
    await book.close()
    return reserved


def _figures(state: AllotmentChangedV1) -> Figures:
    used = state.held_minor + state.committed_minor + state.spent_minor
    return Figures(state.received_minor, state.returned_minor, used)


async def _note(tx: Tx, book: Book, allotment_id: AllotmentId, amount_minor: int) -> None:
    allotment = book[allotment_id]
    purchase_id = PurchaseId(derive_id("unproven", allotment_id, tx.origin.epoch))
    commitment_id = CommitmentId(derive_id("commitment", "purchase", purchase_id))
    line = Line(None, "used after the backup, for what nobody can prove yet", 1, amount_minor)
    drafted = purchase_rules.draft([line], RESTORE)
    row = PurchaseRow(
        id=purchase_id,
        allotment_id=allotment_id,
        commitment_id=commitment_id,
        supplier="restore",
        cost_category=UNPROVEN,
        programme=UNPROVEN,
        area=COUNTRY,
        currency=allotment.currency,
        planned_on=book.today,
        purchase=drafted,
    )
    await purchase_store.insert(tx.conn, row)
    await commitment_store.insert(
        tx.conn,
        [
            Commitment(
                id=commitment_id,
                need_id=None,
                attempt_no=0,
                allotment_id=allotment_id,
                grant_id=allotment.grant_id,
                amount_minor=amount_minor,
                currency=allotment.currency,
                purpose="purchase",
                state="committed",
                programme=UNPROVEN,
            )
        ],
    )
    await purchase_store.save(tx.conn, [replace(row, purchase=replace(drafted, state="ordered"))])
