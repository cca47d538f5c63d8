"""What a grantor proposes to a holder: prepared by one person there, consented to by another."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import RebalancingId
from aidmesh_contracts.payments_rebalancing import RebalancingAnsweredV1, RebalancingChangedV1
from aidmesh_payments.domain import rebalancing as rules
from aidmesh_payments.domain.allotments import NotEnough
from aidmesh_payments.domain.rebalancing import Answer, Ask, RebalancingRefusal
from aidmesh_payments.handlers import proposals
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.problems import problem
from aidmesh_payments.store import allotments as allotment_store
from aidmesh_payments.store import grants as grant_store
from aidmesh_payments.store import return_asks as store
from aidmesh_payments.store import transfers

LIMIT = 100


async def know(office: Office, tx: Tx, batch: Sequence[Received[RebalancingChangedV1]]) -> None:
    """Keep proposals that concern this region; allotments of its own are locked.

    Raises:
        Poison: somebody else than the grantor speaks.
    """
    for item in sorted(batch, key=lambda item: (item.event.rebalancing_id, item.event.version)):
        if item.region != item.event.grantor:
            raise Poison("not_the_grantor")
        await hear(office, tx, item.event, item.occurred_at)


async def hear(office: Office, tx: Tx, told: RebalancingChangedV1, told_at: datetime) -> None:
    """Keep one proposal if it concerns this region, whose allotment is locked.

    Args:
        told_at: when the grantor said so.

    Raises:
        Poison: somebody else than the grantor speaks.
    """
    is_holder = told.holder == office.region
    is_news = told.to_region == office.region and told.grantor != office.region
    if not is_holder and not is_news:
        return
    if is_holder:
        held = (await allotment_store.lock(tx.conn, [told.allotment_id])).get(told.allotment_id)
        # A proposal may overtake its money; whose that is shows when it comes.
        if held is not None and (held.grantor, held.currency) != (told.grantor, told.currency):
            raise Poison("not_the_grantor")
    if not await store.put(tx.conn, told, told_at, is_holder=is_holder):
        raise Poison("not_the_grantor")
    await end_returned(tx, told.rebalancing_id)
    ask = await store.lock(tx.conn, told.rebalancing_id)
    if ask is None:
        return
    heard = rules.hear_state(ask, told.state)
    if heard is not ask:
        await store.save(tx.conn, heard)


async def end_returned(tx: Tx, rebalancing_id: RebalancingId) -> None:
    """End what is asked when its money is in the books as given back, as after a restore.

    Its allotment is locked.
    """
    ask = await store.lock(tx.conn, rebalancing_id)
    amount_minor = await transfers.amount_of(tx.conn, rules.return_id(rebalancing_id))
    if ask is None or amount_minor is None:
        return
    ended = rules.went_back(ask, amount_minor)
    if ended is not ask:
        await store.save(tx.conn, ended)


async def _open(office: Office, tx: Tx, rebalancing_id: RebalancingId) -> tuple[Book, Ask]:
    allotment_id = await store.allotment_of(tx.conn, rebalancing_id)
    if allotment_id is None:
        raise Problem(NOT_FOUND)
    book = await Book.open(tx, office, [allotment_id])
    ask = await store.lock(tx.conn, rebalancing_id)
    assert ask is not None  # noqa: S101 - asks are never deleted
    return book, ask


def _done(decided: Ask | RebalancingRefusal) -> Ask:
    if isinstance(decided, RebalancingRefusal):
        raise problem(decided)
    return decided


async def prepare(
    office: Office, tx: Tx, rebalancing_id: RebalancingId, amount_minor: int | None, by: UUID
) -> None:
    """Prepare a return of free money, all that is proposed or a part. Raises `Problem`."""
    book, ask = await _open(office, tx, rebalancing_id)
    amount_minor = amount_minor or ask.amount_minor
    prepared = _done(rules.prepare(ask, by, amount_minor, book.now))
    if ask.allotment_id not in book or amount_minor > book[ask.allotment_id].free_minor:
        raise problem(RebalancingRefusal.NOT_FREE)
    await store.save(tx.conn, prepared)
    await _answer(office, tx, prepared, "prepared")


async def consent(office: Office, tx: Tx, rebalancing_id: RebalancingId, by: UUID) -> None:
    """Let prepared money go back to its grant. Raises `Problem`."""
    book, ask = await _open(office, tx, rebalancing_id)
    returned = _done(rules.consent(ask, by, book.now))
    assert returned.prepared_minor is not None  # noqa: S101 - it was prepared
    # First, or its grantor, if that is this region, hears of the money while it is still asked for.
    await store.save(tx.conn, returned)
    try:
        await book.give_back(ask.allotment_id, returned.prepared_minor, ask.id)
    except NotEnough:
        raise problem(RebalancingRefusal.NOT_FREE) from None
    await book.close()


async def decline(
    office: Office, tx: Tx, rebalancing_id: RebalancingId, reason: str, by: UUID
) -> None:
    """Keep the money: it is needed here. Raises `Problem`."""
    _, ask = await _open(office, tx, rebalancing_id)
    declined = _done(rules.decline(ask, by, reason))
    await store.save(tx.conn, declined)
    await _answer(office, tx, declined, "declined")


async def lapse(office: Office, tx: Tx) -> int:
    """End what nobody consented to in time; a sweep. Returns how many were found."""
    found = await store.lapsed(tx.conn, LIMIT)
    if not found:
        return 0
    book = await Book.open(tx, office, (allotment_id for _, allotment_id in found))
    for rebalancing_id, _ in found:
        await _lapse(office, tx, rebalancing_id, book.now)
    return len(found)


async def _lapse(office: Office, tx: Tx, rebalancing_id: RebalancingId, now: datetime) -> None:
    ask = await store.lock(tx.conn, rebalancing_id)
    assert ask is not None  # noqa: S101 - asks are never deleted
    lapsed = rules.lapse(ask, now)
    if lapsed is not ask:
        await store.save(tx.conn, lapsed)
        await _answer(office, tx, lapsed, "lapsed")


async def _answer(office: Office, tx: Tx, ask: Ask, answer: Answer) -> None:
    said = RebalancingAnsweredV1(
        rebalancing_id=ask.id,
        allotment_id=ask.allotment_id,
        grantor=ask.grantor,
        holder=office.region,
        answer=answer,
        amount_minor=ask.prepared_minor if answer == "prepared" else None,
        reason=ask.answer_reason,
        version=ask.version,
    )
    if ask.grantor == office.region:
        await grant_store.lock(tx.conn, [ask.grant_id])
        await proposals.hear(tx, office.region, said, tx.now)
    else:
        tx.emit(said)
