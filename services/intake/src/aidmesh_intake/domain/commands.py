"""What people and time do to a need: approve, cancel, tell, expire, move, split."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import NeedId, PayeeRef, SiteId, derive_id
from aidmesh_contracts.intake import AidGivenV1
from aidmesh_contracts.values import Area, StockDemand
from aidmesh_intake.domain.kinds import ForWhom
from aidmesh_intake.domain.need import (
    IN_LINE,
    LIVE,
    Decision,
    Leg,
    Look,
    Need,
    NotAllowed,
    Settlement,
    State,
    Wait,
)
from aidmesh_intake.domain.records import replace
from aidmesh_intake.domain.serving import fulfil, reverse, take_start_back
from aidmesh_intake.domain.steps import (
    ASKER_LEFT,
    CHANGED,
    PARTED,
    REFERRAL_REFUSED,
    TOLD_TO_COME,
    begin_attempt,
    close,
    is_over,
    moved,
    progress,
    ready_event,
    set_back,
    told,
    wait_for,
    withdrawal,
)
from aidmesh_intake.domain.waitlist import Behind

OPEN: Final = frozenset({State.REQUESTED, State.WAITLISTED, *LIVE})
"""Neither served nor closed."""
_LOOKS: Final[Mapping[str | None, Look]] = {
    PARTED: "theirs",
    TOLD_TO_COME: "seen_to",
    REFERRAL_REFUSED: "seen_to",
}
"""How what is about no service ends, by what asks for attention."""


def approve(
    need: Need,
    now: datetime,
    *,
    behind: Behind | None = None,
    note: str = "approved",
    woken: bool = False,
) -> Decision:
    """Let a requested or waiting need be served.

    Args:
        behind: what others of higher or equal priority wait for already, so that this one
            queues behind them.
        woken: growth started this attempt.

    Raises:
        NotAllowed: it is being served already, closed, or offered to another region.
    """
    if need.state not in (State.REQUESTED, State.WAITLISTED):
        raise NotAllowed("not_waiting_for_approval")
    if need.wait is Wait.OFFERED:
        raise NotAllowed("offered_elsewhere")
    if behind is not None:
        if need.wait in IN_LINE:
            # It has its place already: asked anew it would let those behind it take what is
            # kept for it.
            return Decision(need)
        waiting, event = wait_for(need, behind.blocked_by, behind.why, now)
        return moved(need, waiting, waiting.state.value, event)
    asked, approved = begin_attempt(need, now, woken=woken)
    asked, events = progress(asked, now)
    return moved(need, asked, note, *((approved,) if approved else ()), *events)


def ask_anew(need: Need, now: datetime) -> Decision:
    """End an attempt that was not answered in time and start the next, if it is still of use."""
    if need.state not in (State.APPROVED, State.HELD):
        raise NotAllowed("no_attempt_is_running")
    if is_over(need, now):
        return end(need, State.EXPIRED, "last_day_passed")
    over = withdrawal(need, "hold_expired")
    asked, approved = begin_attempt(need, now)
    assert approved is not None, "a need that takes nothing is ready at once"
    return moved(need, asked, "asked_anew", over, approved)


def end(need: Need, state: State, reason: str) -> Decision:
    """Cancel, decline or expire a need that is not served yet.

    Raises:
        NotAllowed: it was served or closed already.
    """
    if need.state not in OPEN:
        raise NotAllowed("already_over")
    over: tuple[Event, ...] = ()
    # Also before anyone was asked: a message that is on its way may say otherwise.
    if need.attempt_no > 0 and need.state in LIVE:
        over = (withdrawal(need, state.value),)
    ended, event = close(need, state, reason)
    return moved(need, ended, state.value, *over, event)


def tell(need: Need, now: datetime) -> Decision:
    """Note that the person was told in person.

    Raises:
        NotAllowed: there is nothing to tell yet, or they know.
    """
    if need.state is not State.READY:
        raise NotAllowed("not_ready")
    if need.told_at is not None:
        raise NotAllowed("already_told")
    knows, news = told(need, now, "in_person")
    return moved(need, knows, "told_in_person", *news)


def serve(need: Need, served_on: date) -> Decision:
    """Record a service that takes neither goods nor place nor money, such as navigation.

    Where an appointment leads to it, this confirms that it has begun.

    Raises:
        NotAllowed: it is not ready or not attended yet, or what it takes is handed over elsewhere.
    """
    if need.state is not State.READY:
        raise NotAllowed("not_ready")
    if need.attended is not None:
        kept = need.attended
        served, event = fulfil(
            need,
            area=kept.area,
            site_id=kept.site_id,
            served_on=served_on,
            quantity=kept.quantity,
            unit=kept.unit,
            shares=kept.shares,
            issued=need.issued,
        )
        return moved(need, served, "start_confirmed", event)
    if need.confirmed_start and need.ask.of_supply:
        raise NotAllowed("not_attended")
    if need.ask.of_supply or need.ask.of_money:
        raise NotAllowed("handed_over_elsewhere")
    served, event = fulfil(
        need,
        area=need.place_area,
        site_id=need.to_site_id or need.site_id,
        served_on=served_on,
        quantity=need.quantity,
        unit=need.unit,
        issued=(need.attempt_no, need.issued[1] + 1),
    )
    return moved(need, served, "fulfilled", event)


def take_back(need: Need, reason: str) -> Decision:
    """Reverse a service that intake itself recorded: given aid, or one that took nothing.

    Raises:
        NotAllowed: there is none, or it is undone where it was handed over or paid.
    """
    if need.state is not State.FULFILLED:
        raise NotAllowed("not_fulfilled")
    if need.given:
        undone, events = reverse(replace(need, supply=Leg.FIRM), reason)
        closed, event = close(undone, State.CANCELLED, reason)
        return moved(need, closed, "reversed", *events, event)
    if need.attended is not None:
        waiting, event = take_start_back(need, reason)
        return moved(need, waiting, "reversed", event)
    if need.ask.of_supply or need.ask.of_money:
        raise NotAllowed("undone_elsewhere")
    undone, events = reverse(need, reason)
    return moved(need, undone, "reversed", *events)


def settle(need: Need, how: Settlement | Look) -> Decision:
    """A person looked at what a need asks attention for, and answers for how it ended.

    Raises:
        NotAllowed: there is none, or it is of another kind.
    """
    if need.attention is None:
        raise NotAllowed("nothing_to_settle")
    look = _LOOKS.get(need.attention)
    if how == look:
        return moved(need, replace(need, attention=None), f"settled_{how}")
    if look is not None or how == "theirs" or how == "seen_to":
        raise NotAllowed("not_of_this_kind")
    return moved(need, replace(need, attention=None, settled=how), f"settled_{how}")


def give(
    need: Need, served_on: date, minutes: int | None = None, *, by: UUID | None = None
) -> tuple[Need, tuple[Event, ...]]:
    """Record aid that was given before it was entered; returns the need as first saved.

    Nothing can refuse it: it is a fact.

    Args:
        minutes: how long one slot of its kind takes.
        by: who enters it, if that is known.
    """
    ask = need.ask
    quantity, unit = need.quantity, need.unit
    if ask.money is not None and ask.money.by == "payout":
        quantity, unit = ask.money.amount_minor, ask.money.currency.lower()
    elif ask.capacity is not None and ask.capacity.resource == "bed":
        nights = (ask.capacity.to_on - ask.capacity.from_on).days if ask.capacity.to_on else 1
        quantity, unit = nights * ask.capacity.places, "night"
    elif ask.capacity is not None and minutes is not None:
        quantity, unit = minutes, "minute"
    elif ask.stock and ask.capacity is None:
        # As inventory tells of what it hands over.
        quantity, unit = sum(line.quantity for line in ask.stock), "piece"
    served, event = fulfil(
        replace(need, given=True),
        area=need.place_area,
        site_id=need.to_site_id or need.site_id,
        served_on=served_on,
        quantity=quantity,
        unit=unit,
    )
    if not (ask.of_supply or ask.of_money):
        return served, (event,)
    given = AidGivenV1(
        need_id=need.id,
        kind=need.kind,
        programme=need.programme,
        served_on=served_on,
        place_area=need.place_area,
        stay_area=need.stay_area,
        origin_area=need.origin_area,
        site_id=need.site_id,
        to_site_id=need.to_site_id,
        stock=ask.stock,
        capacity=ask.capacity,
        money=ask.money,
        sensitive=need.sensitive,
        entered_by=by,
    )
    return served, (given, event)


def move(
    need: Need,
    now: datetime,
    area: Area,
    site_id: SiteId | None,
    *,
    behind: Behind | None = None,
) -> Decision:
    """Have a need served elsewhere, such as a guest for whom the shelter has no bed.

    Args:
        behind: what others before it wait for there already; it queues behind them, with its age.

    Raises:
        NotAllowed: it was attended, served or closed already.
    """
    if need.state not in OPEN:
        raise NotAllowed("already_over")
    if need.attended is not None:
        raise NotAllowed("already_attended")
    there = replace(need, place_area=area, site_id=site_id)
    if need.state is State.REQUESTED:
        return moved(need, there, "moved")
    if need.state is State.WAITLISTED and there == need:
        return Decision(need)
    over: tuple[Event, ...] = (withdrawal(need, "refused"),) if need.state in LIVE else ()
    if behind is not None:
        waiting, event = wait_for(there, behind.blocked_by, behind.why, now)
        return moved(need, waiting, "moved", *over, event)
    asked, approved = begin_attempt(there, now)
    asked, events = progress(asked, now)
    return moved(need, asked, "moved", *over, *((approved,) if approved else ()), *events)


def is_past(need: Need, now: datetime) -> bool:
    """Whether the need's own last day is over while nothing is set aside for it."""
    nothing_aside = need.state in (State.REQUESTED, State.WAITLISTED) or (
        need.state is State.READY
        and need.attended is None
        and need.supply is Leg.NONE
        and need.money is Leg.NONE
    )
    return nothing_aside and is_over(need, now)


