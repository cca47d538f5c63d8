"""Money for those who wait: kept, told, proposed, and sent by a person or a rule."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid4

import asyncpg

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.peers import LinkOf
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, RebalancingId, TransferId
from aidmesh_contracts.intake import WaitingChangedV1
from aidmesh_contracts.payments_waits import WaitChangedV1
from aidmesh_payments.domain.money import worth_of
from aidmesh_payments.domain.waits import (
    Key,
    Move,
    Offer,
    Pool,
    Source,
    Wait,
    by_rule,
    propose,
)
from aidmesh_payments.handlers import rebalancing
from aidmesh_payments.handlers.allotting import Order, allot
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.problems import problem
from aidmesh_payments.store import funding, wait_rules
from aidmesh_payments.store import waits as store

REASON: Final = "waiting_needs"
DAYS: Final = 14
"""How long a holder has to consent to what is proposed of its money."""
TOLD_MAX: Final = 500
MOVES_MAX: Final = 1
"""Moves lock allotments and grants: the next begins once the locks of this one are let go of."""
TRIED_MAX: Final = 10


async def keep(tx: Tx, batch: Sequence[Received[WaitingChangedV1]]) -> None:
    """Keep how much money is waited for here. A handler."""
    newest: dict[str, WaitingChangedV1] = {}
    for each in batch:
        known = newest.get(each.event.waiting_key)
        if each.event.resource == "money" and (known is None or known.version < each.event.version):
            newest[each.event.waiting_key] = each.event
    if newest:
        await store.put_waiting(tx.conn, list(newest.values()))


async def tell(office: Office, tx: Tx) -> int:
    """Tell all regions of sums that have changed. A sweep."""
    await store.lock(tx.conn)
    told = await store.take_untold(tx.conn, office.region)
    for each in told:
        tx.emit(
            WaitChangedV1(
                programme_currency=f"{each.programme}/{each.currency}",
                programme=each.programme,
                currency=each.currency,
                amount_minor=each.amount_minor,
                chosen_minor=each.chosen_minor,
                version=each.version,
                as_of=each.as_of,
            ),
            version=each.version,
        )
    return len(told)


async def know(tx: Tx, batch: Sequence[Received[WaitChangedV1]]) -> None:
    """Keep what other regions tell. A handler."""
    await store.put_told(tx.conn, batch)


@dataclass(frozen=True, slots=True)
class Standing:
    """What waits, what is coming for it, and what could be sent."""

    waits: Sequence[Wait]
    coming: dict[Key, int]
    offers: Sequence[Offer]


async def standing(office: Office, conn: asyncpg.Connection, link: LinkOf) -> Standing:
    """What could be sent now to regions that are heard, of money here or of holders heard."""

    def is_heard(region: str) -> bool:
        if region == office.region:
            return True
        state = link(region)
        return state is not None and state.state == "up" and state.gone is None

    waits = [each for each in await store.waits(conn) if is_heard(each.region)]
    coming = await store.coming(conn)
    if not waits:
        return Standing(waits, coming, [])
    sources, pools = await _sources(conn, {each.currency for each in waits})
    heard = [each for each in sources if each.holder is None or is_heard(each.holder)]
    offers = propose(waits, heard, pools, coming, await store.aside(conn))
    return Standing(waits, coming, offers)


async def _sources(
    conn: asyncpg.Connection, currencies: set[str]
) -> tuple[list[Source], dict[Pool, int]]:
    today = day_of(await store.now(conn))
    lines = await store.unallotted(conn)
    pairs = {(money.currency, each) for money in lines for each in currencies}
    rates = await funding.latest_rates(conn, pairs, today)
    found: list[Source] = []
    pools: dict[Pool, int] = {}
    plain: dict[tuple[str, str], Source] = {}
    for money in lines:
        rule, line = money.restriction, money.line
        if not (rule.valid_from or today) <= today <= (rule.valid_to or today):
            continue
        whole, room = (str(money.grant_id),), (str(money.grant_id), line.code)
        pools[whole], pools[room] = money.unallotted_minor, line.room_minor
        bound = (rule.kinds, rule.areas, rule.cost_categories, line.cost_categories)
        source = Source(
            grant_id=money.grant_id,
            budget_line=line.code,
            currency=money.currency,
            holder=None,
            allotment_id=None,
            programmes=rule.programmes,
            is_plain=all(each is None for each in bound),
            pools=(whole, room),
        )
        plain[room] = source
        for currency in sorted(currencies):
            if currency == money.currency:
                found.append(source)
            elif rate := rates.get((money.currency, currency)):
                worth = worth_of(currency, money.currency, rate[0])
                found.append(replace(source, currency=currency, worth=worth))
    for free in await store.free_of_holders(conn, today):
        terms = plain.get((str(free.grant_id), free.budget_line))
        if terms is not None and free.free_minor > 0:
            pool = (str(free.allotment_id),)
            pools[pool] = free.free_minor
            found.append(
                replace(
                    terms,
                    currency=free.currency,
                    holder=free.holder,
                    allotment_id=free.allotment_id,
                    pools=(pool,),
                    as_of=free.as_of,
                )
            )
    return found, pools


async def serve(
    office: Office,
    tx: Tx,
    link: LinkOf,
    key: Key,
    source: tuple[UUID, str, AllotmentId | None],
    amount_minor: int,
    by: UUID,
) -> dict[str, UUID]:
    """Send what is proposed, or less of it: an allotment of what no holder has, else a proposal.

    Args:
        source: grant, budget line and whose allotment.

    Returns:
        what was made, by the names of their ids: a transfer and its allotment, or a proposal.

    Raises:
        Problem: it is not proposed, or not so much; or the grant refuses.
    """
    await store.lock(tx.conn)
    for offer in (await standing(office, tx.conn, link)).offers:
        of = (offer.source.grant_id, offer.source.budget_line, offer.source.allotment_id)
        if offer.wait.key == key and of == source and amount_minor <= offer.amount_minor:
            return await _move(office, tx, offer, amount_minor, by)
    raise problem("not-proposed")


async def set_aside(office: Office, tx: Tx, link: LinkOf, key: Key, by: UUID) -> None:
    """Have a wait proposed again only once more of it waits, or after a week. Raises `Problem`."""
    await store.lock(tx.conn)
    now = await standing(office, tx.conn, link)
    for wait in now.waits:
        if wait.key == key and (missing := wait.amount_minor - now.coming.get(key, 0)) > 0:
            await store.set_aside(tx.conn, key, missing, by)
            return
    raise problem("not-proposed")


async def serve_by_rule(office: Office, link: LinkOf, tx: Tx) -> int:
    """Send the next of what rules say is to be sent. A sweep."""
    if office.regions() is None or not await wait_rules.in_force(tx.conn):
        return 0
    await store.lock(tx.conn)
    rules = await wait_rules.in_force(tx.conn)
    given = await wait_rules.given(tx.conn, [rule.rule_id for rule in rules])
    served = await wait_rules.served_by_rule(tx.conn)
    now = await standing(office, tx.conn, link)
    for move in by_rule(now.offers, rules, given, served, now.coming)[:TRIED_MAX]:
        try:
            async with tx.conn.transaction():
                await _by_rule(office, tx, move)
        except Problem:
            continue  # the grant moved meanwhile, or has no use for so little
        return 1
    return 0


async def _by_rule(office: Office, tx: Tx, move: Move) -> None:
    await _move(
        office, tx, move.offer, move.amount_minor, move.rule.set_by, rule_id=move.rule.rule_id
    )


async def _move(
    office: Office,
    tx: Tx,
    offer: Offer,
    amount_minor: int,
    by: UUID,
    *,
    rule_id: UUID | None = None,
) -> dict[str, UUID]:
    """Carry an offer out and note it. Raises `Problem`."""
    wait, source = offer.wait, offer.source
    if source.allotment_id is not None:
        rebalancing_id = RebalancingId(uuid4())
        await rebalancing.propose(
            office,
            tx,
            rebalancing_id,
            source.allotment_id,
            wait.region,
            amount_minor,
            REASON,
            DAYS,
            None if rule_id is not None else by,
        )
        await store.note_move(
            tx.conn, uuid4(), wait, amount_minor, by,
            rebalancing_id=rebalancing_id, rule_id=rule_id,
        )  # fmt: skip
        return {"rebalancing_id": rebalancing_id}
    transfer_id = TransferId(uuid4())
    known = await store.raisable(
        tx.conn, source.grant_id, source.budget_line, wait.region, wait.currency,
        day_of(tx.now),
    )  # fmt: skip
    allotment_id, valid_until = known or (AllotmentId(uuid4()), None)
    order = Order(
        allotment_id=allotment_id,
        transfer_id=transfer_id,
        grant_id=source.grant_id,
        budget_line=source.budget_line,
        to_region=wait.region,
        amount_minor=amount_minor,
        currency=wait.currency,
        valid_until=valid_until,
    )
    await allot(office, tx, order, by)
    await store.note_move(
        tx.conn, uuid4(), wait, amount_minor, by, transfer_id=transfer_id, rule_id=rule_id
    )
    return {"transfer_id": transfer_id, "allotment_id": allotment_id}
