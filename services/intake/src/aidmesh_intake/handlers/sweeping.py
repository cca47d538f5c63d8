"""What time brings about."""

from datetime import timedelta
from functools import partial
from typing import Final

from aidmesh_chassis.db import Tx
from aidmesh_chassis.logs import counted
from aidmesh_chassis.upkeep import Sweep
from aidmesh_contracts.days import day_of
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.need import State
from aidmesh_intake.domain.steps import PERSON_ERASED
from aidmesh_intake.domain.waitlist import place_of, queue_behind
from aidmesh_intake.handlers import answering, approving, looking, referring, totals
from aidmesh_intake.handlers.applying import Change, apply, offer_growth
from aidmesh_intake.handlers.locking import lock_needs
from aidmesh_intake.store import growth, sweeps, waitlist
from aidmesh_intake.store.totals import TOLD_MAX
from aidmesh_intake.vault import Vault

LIMIT: Final = 500
GROWTH_KEPT: Final = timedelta(days=2)
KEYS_MAX: Final = 100


async def ask_overdue_anew(tx: Tx) -> int:
    """Attempts that were not answered in full in time are ended and started anew."""
    needs = await lock_needs(tx, await sweeps.overdue(tx.conn, LIMIT))
    changes = [
        Change(need, commands.ask_anew(need, tx.now))
        for need in needs.values()
        if need.deadline_at is not None and need.deadline_at <= tx.now
    ]
    await apply(tx, changes)
    if changes:
        tx.log.warning("need.unanswered", **counted("need", [each.before.id for each in changes]))
    return len(needs)


async def retry(tx: Tx) -> int:
    """Needs that wait for nothing that could grow are asked for again, or queue by their age.

    Those that are due at once are asked for in their order.
    """
    needs = await lock_needs(tx, await sweeps.to_retry(tx.conn, LIMIT))
    due = [
        need
        for need in needs.values()
        if need.state is State.WAITLISTED and need.retry_at is not None and need.retry_at <= tx.now
    ]
    due.sort(key=place_of)
    queues, today = await approving.queues_of(tx, due), day_of(tx.now)
    await apply(
        tx,
        [
            Change(
                need,
                commands.approve(
                    need, tx.now, behind=queue_behind(need, queues, today), note="retried"
                ),
            )
            for need in due
        ],
    )
    return len(needs)


async def expire(tx: Tx) -> int:
    """Needs whose own last day has passed end, where hours count with their last hour."""
    found = await sweeps.past_last_day(tx.conn, tx.now, LIMIT)
    needs = await lock_needs(tx, found)
    await apply(
        tx,
        [
            Change(need, commands.end(need, State.EXPIRED, "last_day_passed"))
            for need in needs.values()
            if commands.is_past(need, tx.now)
        ],
    )
    return len(needs)


async def end_erased(tx: Tx) -> int:
    """Needs of the erased end that opened once more: a payment came back, a handover was undone.

    Those of a household that others belong to go on.
    """
    goes_on = await sweeps.open_of_erased(tx.conn, LIMIT)
    needs = await lock_needs(tx, list(goes_on))
    await apply(
        tx,
        [
            Change(
                need,
                commands.part(need, erased=True)
                if goes_on[need.id] and need.person_id is not None
                else commands.end(need, State.CANCELLED, PERSON_ERASED),
            )
            for need in needs.values()
            if need.state in commands.OPEN
        ],
    )
    return len(needs)


async def offer_pending(tx: Tx) -> int:
    """Growth that was not offered to everybody at once goes on being offered."""
    keys = await growth.pending_keys(tx.conn, KEYS_MAX)
    return await offer_growth(tx, keys) if keys else 0


async def prune(tx: Tx) -> int:
    """Old growth is forgotten: whoever waits now was refused since."""
    found, keys = await growth.old(tx.conn, GROWTH_KEPT, LIMIT)
    # It is written by whoever holds its queue, and so it is deleted.
    await waitlist.lock_keys(tx.conn, keys)
    await growth.forget(tx.conn, found)
    return len(found)


SWEEPS: Final = (
    Sweep(name="overdue_attempts", every_s=5.0, run=ask_overdue_anew, limit=LIMIT),
    Sweep(name="retries", every_s=5.0, run=retry, limit=LIMIT),
    Sweep(name="pending_growth", every_s=2.0, run=offer_pending, limit=LIMIT),
    Sweep(name="waiting_totals", every_s=3.0, run=totals.tell_waiting, limit=TOLD_MAX),
    Sweep(name="last_days", every_s=60.0, run=expire, limit=LIMIT),
    Sweep(
        name="lapsed_offers",
        every_s=5.0,
        run=referring.lapse,
        limit=referring.LIMIT,
        when_abreast=True,
    ),
    Sweep(name="erased", every_s=30.0, run=end_erased, limit=LIMIT),
    Sweep(name="old_growth", every_s=600.0, run=prune, limit=LIMIT),
    Sweep(name="old_lookups", every_s=3600.0, run=answering.forget),
)


def lookup_sweeps(vault: Vault, region: str, day_max: int, all_day_max: int) -> tuple[Sweep, ...]:
    """What becomes of blind queries, while the keys are loaded.

    Args:
        region: the own one.
        day_max, all_day_max: see `config.Settings`.
    """
    return (
        Sweep(
            name="lookups",
            every_s=3.0,
            run=partial(answering.answer, vault, region, day_max, all_day_max),
            limit=answering.ANSWERED_MAX,
        ),
        Sweep(
            name="compared_lookups",
            every_s=3.0,
            run=partial(looking.compare, vault),
            limit=looking.COMPARED_MAX,
        ),
        Sweep(
            name="closed_lookups",
            every_s=3.0,
            run=partial(answering.take_closed, vault),
            limit=answering.CLOSED_MAX,
        ),
    )
