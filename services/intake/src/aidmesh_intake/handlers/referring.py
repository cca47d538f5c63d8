"""Needs that other regions are to serve: offered, and let go of when they have said yes."""

import base64
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from aidmesh_chassis import handoff, peer_keys, standings
from aidmesh_chassis.crypto import seal
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_chassis.standings import News
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import ReferralId
from aidmesh_contracts.intake_referrals import ReferralOfferedV1
from aidmesh_contracts.pickup import downtime
from aidmesh_contracts.values import Area
from aidmesh_intake.domain import referral as domain
from aidmesh_intake.domain.need import Need
from aidmesh_intake.domain.referral import Answered, Offer, OfferStep, Person
from aidmesh_intake.handlers import following, people
from aidmesh_intake.handlers.applying import Change, apply
from aidmesh_intake.handlers.locking import lock_needs
from aidmesh_intake.store import needs as need_store
from aidmesh_intake.store import referrals as store
from aidmesh_intake.vault import OpenVault

LIMIT = 500


async def offer(
    tx: Tx,
    vault: OpenVault,
    need_id: UUID,
    to_region: str,
    area: Area,
    site_id: UUID | None,
    lapses_at: datetime,
    staff_id: UUID,
    rule_id: UUID | None = None,
) -> Offer:
    """Offer a waiting need to another region; what is said of the person is sealed to it.

    Args:
        rule_id: the rule that offers it, which `staff_id` set.

    Raises:
        Problem: there is no such need, that region is gone, or nothing can be sealed to it yet.
        NotAllowed: this need is not to be referred; see `domain.referral.offer`.
    """
    await standings.check(tx.conn, to_region)
    seen = await need_store.read(tx.conn, need_id)
    if seen is None:
        raise Problem(NOT_FOUND)
    person = None if seen.person_id is None else await people.lock(tx, seen.person_id)
    need = (await lock_needs(tx, [need_id]))[need_id]
    step = domain.offer(
        need,
        {} if person is None else person.consents,
        ReferralId(uuid4()),
        to_region,
        lapses_at,
    )
    assert person is not None  # noqa: S101 - they agreed
    assert person.wrapped_key is not None  # noqa: S101 - only erasure takes it
    assert person.details is not None  # noqa: S101
    details = vault.show(vault.locker(person.id, person.wrapped_key), person.id, person.details)
    box = domain.box_of(
        need,
        Person(details, person.languages, person.area, person.origin_area, person.consents),
        step.offer.id,
        area,
        site_id,
        day_of(tx.now),
    )
    key = await peer_keys.sealing_key(tx.conn, to_region)
    sealed = base64.b64encode(seal(key, box.to_bytes())).decode()
    await store.add_offer(tx.conn, step.offer, tx.now, staff_id, rule_id)
    await apply(tx, [Change(need, step.need)], staff_id)
    tx.hand_over(
        ReferralOfferedV1(referral_id=step.offer.id, lapses_at=lapses_at, sealed=sealed), to_region
    )
    return step.offer


async def withdraw(tx: Tx, referral_id: UUID, staff_id: UUID) -> Offer:
    """Take an offer back; the need waits as before.

    Raises:
        Problem: there is no such offer.
        NotAllowed: it is over.
    """
    needs, offers = await _lock(tx, [referral_id])
    if referral_id not in offers:
        raise Problem(NOT_FOUND)
    stands = offers[referral_id]
    need = needs[stands.need_id]
    step = domain.withdraw(stands, need, "withdrawn", tx.now)
    await _save(tx, [(need, step)], staff_id)
    return step.offer