def units_within(need: Need, pieces: int) -> int:
    """How many units of a waiting, splittable need so many pieces of what it lacks serve."""
    assert need.blocked_by is not None
    return pieces * need.quantity // need.blocked_by.quantity


def split(need: Need, units: int) -> tuple[Need, Need]:
    """Two needs of one: `units` that can be served now, and the rest, which keeps its place.

    The part that goes first keeps the id; the rest has one derived from it, so that a retry
    finds the same.
    """
    assert need.splittable
    assert 0 < units < need.quantity
    assert need.blocked_by is not None
    rest_units = need.quantity - units
    rest_id = NeedId(derive_id("split", need.id, need.attempt_no, need.version))
    first = _scaled(need, units)
    rest = replace(_scaled(need, rest_units), id=rest_id, version=1, service_no=0)
    return first, rest


def split_among(waiting: Need, free: Sequence[int]) -> tuple[list[Need], Need | None]:
    """Cut a waiting need into what lies free, site by site, and what there is not.

    None of the parts is the whole: each refusal makes what is asked for smaller, so they end.
    """
    parts: list[Need] = []
    rest: Need | None = waiting
    for pieces in free:
        assert rest is not None
        units = units_within(rest, pieces)
        if units >= rest.quantity:
            if parts:
                parts.append(rest)
                rest = None
            break
        if units > 0:
            part, rest = split(rest, units)
            parts.append(part)
    return parts, rest


