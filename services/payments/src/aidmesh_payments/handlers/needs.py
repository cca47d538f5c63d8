"""What intake says of a need: hold, commit, let go."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.logs import counted
from aidmesh_contracts.accounts import Mechanism, is_sent
from aidmesh_contracts.ids import CommitmentId, NeedId, PayoutId, derive_id
from aidmesh_contracts.intake import (
    AidGivenV1,
    NeedApprovedV1,
    NeedConfirmedV1,
)
from aidmesh_contracts.payments import (
    CommitmentHeldV1,
    CommitmentMadeV1,
    CommitmentRefusedV1,
)
from aidmesh_contracts.restriction import Use
from aidmesh_contracts.values import BlockedBy, MoneyDemand
from aidmesh_payments.domain import commitments as rules
from aidmesh_payments.domain.choosing import Ask, Purse, choose, money_key
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.domain.payout import Payout
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.ending import end, let_go, needs_of, payout_state
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import allotments as allotment_store
from aidmesh_payments.store import commitments as store
from aidmesh_payments.store import payees as payee_store
from aidmesh_payments.store import payouts as payout_store
from aidmesh_payments.store.payouts import PayoutRow


def commitment_id_of(need_id: NeedId, attempt_no: int) -> CommitmentId:
    """The id that every try to commit money for this attempt finds."""
    return CommitmentId(derive_id("commitment", need_id, attempt_no))


def use_of(event: NeedApprovedV1 | AidGivenV1, on: date) -> Use:
    """What the money of a need or fact is for. It has some."""
    assert event.money is not None  # noqa: S101 - callers filter
    return Use(
        programme=event.programme,
        kind=event.kind,
        on=on,
        service_area=event.place_area,
        stay_area=event.stay_area,
        origin_area=event.origin_area,
        cost_category=event.money.cost_category,
    )


async def hold(office: Office, tx: Tx, batch: Sequence[Received[NeedApprovedV1]]) -> None:
    """Set money aside for approved needs, or say what is missing."""
    wanted = {
        (item.event.need_id, item.event.attempt_no): item
        for item in batch
        if item.event.money is not None
    }
    if not wanted:
        return
    attempts = await store.begin_attempts(
        tx.conn, {key: item.event.sensitive for key, item in wanted.items()}
    )
    places = await store.locate(tx.conn, attempts)
    known = {(place.need_id, place.attempt_no) for place in places}
    await _end_earlier(office, tx, wanted, places)
    paying = await payout_store.live_of_needs(tx.conn, (need_id for need_id, _ in wanted))
    asks: list[Ask] = []
    refusals: list[tuple[NeedId, int, str, BlockedBy | None]] = []
    for key, item in wanted.items():
        event = item.event
        seen_no, ended_no = attempts[event.need_id]
        if key in known:
            continue
        if event.attempt_no <= ended_no or event.attempt_no < seen_no or event.need_id in paying:
            # Over before it began; or money for an earlier attempt is on its way to the bank.
            refusals.append((*key, "withdrawn", None))
        elif event.money is not None:
            asks.append(_ask(event, event.money))
    book, purses = await Book.open_purses(tx, office, (ask.currency for ask in asks))
    answers = choose(purses, asks, book.today)
    # The approval may be older than a correction of where the money goes.
    payees = await payee_store.corrected(tx.conn, (ask.need_id for ask in asks))
    held: list[Commitment] = []
    for ask in asks:
        key = (ask.need_id, ask.attempt_no)
        item, answer = wanted[key], answers[key]
        if isinstance(answer, Purse):
            commitment = _held(item.event, answer, book)
            commitment = replace(
                commitment, payee_ref=payees.get(ask.need_id, commitment.payee_ref)
            )
            held.append(commitment)
            book.put(book[answer.allotment_id].hold(ask.amount_minor))
            tx.emit(_held_event(commitment), cause=item)
        else:
            refusals.append((*key, answer.reason, answer.blocked_by))
    await store.insert(tx.conn, held)
    if held:
        tx.log.debug("commitment.held", **counted("need", needs_of(held)))
    await _refuse(tx, book, refusals, wanted)
    await book.close()


def _ask(event: NeedApprovedV1, money: MoneyDemand) -> Ask:
    return Ask(
        event.need_id,
        event.attempt_no,
        event.priority,
        event.asked_on,
        event.queue_no,
        money.amount_minor,
        money.currency,
        use_of(event, event.planned_on),
    )


async def _end_earlier(
    office: Office,
    tx: Tx,
    wanted: dict[tuple[NeedId, int], Received[NeedApprovedV1]],
    places: Sequence[store.Place],
) -> None:
    """End the attempts before these; their needs are locked.

    Intake would not ask again if it had not given them up. Whoever was refused only because its
    last attempt still held the money would wait for ever: its own release wakes nobody.
    """
    newest: dict[NeedId, int] = {}
    for need_id, attempt_no in wanted:
        newest[need_id] = max(attempt_no, newest.get(need_id, 0))
    earlier = [place for place in places if 0 < place.attempt_no < newest[place.need_id]]
    if not earlier:
        return
    await store.end_attempts(
        tx.conn, [(each.need_id, newest[each.need_id] - 1) for each in earlier]
    )
    # What is chosen from afterwards is locked now: allotments have one order.
    await allotment_store.lock_all(
        tx.conn,
        (place.allotment_id for place in earlier),
        (item.event.money.currency for item in wanted.values() if item.event.money is not None),
    )
    causes = {need_id: wanted[need_id, attempt_no] for need_id, attempt_no in newest.items()}
    await end(office, tx, earlier, causes)


def _held(event: NeedApprovedV1, purse: Purse, book: Book) -> Commitment:
    money = event.money
    assert money is not None  # noqa: S101 - callers filter
    return Commitment(
        id=commitment_id_of(event.need_id, event.attempt_no),
        need_id=event.need_id,
        attempt_no=event.attempt_no,
        allotment_id=purse.allotment_id,
        grant_id=purse.grant_id,
        amount_minor=money.amount_minor,
        currency=money.currency,
        purpose=money.by,
        state="held",
        programme=event.programme,
        hold_until=book.now + timedelta(seconds=event.hold_s),
        payee_ref=event.payee_ref,
        night_minor=money.night_minor,
        site_id=event.site_id,
        area=event.place_area,
    )


def _held_event(commitment: Commitment) -> CommitmentHeldV1:
    assert commitment.need_id is not None  # noqa: S101 - it is a need's
    assert commitment.hold_until is not None  # noqa: S101 - it is held
    return CommitmentHeldV1(
        commitment_id=commitment.id,
        need_id=commitment.need_id,
        attempt_no=commitment.attempt_no,
        grant_id=commitment.grant_id,
        allotment_id=commitment.allotment_id,
        amount_minor=commitment.amount_minor,
        currency=commitment.currency,
        hold_until=commitment.hold_until,
    )


async def _refuse(
    tx: Tx,
    book: Book,
    refusals: Sequence[tuple[NeedId, int, str, BlockedBy | None]],
    causes: dict[tuple[NeedId, int], Received[NeedApprovedV1]]
    | dict[tuple[NeedId, int], Received[NeedConfirmedV1]],
) -> None:
    if not refusals:
        return
    await store.put_refusals(tx.conn, refusals, book.now)
    tx.log.info(
        "commitment.refused",
        **counted("need", {need_id for need_id, _, _, _ in refusals}),
        reasons=Counter(reason for _, _, reason, _ in refusals),
    )
    for need_id, attempt_no, reason, blocked_by in refusals:
        tx.emit(
            CommitmentRefusedV1.model_validate(
                {
                    "need_id": need_id,
                    "attempt_no": attempt_no,
                    "reason": reason,
                    "blocked_by": blocked_by,
                    "decided_at": book.now,
                }
            ),
            cause=causes[need_id, attempt_no],
        )


async def confirm(office: Office, tx: Tx, batch: Sequence[Received[NeedConfirmedV1]]) -> None:
    """Make holds firm; those that ran out are let go and refused."""
    wanted = {
        (item.event.need_id, item.event.attempt_no): item for item in batch if item.event.with_money
    }
    if not wanted:
        return
    places = [
        place
        for place in await store.locate(tx.conn, (need_id for need_id, _ in wanted))
        if (place.need_id, place.attempt_no) in wanted
    ]
    book = await Book.open(tx, office, (place.allotment_id for place in places))
    locked = await store.lock(tx.conn, (place.id for place in places))
    by_key = {(place.need_id, place.attempt_no): locked[place.id] for place in places}
    paying = await payout_store.live_of_needs(tx.conn, (need_id for need_id, _ in wanted))
    refusals: list[tuple[NeedId, int, str, BlockedBy | None]] = []
    saved: list[Commitment] = []
    made: list[NeedId] = []
    drafts: dict[CommitmentId, PayoutRow] = {}
    for key, item in wanted.items():
        commitment = by_key.get(key)
        firm = None if commitment is None else rules.confirm(commitment, book.now)
        if commitment is None or firm is None:
            refusals.append((*key, "expired", None if commitment is None else _blocked(commitment)))
            if commitment is not None and commitment.state == "held":
                saved.append(let_go(book, commitment, "hold_expired", item))
            continue
        if firm is commitment:
            continue
        if firm.purpose == "payout" and key[0] in paying:
            # Cash of an earlier attempt was fetched after all, as somebody entered meanwhile.
            refusals.append((*key, "withdrawn", None))
            saved.append(let_go(book, commitment, "withdrawn", item))
            continue
        saved.append(firm)
        made.append(key[0])
        book.put(book[firm.allotment_id].commit(firm.amount_minor))
        if firm.purpose == "payout":
            drafts[firm.id] = draft_of(firm, 1)
    await store.save(tx.conn, saved)
    if made:
        tx.log.debug("commitment.made", **counted("need", made))
    ways = await payout_store.insert(tx.conn, list(drafts.values()))
    for firm in saved:
        if firm.state == "committed" and firm.need_id is not None:
            cause = wanted[firm.need_id, firm.attempt_no]
            tx.emit(_made_event(firm, ways.get(firm.id)), cause=cause)
            if firm.id in drafts:
                tx.emit(payout_state(drafts[firm.id]), cause=cause, version=1)
    await _refuse(tx, book, refusals, wanted)
    await book.close()


def _made_event(commitment: Commitment, mechanism: Mechanism | None) -> CommitmentMadeV1:
    assert commitment.need_id is not None  # noqa: S101 - it is a need's
    return CommitmentMadeV1(
        commitment_id=commitment.id,
        need_id=commitment.need_id,
        attempt_no=commitment.attempt_no,
        grant_id=commitment.grant_id,
        amount_minor=commitment.amount_minor,
        currency=commitment.currency,
        sent=None if mechanism is None else is_sent(mechanism),
    )


def _blocked(commitment: Commitment) -> BlockedBy:
    return BlockedBy(
        resource="money",
        code=money_key(commitment.programme, commitment.currency),
        quantity=commitment.amount_minor,
    )


def draft_of(commitment: Commitment, payout_no: int) -> PayoutRow:
    """Draw up the payout that a commitment is for."""
    assert commitment.need_id is not None  # noqa: S101 - it is a need's
    return PayoutRow(
        id=PayoutId(derive_id("payout", commitment.id, payout_no)),
        commitment_id=commitment.id,
        need_id=commitment.need_id,
        allotment_id=commitment.allotment_id,
        payee_ref=commitment.payee_ref,
        mechanism=None,
        payout_no=payout_no,
        payout=Payout(commitment.amount_minor, commitment.currency),
    )
