"""A region in need asks another for goods, or withdraws that; the owner answers once."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from aidmesh_chassis import standings
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.ids import SiteId, TransferId
from aidmesh_contracts.inventory_shipments import (
    TransferAnsweredV1,
    TransferAskedV1,
    TransferWithdrawnV1,
)
from aidmesh_inventory.domain import transfers as domain
from aidmesh_inventory.domain.accepting import Rule
from aidmesh_inventory.handlers import accepting
from aidmesh_inventory.store import proposing, sites, transfers
from aidmesh_inventory.store.transfers import Transfer

AskFault = Literal["unknown-site", "own-region"]
AnswerFault = Literal["unknown-transfer"] | domain.AnswerFault
WithdrawFault = Literal["unknown-transfer", "already-answered", "ask-withdrawn"]


async def ask(
    tx: Tx,
    *,
    region: str,
    transfer_id: UUID,
    owner: str,
    item: str,
    quantity: int,
    to_site_id: UUID,
    reason: str,
    by: UUID | None,
    rule_id: UUID | None = None,
) -> AskFault | None:
    """Ask another region for goods; returns why not, if not.

    Raises:
        Problem: that region is gone.
    """
    if owner == region:
        return "own-region"
    await standings.check(tx.conn, owner)
    # Whoever proposes meanwhile has to see this ask.
    await proposing.lock_waiting(tx.conn)
    place = (await sites.areas_of(tx.conn, [to_site_id])).get(to_site_id)
    if place is None:
        return "unknown-site"
    asked = Transfer(
        transfer_id, owner, region, item, quantity, to_site_id, place.area, reason, "asked", None,
        None, tx.now,
    )  # fmt: skip
    await transfers.insert(tx.conn, asked, by, rule_id)
    tx.emit(
        TransferAskedV1(
            transfer_id=TransferId(transfer_id),
            from_region=owner,
            to_region=region,
            item=item,
            quantity=quantity,
            to_site_id=SiteId(to_site_id),
            area=place.area,
            reason=reason,
        )
    )
    return None


async def hear_ask(region: str, tx: Tx, batch: Sequence[Received[TransferAskedV1]]) -> None:
    """Keep what others ask this region for; a rule may accept it at once.

    Raises:
        Poison: somebody asks in another's name.
    """
    new: list[Transfer] = []
    for each in sorted(batch, key=lambda each: each.event.transfer_id):
        if each.region != each.event.to_region:
            raise Poison("not_the_asking_region")
        if each.event.from_region == region:
            asked = _told(each)
            if await transfers.insert(tx.conn, asked, None):
                new.append(asked)
    rules = await accepting.rules_for(tx, region, new)
    for asked in new:
        if asked.transfer_id in rules:
            rule = rules[asked.transfer_id]
            await _answer(tx, asked, asked.quantity, None, by=None, rule=rule)


async def answer(
    tx: Tx,
    *,
    region: str,
    transfer_id: UUID,
    accepted: int | None,
    reason: str | None,
    by: UUID | None,
) -> AnswerFault | None:
    """Accept so many pieces, or refuse for a reason; returns why not, if not."""
    item = await transfers.item_of(tx.conn, transfer_id)
    if item is None:
        return "unknown-transfer"
    if accepted is not None:
        # A rule that looks at the item meanwhile has to see this promise.
        await accepting.lock_items(tx, [item])
    asked = await transfers.lock(tx.conn, transfer_id)
    if asked is None or asked.from_region != region:
        return "unknown-transfer"
    fault = domain.unanswerable(asked.ask, accepted)
    if fault is not None:
        return fault
    await _answer(tx, asked, accepted, reason, by=by)
    return None


async def _answer(
    tx: Tx,
    asked: Transfer,
    accepted: int | None,
    reason: str | None,
    *,
    by: UUID | None,
    rule: Rule | None = None,
) -> None:
    await transfers.answer(
        tx.conn,
        asked.transfer_id,
        accepted,
        reason,
        by,
        by_rule=rule is not None,
        rule_id=None if rule is None else rule.rule_id,
    )
    tx.emit(
        TransferAnsweredV1(
            transfer_id=TransferId(asked.transfer_id),
            from_region=asked.from_region,
            to_region=asked.to_region,
            answer="refused" if accepted is None else "accepted",
            quantity=accepted,
            reason=reason,
            by_rule=rule is not None,
        )
    )


async def hear_answer(region: str, tx: Tx, batch: Sequence[Received[TransferAnsweredV1]]) -> None:
    """Keep what the owners answered; the first answer holds.

    Raises:
        Poison: it is not the owner who answers, nobody asked, or nobody can answer so.
    """
    for each in sorted(batch, key=lambda each: each.event.transfer_id):
        event = each.event
        if each.region != event.from_region:
            raise Poison("not_the_owner")
        if event.to_region != region:
            continue
        asked = await transfers.lock(tx.conn, event.transfer_id)
        if asked is None or asked.from_region != each.region:
            raise Poison("unknown_transfer")
        if not domain.can_be(asked.ask, event):
            raise Poison("answer_does_not_fit")
        reason = (event.reason or "other") if event.quantity is None else None
        await transfers.answer(
            tx.conn, event.transfer_id, event.quantity, reason, None, by_rule=event.by_rule
        )


async def withdraw(tx: Tx, region: str, transfer_id: UUID) -> WithdrawFault | None:
    """Tell the owner that an own ask stands no more; returns why not, if not."""
    asked = await transfers.lock(tx.conn, transfer_id)
    if asked is None or asked.to_region != region:
        return "unknown-transfer"
    if not domain.still_wanted(asked.ask):
        return "ask-withdrawn" if asked.state == "withdrawn" else "already-answered"
    await transfers.withdraw(tx.conn, transfer_id)
    tx.emit(
        TransferWithdrawnV1(
            transfer_id=TransferId(transfer_id),
            from_region=asked.from_region,
            to_region=region,
            item=asked.item,
            quantity=asked.quantity,
            to_site_id=SiteId(asked.to_site_id),
            area=asked.area,
            reason=asked.reason,
        )
    )
    return None


async def hear_withdrawal(
    region: str, tx: Tx, batch: Sequence[Received[TransferWithdrawnV1]]
) -> None:
    """Have asks of others stand no more, also those that come after this.

    Raises:
        Poison: it is not whoever asked that says so.
    """
    for each in sorted(batch, key=lambda each: each.event.transfer_id):
        if each.region != each.event.to_region:
            raise Poison("not_the_asking_region")
        if each.event.from_region != region:
            continue
        await transfers.insert(tx.conn, _told(each), None)
        known = await transfers.lock(tx.conn, each.event.transfer_id)
        if known is None or known.to_region != each.region:
            raise Poison("not_the_asking_region")
        await transfers.withdraw(tx.conn, known.transfer_id)


def _told(said: Received[TransferAskedV1] | Received[TransferWithdrawnV1]) -> Transfer:
    """What another region asks for."""
    event = said.event
    return Transfer(
        event.transfer_id, event.from_region, event.to_region, event.item, event.quantity,
        event.to_site_id, event.area, event.reason, "asked", None, None, said.occurred_at,
    )  # fmt: skip
