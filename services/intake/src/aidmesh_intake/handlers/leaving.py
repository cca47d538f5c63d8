"""Regions that are gone: offers to them lapse, and theirs end or are kept by a person."""

from collections.abc import Mapping
from uuid import UUID

from aidmesh_chassis import standings
from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_chassis.standings import News
from aidmesh_contracts.intake_referrals import ReferralAcceptedV1
from aidmesh_intake.domain import referral as domain
from aidmesh_intake.domain.need import Need, NotAllowed
from aidmesh_intake.domain.referral import Got
from aidmesh_intake.handlers import referring
from aidmesh_intake.handlers.applying import Change, apply
from aidmesh_intake.handlers.locking import lock_needs
from aidmesh_intake.store import needs as need_store
from aidmesh_intake.store import referrals as store


async def follow(tx: Tx, news: Mapping[str, News]) -> None:
    """Let go of what was offered to regions that are gone, and look at what they had offered."""
    gone = [region for region, each in news.items() if each.is_gone]
    got = await store.standing_from(tx.conn, list(news))
    made = await store.need_ids(tx.conn, await store.open_to(tx.conn, gone))
    # All at once, since queues come before needs; those who look again lock nothing new.
    taken = {need_id for need_id in got.values() if need_id is not None}
    await lock_needs(tx, list(taken | set(made.values())))
    await referring.let_go_of(tx, news)
    # What was let go of may have made room for one of them, which was woken then.
    needs = await need_store.lock(tx.conn, list(taken))
    changes: list[Change] = []
    for referral in (await store.referrals(tx.conn, list(got), lock=True)).values():
        standing = news[referral.from_region].now.standing
        is_gone = standing in standings.GONE
        if referral.status is Got.ACCEPTED and not is_gone:
            # What it was told ended with it.
            tx.hand_over(ReferralAcceptedV1(referral_id=referral.id), referral.from_region)
        if referral.status is Got.OFFERED and is_gone:
            # What is said of the person is blanked; should that region come back, its need waits.
            ended, answer = domain.refuse(referral, "ended")
            await store.save_referrals(tx.conn, [ended], tx.now)
            if standing == "lost":
                tx.hand_over(answer, referral.from_region)
        need = None if referral.need_id is None else needs.get(referral.need_id)
        if need is not None:
            decision = domain.bereft(referral, need) if is_gone else domain.found_again(need)
            if decision.need is not need:
                changes.append(Change(need, decision))
    await apply(tx, changes)


async def keep(tx: Tx, referral_id: UUID, staff_id: UUID, *, sensitive_too: bool) -> Need:
    """Make a need this region's own whose source is gone.

    Raises:
        Problem: there is no such offer, or nobody that this caller may see.
        NotAllowed: its source is there, nothing was made of the offer, or it is over.
    """
    seen = (await store.referrals(tx.conn, [referral_id])).get(referral_id)
    if seen is None:
        raise Problem(NOT_FOUND)
    if seen.need_id is None:
        raise NotAllowed("referral_over")
    need = (await lock_needs(tx, [seen.need_id]))[seen.need_id]
    if need.sensitive and not sensitive_too:
        raise Problem(NOT_FOUND)
    stand = (await standings.known(tx.conn)).get(seen.from_region)
    if stand is None or stand.standing not in standings.GONE:
        raise NotAllowed("source_is_there")
    referral = (await store.referrals(tx.conn, [referral_id], lock=True))[referral_id]
    kept, decision, answer = domain.keep(referral, need, tx.now)
    await store.save_referrals(tx.conn, [kept], tx.now)
    await need_store.set_final(tx.conn, [need.id])
    if stand.standing == "lost":
        tx.hand_over(answer, kept.from_region)
    await apply(tx, [Change(need, decision)], staff_id)
    return decision.need
