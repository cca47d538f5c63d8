"""What donors allow changes after goods were ordered or received: the goods follow.

An event only says what a grantor's terms are now; a sweep brings them to the lots, some at a time.
Whoever puts a lot down with older terms at the same moment is found by it as well.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.days import day_of
from aidmesh_contracts.payments_grants import GrantChangedV1
from aidmesh_inventory.domain.terms import includes, still_allowed
from aidmesh_inventory.handlers.release import Grown, lock_for, release
from aidmesh_inventory.store import grants, lots, reservations, sites
from aidmesh_inventory.store.grants import GrantTerms, Outdated, Renewal
from aidmesh_inventory.store.stock import restriction_of

LOTS_MAX: Final = 100
AMENDED: Final = "grant_amended"
"""Why a lot's terms changed that nobody corrected."""


async def know(tx: Tx, batch: Sequence[Received[GrantChangedV1]]) -> None:
    """Keep what grants allow, of this region and others; the highest version of the terms wins.

    Raises:
        Poison: somebody tells of another's grant.
    """
    newest: dict[tuple[str, str], GrantTerms] = {}
    for each in batch:
        terms = each.event.terms
        key = (str(terms.grant_id), each.region)
        if key not in newest or terms.terms_version > newest[key].terms_version:
            newest[key] = GrantTerms(
                terms.grant_id,
                each.region,
                terms.terms_version,
                terms.restriction.model_dump_json(exclude_none=True),
            )
    grant_ids = {terms.grant_id for terms in newest.values()}
    if len(grant_ids) < len(newest):
        raise Poison("not_the_grantor")
    if await grants.put(tx.conn, list(newest.values())) != grant_ids:
        raise Poison("not_the_grantor")


async def renew_terms(tx: Tx) -> int:
    """Give lots the newest terms of their grants. A sweep.

    Holds that these may not allow are given up, and intake asks for those needs anew; what may be
    given now and could not be before is told to those who wait for it.
    """
    found = await grants.outdated(tx.conn, LOTS_MAX)
    if not found:
        return 0
    holders = {each for each, _ in await _unfit(tx, found)}
    allocated = await reservations.allocated(tx.conn, holders)
    keys = {(lot.site_id, lot.item) for lot in found}
    _, at = await lock_for(tx, holders, keys | {(each.site_id, each.item) for each in allocated})
    # Others may have renewed some before the locks; whoever was promised something meanwhile has
    # places that are not locked, so those lots are left for the next time.
    locked = await grants.still_outdated(tx.conn, [lot.lot_id for lot in found])
    unfit = await _unfit(tx, locked)
    late = {lot_id for each, lot_id in unfit if each not in holders}
    renewed = [lot for lot in locked if lot.lot_id not in late]
    if not renewed:
        return len(found)
    await release(tx, {each for each, lot_id in unfit if lot_id not in late}, "lot_unfit")
    other = [lot for lot in renewed if _is_other(lot)]
    await grants.renew(
        tx.conn,
        [Renewal(lot.lot_id, lot.after, lot.terms_version, lot in other) for lot in renewed],
        AMENDED,
    )
    await lots.note_to_come(tx.conn, [lot.lot_id for lot in other], day_of(tx.now))
    # What was given up just now was told of by its release.
    grown = Grown(await sites.areas_of(tx.conn, [lot.site_id for lot in other]), at)
    for lot in other:
        if lot.status == "available" and lot.free and _may_serve_more(lot):
            grown.add("stock", lot.item, lot.site_id, lot.free, None)
    grown.emit(tx)
    tx.log.info("lots.terms_renewed", lots=len(renewed), changed=len(other))
    return len(found)


async def _unfit(tx: Tx, found: Sequence[Outdated]) -> list[tuple[UUID, UUID]]:
    """Unissued reservations that the new terms of their lot may not allow, each with that lot."""
    other = {lot.lot_id: lot for lot in found if _is_other(lot)}
    return [
        (each.reservation_id, each.lot_id)
        for each in await lots.planned(tx.conn, other)
        if not still_allowed(
            restriction_of(other[each.lot_id].before),
            restriction_of(other[each.lot_id].after),
            each.planned_on,
        )
    ]


def _is_other(lot: Outdated) -> bool:
    return restriction_of(lot.before) != restriction_of(lot.after)


def _may_serve_more(lot: Outdated) -> bool:
    return not includes(restriction_of(lot.before), restriction_of(lot.after))
