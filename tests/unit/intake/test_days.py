"""Which days a need asks for while time goes by, and what the nights of a stay cost."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.days import FIRST_DAY, LAST_DAY, days_after
from aidmesh_contracts.ids import ReservationId
from aidmesh_contracts.intake import NeedApprovedV1, NeedClosedV1, NeedWithdrawnV1
from aidmesh_contracts.inventory import ReservationRefusedV1, ReservationReleasedV1
from aidmesh_contracts.payments import CommitmentRefusedV1
from aidmesh_contracts.values import BlockedBy, CapacityDemand
from aidmesh_intake.catalogue import packaged
from aidmesh_intake.domain.asks import Ask, AskError, ask_of
from aidmesh_intake.domain.commands import approve, ask_anew, is_past
from aidmesh_intake.domain.dates import PlannedAs, last_day
from aidmesh_intake.domain.drafts import NeedDraft
from aidmesh_intake.domain.kinds import ForWhom, Kind
from aidmesh_intake.domain.need import Decision, Leg, Need, State, Wait
from aidmesh_intake.domain.saga import decide
from aidmesh_intake.domain.steps import TOLD_TO_COME
from aidmesh_intake.handlers.drafting import Wanted, draft_need
from unit.intake.builders import CASH, DAY, NOW, need

KINDS = {kind.code: kind for kind in packaged()}
days = st.dates(DAY - timedelta(days=40), DAY + timedelta(days=40))
some_days = st.integers(1, 20)


def later(count: int) -> date:
    return DAY + timedelta(days=count)


def drafted(kind: str, imported_on: date | None = None, **wanted: object) -> NeedDraft:
    """What a request makes of a kind, on `DAY`."""
    row = Wanted(kind=kind, **wanted)  # type: ignore[arg-type]
    return draft_need(
        UUID(int=1),
        row,
        KINDS,
        ForWhom.PERSON,
        "UA80",
        NOW,
        imported_on or DAY,
        imported=imported_on is not None,
    )


def place(ask: Ask) -> CapacityDemand:
    assert ask.capacity is not None
    return ask.capacity


def test_needed_by_is_the_last_day_looked_at_and_never_the_first() -> None:
    soon = drafted("counseling", needed_by=later(5))
    assert (place(soon.ask).from_on, place(soon.ask).to_on) == (DAY, later(5))
    assert soon.planned_on == later(5)  # limits and prices go by it
    far = place(drafted("counseling", needed_by=later(90)).ask)
    assert (far.from_on, far.to_on) == (DAY, later(14))
    planned = place(drafted("counseling", planned_on=later(3), needed_by=later(5)).ask)
    assert (planned.from_on, planned.to_on) == (later(3), later(5))
    named = place(drafted("counseling", from_on=later(4), to_on=later(8), needed_by=later(6)).ask)
    assert (named.from_on, named.to_on) == (later(4), later(6))
    assert place(drafted("shelter_night", needed_by=later(5)).ask).from_on == DAY
    row = place(drafted("counseling", later(-3), needed_by=later(5)).ask)
    assert (row.from_on, row.to_on) == (later(-3), later(5))
    with pytest.raises(AskError, match="before_the_first_day"):
        drafted("shelter_night", needed_by=later(-1))
    # A fact is recorded whatever it was needed by.
    fact = drafted("counseling", needed_by=later(-9), given=True, served_on=later(-2))
    assert place(fact.ask).from_on == later(-2)


def test_only_days_that_were_named_and_are_over_are_meant_as_written() -> None:
    paper = {"from_on": later(-20), "to_on": later(-10)}
    assert place(drafted("shelter_night", **paper).ask).as_written
    assert place(drafted("counseling", **paper).ask).as_written
    assert place(drafted("shelter_night", from_on=later(-1)).ask).as_written
    assert not place(drafted("shelter_night", from_on=later(-1), to_on=later(1)).ask).as_written
    assert place(drafted("shelter_night", from_on=later(-1), to_on=DAY).ask).as_written
    assert not place(drafted("counseling", from_on=later(-1), to_on=DAY).ask).as_written
    assert not place(drafted("shelter_night", from_on=DAY).ask).as_written
    assert not place(drafted("counseling", later(-60)).ask).as_written


@given(days, st.none() | some_days, days, st.booleans())
def test_a_stay_never_begins_in_a_night_gone_by(
    first: date, nights: int | None, today: date, again: bool
) -> None:
    last = None if nights is None else first + timedelta(days=nights)
    ask = ask_of(KINDS["shelter_night"], 1, first, to_on=last)
    wanted = ask.place_on(today, None, again=again)
    assert wanted is not None
    assert (wanted.from_on, wanted.to_on) == (max(first, today), last)
    moving = ask_of(KINDS["shelter_outside"], 1, first).place_on(today, None, again=again)
    assert moving is not None
    assert moving.to_on == moving.from_on + timedelta(days=7)
    assert moving.from_on == max(first, today)


@given(days, days, st.none() | some_days)
def test_the_window_for_an_appointment_opens_again(
    first: date, today: date, still_useful: int | None
) -> None:
    needed_by = None if still_useful is None else max(first, today) + timedelta(days=still_useful)
    ask = ask_of(KINDS["counseling"], 1, first, needed_by=needed_by)
    wanted = ask.place_on(today, needed_by)
    assert wanted is not None
    assert wanted.from_on == max(first, today)
    assert wanted.to_on == min(
        filter(None, (wanted.from_on + timedelta(days=14), needed_by)), default=None
    )
    named = ask_of(KINDS["counseling"], 1, first, to_on=first).place_on(today, None)
    assert named is not None
    assert named.to_on == first


def test_what_was_written_stays_except_where_an_open_end_is_tried_again() -> None:
    closed = drafted("shelter_night", from_on=later(-9), to_on=later(-2)).ask
    assert closed.place_on(later(3), None, again=True) == closed.capacity
    open_end = drafted("shelter_night", from_on=later(-2)).ask
    assert open_end.place_on(DAY, None) == open_end.capacity
    again = open_end.place_on(later(3), None, again=True)
    assert again is not None
    assert (again.from_on, again.to_on, again.as_written) == (later(3), None, False)


def test_every_attempt_asks_for_the_days_to_come() -> None:
    waiting = need(ask_of(KINDS["counseling"], 1, later(-30)))
    approved = approve(waiting, NOW).events[0]
    assert isinstance(approved, NeedApprovedV1)
    assert approved.capacity is not None
    assert (approved.capacity.from_on, approved.capacity.to_on) == (DAY, later(14))


def test_a_stay_that_is_over_ends_its_need() -> None:
    stay = ask_of(KINDS["shelter_night"], 1, later(-5), to_on=DAY)
    asked = approve(need(stay), NOW).need
    refused = ReservationRefusedV1(
        need_id=asked.id, attempt_no=1, reason="withdrawn", decided_at=NOW
    )
    over = decide(asked, refused, NOW)
    assert over.need.state is State.EXPIRED
    assert any(isinstance(event, NeedClosedV1) for event in over.events)
    assert is_past(need(stay), NOW)
    assert not is_past(need(stay), NOW - timedelta(days=1))
    # Its last night, its last day, and days that move on.
    assert stay.last_day == later(-1)
    assert ask_of(KINDS["counseling"], 1, DAY, to_on=DAY).last_day == DAY
    assert ask_of(KINDS["counseling"], 1, later(-90)).last_day is None
    assert ask_of(KINDS["shelter_night"], 1, later(-90)).last_day is None
    assert drafted("shelter_night", from_on=later(-9), to_on=later(-2)).ask.last_day is None


@given(st.integers(1, 2), some_days)
def test_beds_are_priced_by_the_night(places: int, nights: int) -> None:
    for code, night_minor in (("shelter_outside", 70_000), ("event_lodging", 150_000)):
        ask = ask_of(KINDS[code], places, DAY, to_on=later(nights))
        assert ask.money is not None
        assert ask.money.amount_minor == places * nights * night_minor
        assert ask.money.night_minor == night_minor


def test_a_price_by_night_of_stays_whose_end_is_not_known() -> None:
    usual = ask_of(KINDS["shelter_outside"], 1, DAY).money
    assert usual is not None
    assert usual.amount_minor == 7 * 70_000
    named = ask_of(KINDS["shelter_outside"], 1, DAY, amount_minor=99_000).money
    assert named is not None
    assert (named.amount_minor, named.night_minor) == (99_000, None)
    body = KINDS["shelter_outside"].model_dump()
    body["capacity"]["nights"] = None
    with pytest.raises(ValueError, match="open-ended"):
        Kind.model_validate(body)
    body["money"]["nights"] = 5
    open_end = ask_of(Kind.model_validate(body), 2, DAY)
    assert place(open_end).to_on is None
    assert open_end.money is not None
    assert open_end.money.amount_minor == 2 * 5 * 70_000
    slots = KINDS["counseling_paid"].model_dump()
    slots["money"]["per"] = "night"
    with pytest.raises(ValueError, match="beds"):
        Kind.model_validate(slots)


def asked_for(decision: Decision) -> date:
    """The day that an attempt goes by."""
    (approved,) = [each for each in decision.events if isinstance(each, NeedApprovedV1)]
    return approved.planned_on


def planned(draft: NeedDraft) -> Need:
    """A need of this draft that is to be paid out."""
    return replace(need(CASH), planned_on=draft.planned_on, planned_as=draft.planned_as)


def refused(
    asked: Need, now: datetime, reason: Literal["short", "restricted"] = "short"
) -> Decision:
    """What money that does not fit, or that there is not, makes of an attempt."""
    money = BlockedBy(resource="money", code="food/UAH", quantity=100)
    answer = CommitmentRefusedV1(
        need_id=asked.id,
        attempt_no=asked.attempt_no,
        reason=reason,
        blocked_by=money,
        decided_at=now,
    )
    return decide(asked, answer, now)


@given(st.none() | st.integers(0, 40), st.none() | st.integers(0, 40), st.data())
def test_no_attempt_goes_by_a_day_that_went_by_while_the_need_waited(
    ahead: int | None, useful: int | None, data: st.DataObject
) -> None:
    wanted = {
        "planned_on": None if ahead is None else later(ahead),
        "needed_by": None if useful is None else later(useful),
    }
    waiting = planned(drafted("food_parcel", **wanted))
    chosen = later(ahead if ahead is not None else useful or 0)
    days_gone = 0
    for _ in range(3):
        days_gone += data.draw(st.integers(0, 30))
        now = NOW + timedelta(days=days_gone)
        decision = approve(waiting, now)
        # A day that somebody chose in the future is waited for, and left behind once it is over.
        assert asked_for(decision) == max(chosen, later(days_gone))
        assert decision.need.planned_on == chosen  # limits and prices go by it
        unanswered = now + timedelta(days=2)
        anew = ask_anew(decision.need, unanswered)
        assert asked_for(anew) == max(chosen, later(days_gone + 2))
        waiting = refused(anew.need, unanswered).need
        days_gone += 2


@given(st.integers(1, 400), st.integers(0, 400))
def test_a_day_gone_by_that_somebody_wrote_stands(before: int, gone: int) -> None:
    for imported_on in (None, later(-before)):
        written = planned(drafted("food_parcel", imported_on, planned_on=later(-before)))
        assert asked_for(approve(written, NOW)) == later(-before)
        again = refused(approve(written, NOW).need, NOW).need
        assert again.retry_at is None
        assert asked_for(approve(again, NOW + timedelta(days=gone))) == later(-before)


@given(st.integers(1, 400), st.integers(0, 400))
def test_the_day_a_row_was_asked_on_stands_for_one_attempt(before: int, gone: int) -> None:
    row = planned(drafted("food_parcel", later(-before)))
    now = NOW + timedelta(days=gone)
    first = approve(row, now)
    assert asked_for(first) == later(-before)
    assert asked_for(approve(refused(first.need, now).need, now)) == later(gone)
    # Money that does not fit that day may fit today; nothing would grow to tell.
    misfit = refused(first.need, now, "restricted").need
    assert misfit.wait is Wait.RESTRICTED
    assert misfit.retry_at is not None
    assert misfit.retry_at > now
    assert refused(approve(misfit, now).need, now, "restricted").need.retry_at is None


def test_only_days_gone_by_are_written_or_asked() -> None:
    assert drafted("food_parcel").planned_as is PlannedAs.COMING
    assert drafted("food_parcel", planned_on=DAY).planned_as is PlannedAs.COMING
    assert drafted("food_parcel", DAY).planned_as is PlannedAs.COMING
    assert drafted("food_parcel", later(-1), needed_by=later(1)).planned_as is PlannedAs.COMING


@given(st.integers(0, 20), st.integers(0, 30), st.booleans(), st.booleans())
def test_no_attempt_begins_anew_after_the_needs_own_last_day(
    useful: int, gone: int, by_hours: bool, relocated: bool
) -> None:
    now = NOW + timedelta(days=gone, hours=2 if by_hours else 0)
    until = NOW + timedelta(days=useful, hours=1) if by_hours else None
    wanted = replace(need(), needed_by=later(useful), needed_until=until)
    asked = approve(wanted, NOW).need
    if relocated:
        answer = ReservationReleasedV1(
            reservation_id=ReservationId(UUID(int=4)),
            need_id=asked.id,
            attempt_no=1,
            cause="relocated",
        )
        ready = replace(asked, state=State.READY, supply=Leg.FIRM, told_at=NOW)
        anew = decide(ready, answer, now)
        assert anew.need.attention == TOLD_TO_COME
    else:
        anew = ask_anew(asked, now)
    is_over = gone > useful or (by_hours and gone == useful)
    begun = [each for each in anew.events if isinstance(each, NeedApprovedV1)]
    withdrawn = [each.reason for each in anew.events if isinstance(each, NeedWithdrawnV1)]
    closed = [each.reason for each in anew.events if isinstance(each, NeedClosedV1)]
    if is_over:
        assert (anew.need.state, anew.need.reason) == (State.EXPIRED, "last_day_passed")
        assert (begun, withdrawn, closed) == ([], ["expired"], ["last_day_passed"])
    else:
        assert (anew.need.state, len(begun), closed) == (State.APPROVED, 1, [])


def test_nothing_is_asked_anew_in_the_instant_in_which_its_hours_are_over() -> None:
    asked = approve(replace(need(), needed_until=NOW + timedelta(hours=1)), NOW).need
    for early_s, state in ((1, State.APPROVED), (0, State.EXPIRED)):
        now = NOW + timedelta(hours=1, seconds=-early_s)
        assert ask_anew(asked, now).need.state is state


@pytest.mark.parametrize("day", [date.min, FIRST_DAY, LAST_DAY, date.max])
@pytest.mark.parametrize("kind", ["shelter_night", "counseling"])
def test_no_day_is_too_far_to_decide_by(kind: str, day: date) -> None:
    """Days like these were entered and told before they had bounds."""
    ask = ask_of(KINDS[kind].model_copy(update={"money": None}), 1, day, today=day)
    for today in (day, DAY):
        wanted = ask.place_on(today, needed_by=None)
        assert wanted is not None
        assert wanted.from_on == max(day, today)
        assert wanted.to_on is None or wanted.from_on <= wanted.to_on
    nights = CapacityDemand(resource="bed", code="shelter", from_on=day, to_on=day)
    assert Ask(capacity=nights).last_day == max(date.min, days_after(day, -1))
    assert last_day(72, day) == days_after(day, 3) >= day
