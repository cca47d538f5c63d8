"""Answering other regions' blind queries, within limits, from whoever agreed to be looked for.

Each answer has a key of its own, which is gone when the answer is written: nobody can evaluate
anything under it again, not even who steals all keys of this region.
"""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

from aidmesh_chassis import peer_keys
from aidmesh_chassis.crypto import DecryptionFailed, seal
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.ids import LinkId
from aidmesh_contracts.intake_links import (
    LinkFoundV1,
    LookupAnsweredV1,
    LookupAskedV1,
    LookupClosedV1,
)
from aidmesh_intake import oprf
from aidmesh_intake.domain.link import Link
from aidmesh_intake.domain.lookup import (
    LISTED_MAX,
    TOKEN_BYTES,
    AnswerBox,
    AskBox,
    CloseBox,
    Damaged,
    Index,
    Known,
    inputs_of,
    padded_count,
)
from aidmesh_intake.domain.persons import LOOKED_FOR, Details
from aidmesh_intake.handlers import people
from aidmesh_intake.store import links as link_store
from aidmesh_intake.store import lookups as store
from aidmesh_intake.store import persons as person_store
from aidmesh_intake.store.lookups import Asked, Listed
from aidmesh_intake.vault import OpenVault, Vault

ANSWERED_MAX: Final = 2
"""An answer reads everybody who agreed: few of them in one transaction."""
CLOSED_MAX: Final = 20
WAITING_MAX: Final = 500
"""So many queries of a region wait; more are refused at once."""
READ_MAX: Final = 1000
"""So many people are read at once: while they are evaluated the transaction is idle."""
LISTED_DAYS: Final = 30


async def keep_asked(tx: Tx, batch: Sequence[Received[LookupAskedV1]]) -> None:
    """Keep queries until they may be answered. A handler.

    Raises:
        Poison: what came is sealed to nobody, or the query is another region's.
    """
    waiting = await store.waiting(tx.conn)
    got: list[tuple[UUID, str, bytes | None]] = []
    for each in batch:
        if waiting[each.region] >= WAITING_MAX:
            tx.hand_over(LookupAnsweredV1(lookup_id=each.event.lookup_id), each.region)
            got.append((each.event.lookup_id, each.region, None))
            continue
        waiting[each.region] += 1
        got.append((each.event.lookup_id, each.region, _bytes(each.event.sealed)))
    await store.keep(tx.conn, got, tx.now)
    known = await store.of_others(tx.conn, [each.event.lookup_id for each in batch])
    _check_senders(batch, known)


async def keep_closed(tx: Tx, batch: Sequence[Received[LookupClosedV1]]) -> None:
    """Keep what was compared until it is looked at; forget what is withdrawn. A handler.

    Raises:
        Poison: what came is sealed to nobody, or the query is another region's.
    """
    withdrawn = [(each.event.lookup_id, each.region, None) for each in batch]
    await store.keep(tx.conn, withdrawn, tx.now)
    known = await store.of_others(tx.conn, [each.event.lookup_id for each in batch])
    _check_senders(batch, known)
    for each in batch:
        asked = known[each.event.lookup_id]
        if each.event.sealed is None:
            known[asked.id] = replace(asked, status="done", sealed=None, listed=None)
        elif asked.status == "answered":
            known[asked.id] = replace(asked, status="closed", sealed=_bytes(each.event.sealed))
    await store.save_asked(tx.conn, list(known.values()))


async def answer(vault: Vault, region: str, day_max: int, all_day_max: int, tx: Tx) -> int:
    """Answer queries that the limits of a day allow; the others wait. A sweep.

    Args:
        region: the own one.
    """
    if not vault.hears_others:
        return 0
    await store.alone(tx.conn)
    due = await store.within_limits(tx.conn, day_max, all_day_max, ANSWERED_MAX)
    if not due:
        return 0
    keys = vault.open()
    for asked in due:
        answered = await _answered(tx, vault, keys, region, asked)
        await store.save_asked(tx.conn, [answered])
    await store.set_answered(tx.conn, [each.id for each in due])
    return len(due)


async def _answered(tx: Tx, vault: Vault, keys: OpenVault, region: str, asked: Asked) -> Asked:
    assert asked.sealed is not None  # noqa: S101 - while it waits
    key = oprf.random_scalar()
    try:
        box = AskBox.from_bytes(vault.unseal(asked.sealed), asked.id)
        elements = tuple(oprf.evaluate(key, each) for each in box.elements)
    except (DecryptionFailed, Damaged, oprf.NoElement):
        tx.log.warning("lookup.unreadable", lookup_id=str(asked.id), peer=asked.from_region)
        return _refused(tx, asked)
    index = await _index(tx, keys, region, key)
    if index is None:
        tx.log.warning("lookup.too_many", values=LISTED_MAX)
        return _refused(tx, asked)
    plain = AnswerBox(asked.id, elements, _padded(index.tokens)).to_bytes()
    sealing_key = await peer_keys.sealing_key(tx.conn, asked.from_region)
    sealed = base64.b64encode(seal(sealing_key, plain)).decode()
    tx.hand_over(LookupAnsweredV1(lookup_id=asked.id, sealed=sealed), asked.from_region)
    return replace(asked, status="answered", sealed=None, listed=index.to_bytes())


