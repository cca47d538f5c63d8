"""Rolling the books forward after a restore, by what other regions and the own log still know."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, CommitmentId, PurchaseId, TransferId, derive_id
from aidmesh_contracts.payments import (
    AllotmentChangedV1,
    AllotmentReceivedV1,
    AllotmentReturnedV1,
    AllotmentSentV1,
    CommitmentHeldV1,
    CommitmentReleasedV1,
    GrantChangedV1,
    RecallRequestedV1,
    ReturnBookedV1,
)
from aidmesh_payments.domain import grants as grant_rules
from aidmesh_payments.domain import purchase as purchase_rules
from aidmesh_payments.domain import rebalancing
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.domain.grants import Line as GrantLine
from aidmesh_payments.domain.money import Rate
from aidmesh_payments.domain.purchase import RESTORE, Line
from aidmesh_payments.domain.restoring import Figures, Word, unproven_minor
from aidmesh_payments.handlers import allotting, grants, instalments, sweeps
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.returning import tell_grants
from aidmesh_payments.problems import problem
from aidmesh_payments.store import commitments as commitment_store
from aidmesh_payments.store import grants as grant_store
from aidmesh_payments.store import purchases as purchase_store
from aidmesh_payments.store import restoring as store
from aidmesh_payments.store import transfers
from aidmesh_payments.store.purchases import PurchaseRow

UNPROVEN: Final = "unproven"
COUNTRY: Final = "UA80"

TAKEN_CARE_OF: Final[tuple[type[Event], ...]] = (
    AllotmentReceivedV1,
    ReturnBookedV1,
    AllotmentChangedV1,
)
"""Of the own events those that follow again from what other regions say, or are looked at by
`reserve`."""


async def redo(office: Office, tx: Tx, item: Received[Event]) -> bool:
    """Book anew what this region told others after the backup was taken.

    The same ids come of it, so whoever has heard it hears nothing new.

    Returns:
        whether it is in the books now; False when a person has to see to it.

    Raises:
        Problem, NotEnough: the books do not allow it as they are.
    """
    event = item.event
    if isinstance(event, TAKEN_CARE_OF):
        return True
    if isinstance(event, AllotmentSentV1):
        if not await store.is_known(tx.conn, event.transfer_id):
            order = _order(event, item.occurred_at.date())
            await allotting.allot(office, tx, order, None, is_fact=True)
        return True
    if isinstance(event, RecallRequestedV1):
        await allotting.recall(office, tx, event.allotment_id, event.reason)
        return True
    if isinstance(event, AllotmentReturnedV1):
        return await _give_back(office, tx, event)
    return False


def _order(event: AllotmentSentV1, on: date) -> allotting.Order:
    return allotting.Order(
        allotment_id=event.allotment_id,
        transfer_id=event.transfer_id,
        grant_id=event.terms.grant_id,
        budget_line=event.budget_line,
        to_region=event.to_region,
        amount_minor=event.amount_minor,
        currency=event.currency,
        rate=Rate(event.rate, on, "restore"),
        valid_until=event.valid_until,
        granted_minor=event.granted_minor,
        rebalancing_id=event.rebalancing_id,
    )


async def _give_back(office: Office, tx: Tx, event: AllotmentReturnedV1) -> bool:
    if await store.is_known(tx.conn, event.transfer_id):
        return True
    book = await Book.open(tx, office, [event.allotment_id])
    if event.allotment_id not in book:
        return False
    if event.rebalancing_id is None:
        number = await transfers.count_returns(tx.conn, event.allotment_id) + 1
        expected = TransferId(derive_id("return", event.allotment_id, office.region, number))
    else:
        expected = rebalancing.return_id(event.rebalancing_id)
    if expected != event.transfer_id:
        return False
    await book.give_back(event.allotment_id, event.amount_minor, event.rebalancing_id)
    await book.close()
    return True


async def refund(
    office: Office, tx: Tx, state: GrantChangedV1, sent: Iterable[AllotmentSentV1]
) -> bool:
    """Have a grant again, and what it had received, as others last heard: else what was allotted
    of it could not be booked.

    What was suspended or closed since the backup is so again before anything is told of it: others
    hear of it under a version above all that they know, and would take it for active.

    Args:
        state: of a grant of this region.
        sent: what was allotted of it after the backup. Of budget lines others hear nothing else, so
            a grant that is not in the backup has those that were allotted from, so far as they
            were, and one for the rest; people put them right.

    Returns:
        whether anything was missing.

    Raises:
        Problem: it cannot be.
    """
    grant = (await grant_store.lock(tx.conn, [state.grant_id])).get(state.grant_id)
    if grant is None:
        await _pledge(office, tx, state, sent)
    restored = (await grant_store.lock(tx.conn, [state.grant_id]))[state.grant_id]
    restored = grant_rules.as_heard(restored, state.status)
    await grant_store.save(tx.conn, [restored])
    await tell_grants(tx, [restored])
    missing_minor = state.received_minor - (0 if grant is None else grant.received_minor)
    if missing_minor > 0:
        today = day_of(tx.now)
        instalment_id = derive_id("restore", "instalment", state.grant_id, tx.origin.epoch)
        expected = instalments.Expected(instalment_id, state.grant_id, missing_minor, today)
        came = instalments.Came(instalment_id, missing_minor, today, "restore")
        (refusal,) = await instalments.enter(tx, [expected], [came], RESTORE)
        if refusal is not None:
            raise problem(refusal)
    return grant is None or missing_minor > 0


async def _pledge(
    office: Office, tx: Tx, state: GrantChangedV1, sent: Iterable[AllotmentSentV1]
) -> None:
    lines: dict[str, int] = defaultdict(int)
    for event in sent:
        if event.terms.grant_id == state.grant_id:
            lines[event.budget_line] += event.granted_minor
    rest_minor = state.amount_minor - sum(lines.values())
    if rest_minor > 0:
        lines[UNPROVEN] += rest_minor
    terms = state.terms
    donor_id = await store.donor_of(tx.conn, terms.donor)
    if donor_id is None:
        donor_id = derive_id("donor", terms.donor)
        await grant_store.insert_donor(tx.conn, donor_id, terms.donor)
    today = day_of(tx.now)
    period = (terms.restriction.valid_from or today, terms.restriction.valid_to or today)
    await grants.pledge(
        office,
        tx,
        grants.NewGrant(
            id=state.grant_id,
            donor_id=donor_id,
            code=terms.code,
            currency=terms.currency,
            amount_minor=state.amount_minor,
            period=period,
            restriction=terms.restriction,
            lines=tuple(GrantLine(code, amount, 0) for code, amount in lines.items()),
            overhead_bp=0,
            paying_office=terms.paying_office,
        ),
        RESTORE,
    )


async def end_holds(office: Office, tx: Tx) -> None:
    """Let go of what was held: what became of it since is in what others heard, if in anything.

    Held on to, it would count as what was spent meanwhile, and be free again when it runs out.
    """
    await store.end_holds(tx.conn)
    while await sweeps.expire_holds(office, tx):
        pass


async def remake(office: Office, tx: Tx, state: AllotmentChangedV1) -> None:
    """Allot anew what this region had allotted to itself after the backup, and take back what it
    had given back to itself: others only heard how it stood then.

    The budget line of an allotment that is not in the backup is not known: it is the one that has
    most left.

    Raises:
        Problem: the grant does not have so much, or is not known.
    """
    if state.grantor != office.region:
        return
    book = await Book.open(tx, office, [state.allotment_id])
    if state.allotment_id in book:
        line: str | None = book[state.allotment_id].budget_line
        missing_minor = state.received_minor - book[state.allotment_id].received_minor
    else:
        line = await store.widest_line(tx.conn, state.grant_id)
        missing_minor = state.received_minor
    if missing_minor > 0:
        order = allotting.Order(
            allotment_id=state.allotment_id,
            transfer_id=TransferId(derive_id("restore", state.allotment_id, tx.origin.epoch)),
            grant_id=state.grant_id,
            budget_line=line or "",
            to_region=office.region,
            amount_minor=missing_minor,
            currency=state.currency,
        )
        await allotting.allot(office, tx, order, None, is_fact=True)
        book = await Book.open(tx, office, [state.allotment_id])
    allotment = book[state.allotment_id]
    back_minor = min(state.returned_minor - allotment.returned_minor, allotment.free_minor)
    if back_minor > 0:
        await book.give_back(state.allotment_id, back_minor)
    await book.close()


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