async def withdraw_all(
    tx: Tx, person_ids: Collection[UUID], staff_id: UUID, need_ids: Collection[UUID] = ()
) -> None:
    """Take back whatever stands for persons and records merged into theirs; hold the persons.

    So it is where they do not agree any more, or where it may tell of somebody else.

    Args:
        need_ids: of others, for whom the same is taken back.
    """
    needs, offers = await _lock(tx, await store.open_of(tx.conn, person_ids, need_ids))
    await _save(
        tx,
        [
            (needs[each.need_id], domain.withdraw(each, needs[each.need_id], "withdrawn", tx.now))
            for each in offers.values()
            if each.status is domain.Offered.OFFERED
        ],
        staff_id,
    )


async def take_answers(tx: Tx, batch: Sequence[Received[Answered]]) -> None:
    """Take in what other regions say to offers. A handler.

    Raises:
        Poison: an answer to an offer that there never was, or by somebody else than it was for.
    """
    # What an outage of ours kept from being heard is not late, even before it is looked at.
    by_clock = tx.now - downtime(*await store.look(tx.conn))
    needs, offers = await _lock(tx, [each.event.referral_id for each in batch])
    steps: list[tuple[Need, OfferStep]] = []
    for each in batch:
        stands = offers.get(each.event.referral_id)
        if stands is None or stands.to_region != each.region:
            raise Poison("unknown_referral")
        need = needs[stands.need_id]
        step = domain.answered(stands, need, each.event, tx.now, by_clock)
        offers[stands.id], needs[need.id] = step.offer, step.need.need
        steps.append((need, step))
    await _save(tx, steps)


async def lapse(tx: Tx) -> int:
    """Offers that nobody accepted in time are over. A sweep.

    While this region was down no yes could reach it: what stood then stands longer by as much.
    """
    seen_at, now = await store.last_seen(tx.conn)
    if gap := downtime(seen_at, now):
        await store.extend_offers(tx.conn, seen_at, gap)
        return 0  # offers are locked after their needs, so the next round sees what is left
    needs, offers = await _lock(tx, await store.lapsed(tx.conn, LIMIT))
    due = [
        each
        for each in offers.values()
        if each.status is domain.Offered.OFFERED and each.lapses_at <= tx.now
    ]
    await _save(
        tx,
        [
            (needs[each.need_id], domain.withdraw(each, needs[each.need_id], "lapsed", tx.now))
            for each in due
        ],
    )
    return len(due)


async def let_go_of(tx: Tx, news: Mapping[str, News]) -> None:
    """Offers to regions that are gone lapse: they will not be answered. The needs wait as before.

    The withdrawal waits for a lost region, should it come back with the offer in its hands.
    """
    gone = [region for region, each in news.items() if each.is_gone]
    needs, offers = await _lock(tx, await store.open_to(tx.conn, gone))
    await _save(
        tx,
        [
            (needs[each.need_id], domain.withdraw(each, needs[each.need_id], "lapsed", tx.now))
            for each in offers.values()
            if each.status is domain.Offered.OFFERED
        ],
    )


async def forget(tx: Tx, need_ids: Collection[UUID]) -> None:
    """Blank what was said of needs whose person is erased; what matters is said once more."""
    offers = await store.lock_offers_of(tx.conn, need_ids, open_only=False)
    await handoff.withdraw(tx.conn, [each.id for each in offers])
    for each in offers:
        if (event := domain.repeated(each)) is not None:
            tx.hand_over(event, each.to_region)


async def _lock(
    tx: Tx, referral_ids: Collection[UUID]
) -> tuple[dict[UUID, Need], dict[UUID, Offer]]:
    """Lock needs first, then their offers, as everyone does."""
    known = await store.need_ids(tx.conn, referral_ids)
    needs = await lock_needs(tx, list(known.values()))
    return needs, await store.lock_offers(tx.conn, list(known))


async def _save(
    tx: Tx, steps: Sequence[tuple[Need, OfferStep]], staff_id: UUID | None = None
) -> None:
    # First the offers: whoever follows the needs finds them ended already.
    await following.save_offers(tx, [(step.offer, step.told) for _, step in steps])
    await apply(tx, [Change(need, step.need) for need, step in steps], staff_id)
