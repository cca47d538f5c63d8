"""Contacts as intake seals them, and people who are erased: whole batches at a time."""

import base64
import binascii
from collections.abc import Sequence
from uuid import UUID

from aidmesh_chassis import inbox
from aidmesh_chassis.consuming import Received
from aidmesh_chassis.db import Tx
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.intake import ContactSealedV1, PersonErasedV1
from aidmesh_notification.store import contacts, outbound, reports


async def keep_contacts(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
    """Store contact cards, sealed as they came.

    Raises:
        Poison: a card is not base64.
    """
    newest: dict[UUID, tuple[int, bytes]] = {}
    for received in batch:
        event = received.event
        try:
            sealed = base64.b64decode(event.sealed, validate=True)
        except (binascii.Error, ValueError):
            raise Poison("bad_sealed_box") from None
        known = newest.get(event.person_id)
        if known is None or known[0] < event.version:
            newest[event.person_id] = (event.version, sealed)
    changed = await contacts.put_contacts(
        tx.conn,
        [(person_id, version, sealed) for person_id, (version, sealed) in newest.items()],
    )
    if changed:
        await outbound.look_again(tx.conn, changed)


async def erase(tx: Tx, batch: Sequence[Received[PersonErasedV1]]) -> None:
    """Delete the contacts of erased persons, and leave a tombstone.

    Until when they could come goes too, with all that was reckoned from it: it may tell the hour at
    which something happened to them. So does what their messages were called on their way, which
    mailboxes and the logs of providers hold for ever.
    """
    persons = sorted({received.event.person_id for received in batch})
    await contacts.erase_contacts(tx.conn, persons)
    await inbox.blank_letters(tx.conn, persons)
    await outbound.look_again(tx.conn, persons)
    await outbound.forget_limits(tx.conn, persons)
    await reports.forget_posts_of(tx.conn, persons)


async def erase_letters(tx: Tx) -> int:
    """Blank cards of erased persons that could not be handled and were set aside since."""
    letters = await inbox.sealed_letters(tx.conn)
    if letters:
        await inbox.blank_letters(tx.conn, await contacts.erased_among(tx.conn, letters))
    return 0
