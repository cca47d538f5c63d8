"""Money that leaves for good, comes back, or had left before anybody entered it."""

from collections.abc import Sequence
from datetime import date

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.ids import AllotmentId, PayoutId, derive_id
from aidmesh_contracts.intake import AidGivenV1, NeedReversedV1
from aidmesh_contracts.payments import CommitmentReversedV1, CommitmentSpentV1
from aidmesh_contracts.values import MoneyDemand
from aidmesh_payments.domain import commitments as rules
from aidmesh_payments.domain import ledger
from aidmesh_payments.domain.choosing import Ask, Purse, choose
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.domain.payout import given_review_due
from aidmesh_payments.handlers.book import Book, Cause
from aidmesh_payments.handlers.ending import let_go, released_event
from aidmesh_payments.handlers.needs import commitment_id_of, use_of
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import commitments as store
from aidmesh_payments.store import discrepancies, given
from aidmesh_payments.store.payouts import PayoutRow


def tell_spent(
    book: Book,
    commitment: Commitment,
    *,
    fulfils: bool,
    payout_id: PayoutId | None = None,
    reference: str = "",
    cause: Cause = None,
) -> None:
    """Book a spending and, where a need is served by it, tell of it."""
    assert commitment.spent_on is not None  # noqa: S101 - it is spent
    book.write(
        ledger.spending(
            commitment.id,
            commitment.spend_no,
            commitment.grant_id,
            AllotmentId(commitment.allotment_id),
            commitment.currency,
            commitment.amount_minor,
            commitment.spent_on,
            reference=reference,
        )
    )
    if commitment.need_id is not None:
        book.spent(commitment)
        event = _spent_event(commitment, commitment.spent_on, payout_id, fulfils=fulfils)
        book.tx.emit(event, cause=cause)


def _spent_event(
    commitment: Commitment,
    on: date,
    payout_id: PayoutId | None,
    *,
    fulfils: bool,
    unfunded: bool = False,
) -> CommitmentSpentV1:
    assert commitment.need_id is not None  # noqa: S101 - it is a need's
    return CommitmentSpentV1(
        commitment_id=commitment.id,
        need_id=commitment.need_id,
        attempt_no=commitment.attempt_no,
        spend_no=commitment.spend_no,
        grant_id=commitment.grant_id,
        amount_minor=commitment.amount_minor,
        currency=commitment.currency,
        spent_on=on,
        payout_id=payout_id,
        fulfils=fulfils,
        unfunded=unfunded,
    )


def pay(
    book: Book, commitment: Commitment, row: PayoutRow, on: date, *, fulfils: bool = True
) -> Commitment:
    """Spend what is committed for a payout that was settled on a day."""
    book.put(book[commitment.allotment_id].spend(commitment.amount_minor))
    spent = rules.spend(commitment, on)
    reference = row.bank_reference or ""
    tell_spent(book, spent, fulfils=fulfils, payout_id=row.id, reference=reference)
    return spent


def tell_unfunded(book: Book, commitment: Commitment, payout_id: PayoutId, on: date) -> None:
    """Tell that somebody has cash that no grant has borne yet: the need is served, once."""
    book.tx.emit(_spent_event(commitment, on, payout_id, fulfils=True, unfunded=True))


def tell_reversed(
    book: Book, commitment: Commitment, reason: str, *, fulfils: bool, cause: Cause = None
) -> None:
    """Tell that the last payment of a commitment came back."""
    assert commitment.need_id is not None  # noqa: S101 - it is a need's
    book.tx.emit(
        CommitmentReversedV1(
            commitment_id=commitment.id,
            need_id=commitment.need_id,
            attempt_no=commitment.attempt_no,
            spend_no=commitment.spend_no,
            fulfils=fulfils,
            reason=reason,
        ),
        cause=cause,
    )


def reverse_spending(
    book: Book,
    commitment: Commitment,
    reason: str,
    *,
    fulfils: bool,
    on: date | None = None,
    cause: Cause = None,
) -> Commitment:
    """Undo the last spending of a commitment: a new journal, and an event.

    Args:
        on: the day that the reversal counts for; None for today, when money comes back. What was
            never spent like that is undone on its own day, so that no month has it.
    """
    book.put(book[commitment.allotment_id].reverse(commitment.amount_minor))
    book.write(
        ledger.spending_reversed(
            commitment.id,
            commitment.spend_no,
            commitment.grant_id,
            commitment.allotment_id,
            commitment.currency,
            commitment.amount_minor,
            on or book.today,
            reason,
        )
    )
    if commitment.need_id is not None:
        book.undone(commitment.id)
        tell_reversed(book, commitment, reason, fulfils=fulfils, cause=cause)
    return rules.unspend(commitment)


def reverse_attempt(
    book: Book,
    commitment: Commitment,
    reason: str,
    *,
    fulfils: bool,
    ended_no: int,
    on: date | None = None,
    cause: Cause = None,
) -> Commitment:
    """Undo the last spending of an attempt; if that is over, its money is let go as well.

    That it is over was heard when the money was spent, so nobody else will let go of it.

    Args:
        ended_no: up to which attempt the need is over.
        on: as for `reverse_spending`.
    """
    undone = reverse_spending(book, commitment, reason, fulfils=fulfils, on=on, cause=cause)
    if commitment.attempt_no > ended_no:
        return undone
    released = let_go(book, undone, "withdrawn", cause)
    book.tx.emit(released_event(released), cause=cause)
    return released


