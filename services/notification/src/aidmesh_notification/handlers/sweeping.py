"""What time brings about: messages cut short are settled, digests are queued."""

from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import KYIV
from aidmesh_contracts.ids import derive_id
from aidmesh_notification.handlers.telling import emit_suppressed
from aidmesh_notification.store import contacts, lists, outbound, reports
from aidmesh_notification.texts import Templates

STAFF_TO_TELL = "staff_to_tell"
SWEEP_ROWS_MAX = 500
POST_DAYS_MAX = 14
"""How long a gateway may report on a message: mail servers give up within a week."""


def settle_cut_short(
    templates: Templates, claims: Callable[[], Collection[UUID]] = tuple
) -> Callable[[Tx], Awaitable[int]]:
    """Return the sweep over messages whose sender was never heard of again.

    Args:
        claims: gives those of the sender in this process, which lives, whatever the clock says.
    """

    async def sweep(tx: Tx) -> int:
        told = await outbound.cut_short(
            tx.conn, templates.at_least_once, SWEEP_ROWS_MAX, but=claims()
        )
        emit_suppressed(tx, told)
        return len(told)

    return sweep


def queue_digests(from_min: int, message_hours_max: int) -> Callable[[Tx], Awaitable[int]]:
    """Return the sweep that queues, once a day, a digest for every member of staff who wants it.

    Args:
        from_min: minutes since midnight in Europe/Kyiv before which no digest is made.
    """

    async def sweep(tx: Tx) -> int:
        local = tx.now.astimezone(KYIV)
        if local.hour * 60 + local.minute < from_min or not await lists.count_to_tell(tx.conn):
            return 0
        staff = await contacts.claim_digests(tx.conn, local.date(), SWEEP_ROWS_MAX)
        if staff:
            await outbound.queue_digests(
                tx.conn,
                [(derive_id("digest", staff_id, local.date()), staff_id) for staff_id in staff],
                STAFF_TO_TELL,
                tx.now + timedelta(hours=message_hours_max),
            )
        return len(staff)

    return sweep


async def forget_posts(tx: Tx) -> int:
    """Forget what messages were called on their way, once nobody reports on them. A sweep."""
    return await reports.forget_posts(tx.conn, POST_DAYS_MAX, SWEEP_ROWS_MAX)
