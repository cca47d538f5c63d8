"""Needs of other regions: taken in, held, served once they are let go of, or ended."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.erasures import Journal
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import NeedId, PersonId, RequestId, SiteId
from aidmesh_contracts.intake import ContactSealedV1
from aidmesh_contracts.intake_referrals import (
    ReferralConfirmedV1,
    ReferralOfferedV1,
    ReferralWithdrawnV1,
)
from aidmesh_intake.domain import commands
from aidmesh_intake.domain import referral as domain
from aidmesh_intake.domain.drafts import NeedDraft
from aidmesh_intake.domain.kinds import ForWhom, Kind
from aidmesh_intake.domain.need import Decision, Need, NotAllowed, State
from aidmesh_intake.domain.persons import card_of
from aidmesh_intake.domain.referral import Box, Got, Referral, Refusal
from aidmesh_intake.handlers import acting, approving, erasing
from aidmesh_intake.handlers.applying import Change, apply
from aidmesh_intake.handlers.drafting import Wanted, draft_need
from aidmesh_intake.handlers.locking import lock_needs
from aidmesh_intake.store import needs as need_store
from aidmesh_intake.store import persons as person_store
from aidmesh_intake.store import referrals as store
from aidmesh_intake.store import requests as request_store
from aidmesh_intake.store import timeline
from aidmesh_intake.store.persons import PersonRow
from aidmesh_intake.vault import OpenVault, Vault

CLEARED_MAX = 1
"""An erasure locks persons first: the next begins once the locks of this one are let go of."""
SOURCE = "referral"


async def keep_offers(tx: Tx, batch: Sequence[Received[ReferralOfferedV1]]) -> None:
    """Keep offers of other regions until somebody looks at them. A handler.

    Raises:
        Poison: what came is sealed to nobody, or the offer is another region's.
    """
    got: list[tuple[Referral, bytes | None]] = []
    for each in batch:
        try:
            sealed = base64.b64decode(each.event.sealed, validate=True)
        except binascii.Error:
            raise Poison("not_sealed") from None
        referral = Referral(each.event.referral_id, each.region, lapses_at=each.event.lapses_at)
        got.append((referral, sealed))
    await store.add_referrals(tx.conn, got, tx.now)
    await _check_senders(tx, batch)


async def withdraw(tx: Tx, batch: Sequence[Received[ReferralWithdrawnV1]]) -> None:
    """Offers stand no more; a sweep ends what was made of them. A handler.

    Raises:
        Poison: the offer is another region's.
    """
    ended = [
        (
            Referral(each.event.referral_id, each.region, Got.WITHDRAWN, reason=each.event.reason),
            None,
        )
        for each in batch
    ]
    await store.add_referrals(tx.conn, ended, tx.now)
    await _check_senders(tx, batch)
    reasons = {each.event.referral_id: each.event.reason for each in batch}
    known = await store.referrals(tx.conn, list(reasons), lock=True)
    await store.save_referrals(
        tx.conn, [domain.withdrawn(each, reasons[each.id]) for each in known.values()], tx.now
    )


async def go_on(tx: Tx, batch: Sequence[Received[ReferralConfirmedV1]]) -> None:
    """The needs are this region's own: what is held for them becomes firm. A handler.

    Raises:
        Poison: an offer that was never accepted here, or another region's.
    """
    await _check_senders(tx, batch)
    ids = [each.event.referral_id for each in batch]
    found = await store.referrals(tx.conn, ids)
    needs = await lock_needs(
        tx, [each.need_id for each in found.values() if each.need_id is not None]
    )
    changes: list[Change] = []
    own: list[UUID] = []
    done: list[Referral] = []
    for referral in (await store.referrals(tx.conn, ids, lock=True)).values():
        if referral.need_id is None:
            raise Poison("never_accepted")
        need = needs[referral.need_id]
        after, decision = domain.confirmed(referral, need, tx.now)
        if after is referral:
            continue
        done.append(after)
        own.append(need.id)
        changes.append(Change(need, decision))
    await store.save_referrals(tx.conn, done, tx.now)
    await need_store.set_final(tx.conn, own)
    await apply(tx, changes)


async def take(
    tx: Tx,
    vault: Vault,
    kinds: Mapping[str, Kind],
    referral_id: UUID,
    staff_id: UUID,
    *,
    sensitive_too: bool,
) -> Need:
    """Make a person, a request and a need of an offer, and have held what it takes.

    They are new whoever is known here: that it is somebody's, people find out.

    Raises:
        Problem: there is no such offer, or nobody that this caller may see.
        NotAllowed: it is over, or others wait here for the same.
        AskError: this region's catalogue does not have it.
    """
    referral, sealed = await _open(tx, referral_id)
    box = vault.open_box(sealed, referral_id)
    draft = _draft(box, kinds, tx)
    if draft.kind.sensitive and not sensitive_too:
        raise Problem(NOT_FOUND)
    person_id = await _add_person(tx, vault.open(), box)
    need = await _add_need(tx, box, draft, person_id, kinds, staff_id)
    taken = replace(referral, status=Got.TAKEN, need_id=need.id, person_id=person_id)
    if not await store.claim(tx.conn, taken, tx.now, staff_id):
        raise NotAllowed("referral_over")
    return need


async def refuse(tx: Tx, referral_id: UUID, why: Refusal) -> Referral:
    """Say no to an offer.

    Raises:
        Problem: there is no such offer.
        NotAllowed: it was taken, or is over.
    """
    known = await store.referrals(tx.conn, [referral_id], lock=True)
    if referral_id not in known:
        raise Problem(NOT_FOUND)
    after, answer = domain.refuse(known[referral_id], why)
    await store.save_referrals(tx.conn, [after], tx.now)
    tx.hand_over(answer, after.from_region)
    return after


async def clear(journal: Journal, tx: Tx) -> int:
    """End what was made of offers that came to nothing, and erase whom it was for. A sweep.

    Whoever has more here by now stays, and so does what was given.

    Raises:
        OSError: it cannot be written down; then nobody is erased.
    """
    rows = await store.uncleared(tx.conn, CLEARED_MAX)
    for row in rows:
        # This record and no other: nobody is merged with it any more once it is locked, and whom
        # it stands behind by now is somebody who was known before.
        records = await person_store.by_ids(tx.conn, [row["person_id"]], lock=True)
        if await store.is_only_of(tx.conn, row["person_id"], row["need_id"]) and not await _given(
            tx, row["need_id"]
        ):
            await erasing.erase_records(tx, journal, records.values(), row["staff_id"])
        else:
            await acting.act(
                tx,
                [row["need_id"]],
                lambda need: commands.end(need, State.CANCELLED, "referral_over"),
                row["staff_id"],
            )
        await store.set_cleared(tx.conn, row["id"], tx.now)
    return len(rows)


async def _given(tx: Tx, need_id: UUID) -> bool:
    need = await need_store.read(tx.conn, need_id)
    return need is not None and need.state is State.FULFILLED


async def _check_senders(
    tx: Tx,
    batch: Sequence[
        Received[ReferralOfferedV1] | Received[ReferralWithdrawnV1] | Received[ReferralConfirmedV1]
    ],
) -> None:
    known = await store.referrals(tx.conn, [each.event.referral_id for each in batch])
    for each in batch:
        referral = known.get(each.event.referral_id)
        if referral is None or referral.from_region != each.region:
            raise Poison("unknown_referral")


async def _open(tx: Tx, referral_id: UUID) -> tuple[Referral, bytes]:
    referral = (await store.referrals(tx.conn, [referral_id])).get(referral_id)
    if referral is None:
        raise Problem(NOT_FOUND)
    # Nothing is locked: it may be taken or over since.
    sealed = (await store.sealed_of(tx.conn, [referral_id])).get(referral_id)
    if referral.status is not Got.OFFERED or sealed is None:
        raise NotAllowed("referral_over")
    return referral, sealed


def _draft(box: Box, kinds: Mapping[str, Kind], tx: Tx) -> NeedDraft:
    kind = kinds.get(box.kind)
    takes_place = kind is not None and kind.capacity is not None
    draft = draft_need(
        uuid4(),
        Wanted(
            kind=box.kind,
            quantity=box.quantity,
            needed_by=box.needed_by,
            planned_on=box.planned_on,
            place_area=box.place_area,
            site_id=box.site_id,
            from_on=box.from_on if takes_place else None,
            to_on=box.to_on if takes_place else None,
            features=box.features if takes_place else (),
        ),
        kinds,
        ForWhom.PERSON,
        box.area,
        tx.now,
        box.asked_on,
    )
    if not (draft.ask.of_supply or draft.ask.of_money):
        raise NotAllowed("not_of_this_kind")
    return replace(draft, needed_by=box.needed_by, needed_until=box.needed_until)


async def _add_person(tx: Tx, vault: OpenVault, box: Box) -> UUID:
    person_id = uuid4()
    locker = vault.new_locker(person_id)
    # Codes are a region's own: here the same one is, or will be, somebody else's.
    details = box.details.model_copy(
        update={"client_code": None, "code_elsewhere": box.details.client_code}
    )
    row = PersonRow(
        id=person_id,
        code_lookup=None,
        details=vault.hide(locker, person_id, details),
        wrapped_key=locker.wrapped,
        languages=box.languages,
        area=box.area,
        origin_area=box.origin_area,
        household_id=None,
        consents=box.consents,
        card_version=1 if box.details.contact else 0,
    )
    await person_store.insert(tx.conn, [row])
    if row.card_version:
        card = card_of(person_id, 1, box.details.contact, row.languages, row.consents)
        tx.emit(
            ContactSealedV1(person_id=PersonId(person_id), version=1, sealed=vault.seal_card(card))
        )
    return person_id


async def _add_need(
    tx: Tx,
    box: Box,
    draft: NeedDraft,
    person_id: UUID,
    kinds: Mapping[str, Kind],
    staff_id: UUID,
) -> Need:
    """Queue the need that was referred here, held or not at all. Raises `NotAllowed`."""
    request_id = uuid4()
    await request_store.insert(
        tx.conn,
        [
            request_store.RequestRow(
                request_id,
                ForWhom.PERSON.value,
                person_id,
                None,
                None,
                SOURCE,
                box.asked_on,
                staff_id,
                None,
            )
        ],
    )
    (queue_no,) = await need_store.queue_numbers(tx.conn, 1)
    need = _need_of(box, draft, person_id, request_id, queue_no)
    (verdict,) = await approving.decide(
        tx, [need], kinds, unchecked={need.id}, newcomers={person_id}
    )
    if not isinstance(verdict, Decision) or verdict.need.state is State.WAITLISTED:
        raise NotAllowed("others_wait_here")
    await need_store.insert(tx.conn, [verdict.need])
    await timeline.add(tx.conn, [(verdict.need, "referral_taken")], tx.now, staff_id)
    for event in verdict.events:
        tx.emit(event)
    return verdict.need


def _need_of(box: Box, draft: NeedDraft, person_id: UUID, request_id: UUID, queue_no: int) -> Need:
    """The need with its age; its region has not let go of it yet."""
    kind = draft.kind
    return Need(
        id=NeedId(draft.id),
        request_id=RequestId(request_id),
        kind=kind.code,
        programme=kind.programme,
        sensitive=kind.sensitive,
        for_whom=ForWhom.PERSON,
        person_id=PersonId(person_id),
        household_id=None,
        members=(),
        headcount=None,
        quantity=draft.quantity,
        unit=kind.unit,
        asked_on=box.asked_on,
        queue_no=queue_no,
        planned_on=draft.planned_on,
        needed_by=draft.needed_by,
        needed_until=draft.needed_until,
        priority=box.priority,
        rule_version=box.rule_version,
        place_area=draft.place_area,
        stay_area=box.area,
        origin_area=box.origin_area,
        site_id=None if draft.site_id is None else SiteId(draft.site_id),
        ask=draft.ask,
        payee_ref=None,
        hold_s=kind.hold_s,
        collect_days=kind.collect_days,
        splittable=False,
        confirmed_start=kind.confirmed_start,
        pending=True,
    )