def _scaled(need: Need, units: int) -> Need:
    assert need.blocked_by is not None
    stock = tuple(
        StockDemand(item=line.item, quantity=line.quantity // need.quantity * units)
        for line in need.ask.stock
    )
    blocked = need.blocked_by.model_copy(
        update={"quantity": need.blocked_by.quantity // need.quantity * units}
    )
    return replace(
        need,
        quantity=units,
        ask=need.ask.model_copy(update={"stock": stock}),
        blocked_by=blocked,
    )


def correct_payee(need: Need, payee_ref: PayeeRef, *, sent: bool) -> Decision:
    """Have the person paid elsewhere than their details said, in this attempt and later ones.

    Whoever was told to come, or not to, while that changes, is told again by a person: a message
    could cross the one before.

    Args:
        sent: whether it is sent there, rather than kept for them as cash.

    Raises:
        NotAllowed: nothing is paid to a person, or the need is over.
    """
    if need.ask.money is None or need.ask.money.by != "payout":
        raise NotAllowed("not_of_this_kind")
    if need.state not in OPEN:
        raise NotAllowed("over")
    corrected = replace(need, payee_ref=payee_ref, sent=sent)
    # Where nobody knew whether they had to come, they were told to.
    if need.state is not State.READY or (need.to_come is False) == (corrected.to_come is False):
        return moved(need, corrected, "payee_corrected")
    untold = replace(corrected, told_at=None, told_how=None, message=CHANGED)
    return moved(need, untold, "payee_corrected", ready_event(untold, in_person=True))


def part(need: Need, *, erased: bool = False) -> Decision:
    """Have a household's need be no one member's: whoever asked does not belong to it any more.

    Those who are left are told by a person. Money that is paid to somebody waits until a person has
    said to whom: the details may be those of who left.

    Args:
        erased: nothing that tells of who asked stays, such as until when their hours count.

    Raises:
        NotAllowed: it is nobody's already, or over.
    """
    if need.person_id is None or need.for_whom is not ForWhom.HOUSEHOLD:
        raise NotAllowed("not_of_this_kind")
    if need.state not in OPEN:
        raise NotAllowed("already_over")
    ours = replace(need, person_id=None, needed_until=None if erased else need.needed_until)
    if need.ask.money is not None and need.ask.money.by == "payout":
        over: tuple[Event, ...] = ()
        if need.state in LIVE:
            over = (withdrawal(need, "cancelled"),)
        return moved(need, set_back(ours, ASKER_LEFT), ASKER_LEFT, *over)
    if need.state is not State.READY or need.attended is not None:
        return moved(need, ours, ASKER_LEFT)
    untold = replace(ours, told_at=None, told_how=None, message=ASKER_LEFT)
    return moved(need, untold, ASKER_LEFT, ready_event(untold, in_person=True))
