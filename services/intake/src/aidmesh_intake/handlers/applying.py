"""What every change of needs ends with: save, publish, timeline, and the waitlist's due."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received, new_event_id
from aidmesh_chassis.logs import counted
from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.need import IN_LINE, Decision, Need, State, Wait
from aidmesh_intake.domain.steps import waitlisted
from aidmesh_intake.domain.waitlist import Growth, Wake, offer
from aidmesh_intake.handlers import following, telling
from aidmesh_intake.store import askers, growth, timeline, waitlist
from aidmesh_intake.store import needs as store
from aidmesh_intake.store.waitlist import Key, key_of

PASSES_MAX = 4


@dataclass(frozen=True, slots=True)
class Change:
    """One step of one need, and the message it follows from."""

    before: Need
    decision: Decision
    cause: Received[Event] | None = None


async def apply(tx: Tx, changes: Sequence[Change], staff_id: UUID | None = None) -> None:
    """Save what changed, in the order given; a need may occur several times."""
    real = [each for each in changes if each.decision.need is not each.before]
    if not real:
        return
    last = {each.before.id: each.decision.need for each in real}
    unusual = {
        each.before.id
        for each in real
        if State.WAITLISTED in (each.before.state, each.decision.need.state)
        or each.before.attempt_no != each.decision.need.attempt_no
        or each.before.attention != each.decision.need.attention
    }
    ids = sorted(last)
    await store.save_progress(tx.conn, [last[each] for each in ids if each not in unusual])
    await store.save(tx.conn, [last[each] for each in ids if each in unusual])
    paid_anew = {each.before.id for each in real if each.before.sent is not each.decision.need.sent}
    await store.set_sent(tx.conn, [last[each] for each in sorted(paid_anew)])
    parted = {
        each.before.id for each in real if each.before.person_id != each.decision.need.person_id
    }
    await askers.part(tx.conn, [last[each] for each in sorted(parted)])
    split = [each.decision for each in real if each.decision.split_off]
    split_off = [need for each in split for need in each.split_off]
    await store.insert(tx.conn, split_off)
    await store.save_terms(tx.conn, [last[each.need.id] for each in split])
    await timeline.add(
        tx.conn,
        [
            *((each.decision.need, each.decision.note) for each in real),
            *((need, "split") for need in split_off),
        ],
        tx.now,
        staff_id,
    )
    for each in real:
        for event in each.decision.events:
            tx.emit(event, cause=each.cause)
    steps: list[telling.Step] = [
        (each.before, each.decision.need, each.decision.note) for each in real
    ]
    telling.tell(tx, [*steps, *((None, need, "split") for need in split_off)])
    await following.follow(tx, [(each.before, each.decision.need) for each in real])
    await _settle_waitlist(tx, real)
    await _part_opened_again(tx, real)


async def _part_opened_again(tx: Tx, changes: Iterable[Change]) -> None:
    """Have what was a household's be no one member's, if whoever asked left while it was served."""
    last: dict[UUID, Need] = {}
    opened: set[UUID] = set()
    for each in changes:
        before, after = each.before, each.decision.need
        last[after.id] = after
        if before.state not in commands.OPEN and after.state in commands.OPEN:
            opened.add(after.id)
    wanted = [
        each
        for each in opened
        if last[each].household_id is not None and last[each].state in commands.OPEN
    ]
    if wanted:
        left = await askers.left(tx.conn, wanted)
        await apply(tx, [Change(last[each], commands.part(last[each])) for each in left])


def queues_touched(changes: Iterable[Change]) -> set[Key]:
    """The queues to which these changes add or from which they take; see `_settle_waitlist`."""
    keys: set[Key] = set()
    for each in changes:
        before, after = each.before, each.decision.need
        if before.woken and not after.woken:
            keys.update(key_of(blocker) for blocker in before.blockers)
        for need in (before, after, *each.decision.split_off):
            if need.blocked_by is not None and before is not after:
                keys.add(key_of(need.blocked_by))
    return keys


async def _settle_waitlist(tx: Tx, changes: Iterable[Change]) -> None:
    """Give back what woken needs could not use, and offer what others may use now."""
    used: list[UUID] = []
    unused: list[tuple[UUID, BlockedBy | None]] = []
    left: list[tuple[BlockedBy, UUID]] = []
    keys: set[Key] = set()
    joined: list[datetime] = []
    kept: set[Key] = set()
    for each in changes:
        before, after = each.before, each.decision.need
        if before.woken and not after.woken:
            if after.state in (State.HELD, State.READY, State.FULFILLED):
                used.append(before.id)
            else:
                unused.append((before.id, _short_of(after)))
        for need in (after, *each.decision.split_off):
            if need.state is State.WAITLISTED and need.blocked_by is not None:
                keys.add(key_of(need.blocked_by))
                joined.append(_waits_since(need))
        if _may_have_kept(before):
            assert before.blocked_by is not None  # noqa: S101 - it was waiting
            kept.add(key_of(before.blocked_by))
        if _made_room(before, after):
            assert before.blocked_by is not None  # noqa: S101 - it was waiting
            keys.add(key_of(before.blocked_by))
            left.append((before.blocked_by, before.id))
    keys.update(await growth.settle_wakes(tx.conn, used))
    keys.update(await growth.give_back(tx.conn, unused))
    if left:
        at = await growth.clock(tx.conn)
        await growth.add_growth(
            tx.conn, [growth.synthetic_growth(new_event_id(), *each, at) for each in left]
        )
    if keys:
        # Nobody could use what is not pending: only those may who have just come, or for whom it
        # is kept no more.
        if joined:
            await growth.look_again(tx.conn, keys, min(joined))
        await growth.look_again(tx.conn, keys & kept)
        await offer_growth(tx, keys)


def _waits_since(need: Need) -> datetime:
    """When it was refused, or began to queue: what grew long before is of no use to it."""
    since = need.decided_at or need.waiting_since
    assert since is not None  # noqa: S101 - it waits
    return since


def _may_have_kept(need: Need) -> bool:
    """Whether it waited for more of something than there was, and others behind it."""
    return need.wait is Wait.SHORT and need.blocked_by is not None and need.blocked_by.quantity > 1


def _short_of(need: Need) -> BlockedBy | None:
    """What a refused need proves there is too little of; beds and slots depend on days too."""
    blocked_by = need.blocked_by
    if need.wait is Wait.SHORT and blocked_by is not None:
        return blocked_by if blocked_by.resource in ("stock", "money") else None
    return None


def _made_room(before: Need, after: Need) -> bool:
    """Whether others queued behind a need that left its place in line without being woken."""
    return (
        before.state is State.WAITLISTED
        and before.wait in IN_LINE
        and (after.blocked_by != before.blocked_by or after.wait is Wait.OFFERED)
        and not after.woken
    )


async def offer_growth(tx: Tx, keys: Iterable[Key], cause: Received[Event] | None = None) -> int:
    """Wake those on the waitlist whom growth of these keys serves; returns how many.

    Whoever locked needs before holds these keys already; see `locking`.
    """
    wanted = sorted(set(keys))
    await waitlist.lock_keys(tx.conn, wanted)
    today, woken, passes = day_of(tx.now), 0, 0
    seen: set[UUID] = set()
    while passes < PASSES_MAX:
        growths = await growth.open_growths(tx.conn, wanted, today, seen)
        if not growths:
            await growth.set_done(tx.conn, wanted)
            return woken
        wakes = offer(growths, await waitlist.waiters(tx.conn, growths, today))
        if wakes:
            woken += await _wake(tx, growths, wakes, cause)
            passes += 1
            # Whoever was woken keeps nothing any more: others are offered what was passed over.
            seen.clear()
        else:
            seen.update(each.id for each in growths)
    return woken  # what is left stays pending: the sweep goes on


async def _wake(
    tx: Tx, growths: Sequence[Growth], wakes: Sequence[Wake], cause: Received[Event] | None
) -> int:
    # Whoever holds one of them may wait for what we hold: it is offered again a moment later.
    needs = await store.lock_free(tx.conn, [wake.need_id for wake in wakes])
    left = {each.id: each for each in growths}
    saved: list[Need] = []
    steps: list[telling.Step] = []
    rest: list[Need] = []
    notes: list[tuple[Need, str]] = []
    done: list[tuple[Wake, int]] = []
    for wake in wakes:
        need = needs.get(wake.need_id)
        if need is None or need.state is not State.WAITLISTED or need.wait is Wait.OFFERED:
            for growth_id, quantity in wake.taken:  # it left while we looked
                left[growth_id].left += quantity
            continue
        if wake.pieces is not None:
            need, remainder = commands.split(need, commands.units_within(need, wake.pieces))
            rest.append(remainder)
            notes.append((remainder, "split"))
            tx.emit(waitlisted(remainder), cause=cause)
        decision = commands.approve(need, tx.now, note="woken", woken=True)
        saved.append(decision.need)
        steps.append((need, decision.need, decision.note))
        notes.append((decision.need, decision.note))
        done.append((wake, decision.need.attempt_no))
        for event in decision.events:
            tx.emit(event, cause=cause)
    await store.insert(tx.conn, rest)
    await store.save(tx.conn, saved)
    if rest:
        await store.save_terms(tx.conn, saved)
    await timeline.add(tx.conn, notes, tx.now)
    await growth.save_offer(tx.conn, growths, done, pending=True)
    if saved:
        tx.log.info("need.woken", **counted("need", [need.id for need in saved]))
        telling.tell(tx, steps)
    return len(saved)
