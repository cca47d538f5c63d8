"""Asking another region whether it knows somebody, without telling it whom."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

from aidmesh_chassis import handoff, peer_keys
from aidmesh_chassis.crypto import DecryptionFailed, seal
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts.intake_links import (
    LinkFoundV1,
    LinkSaidV1,
    LookupAnsweredV1,
    LookupAskedV1,
    LookupClosedV1,
    Means,
)
from aidmesh_intake import oprf
from aidmesh_intake.domain import link as domain
from aidmesh_intake.domain.link import Link
from aidmesh_intake.domain.lookup import (
    BEFORE_MAX,
    INPUTS,
    AnswerBox,
    AskBox,
    Blinded,
    CloseBox,
    Damaged,
    Input,
    Secrets,
    inputs_of,
    matches,
    shown,
)
from aidmesh_intake.domain.need import NotAllowed
from aidmesh_intake.domain.persons import LOOKED_FOR
from aidmesh_intake.handlers import linking, people
from aidmesh_intake.store import links as link_store
from aidmesh_intake.store import lookups as store
from aidmesh_intake.store import persons as person_store
from aidmesh_intake.store.lookups import Lookup
from aidmesh_intake.vault import OpenVault, Vault

COMPARED_MAX: Final = 10


class TooManyLookups(Exception):
    """That region answers no more queries today."""


async def ask(
    tx: Tx,
    vault: OpenVault,
    person_id: UUID,
    to_region: str,
    code: PersonalText | None,
    staff_id: UUID,
    day_max: int,
) -> UUID:
    """Ask a region whether it knows a person; while it is dark, the query waits. Its id.

    Args:
        code: that region's client code, if the person showed it.
        day_max: how many queries the region answers within 24 hours.

    Raises:
        Problem: there is no such person, or nothing can be sealed to that region yet.
        NotAllowed: the person did not agree, is asked about already, or there is nothing to
            compare.
        TooManyLookups: it was asked as often as it answers.
    """
    person = await people.lock(tx, person_id)
    if LOOKED_FOR not in person.consents:
        raise NotAllowed("no_consent_to_lookup")
    assert person.wrapped_key is not None  # noqa: S101 - only erasure takes it
    assert person.details is not None  # noqa: S101
    locker = vault.locker(person.id, person.wrapped_key)
    inputs = inputs_of(vault.show(locker, person.id, person.details), to_region, code)
    if not inputs:
        raise NotAllowed("nothing_to_compare")
    if await store.asked_within_a_day(tx.conn, to_region) >= day_max:
        raise TooManyLookups
    lookup_id = uuid4()
    secrets, elements = _blinded(inputs)
    lookup = Lookup(
        lookup_id,
        person.id,
        to_region,
        "asked",
        vault.hide_secrets(locker, person.id, lookup_id, secrets),
    )
    if not await store.add(tx.conn, lookup, tx.now, staff_id):
        raise NotAllowed("asked_already")
    sealed = await _seal(tx, to_region, AskBox(lookup_id, elements).to_bytes())
    tx.hand_over(LookupAskedV1(lookup_id=lookup_id, sealed=sealed), to_region)
    return lookup_id


def _blinded(inputs: Sequence[Input]) -> tuple[Secrets, tuple[bytes, ...]]:
    """What is kept, and what is sent: as many elements whatever is known of the person."""
    kept: list[Blinded] = []
    elements: list[bytes] = []
    for each in inputs:
        scalar = oprf.random_scalar()
        kept.append(Blinded(means=each.means, data=each.data.decode(), blind=scalar.hex()))
        elements.append(oprf.blind(each.data, scalar))
    while len(kept) < INPUTS:
        kept.append(Blinded())
        elements.append(oprf.random_element())
    return Secrets(blinded=tuple(kept)), tuple(elements)


async def keep_answers(tx: Tx, batch: Sequence[Received[LookupAnsweredV1]]) -> None:
    """Keep answers until they are compared. A handler.

    Raises:
        Poison: an answer to what was never asked, or by somebody else, or sealed to nobody.
    """
    known = await store.lock(tx.conn, [each.event.lookup_id for each in batch])
    changed: dict[UUID, Lookup] = {}
    for each in batch:
        lookup = known.get(each.event.lookup_id)
        if lookup is None or lookup.to_region != each.region:
            raise Poison("unknown_lookup")
        if lookup.status != "asked":
            continue
        if each.event.sealed is None:
            changed[lookup.id] = replace(lookup, status="refused", secrets=None)
            continue
        try:
            sealed = base64.b64decode(each.event.sealed, validate=True)
        except binascii.Error:
            raise Poison("not_sealed") from None
        changed[lookup.id] = replace(lookup, status="answered", sealed=sealed)
    await store.save(tx.conn, list(changed.values()), tx.now)


async def compare(vault: Vault, tx: Tx) -> int:
    """Compare what was answered, and say what was found in a box that looks the same. A sweep."""
    if not vault.hears_others:
        return 0
    lookups = await store.lock_answered(tx.conn, COMPARED_MAX)
    done: list[Lookup] = []
    for lookup in lookups.values():
        found = await _compared(tx, vault, lookup)
        status = "refused" if found is None else "matched" if found else "nothing"
        done.append(replace(lookup, status=status, secrets=None, sealed=None))
        before: list[UUID] = []
        if found and lookup.person_id is not None:
            before = await link_store.before(
                tx.conn, lookup.person_id, lookup.to_region, BEFORE_MAX
            )
        box = CloseBox(lookup.id, tuple(shown(value) for _, value in found or ()), tuple(before))
        sealed = await _seal(tx, lookup.to_region, box.to_bytes())
        tx.hand_over(LookupClosedV1(lookup_id=lookup.id, sealed=sealed), lookup.to_region)
    await store.save(tx.conn, done, tx.now)
    return len(lookups)


async def _compared(tx: Tx, vault: Vault, lookup: Lookup) -> list[tuple[Means, bytes]] | None:
    """What agrees; None where the answer cannot be used."""
    assert lookup.person_id is not None  # noqa: S101 - else it is withdrawn
    assert lookup.secrets is not None  # noqa: S101 - while it is answered
    assert lookup.sealed is not None  # noqa: S101
    person = (await person_store.by_ids(tx.conn, [lookup.person_id])).get(lookup.person_id)
    if person is None or person.wrapped_key is None:
        return None
    keys = vault.open()
    locker = keys.locker(person.id, person.wrapped_key)
    try:
        secrets = keys.show_secrets(locker, person.id, lookup.id, lookup.secrets)
        box = AnswerBox.from_bytes(vault.unseal(lookup.sealed), lookup.id)
        values = [
            (kept.means, oprf.finalize(kept.data.encode(), bytes.fromhex(kept.blind), element))
            for kept, element in zip(secrets.blinded, box.elements, strict=True)
            if kept.blind is not None
        ]
    except (DecryptionFailed, Damaged, oprf.NoElement):
        tx.log.warning("lookup.unreadable", lookup_id=str(lookup.id), peer=lookup.to_region)
        return None
    return matches(values, box.tokens)


async def take_found(tx: Tx, batch: Sequence[Received[LinkFoundV1]]) -> None:
    """Keep what another region found: somebody here is to decide. A handler.

    Raises:
        Poison: it follows from nothing that was asked, or the link is another region's.
    """
    lookups = await store.lock(tx.conn, [each.event.lookup_id for each in batch])
    for each in batch:
        lookup = lookups.get(each.event.lookup_id)
        if lookup is None or lookup.to_region != each.region:
            raise Poison("unknown_lookup")
    new = [Link(each.event.link_id, each.region) for each in batch]
    await link_store.add(
        tx.conn, new, {each.event.link_id: each.event.lookup_id for each in batch}, tx.now
    )
    known = await link_store.lock(tx.conn, [each.id for each in new])
    for each in batch:
        link, lookup = known[each.event.link_id], lookups[each.event.lookup_id]
        if link.region != each.region:
            raise Poison("unknown_link")
        if lookup.person_id is None:
            step = domain.end(link)
            if link.mine != "gone":
                tx.hand_over(LinkSaidV1(link_id=link.id, said="gone"), link.region)
        else:
            step = domain.found(link, lookup.person_id, each.event.by)
        known[link.id] = step.link
        linking.tell(tx, step)
    await link_store.save(tx.conn, list(known.values()), tx.now)


async def end_all(tx: Tx, person_ids: Sequence[UUID]) -> None:
    """Look for locked persons no more, and forget what was found: they do not agree, or are erased.

    The other regions forget it, too.
    """
    # Queries before links, as everyone locks them.
    lookups = (await store.lock_of(tx.conn, person_ids)).values()
    await handoff.withdraw(tx.conn, [each.id for each in lookups])
    for each in lookups:
        tx.hand_over(LookupClosedV1(lookup_id=each.id), each.to_region)
    await store.save(
        tx.conn,
        [
            replace(each, person_id=None, status="withdrawn", secrets=None, sealed=None)
            for each in lookups
        ],
        tx.now,
    )
    await linking.end_all(tx, person_ids)


async def _seal(tx: Tx, region: str, plain: bytes) -> str:
    key = await peer_keys.sealing_key(tx.conn, region)
    return base64.b64encode(seal(key, plain)).decode()
