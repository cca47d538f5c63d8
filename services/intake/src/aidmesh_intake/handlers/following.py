"""What a step of a need means for its referral: every step that is saved comes by here."""

from collections.abc import Sequence
from uuid import UUID

from aidmesh_chassis import handoff
from aidmesh_chassis.db import Tx
from aidmesh_intake.domain.need import Need, State, Wait
from aidmesh_intake.domain.referral import Offer, Referral, Told, followed, left, takes_back
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
        standing = await store.lock_offers_of(tx.conn, gone, open_only=True)
        await save_offers(tx, [left(each) for each in standing])
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


async def save_offers(tx: Tx, steps: Sequence[tuple[Offer, Told | None]]) -> None:
    """Write where offers stand, and tell the other regions.

    What an offer said of a person whom the other region will not serve is blanked, and is not sent
    there again, or at all if it waits until that region is heard: only its end is.

    Args:
        steps: locked offers, each with what is told of it, None for nothing; one may occur several
            times, the last one counts.
    """
    last = {offer.id: offer for offer, _ in steps}
    await store.save_offers(tx.conn, list(last.values()), tx.now)
    over = {offer.id for offer, told in steps if takes_back(offer, told)}
    await handoff.withdraw(tx.conn, over)
    for offer, told in steps:
        if told is not None:
            tx.hand_over(told, offer.to_region)
