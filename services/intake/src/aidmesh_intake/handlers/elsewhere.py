"""Free places of other regions for those who wait here: proposed, and offered by rule."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, TypeVar

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.peers import LinkOf
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.inventory import CapacityChangedV1, SiteChangedV1
from aidmesh_intake.domain.elsewhere import Match, by_rule, match
from aidmesh_intake.domain.need import NotAllowed
from aidmesh_intake.handlers import referring
from aidmesh_intake.store import elsewhere as store
from aidmesh_intake.store import refer_rules
from aidmesh_intake.vault import Vault

TRIED_MAX: Final = 10
E = TypeVar("E", bound=Event)
RULE_OFFERS_MAX: Final = 1
"""An offer locks a person first: the next begins once the locks of this one are let go of."""


async def copy_places(tx: Tx, batch: Sequence[Received[CapacityChangedV1]]) -> None:
    """Keep the newest state of other regions' places. A handler."""
    await store.put_places(tx.conn, _newest(batch, lambda event: event.version))


async def copy_sites(tx: Tx, batch: Sequence[Received[SiteChangedV1]]) -> None:
    """Keep the newest state of other regions' sites. A handler."""
    await store.put_sites(tx.conn, _newest(batch, lambda event: event.version))


def _newest(batch: Sequence[Received[E]], version: Callable[[E], int]) -> list[Received[E]]:
    found: dict[tuple[str, str], Received[E]] = {}
    for each in batch:
        key = (each.region, str(each.event.aggregate_id))
        known = found.get(key)
        if known is None or (known.epoch, version(known.event)) < (
            each.epoch,
            version(each.event),
        ):
            found[key] = each
    return list(found.values())


async def matches(tx: Tx, link: LinkOf) -> list[Match]:
    """Waiting needs of people who agreed, each with a place of a region that is heard."""
    seekers = await store.seekers(tx.conn, day_of(tx.now))
    if not seekers:
        return []
    places = [
        each
        for each in await store.places(tx.conn)
        if (state := link(each.region)) is not None and state.state == "up"
    ]
    return match(seekers, places, tx.now)


async def offer_by_rule(vault: Vault, link: LinkOf, tx: Tx) -> int:
    """Make the next offer that a rule makes. A sweep; nothing while keys are locked."""
    if vault.is_locked:
        return 0
    if not await refer_rules.in_force(tx.conn):
        return 0
    await refer_rules.lock(tx.conn)
    # What was read before the lock may have ended, or offered, meanwhile.
    rules, standing = await refer_rules.in_force(tx.conn), await refer_rules.standing(tx.conn)
    for rule, found in by_rule(await matches(tx, link), rules, standing)[:TRIED_MAX]:
        try:
            await referring.offer(
                tx,
                vault.open(),
                found.seeker.need_id,
                found.place.region,
                found.place.area,
                found.place.site_id,
                tx.now + timedelta(hours=rule.hours),
                rule.set_by,
                rule_id=rule.rule_id,
            )
        except (NotAllowed, Problem):
            continue  # it moved while we looked; whoever comes next keeps their turn
        return 1
    return 0
