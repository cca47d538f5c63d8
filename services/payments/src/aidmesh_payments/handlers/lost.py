"""Regions that are held for lost: declared by two leads, fenced, and let in again.

See `domain/fencing.py` for the money, `aidmesh_chassis.standings` for what is said too late.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from aidmesh_chassis import conflicts, restoring, standings
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_chassis.standings import News, Stand
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, PayoutId, TransferId, derive_id
from aidmesh_contracts.payments import PayoutWithdrawnV1
from aidmesh_contracts.payments_grants import AllotmentReissuedV1, AllotmentReturnedV1
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_payments.domain import fencing, ledger
from aidmesh_payments.domain.purchase import RESTORE
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.returning import credit_grant
from aidmesh_payments.problems import problem
from aidmesh_payments.store import assigned, owing, transfers
from aidmesh_payments.store import granted as granted_store
from aidmesh_payments.store import grants as grant_store
from aidmesh_payments.store import ledger as ledger_store
from aidmesh_payments.store import lost as store
from aidmesh_payments.store.lost import Declaration

LIMIT = 500
TOLD_AS_A_SUM = (AllotmentReturnedV1.type,)
"""Others took back by themselves what was given back in vain; `tell_again` tells what is over."""


async def declare(office: Office, tx: Tx, region: str, reason: str, by: UUID) -> None:
    """Say that a region is lost; nothing happens until another lead agrees.

    Raises:
        Problem: it is the own one, unknown, gone already, or somebody has said so.
    """
    known = office.regions()
    if known is None:
        raise problem("regions-not-known-yet")
    await standings.check(tx.conn, region)
    if region == office.region or region not in known:
        raise problem("region-unknown")
    if not await store.ask(tx.conn, Declaration(uuid4(), region, reason, by)):
        raise problem("wrong-state")


async def withdraw(tx: Tx, region: str, by: UUID) -> None:
    """It is not lost after all. Raises `Problem`."""
    asked = await store.lock_asked(tx.conn, region)
    if asked is None:
        raise Problem(NOT_FOUND)
    await store.decide(tx.conn, asked.id, "withdrawn", by)


async def confirm(tx: Tx, region: str, by: UUID) -> None:
    """The second of two leads declares a region lost: it is fenced, here and everywhere.

    Raises:
        Problem: nobody said so, or the same person did.
    """
    asked = await store.lock_asked(tx.conn, region)
    if asked is None:
        raise Problem(NOT_FOUND)
    if asked.asked_by == by:
        raise problem("second-person-needed")
    await store.decide(tx.conn, asked.id, "confirmed", by)
    await standings.lock_fence(tx.conn, exclusive=True)
    before = (await standings.known(tx.conn)).get(region)
    heard = await standings.epoch_of(tx.conn, region)
    epoch = heard if before is None else max(heard, before.epoch)
    await _say(tx, region, Stand("lost", epoch, tx.now), asked.reason)


async def readmit(tx: Tx, region: str) -> None:
    """A lead lets a lost region in again, from its next epoch on.

    It may have been restored meanwhile, and speak in a later epoch than the one that was fenced:
    what was heard of that was set aside as well, so nothing of it counts either.

    Raises:
        Problem: it is not lost, or what it said too late was not all seen to.
    """
    await standings.lock_fence(tx.conn, exclusive=True)
    before = (await standings.known(tx.conn)).get(region)
    if before is None or before.standing != "lost":
        raise problem("wrong-state")
    if await conflicts.count_open(tx.conn, [region]):
        raise problem("conflicts-open")
    heard = await standings.epoch_of(tx.conn, region)
    await _say(tx, region, Stand("member", max(heard, before.epoch) + 1, tx.now), None)


async def _say(tx: Tx, region: str, stand: Stand, reason: str | None) -> None:
    await standings.take_in(tx, {region: (stand, tx.origin.region)}, follow)
    tx.emit(
        RegionChangedV1(
            region=region,
            standing=stand.standing,
            epoch=stand.epoch,
            since=stand.since,
            reason=reason,
        )
    )


async def follow(tx: Tx, news: Mapping[str, News]) -> None:
    """Take back what fenced regions had free of our grants, by the last figures known.

    Payouts that they were to pay are this region's to settle again.
    """
    await _take_payouts_back(tx, {region: each for region, each in news.items() if each.is_gone})
    for region, each in news.items():
        if each.fences:
            fenced = each.now.epoch - (each.now.standing == "member")
            await _take_back(tx, region, fenced)


async def _take_payouts_back(tx: Tx, gone: Mapping[str, News]) -> None:
    """Have again what those offices had not settled, as it stood when they said so last.

    Whether a lost one has paid since only it knows: until a person has found out, that is unproven.
    One that retired has nothing unpaid.
    """
    doubted: list[PayoutId] = []
    taken: list[PayoutId] = []
    for row in await assigned.lock_unsettled(tx.conn, gone):
        assert row.assigned_to is not None  # noqa: S101 - looked for by it
        # Should that office come back with the order in its hands, it must not pay it. What it was
        # told of that before is over, as all that it did not answer.
        tx.hand_over(PayoutWithdrawnV1(payout_id=row.id), row.assigned_to)
        if gone[row.assigned_to].now.standing == "lost":
            doubted.append(row.id)
        taken.append(row.id)
    await assigned.take_back(tx.conn, taken)
    await restoring.doubt(tx.conn, "payout", doubted)


async def _take_back(tx: Tx, region: str, epoch: int) -> None:
    held = await store.held_by(tx.conn, region)
    await grant_store.lock(tx.conn, (each.grant_id for each in held))
    # Read again: with the grants locked nothing of theirs moves.
    held = await store.held_by(tx.conn, region, [each.id for each in held])
    journals: list[ledger.Journal] = []
    for each in held:
        amount_minor = fencing.reissuable_minor(
            each.outstanding_minor, each.known, each.taken_minor
        )
        if not await store.note_reissue(tx.conn, each.id, region, epoch, amount_minor, each.as_of):
            continue
        credited = await store.told_transfers(tx.conn, each.id)
        journals += await _credit(tx, region, each.id, epoch, amount_minor, each.currency)
        tx.emit(
            AllotmentReissuedV1(
                allotment_id=each.id,
                grantor=tx.origin.region,
                holder=region,
                amount_minor=amount_minor,
                currency=each.currency,
                epoch=epoch,
                credited=credited,
            )
        )
    await ledger_store.post(tx.conn, journals)


async def _credit(
    tx: Tx, region: str, allotment_id: AllotmentId, epoch: int, amount_minor: int, currency: str
) -> list[ledger.Journal]:
    if not amount_minor:
        return []
    here = tx.origin.region
    transfer_id = TransferId(derive_id("reissue", allotment_id, region, epoch))
    await transfers.insert_transfer(
        tx.conn,
        transfer_id,
        "return",
        allotment_id,
        region,
        here,
        amount_minor,
        currency,
        "received",
    )
    today = day_of(tx.now)
    return await credit_grant(tx, here, allotment_id, transfer_id, amount_minor, today)


async def say_again(tx: Tx, event: RegionChangedV1) -> None:
    """Hold a region, after a restore, for what this one told others that it is.

    What was taken back of its allotments is not reckoned anew, for others heard how much that was:
    see `take_again`.
    """
    asked = await store.lock_asked(tx.conn, event.region)
    if asked is not None and event.standing == "lost":
        await store.decide(tx.conn, asked.id, "confirmed", RESTORE)
    stand = Stand(event.standing, event.epoch, event.since)
    await standings.take_in(tx, {event.region: (stand, tx.origin.region)}, _follow_again)


async def _follow_again(tx: Tx, news: Mapping[str, News]) -> None:
    await _take_payouts_back(tx, {region: each for region, each in news.items() if each.is_gone})


async def take_again(tx: Tx, event: AllotmentReissuedV1) -> None:
    """Have in the books, after a restore, what this region told that it had taken back.

    Raises:
        Problem: the books know of no such money.
    """
    made = await granted_store.allotment(tx.conn, event.allotment_id)
    if made is None or made.holder != event.holder:
        raise problem("wrong-state")
    if not await store.note_reissue(
        tx.conn, event.allotment_id, event.holder, event.epoch, event.amount_minor, None
    ):
        return
    if event.amount_minor > made.granted.amount_minor - made.granted.returned_minor:
        raise problem("wrong-state")
    journals = await _credit(
        tx, event.holder, event.allotment_id, event.epoch, event.amount_minor, event.currency
    )
    await ledger_store.post(tx.conn, journals)


async def hear_reissues(
    office: Office, tx: Tx, batch: Sequence[Received[AllotmentReissuedV1]]
) -> None:
    """Others held this region for lost: promise nothing more of that money, and owe what is due."""
    mine = {item.event.allotment_id: item for item in batch if item.event.holder == office.region}
    if not mine:
        return
    book = await Book.open(tx, office, mine)
    for item in sorted(batch, key=lambda item: (item.event.allotment_id, item.event.epoch)):
        event = item.event
        if event.holder != office.region:
            continue
        # What was sent may not have come yet. When it does, it goes back, as after any recall.
        came = event.allotment_id in book
        if came and book[event.allotment_id].grantor != item.region:
            raise Poison("not_the_grantor")
        due = fencing.due(
            event.amount_minor,
            event.epoch,
            set(event.credited),
            await owing.returns(tx.conn, event.allotment_id),
        )
        if not await owing.owe(
            tx.conn,
            event.allotment_id,
            event.epoch,
            event.amount_minor,
            due.owed_minor,
            due.untold_minor,
        ):
            continue
        if due.untold_minor:
            await owing.pay_off_untold(tx.conn, event.allotment_id, event.epoch, due.untold_minor)
        await owing.settle_returns(tx.conn, due.settled)
        await transfers.remember_recall(tx.conn, event.allotment_id, item.region, "fenced")
        if came:
            book.put(book[event.allotment_id].recall())
    await book.close()


async def tell_again(office: Office, tx: Tx) -> int:
    """Once the epoch was raised: tell what was told in vain; a sweep."""
    count = await standings.tell_again(tx, TOLD_AS_A_SUM)
    for each in await owing.take_untold(tx.conn, tx.origin.epoch, LIMIT):
        transfer_id = TransferId(uuid4())
        fences = await owing.known_fences(tx.conn, each.allotment_id)
        await owing.tell_return(
            tx.conn, transfer_id, each.allotment_id, each.amount_minor, tx.origin.epoch, fences
        )
        tx.emit(
            AllotmentReturnedV1(
                allotment_id=AllotmentId(each.allotment_id),
                transfer_id=transfer_id,
                grantor=each.grantor,
                holder=office.region,
                amount_minor=each.amount_minor,
                currency=each.currency,
                fences=fences,
            )
        )
        count += 1
    return count
