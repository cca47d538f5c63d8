"""Asks of other regions are accepted by rule, where one does."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_inventory.domain.accepting import Rule, Shelf, accepting_rule, may_leave
from aidmesh_inventory.store import accepting, proposing, stock
from aidmesh_inventory.store.transfers import Transfer


async def lock_items(tx: Tx, items: Sequence[str]) -> None:
    """Have nobody else promise or send these items for as long as the transaction lasts."""
    await stock.lock(tx.conn, await accepting.keys_of(tx.conn, items))


async def rules_for(tx: Tx, region: str, asked: Sequence[Transfer]) -> Mapping[UUID, Rule]:
    """By which rules asks that have just come are accepted, by ask; the others are for a person.

    The items of all of them are locked.
    """
    rules = await accepting.in_force(tx.conn)
    if not rules or not asked:
        return {}
    items = sorted({each.item for each in asked})
    await lock_items(tx, items)
    given = await accepting.given(tx.conn)
    waiting = await proposing.pieces_waiting(tx.conn, items)
    promised = {item: await accepting.promised(tx.conn, region, item) for item in items}
    found: dict[UUID, Rule] = {}
    for each in sorted(asked, key=lambda each: (each.asked_at, each.transfer_id)):
        shelf = await _shelf(tx, each, promised[each.item], waiting.get(each.item, 0))
        rule = accepting_rule(each.item, each.quantity, each.to_region, shelf, rules, given)
        if rule is not None:
            found[each.transfer_id] = rule
            given[rule.rule_id] = given.get(rule.rule_id, 0) + each.quantity
            promised[each.item] += each.quantity
    return found


async def _shelf(tx: Tx, asked: Transfer, promised: int, waiting: int) -> Shelf:
    today = day_of(tx.now)
    sites = {site_id for site_id, _ in await accepting.keys_of(tx.conn, [asked.item])}
    lots = await stock.free_lots(tx.conn, sites, [asked.item], today)
    return Shelf(
        free=may_leave(lots, asked.area, today),
        issued=await accepting.issued(tx.conn, asked.item, today),
        promised=promised,
        waiting=waiting,
    )
