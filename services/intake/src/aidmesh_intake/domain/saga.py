"""What a need does when inventory, payments or notification say something.

`decide` takes messages in any order and any number of times. Nothing it reaches sticks: an
attempt that is never answered in full is asked anew after its deadline (`commands.ask_anew`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.inventory import (
    ReservationConfirmedV1,
    ReservationHeldV1,
    ReservationIssuedV1,
    ReservationRefusedV1,
    ReservationReleasedV1,
    ReservationReversedV1,
)
from aidmesh_contracts.notification import MessageSentV1, MessageSuppressedV1
from aidmesh_contracts.payments import (
    CommitmentHeldV1,
    CommitmentMadeV1,
    CommitmentRefusedV1,
    CommitmentReleasedV1,
    CommitmentReversedV1,
    CommitmentSpentV1,
)
from aidmesh_contracts.values import BlockedBy, Visit
from aidmesh_intake.domain import facts
from aidmesh_intake.domain.commands import split_among
from aidmesh_intake.domain.dates import PlannedAs
from aidmesh_intake.domain.need import LIVE, Decision, Lack, Leg, Need, State, Wait
from aidmesh_intake.domain.records import replace
from aidmesh_intake.domain.serving import undo_issue, undoes
from aidmesh_intake.domain.steps import (
    TOLD_TO_COME,
    begin_attempt,
    close,
    is_over,
    moved,
    progress,
    set_back,
    wait_for,
    waitlisted,
    withdrawal,
)
from aidmesh_intake.domain.waitlist import Queue, is_next

Answer = (
    ReservationHeldV1
    | ReservationRefusedV1
    | ReservationConfirmedV1
    | ReservationReleasedV1
    | ReservationIssuedV1
    | ReservationReversedV1
    | CommitmentHeldV1
    | CommitmentRefusedV1
    | CommitmentMadeV1
    | CommitmentReleasedV1
    | CommitmentSpentV1
    | CommitmentReversedV1
    | MessageSentV1
    | MessageSuppressedV1
)
"""Everything the need listens to."""

RETRY_S: Final = 30
RETRY_S_MAX: Final = 1800
_Side = Literal["supply", "money"]

_WAITS: Final = {
    "short": Wait.SHORT,
    # Growth ends it as it ends any shortage: nothing is received before its item is entered.
    "unknown_item": Wait.SHORT,
    "restricted": Wait.RESTRICTED,
    "closed": Wait.SITE_CLOSED,
    "recalled": Wait.RECALLED,
}


def decide(
    need: Need,
    answer: Answer,
    now: datetime,
    *,
    said_at: datetime | None = None,
    queues: Sequence[Queue] = (),
) -> Decision:
    """The need after one message, and what it publishes; unchanged where there is nothing to do.

    Args:
        now: intake's database clock.
        said_at: when it was said, by the clock of who said it; None for now.
        queues: who waits for what a refused need lacks, whose part may be served; see `may_split`.
    """
    match answer:
        case ReservationHeldV1():
            return _advance(need, answer.attempt_no, "supply", Leg.HELD, now, answer.site_id)
        case ReservationConfirmedV1():
            return _advance(
                need, answer.attempt_no, "supply", Leg.FIRM, now, answer.site_id, answer.visit
            )
        case CommitmentHeldV1():
            return _advance(need, answer.attempt_no, "money", Leg.HELD, now, None)
        case CommitmentMadeV1():
            return _advance(need, answer.attempt_no, "money", Leg.FIRM, now, None, sent=answer.sent)
        case ReservationRefusedV1():
            return _refused(need, answer, "supply", now, queues)
        case CommitmentRefusedV1():
            return _refused(need, answer, "money", now)
        case ReservationReleasedV1():
            return _released(need, answer, "supply", now, said_at or now)
        case CommitmentReleasedV1():
            return _released(need, answer, "money", now, said_at or now)
        case ReservationIssuedV1():
            return facts.served(
                need,
                (answer.attempt_no, answer.issue_no),
                now,
                area=answer.area,
                site_id=answer.site_id,
                served_on=answer.served_on,
                quantity=answer.quantity,
                unit=answer.unit,
                shares=answer.shares,
            )
        case CommitmentSpentV1():
            return facts.paid(need, answer, now)
        case ReservationReversedV1():
            return facts.undone(need, (answer.attempt_no, answer.issue_no), answer.reason)
        case CommitmentReversedV1():
            if not answer.fulfils:
                return Decision(need)
            return facts.undone(need, (answer.attempt_no, answer.spend_no), answer.reason)
        case MessageSentV1():
            return facts.sent(need, answer)
        case MessageSuppressedV1():
            return facts.suppressed(need, answer)


def may_split(need: Need, answer: Answer) -> bool:
    """Whether a part of the need may be asked for again, if nobody before it waits for that."""
    return (
        isinstance(answer, ReservationRefusedV1)
        and bool(answer.free_quantities)
        and need.splittable
        and need.state is State.APPROVED
        and answer.attempt_no == need.attempt_no
    )


def _is_current(need: Need, attempt_no: int) -> bool:
    return attempt_no == need.attempt_no and need.state in LIVE


def _advance(
    need: Need,
    attempt_no: int,
    side: _Side,
    leg: Leg,
    now: datetime,
    site_id: SiteId | None,
    visit: Visit | None = None,
    *,
    sent: bool | None = None,
) -> Decision:
    before = need.supply if side == "supply" else need.money
    if not _is_current(need, attempt_no) or before is Leg.NONE or before >= leg:
        return Decision(need)
    if side == "supply":
        after = replace(need, supply=leg, at_site_id=site_id or need.at_site_id, visit=visit)
    else:
        # What was entered here may have been corrected since payments looked.
        is_open = need.sent is None and need.payee_ref is not None
        after = replace(need, money=leg, sent=sent if is_open else need.sent)
    after, events = progress(after, now)
    if after.state is need.state:
        return moved(need, after, f"{side}_{'held' if leg is Leg.HELD else 'confirmed'}", *events)
    return moved(need, after, after.state.value, *events)


def _refused(
    need: Need,
    answer: ReservationRefusedV1 | CommitmentRefusedV1,
    side: _Side,
    now: datetime,
    queues: Sequence[Queue] = (),
) -> Decision:
    if not _is_current(need, answer.attempt_no):
        return _lacks_too(need, answer, side)
    ending = _ending(need, side, "refused")
    why = _WAITS.get(answer.reason, Wait.HOLD_EXPIRED)
    blocked_by, retry_at = answer.blocked_by, None
    if blocked_by is None or why is Wait.HOLD_EXPIRED:
        # Nothing is lacking (a hold ran out too early, say): growth would not wake it, and
        # nobody queues behind it.
        why = Wait.HOLD_EXPIRED
        blocked_by, retry_at = blocked_by or _own(need, side), _retry_at(need, now)
    elif why is Wait.RESTRICTED and need.planned_as is PlannedAs.ASKED and need.attempt_no == 1:
        # What does not fit the day it was asked on may fit today, without anything growing.
        retry_at = _retry_at(need, now)
    waiting, event = wait_for(
        need, blocked_by, why, now, decided_at=answer.decided_at, retry_at=retry_at
    )
    if (
        isinstance(answer, ReservationRefusedV1)
        and waiting.state is State.WAITLISTED
        and may_split(need, answer)
        and is_next(need, queues, day_of(now))
    ):
        parts, rest = split_among(waiting, answer.free_quantities)
        if parts:
            return _ask_for_parts(need, parts, rest, now)
    return moved(need, waiting, waiting.state.value, *ending, event)


def _lacks_too(
    need: Need, answer: ReservationRefusedV1 | CommitmentRefusedV1, side: _Side
) -> Decision:
    """Note what the second to refuse an attempt lacks: the need waits for what the first did."""
    why, waits_for = _WAITS.get(answer.reason), need.blocked_by
    if (
        need.state is not State.WAITLISTED
        or answer.attempt_no != need.attempt_no
        or why is None
        or answer.blocked_by is None
        or waits_for is None
        or (waits_for.resource == "money") is (side == "money")
    ):
        return Decision(need)
    lack = Lack(blocked_by=answer.blocked_by, wait=why)
    if need.also_lacks == lack:
        return Decision(need)
    return moved(need, replace(need, also_lacks=lack), "lacks_too")


def _ask_for_parts(need: Need, parts: Sequence[Need], rest: Need | None, now: datetime) -> Decision:
    asked: list[Need] = []
    events: list[Event] = []
    for part in parts:
        # What woke the need is given back when a part is refused and cut no more.
        trying, approved = begin_attempt(part, now, woken=need.woken and part.id == need.id)
        assert approved is not None, "it wants goods"
        asked.append(trying)
        events.append(approved)
    split_off = asked[1:]
    if rest is not None:
        split_off.append(rest)
        events.append(waitlisted(rest))
    return replace(moved(need, asked[0], "split", *events), split_off=tuple(split_off))


def _released(
    need: Need,
    answer: ReservationReleasedV1 | CommitmentReleasedV1,
    side: _Side,
    now: datetime,
    said_at: datetime,
) -> Decision:
    if need.state is State.FULFILLED and answer.undone_no is not None:
        issue = (answer.attempt_no, answer.undone_no)
        if not undoes(need, issue):
            return Decision(need)
        # It overtook the news that the service was undone, and says as much.
        subject, reversal = undo_issue(need, issue, answer.cause)
        if subject.state is not State.READY:
            return moved(need, subject, "reversed", *reversal)
        decision = _released(subject, answer, side, now, said_at)
        return replace(decision, events=(*reversal, *decision.events))
    if not _is_current(need, answer.attempt_no):
        return Decision(need)
    if answer.cause == "relocated":
        return _relocated(need, side, now)
    if answer.cause == "returned":
        # The bank sent the money back: the payee's details are wrong, which no waiting mends.
        ending = _ending(need, side, "refused")
        return moved(need, set_back(need, "payment_returned"), "payment_returned", *ending)
    if answer.cause in ("not_collected", "no_show"):
        ending = _ending(need, side, "not_collected")
        waiting, event = wait_for(
            need, _own(need, side), Wait.NOT_COLLECTED, now, decided_at=said_at
        )
        return moved(need, waiting, "not_collected", *ending, event)
    ending = _ending(need, side, "hold_expired")
    waiting, event = wait_for(
        need,
        _own(need, side),
        Wait.HOLD_EXPIRED,
        now,
        decided_at=said_at,
        retry_at=_retry_at(need, now),
    )
    return moved(need, waiting, "hold_expired", *ending, event)


def _relocated(need: Need, side: _Side, now: datetime) -> Decision:
    """Ask anew for what is not there any more, if it is still of use."""
    over = is_over(need, now)
    if over:
        after, news = close(need, State.EXPIRED, "last_day_passed")
    else:
        after, approved = begin_attempt(need, now)
        assert approved is not None, "whoever released something owed it"
        news = approved
    if need.told_at is not None and need.attention is None:
        after = replace(after, attention=TOLD_TO_COME, settled=None)
    note, reason = ("expired", "expired") if over else ("relocated", "refused")
    return moved(need, after, note, *_ending(need, side, reason), news)


def _ending(need: Need, side: _Side, reason: str) -> tuple[Event, ...]:
    """Tell the others that the attempt is over; whoever ended it knows."""
    other = need.money if side == "supply" else need.supply
    if other is Leg.NONE and need.state is not State.READY:
        return ()
    return (withdrawal(need, reason),)


def _own(need: Need, side: _Side) -> BlockedBy:
    """What the need itself wants from the side that let go."""
    wanted = need.blockers
    return wanted[-1] if side == "money" else wanted[0]


def _retry_at(need: Need, now: datetime) -> datetime:
    return now + timedelta(seconds=min(RETRY_S * need.attempt_no, RETRY_S_MAX))
