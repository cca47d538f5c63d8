"""What a step of a need means for its referral: every step that is saved comes by here."""

from collections.abc import Sequence
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_intake.domain.need import Need, State, Wait
from aidmesh_intake.domain.referral import Offer, Referral, followed, left
from aidmesh_intake.store import referrals as store


async def follow(tx: Tx, steps: Sequence[tuple[Need, Need]]) -> None:
    """Tell the other region, where a step of a need ends an offer or answers one.

    Args:
        steps: needs before and after, locked; a need may occur several times.
    """
    gone = {
        before.id
        for before, after in steps
        if before.wait is Wait.OFFERED
        and after.wait is not Wait.OFFERED
        and after.state is not State.REFERRED
    }
    if gone:
        ended: list[Offer] = []
        for offer in await store.lock_offers_of(tx.conn, gone, open_only=True):
            after, event = left(offer)
            ended.append(after)
            tx.hand_over(event, offer.to_region)
        await store.save_offers(tx.conn, ended, tx.now)
    pending: dict[UUID, Need] = {after.id: after for _, after in steps if after.pending}
    if not pending:
        return
    changed: list[Referral] = []
    for need_id, referral in (await store.lock_referrals_of(tx.conn, pending)).items():
        moved, answer = followed(referral, pending[need_id])
        if answer is not None:
            changed.append(moved)
            tx.hand_over(answer, referral.from_region)
    await store.save_referrals(tx.conn, changed, tx.now)