def _refused(tx: Tx, asked: Asked) -> Asked:
    tx.hand_over(LookupAnsweredV1(lookup_id=asked.id), asked.from_region)
    return replace(asked, status="done", sealed=None)


async def _index(tx: Tx, keys: OpenVault, region: str, key: bytes) -> Index | None:
    """What is known of everybody who agreed; None if one answer does not carry it."""
    index, last = Index(), None
    while people := await store.listed(tx.conn, last, READ_MAX):
        # It takes a tenth of a millisecond for each value: others go on meanwhile.
        if not await asyncio.to_thread(_add, index, keys, region, key, people):
            return None
        last = people[-1].id
    return index


def _add(index: Index, keys: OpenVault, region: str, key: bytes, people: Sequence[Listed]) -> bool:
    """Enter what is known of people; False, and no more of it, if it comes to too much."""
    for person in people:
        details = _details(keys, person)
        for each in inputs_of(details, region, details.client_code):
            index.add(oprf.value_of(key, each.data), Known(person.id, each.means))
            if len(index.entries) > LISTED_MAX:
                return False
    return True


def _details(keys: OpenVault, person: Listed) -> Details:
    return keys.show(keys.locker(person.id, person.wrapped_key), person.id, person.details)


def _padded(tokens: Collection[bytes]) -> tuple[bytes, ...]:
    """In the order of their values, which says nothing, with others that belong to nobody."""
    listed = set(tokens)
    wanted = padded_count(len(listed))
    while len(listed) < wanted:
        listed.add(secrets.token_bytes(TOKEN_BYTES))
    return tuple(sorted(listed))


async def take_closed(vault: Vault, tx: Tx) -> int:
    """Look at what was compared: whoever was found is for people in both regions. A sweep."""
    if not vault.hears_others:
        return 0
    closed = await store.lock_closed(tx.conn, CLOSED_MAX)
    for asked in closed:
        assert asked.sealed is not None  # noqa: S101 - while it is closed
        assert asked.listed is not None  # noqa: S101
        try:
            box = CloseBox.from_bytes(vault.unseal(asked.sealed), asked.id)
        except (DecryptionFailed, Damaged):
            tx.log.warning("lookup.unreadable", lookup_id=str(asked.id), peer=asked.from_region)
        else:
            await _link(tx, asked, Index.from_bytes(asked.listed), box)
    await store.save_asked(
        tx.conn, [replace(each, status="done", sealed=None, listed=None) for each in closed]
    )
    return len(closed)


async def _link(tx: Tx, asked: Asked, index: Index, box: CloseBox) -> None:
    found = index.found(box.values)
    if not found:
        return
    stands_for = await person_store.stands_for(tx.conn, list(found))
    persons = await people.lock_many(
        tx, [stands_for.get(person_id, person_id) for person_id in found]
    )
    decided = await link_store.known(tx.conn, box.before, asked.from_region)
    decided |= set((await person_store.stands_for(tx.conn, list(decided))).values())
    links: list[Link] = []
    for person_id, by in sorted(found.items()):
        person = persons.get(stands_for.get(person_id, person_id))
        # Since it was listed they may have been erased, or have thought better of it.
        if person is None or person.erased_at is not None or LOOKED_FOR not in person.consents:
            continue
        if person.id in decided:
            continue
        decided.add(person.id)
        links.append(Link(LinkId(uuid4()), asked.from_region, person.id, by))
    await link_store.add(tx.conn, links, {each.id: asked.id for each in links}, tx.now)
    for link in links:
        tx.hand_over(
            LinkFoundV1(link_id=link.id, lookup_id=asked.id, by=link.by), asked.from_region
        )
    tx.log.info("lookup.found", peer=asked.from_region, links=len(links))


async def forget(tx: Tx) -> int:
    """Forget whose the values of old answers were. A sweep."""
    return await store.forget_listed(tx.conn, LISTED_DAYS)


def _check_senders(
    batch: Sequence[Received[LookupAskedV1] | Received[LookupClosedV1]],
    known: dict[UUID, Asked],
) -> None:
    for each in batch:
        if known[each.event.lookup_id].from_region != each.region:
            raise Poison("unknown_lookup")


def _bytes(sealed: str) -> bytes:
    try:
        return base64.b64decode(sealed, validate=True)
    except binascii.Error:
        raise Poison("not_sealed") from None
