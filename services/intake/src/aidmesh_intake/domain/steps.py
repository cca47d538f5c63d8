"""The steps between a need's states that every way in shares.

Each attempt asks both legs anew and carries its own number: what the legs answer to an older
attempt is ignored, except that goods or money did go out, because facts are always recorded.
"""

from datetime import datetime, timedelta
from typing import Final, Literal

from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import (
    NeedApprovedV1,
    NeedClosedV1,
    NeedConfirmedV1,
    NeedReadyUntilV1,
    NeedReadyV1,
    NeedToldV1,
    NeedUnlistedV1,
    NeedWaitlistedV1,
    NeedWithdrawnV1,
)
from aidmesh_contracts.pickup import end_of
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.domain.need import CLOSED, Decision, Leg, Need, State, Wait
from aidmesh_intake.domain.records import replace

GRACE_S: Final = 60
"""Answers may be this late, in seconds, after the hold they speak of ran out."""


TOLD_TO_COME: Final = "told_to_come"
"""What a person has to look at: somebody may come for what is not set aside for them any more."""
CHANGED: Final = "changed"
"""Why there is no message: what one said in this attempt, or would have, is not true any more."""
ASKER_LEFT: Final = "asker_left"
"""The same: whoever asked for a household does not belong to it any more."""
OVERTAKEN: Final = frozenset({CHANGED, ASKER_LEFT})
"""Why a person tells them, whatever a message that was leaving then is reported to have said."""
PERSON_ERASED: Final = "person_erased"
"""Why a need ended of whom nothing is known any more."""
SOURCE_GONE: Final = "source_gone"
"""The same: the region that a need comes from is gone, and will never let go of it."""
REFERRAL_REFUSED: Final = "referral_refused"
"""What a person has to look at: the region that it was let go of to will not serve it after all."""
PARTED: Final = "parted"
"""What a person has to look at: whose it is, as it was asked for while two were held for one."""


def moved(before: Need, after: Need, note: str, *events: Event) -> Decision:
    """A decision that changed something; who leaves the waitlist says so.

    What is pending counts nowhere: it waits, or ends, in the region that it comes from.
    """
    saved = replace(after, version=before.version + 1)
    if before.state is State.WAITLISTED and after.state is not State.WAITLISTED:
        events = (NeedUnlistedV1(need_id=saved.id, version=saved.version), *events)
    if before.pending:
        events = tuple(
            each
            for each in events
            if not isinstance(each, NeedWaitlistedV1 | NeedUnlistedV1 | NeedClosedV1)
        )
    return Decision(saved, events, note)


def begin_attempt(need: Need, now: datetime, *, woken: bool = False) -> tuple[Need, Event | None]:
    """Ask everyone who owes something; a need that takes nothing is ready at once."""
    attempt_no, today = need.attempt_no + 1, day_of(now)
    asked = replace(
        need,
        state=State.APPROVED,
        attempt_no=attempt_no,
        supply=Leg.ASKED if need.ask.of_supply else Leg.NONE,
        money=Leg.ASKED if need.ask.of_money else Leg.NONE,
        deadline_at=deadline(need, now),
        blocked_by=None,
        wait=None,
        also_lacks=None,
        decided_at=None,
        waiting_since=None,
        retry_at=None,
        woken=woken,
        at_site_id=None,
        visit=None,
        told_at=None,
        told_how=None,
        message=None,
        attended=None,
        reason=None,
    )
    if asked.supply is Leg.NONE and asked.money is Leg.NONE:
        return asked, None
    return asked, NeedApprovedV1(
        need_id=need.id,
        attempt_no=attempt_no,
        request_id=need.request_id,
        kind=need.kind,
        programme=need.programme,
        priority=need.priority,
        asked_on=need.asked_on,
        queue_no=need.queue_no,
        planned_on=need.day_on(today),
        place_area=need.place_area,
        stay_area=need.stay_area,
        origin_area=need.origin_area,
        site_id=need.site_id,
        to_site_id=need.to_site_id,
        stock=need.ask.stock,
        capacity=need.place_on(today),
        money=need.ask.money,
        payee_ref=need.payee_ref,
        hold_s=need.hold_s,
        sensitive=need.sensitive,
        collect_days=need.collect_days,
    )


def deadline(need: Need, now: datetime) -> datetime:
    """When an answer that is still missing will not come any more."""
    return now + timedelta(seconds=need.hold_s + GRACE_S)


def progress(need: Need, now: datetime) -> tuple[Need, tuple[Event, ...]]:
    """Take every step that the legs' answers allow; what is pending goes no further than held."""
    events: list[Event] = []
    owed = [leg for leg in (need.supply, need.money) if leg is not Leg.NONE]
    if need.pending:
        return (replace(need, woken=False) if need.all_held else need), ()
    if need.state is State.APPROVED and need.all_held:
        need = replace(need, state=State.HELD, deadline_at=deadline(need, now), woken=False)
        if owed:
            events.append(
                NeedConfirmedV1(
                    need_id=need.id,
                    attempt_no=need.attempt_no,
                    with_money=need.money is not Leg.NONE,
                    with_supply=need.supply is not Leg.NONE,
                )
            )
    if need.state is State.HELD and all(leg is Leg.FIRM for leg in owed):
        need = replace(need, state=State.READY, deadline_at=None)
        if doubted := need.attention == PARTED:
            need = replace(need, message=CHANGED)
        events.append(ready_event(need, in_person=doubted))
    return need, tuple(events)


