"""Goods of other regions for those who wait here: proposed, and asked for by a person or a rule."""

from collections.abc import Collection, Sequence
from typing import Final, Literal
from uuid import UUID, uuid4

import asyncpg

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.peers import LinkOf
from aidmesh_contracts.intake import WaitingChangedV1
from aidmesh_inventory.domain.proposing import Coming, Proposal, asks_by_rule, propose
from aidmesh_inventory.handlers import transfers
from aidmesh_inventory.store import ask_rules, sites
from aidmesh_inventory.store import proposing as store

REASON: Final = "waiting_needs"
RULE_ASKS_MAX: Final = 100

Fault = transfers.AskFault | Literal["no-proposal"]


async def keep_waiting(tx: Tx, batch: Sequence[Received[WaitingChangedV1]]) -> None:
    """Keep how much is waited for of goods."""
    newest: dict[str, WaitingChangedV1] = {}
    for each in batch:
        known = newest.get(each.event.waiting_key)
        if each.event.resource == "stock" and (known is None or known.version < each.event.version):
            newest[each.event.waiting_key] = each.event
    if newest:
        await store.put_waiting(tx.conn, list(newest.values()))


async def proposals(
    conn: asyncpg.Connection, region: str, link: LinkOf
) -> tuple[list[Proposal], Collection[Coming]]:
    """What could be asked of regions that are heard, and what is coming already."""
    waiting = await store.waiting(conn)
    if not waiting:
        return [], []
    coming = await store.coming(conn, region)
    heard = [
        each
        for each in await store.elsewhere(conn)
        if (state := link(each.region)) is not None and state.state == "up"
    ]
    return propose(waiting, coming, heard, await store.aside(conn)), coming


async def take(
    tx: Tx,
    region: str,
    link: LinkOf,
    *,
    item: str,
    from_region: str,
    quantity: int,
    to_site_id: UUID,
    transfer_id: UUID,
    by: UUID,
    sensitive_too: bool,
) -> Fault | None:
    """Ask for what is proposed, or for less of it; returns why not, if not."""
    await store.lock_waiting(tx.conn)
    place = (await sites.areas_of(tx.conn, [to_site_id])).get(to_site_id)
    if place is None:
        return "unknown-site"
    found, _ = await proposals(tx.conn, region, link)
    proposed = sum(
        each.quantity
        for each in found
        if each.waiting.item == item
        and each.from_region == from_region
        and (sensitive_too or not each.waiting.sensitive)
        and each.waiting.is_served_at(to_site_id, place.area)
    )
    if quantity > proposed:
        return "no-proposal"
    return await transfers.ask(
        tx,
        region=region,
        transfer_id=transfer_id,
        owner=from_region,
        item=item,
        quantity=quantity,
        to_site_id=to_site_id,
        reason=REASON,
        by=by,
    )


async def set_aside(
    tx: Tx,
    region: str,
    link: LinkOf,
    *,
    item: str,
    from_region: str,
    by: UUID,
    sensitive_too: bool,
) -> bool:
    """Have proposals of an item by a region come again only once they are for more."""
    await store.lock_waiting(tx.conn)
    found, _ = await proposals(tx.conn, region, link)
    meant = [
        each
        for each in found
        if each.waiting.item == item
        and each.from_region == from_region
        and (sensitive_too or not each.waiting.sensitive)
    ]
    await store.set_aside(tx.conn, meant, by)
    return bool(meant)


async def ask_by_rule(region: str, link: LinkOf, tx: Tx) -> int:
    """Ask for what rules say is to be asked for. A sweep."""
    rules = await ask_rules.in_force(tx.conn)
    if not rules:
        return 0
    await store.lock_waiting(tx.conn)
    found, coming = await proposals(tx.conn, region, link)
    asks = asks_by_rule(found, rules, coming)[:RULE_ASKS_MAX]
    for each in asks:
        await transfers.ask(
            tx,
            region=region,
            transfer_id=uuid4(),
            owner=each.from_region,
            item=each.rule.item,
            quantity=each.quantity,
            to_site_id=each.rule.to_site_id,
            reason=REASON,
            by=None,
            rule_id=each.rule.rule_id,
        )
    return len(asks)