async def book_fact(office: Office, tx: Tx, batch: Sequence[Received[AidGivenV1]]) -> None:
    """Book money that was already given; what no allotment can bear becomes a discrepancy.

    Cash that was paid to a person has passed one pair of hands: a second person looks at it.
    """
    facts = {item.event.need_id: item for item in batch if item.event.money is not None}
    if not facts:
        return
    known = await store.begin_facts(tx.conn, facts)
    await store.set_sensitive(
        tx.conn, {need_id: item.event.sensitive for need_id, item in facts.items()}
    )
    known |= {place.need_id for place in await store.locate(tx.conn, facts) if not place.attempt_no}
    asks = [
        Ask(
            event.need_id,
            0,
            0,
            event.served_on,
            0,
            event.money.amount_minor,
            event.money.currency,
            use_of(event, event.served_on),
        )
        for event in (item.event for item in facts.values())
        if event.money is not None and event.need_id not in known
    ]
    book, purses = await Book.open_purses(tx, office, (ask.currency for ask in asks))
    # A fact counts for its own day; that the allotment ended since does not undo it.
    answers = choose(purses, asks, date.min)
    spent: list[Commitment] = []
    odd: list[discrepancies.Discrepancy] = []
    for ask in asks:
        item, answer = facts[ask.need_id], answers[ask.need_id, 0]
        money = item.event.money
        assert money is not None  # noqa: S101 - filtered above
        if isinstance(answer, Purse):
            commitment = _spent_already(ask, answer, item.event, money)
            spent.append(commitment)
            book.put(book[answer.allotment_id].spend_free(ask.amount_minor))
            tell_spent(book, commitment, fulfils=False, cause=item)
        else:
            odd.append(_borne_by_nobody(ask, item.event, money))
    await store.insert(tx.conn, spent)
    await discrepancies.open_discrepancies(tx.conn, odd)
    await given.open_reviews(tx.conn, _reviews(office, tx, [facts[ask.need_id] for ask in asks]))
    await book.close()


def _spent_already(ask: Ask, purse: Purse, event: AidGivenV1, money: MoneyDemand) -> Commitment:
    """The spending of a fact that an allotment bears."""
    return Commitment(
        id=commitment_id_of(ask.need_id, 0),
        need_id=ask.need_id,
        attempt_no=0,
        allotment_id=purse.allotment_id,
        grant_id=purse.grant_id,
        amount_minor=ask.amount_minor,
        currency=ask.currency,
        purpose=money.by,
        state="spent",
        programme=event.programme,
        spend_no=1,
        spent_on=event.served_on,
        night_minor=money.night_minor,
    )


def _borne_by_nobody(ask: Ask, event: AidGivenV1, money: MoneyDemand) -> discrepancies.Discrepancy:
    """What a person has to look at: it was given, and no allotment can bear it."""
    return discrepancies.Discrepancy(
        id=derive_id("discrepancy", "no_money", ask.need_id),
        about="no_money",
        need_id=ask.need_id,
        programme=event.programme,
        amount_minor=ask.amount_minor,
        currency=ask.currency,
        occurred_on=event.served_on,
        cost_category=money.cost_category,
        commitment_id=None,
    )


def _reviews(
    office: Office, tx: Tx, facts: Sequence[Received[AidGivenV1]]
) -> list[given.GivenReview]:
    return [
        given.GivenReview(
            event.need_id,
            money.amount_minor,
            money.currency,
            event.served_on,
            event.entered_by,
            given_review_due(
                money.amount_minor,
                tx.now,
                float_limit_minor=office.float_limit_minor(money.currency),
            ),
        )
        for event in (item.event for item in facts)
        if (money := event.money) is not None and money.by == "payout"
    ]


async def reverse_facts(office: Office, tx: Tx, batch: Sequence[Received[NeedReversedV1]]) -> None:
    """Reverse what facts spent, once intake says that they were none.

    What was paid or served for an attempt is undone by its own events, so needs with one are left
    alone. The tombstone keeps a fact that arrives after its own reversal from being booked.
    """
    causes = {item.event.need_id: item for item in batch}
    for place in await store.locate(tx.conn, causes):
        if place.attempt_no:
            causes.pop(place.need_id, None)
    if not causes:
        return
    await store.reverse_facts(tx.conn, causes)
    places = await store.locate(tx.conn, causes)
    book = await Book.open(tx, office, (place.allotment_id for place in places))
    locked = await store.lock(tx.conn, (place.id for place in places))
    saved: list[Commitment] = []
    for place in places:
        commitment, item = locked[place.id], causes[place.need_id]
        if commitment.state == "spent":
            undone = reverse_spending(
                book,
                commitment,
                item.event.reason,
                fulfils=False,
                on=commitment.spent_on,
                cause=item,
            )
            saved.append(let_go(book, undone, "withdrawn", item))
    await store.save(tx.conn, saved)
    await discrepancies.close_facts(tx.conn, causes, "reversed")
    await given.withdraw(tx.conn, causes)
    await book.close()
