"""Rolling the books forward after a restore, by what other regions and the own log still know."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, cast

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import GrantId, TransferId, derive_id
from aidmesh_contracts.payments_grants import (
    AllotmentChangedV1,
    AllotmentReceivedV1,
    AllotmentReissuedV1,
    AllotmentReturnedV1,
    AllotmentSentV1,
    GrantChangedV1,
    RecallRequestedV1,
    ReturnBookedV1,
)
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_payments.domain import grants as grant_rules
from aidmesh_payments.domain import rebalancing, restored_grants
from aidmesh_payments.domain.allotments import WayBack, is_return
from aidmesh_payments.domain.grants import Grant
from aidmesh_payments.domain.money import Rate
from aidmesh_payments.domain.purchase import RESTORE
from aidmesh_payments.handlers import allotting, grants, instalments, return_asks, sweeps
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.lost import say_again, take_again
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.returning import tell_grants
from aidmesh_payments.problems import problem
from aidmesh_payments.store import allotments as allotment_store
from aidmesh_payments.store import grant_terms, owing, transfers
from aidmesh_payments.store import granted as granted_store
from aidmesh_payments.store import grants as grant_store
from aidmesh_payments.store import restoring as store

UNPROVEN: Final = "unproven"

COMES_AGAIN: Final[tuple[type[Event], ...]] = (AllotmentReceivedV1, ReturnBookedV1)
"""Of the own events those that follow again from what other regions say."""


async def redo(office: Office, tx: Tx, item: Received[Event]) -> bool:
    """Book anew what this region told others after the backup was taken.

    The same ids come of it, so whoever has heard it hears nothing new.

    Returns:
        whether it is in the books now; False when a person has to see to it.

    Raises:
        Problem, Poison: the books do not allow it as they are.
    """
    event = item.event
    if isinstance(event, AllotmentReceivedV1):
        return True
    if isinstance(event, ReturnBookedV1):
        return await _credit(office, tx, item, event)
    if isinstance(event, AllotmentSentV1):
        if not await store.is_known(tx.conn, event.transfer_id):
            order = order_again(event, item.occurred_at)
            await allotting.allot(office, tx, order, None, is_fact=True)
        return True
    if isinstance(event, RecallRequestedV1):
        await allotting.recall(office, tx, event.allotment_id, event.reason)
        return True
    if isinstance(event, AllotmentReturnedV1):
        return await _give_back(office, tx, item, event)
    if isinstance(event, AllotmentReissuedV1):
        await take_again(tx, event)
        return True
    if isinstance(event, RegionChangedV1) and event.region != office.region:
        await say_again(tx, event)
        return True
    return False


def order_again(event: AllotmentSentV1, at: datetime) -> allotting.Order:
    """The order behind what was sent to others; its rate is of the day in Kyiv of that instant."""
    return allotting.Order(
        allotment_id=event.allotment_id,
        transfer_id=event.transfer_id,
        grant_id=event.terms.grant_id,
        budget_line=event.budget_line,
        to_region=event.to_region,
        amount_minor=event.amount_minor,
        currency=event.currency,
        rate=Rate(event.rate, day_of(at), "restore"),
        valid_until=event.valid_until,
        granted_minor=event.granted_minor,
        rebalancing_id=event.rebalancing_id,
    )


async def _credit(office: Office, tx: Tx, item: Received[Event], event: ReturnBookedV1) -> bool:
    """Credit again what a holder gave back: what became of that money since is a fact as well."""
    if await store.is_known(tx.conn, event.transfer_id):
        return True
    made = await granted_store.allotment(tx.conn, event.allotment_id)
    left_minor = 0 if made is None else made.granted.amount_minor - made.granted.returned_minor
    if event.amount_minor > left_minor:
        return False
    asked = await store.rebalancings_of(tx.conn, event.allotment_id)
    returned = AllotmentReturnedV1(
        allotment_id=event.allotment_id,
        transfer_id=event.transfer_id,
        grantor=event.grantor,
        holder=event.holder,
        amount_minor=event.amount_minor,
        currency=event.currency,
        rebalancing_id=next(
            (each for each in asked if rebalancing.return_id(each) == event.transfer_id), None
        ),
    )
    told = cast("Received[AllotmentReturnedV1]", replace(item, event=returned, region=event.holder))
    await allotting.take_back(office, tx, [told])
    return True


async def _give_back(
    office: Office, tx: Tx, item: Received[Event], event: AllotmentReturnedV1
) -> bool:
    if await store.is_known(tx.conn, event.transfer_id):
        return True
    book = await Book.open(tx, office, [event.allotment_id])
    if event.allotment_id not in book:
        return False
    is_sum = event.rebalancing_id is None and not is_return(
        event.transfer_id, event.allotment_id, office.region, item.epoch
    )
    if is_sum or event.amount_minor > book[event.allotment_id].free_minor:
        await _owe(tx, book, event)
        return False
    told = WayBack(event.transfer_id, item.epoch, event.fences)
    await book.give_back(event.allotment_id, event.amount_minor, event.rebalancing_id, told)
    if event.rebalancing_id is not None:
        await return_asks.end_returned(tx, event.rebalancing_id)
    await book.close()
    return True


async def _owe(tx: Tx, book: Book, event: AllotmentReturnedV1) -> None:
    """The grantor has it, and these books can't give it back.

    It was committed in the backup, and let go of since: what gets free here pays it off, and
    nothing of it is promised again. Or it was the sum of what had gone back in vain: that pays it
    off, at once or when the fence is heard of again, and is not told a second time.
    """
    await owing.owe_returned(tx.conn, event.allotment_id, event.amount_minor)
    for epoch, untold_minor in await owing.untold_of(tx.conn, event.allotment_id):
        await owing.pay_off_untold(tx.conn, event.allotment_id, epoch, untold_minor)
    await transfers.remember_recall(tx.conn, event.allotment_id, event.grantor, "restore")
    book.put(book[event.allotment_id].recall())
    await book.close()


async def refund(
    office: Office,
    tx: Tx,
    state: GrantChangedV1,
    sent: Iterable[AllotmentSentV1],
    held: Iterable[AllotmentChangedV1],
) -> bool:
    """Have a grant again, what it promises and what it had received, as others last heard: else
    what was allotted of it could not be booked.

    What was suspended or closed since the backup is so again before anything is told of it: others
    hear of it under a version above all that they know, and would take it for active. What a donor
    changed since holds again; of its budget lines others heard nothing.

    Args:
        state: of a grant of this region.
        sent: what was allotted of it to others after the backup.
        held: allotments of this region, as others last heard of them. Of budget lines nothing else
            tells, so a grant that is not in the backup has those that were allotted from, so far as
            they were, and one for the rest; people put them right.

    Returns:
        whether anything was missing.

    Raises:
        Problem: it cannot be.
    """
    book = await Book.open(tx, office, await allotment_store.of_grant(tx.conn, state.grant_id))
    grant = (await grant_store.lock(tx.conn, [state.grant_id])).get(state.grant_id)
    if grant is None:
        await _pledge(office, tx, state, _given(state.grant_id, sent, held))
    restored = (await grant_store.lock(tx.conn, [state.grant_id]))[state.grant_id]
    restored = restored_grants.as_heard(restored, state.status)
    await grant_store.save(tx.conn, [restored])
    restored = await _amend(office, tx, restored, state, book)
    await tell_grants(tx, [restored])
    missing_minor = state.received_minor - (0 if grant is None else grant.received_minor)
    if missing_minor > 0:
        today = day_of(tx.now)
        instalment_id = derive_id("restore", "instalment", state.grant_id, tx.origin.epoch)
        expected = instalments.Expected(instalment_id, state.grant_id, missing_minor, today)
        # Each restore is a line of its own, also where two of a day lack as much.
        reference = f"restore {tx.origin.epoch}"
        came = instalments.Came(instalment_id, missing_minor, today, reference)
        (refusal,) = await instalments.enter(tx, [expected], [came], RESTORE)
        if refusal is not None:
            raise problem(refusal)
    await book.close()
    return grant is None or missing_minor > 0


async def _amend(office: Office, tx: Tx, grant: Grant, state: GrantChangedV1, book: Book) -> Grant:
    """Have what a donor changed since the backup."""
    terms = await grant_store.terms(tx.conn, grant.id)
    assert terms is not None  # noqa: S101 - a foreign key
    if state.terms.terms_version <= terms.terms_version:
        return grant
    before = await grant_store.promise(tx.conn, grant.id)
    last_day = before.period_to
    if state.terms.restriction.valid_to is not None:
        last_day = restored_grants.period_to(
            before.period_to, before.allowed_to, state.terms.restriction.valid_to
        )
    changed, lines = restored_grants.amended(
        grant,
        await grant_store.lines(tx.conn, grant.id),
        state.amount_minor,
        before.overhead_bp,
    )
    await grant_store.amend(
        tx.conn, changed, before, last_day, lines, state.terms, "restore", RESTORE
    )
    await grant_terms.put(
        tx.conn,
        state.terms,
        office.region,
        status=changed.status,
        state_version=changed.version,
        amount_minor=changed.amount_minor,
        received_minor=changed.received_minor,
    )
    await grant_store.save(tx.conn, [changed])
    if grant_rules.wakes(changed.status, terms.restriction, state.terms.restriction):
        book.all_grew()
    return changed


def _given(
    grant_id: GrantId, sent: Iterable[AllotmentSentV1], held: Iterable[AllotmentChangedV1]
) -> Mapping[str, int]:
    """What was allotted of a grant since the backup, by budget line."""
    lines: dict[str, int] = defaultdict(int)
    for event in sent:
        if event.terms.grant_id == grant_id:
            lines[event.budget_line] += event.granted_minor
    for state in held:
        if state.grant_id == grant_id and state.given is not None:
            lines[state.given.budget_line] += state.given.granted_minor
    return lines


async def _pledge(office: Office, tx: Tx, state: GrantChangedV1, given: Mapping[str, int]) -> None:
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
            lines=restored_grants.lines(state.amount_minor, given, UNPROVEN),
            overhead_bp=0,
            paying_office=terms.paying_office,
        ),
        RESTORE,
    )


async def end_holds(office: Office, tx: Tx) -> None:
    """Let go of what was held: what became of it since is in what others heard, if in anything.

    Held on to, it would count as what was spent meanwhile, and be free again when it runs out; and
    what was let go of and given back since could not be given back again.
    """
    await store.end_holds(tx.conn)
    while await sweeps.expire_holds(office, tx):
        pass


async def end_recalls(office: Office, tx: Tx) -> None:
    """Give back what is free of recalled allotments, once it is known what went back before."""
    book = await Book.open(tx, office, await store.recalled(tx.conn))
    for allotment in book.all():
        book.put(replace(allotment))
    await book.close()


async def remake(office: Office, tx: Tx, state: AllotmentChangedV1) -> None:
    """Allot anew what this region had allotted to itself after the backup, and take back what it
    had given back to itself: others only heard how it stood then.

    An older region did not tell the budget line: then it is the one that has most left.

    Raises:
        Problem: the grant is not known, or nothing tells what the money was worth.
    """
    if state.grantor != office.region:
        return
    book = await Book.open(tx, office, [state.allotment_id])
    known_minor = book[state.allotment_id].received_minor if state.allotment_id in book else 0
    if state.received_minor > known_minor:
        await _allot_again(office, tx, state, state.received_minor - known_minor)
        book = await Book.open(tx, office, [state.allotment_id])
    if state.allotment_id not in book:
        return
    allotment = book[state.allotment_id]
    back_minor = min(state.returned_minor - allotment.returned_minor, allotment.free_minor)
    if back_minor > 0:
        await book.give_back(state.allotment_id, back_minor)
    await book.close()


async def _allot_again(
    office: Office, tx: Tx, state: AllotmentChangedV1, missing_minor: int
) -> None:
    made = await granted_store.allotment(tx.conn, state.allotment_id)
    given, today = state.given, day_of(tx.now)
    line = made.budget_line if made is not None else given and given.budget_line
    granted_minor = None
    if given is not None:
        known_minor = 0 if made is None else made.granted.granted_minor
        granted_minor = max(0, given.granted_minor - known_minor) or None
    order = allotting.Order(
        allotment_id=state.allotment_id,
        transfer_id=TransferId(derive_id("restore", state.allotment_id, tx.origin.epoch)),
        grant_id=state.grant_id,
        budget_line=line or await store.widest_line(tx.conn, state.grant_id) or "",
        to_region=office.region,
        amount_minor=missing_minor,
        currency=state.currency,
        rate=None if given is None else Rate(given.rate, today, "restore"),
        valid_until=None if given is None else given.valid_until,
        granted_minor=granted_minor,
    )
    await allotting.allot(office, tx, order, None, is_fact=True)


async def settle(tx: Tx, heard: Mapping[GrantId, int | None]) -> dict[GrantId, int]:
    """Take back what grants were lent meanwhile, once all that is known is booked, and have no more
    to give than others heard of last.

    What a grant has above that went ways that nobody told of: back to the donor, or to an
    allotment of this region of which nobody had heard yet. It is set aside like what a donor
    demands, and people withdraw that when they know better.

    Args:
        heard: by grant of this region, what was unallotted by the last word; None where it said
            nothing of that.

    Returns:
        by grant, what is set aside or missing.
    """
    today, epoch = day_of(tx.now), tx.origin.epoch
    reason = restored_grants.lent_reason(epoch)
    lent = await store.lent(tx.conn, reason)
    demanded: dict[GrantId, int] = {}
    for grant_id, grant in (await grant_store.lock(tx.conn, {*heard, *lent})).items():
        back_minor, gone_minor = restored_grants.settle(
            grant.unallotted_minor, lent.get(grant_id, 0), heard.get(grant_id)
        )
        if back_minor:
            entry_id = derive_id("restore", "lent", grant_id, epoch)
            await grants.book_difference(tx, entry_id, grant_id, back_minor, today, reason)
        if gone_minor:
            demanded[grant_id] = gone_minor
            entry_id = derive_id("restore", "gone", grant_id, epoch)
            await grants.demand_back(tx, entry_id, grant_id, gone_minor, "restore", today, RESTORE)
    return demanded