def ready_event(need: Need, *, in_person: bool = False) -> NeedReadyV1:
    """The news that the person may be told.

    An hour until when it is of use is said apart, where it is kept for some days only, and only
    where somebody is to be told of it.

    Args:
        in_person: they were told, or a message is about to tell them, what holds no more; or it
            may be somebody else's.
    """
    ready = NeedReadyV1(
        need_id=need.id,
        attempt_no=need.attempt_no,
        kind=need.kind,
        sensitive=need.sensitive,
        person_id=need.person_id,
        site_id=need.at_site_id or need.site_id,
        collect_days=need.collect_days,
        visit=need.visit,
        to_come=need.to_come,
        in_person=in_person,
    )
    until_at = _of_use_until(need)
    if until_at is None or until_at != need.needed_until:
        return ready.model_copy(update={"until_at": until_at})
    if need.person_id is None or need.to_come is False or in_person:
        return ready
    return NeedReadyUntilV1.model_validate(ready.model_dump() | {"until_at": until_at})


def _of_use_until(need: Need) -> datetime | None:
    """The need's own limit: its hour, or the end of its last day. Appointments keep to it."""
    if need.visit is not None and need.visit.starts_at is not None:
        return None
    ends = [need.needed_until, None if need.last_day is None else end_of(need.last_day)]
    return min((each for each in ends if each is not None), default=None)


def withdrawal(need: Need, reason: str) -> NeedWithdrawnV1:
    """The news that the running attempt is over."""
    return NeedWithdrawnV1.model_validate(
        {"need_id": need.id, "attempt_no": need.attempt_no, "reason": reason}
    )


def wait_for(
    need: Need,
    blocked_by: BlockedBy,
    why: Wait,
    now: datetime,
    *,
    decided_at: datetime | None = None,
    retry_at: datetime | None = None,
) -> tuple[Need, Event]:
    """Put a need on the waitlist with its age, or end it if its own last day has passed."""
    if is_over(need, now):
        return close(need, State.EXPIRED, "last_day_passed")
    waiting = replace(
        need,
        state=State.WAITLISTED,
        supply=Leg.NONE,
        money=Leg.NONE,
        deadline_at=None,
        blocked_by=blocked_by,
        wait=why,
        also_lacks=None,
        decided_at=decided_at,
        waiting_since=now,
        retry_at=retry_at,
        woken=False,
        at_site_id=None,
        visit=None,
        reason=None,
    )
    # The version that the need will have once it is saved.
    return waiting, waitlisted(replace(waiting, version=need.version + 1))


def waitlisted(need: Need) -> NeedWaitlistedV1:
    """The news that the need waits, and for what."""
    assert need.blocked_by is not None
    return NeedWaitlistedV1(
        need_id=need.id,
        version=need.version,
        attempt_no=need.attempt_no,
        kind=need.kind,
        area=need.place_area,
        asked_on=need.asked_on,
        blocked_by=need.blocked_by,
        sensitive=need.sensitive,
    )


def is_over(need: Need, now: datetime) -> bool:
    """Whether the need's own last day has passed, or its hours have run out."""
    if need.needed_until is not None and need.needed_until <= now:
        return True
    return need.last_day is not None and need.last_day < day_of(now)


def set_back(need: Need, reason: str) -> Need:
    """Have a person say how a need goes on: nothing is held for it, and it waits for nothing."""
    return replace(
        need,
        state=State.REQUESTED,
        supply=Leg.NONE,
        money=Leg.NONE,
        deadline_at=None,
        blocked_by=None,
        wait=None,
        also_lacks=None,
        decided_at=None,
        waiting_since=None,
        retry_at=None,
        woken=False,
        reason=reason,
    )


def close(need: Need, state: State, reason: str) -> tuple[Need, Event]:
    """End a need without a service."""
    assert state in CLOSED
    ended = replace(
        set_back(need, reason),
        state=state,
        attention=None if need.attention in {SOURCE_GONE, PARTED} else need.attention,
    )
    return ended, NeedClosedV1.model_validate(
        {
            "need_id": need.id,
            "attempt_no": need.attempt_no or None,
            "state": state.value,
            "reason": reason,
        }
    )


def told(
    need: Need, at: datetime, how: Literal["message", "in_person"]
) -> tuple[Need, tuple[Event, ...]]:
    """Note that the person knows; so whatever they were told before does not hold any more.

    Whoever tells them in person has looked whose it is.
    """
    news = NeedToldV1(
        need_id=need.id,
        attempt_no=need.attempt_no,
        told_at=at,
        how=how,
        collect_days=need.collect_days,
    )
    over = {TOLD_TO_COME, PARTED} if how == "in_person" else {TOLD_TO_COME}
    attention = None if need.attention in over else need.attention
    return replace(need, told_at=at, told_how=how, attention=attention), (news,)
