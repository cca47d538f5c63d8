"""What a message tells somebody, and until when what they were promised is there for them.

Every kind of need of the catalogue goes from its approval to its message through what intake,
inventory, payments and notification decide; what the message says is read as a person reads it.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_chassis.envelope import Received
from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts import pickup
from aidmesh_contracts.accounts import Mechanism, is_sent
from aidmesh_contracts.days import KYIV, day_of
from aidmesh_contracts.ids import (
    AllotmentId,
    CommitmentId,
    GrantId,
    PayeeRef,
    ReservationId,
    SiteId,
)
from aidmesh_contracts.intake import NeedReadyV1
from aidmesh_contracts.inventory import ReservationConfirmedV1, ReservationHeldV1
from aidmesh_contracts.payments import CommitmentHeldV1, CommitmentMadeV1
from aidmesh_contracts.values import Visit
from aidmesh_intake.catalogue import packaged
from aidmesh_intake.domain import commands, saga
from aidmesh_intake.domain.asks import ask_of
from aidmesh_intake.domain.kinds import Kind
from aidmesh_intake.domain.need import Need
from aidmesh_inventory.domain import days
from aidmesh_notification.domain.cards import Channel, Reach
from aidmesh_notification.domain.hours import DAY_MIN, Window
from aidmesh_notification.domain.sending import Queued, Send, Wording, decide
from aidmesh_notification.handlers.queueing import ready_message
from aidmesh_notification.texts import load_templates
from aidmesh_payments.domain.pickup import kept_until
from unit.intake.builders import need

HOURS_MAX = 72
SLOT = timedelta(minutes=50)
ALWAYS = Window(0, DAY_MIN)
ID = UUID(int=9)
TEMPLATES = load_templates("Alliance")
DATE = re.compile(
    r"(?:(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)|(?P<D>\d\d)\.(?P<M>\d\d)\.(?P<Y>\d{4}))"
    r"(?:, (?P<hour>\d\d):(?P<minute>\d\d))?"
)

NOT_TO_COME = re.compile(
    r"no need to come|nicht nötig|nicht zu kommen|приходити не потрібно", re.IGNORECASE
)

instants = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)).map(  # noqa: DTZ001
    lambda each: each.replace(tzinfo=UTC)
)
# A message waits for its hours, and what is said of it for a link.
delays = st.integers(0, 80 * 3600).map(lambda seconds: timedelta(seconds=seconds))


@dataclass(frozen=True)
class Told:
    """A time that a message names: a day, or a minute of it."""

    day: date
    minute: datetime | None

    @property
    def last(self) -> datetime:
        """The last instant that somebody takes it for."""
        return self.minute or pickup.end_of(self.day)


def read(text: str) -> list[Told]:
    """The times that a text names."""
    found = []
    for each in DATE.finditer(text):
        day = date(
            int(each["y"] or each["Y"]), int(each["m"] or each["M"]), int(each["d"] or each["D"])
        )
        minute = None
        if each["hour"] is not None:
            minute = datetime(
                day.year, day.month, day.day, int(each["hour"]), int(each["minute"]),
                tzinfo=KYIV,
            )  # fmt: skip
        found.append(Told(day, minute))
    return found


def ready_at(one: Need, now: datetime, visit: Visit | None, sent: bool | None) -> NeedReadyV1:
    """The need is approved, and everyone who owes it something says yes twice.

    Args:
        sent: what payments knows of how it pays.
    """
    key = {"need_id": one.id, "attempt_no": 1}
    hold = {"hold_until": now + timedelta(minutes=15)}
    site = {"reservation_id": ReservationId(ID), "site_id": SiteId(ID)}
    money = {
        "commitment_id": CommitmentId(ID), "grant_id": GrantId(ID), "amount_minor": 1,
        "currency": "UAH",
    }  # fmt: skip
    answers: list[saga.Answer] = []
    if one.ask.of_supply:
        answers.append(ReservationHeldV1.model_validate(key | hold | site))
    if one.ask.of_money:
        allotment = {"allotment_id": AllotmentId(ID)}
        answers.append(CommitmentHeldV1.model_validate(key | hold | money | allotment))
        answers.append(CommitmentMadeV1.model_validate(key | money | {"sent": sent}))
    if one.ask.of_supply:
        answers.append(ReservationConfirmedV1.model_validate(key | site | {"visit": visit}))
    decision = commands.approve(one, now)
    events = list(decision.events)
    for answer in answers:
        decision = saga.decide(decision.need, answer, now)
        events += decision.events
    (ready,) = (each for each in events if isinstance(each, NeedReadyV1))
    return ready


@given(
    st.sampled_from(packaged()),
    instants,
    st.tuples(delays, delays),
    st.integers(-1, 9),
    st.integers(1, 14 * 24 * 60),
    st.one_of(st.none(), st.integers(0, 9)),
    st.integers(1, 71),
    st.tuples(st.sampled_from(["uk", "en", "de"]), st.sampled_from(["neutral", "plain"])),
    st.sampled_from([None, *get_args(Mechanism)]),
    st.tuples(st.booleans(), st.booleans()),
)
def test_what_is_told_is_true(
    kind: Kind,
    now: datetime,
    late: tuple[timedelta, timedelta],
    bed_in: int,
    slot_in: int,
    needed_in: int | None,
    exposed_before: int,
    words: tuple[str, Wording],
    paid_by: Mechanism | None,
    known: tuple[bool, bool],
) -> None:
    today = day_of(now)
    sent_at = now + late[0]
    heard_at = sent_at + late[1]
    first_on = today + timedelta(days=bed_in)
    needed_by = None if needed_in is None else max(today, first_on) + timedelta(days=needed_in)
    needed_until = None
    if kind.within_hours is not None:
        needed_until = now + timedelta(hours=kind.within_hours - exposed_before, seconds=7)
        needed_by = day_of(needed_until)
    ask = ask_of(
        kind, 1, today, needed_by=needed_by,
        amount_minor=1 if kind.money is not None and kind.money.amount_given else None,
    )  # fmt: skip
    one = replace(
        need(ask), collect_days=kind.collect_days, needed_by=needed_by, needed_until=needed_until,
        sensitive=kind.sensitive,
    )  # fmt: skip

    # Money may be sent to them; intake knows, or only payments, or nobody: then they are to come.
    by_payments, comes = None, True
    if ask.money is not None and ask.money.by == "payout" and paid_by is not None:
        one = replace(
            one, payee_ref=PayeeRef(ID), sent=is_sent(paid_by) if known[0] else None
        )  # fmt: skip
        by_payments = is_sent(paid_by) if known[1] else None
        comes = paid_by == "cash" or not any(known)

    # Until when it is there, by the clocks of whoever owes it, and until when it is of use.
    started_at = pickup.starts_at(sent_at, heard_at)
    ends = [] if needed_until is None else [needed_until]
    visit, starts_at = None, now + timedelta(minutes=slot_in)
    if ask.capacity is not None and ask.capacity.resource == "slot":
        visit = Visit(starts_at=starts_at)
        ends.append(days.slot_due_at(starts_at + SLOT, now))
    else:
        ends += [] if needed_by is None else [pickup.end_of(needed_by)]
        if ask.capacity is not None:
            ends.append(days.bed_due_at(first_on, now))
            visit = Visit(from_on=first_on, until_at=ends[-1])
        elif ask.of_supply:
            ends.append(days.collect_by(sent_at, kind.collect_days, heard_at))
        elif ask.of_money:
            ends.append(kept_until(started_at, kind.collect_days) or now)

    event = ready_at(one, now, visit, by_payments)
    assert (event.to_come is not False) == comes
    message = ready_message(
        now, HOURS_MAX, Received(event, ID, ID, now, "kyiv", 1, None, b"", None)
    )
    queued = Queued(
        message.message_id, message.template, message.sensitive, message.collect_days,
        message.expires_at, message.starts_at, message.from_on, message.until_at,
    )  # fmt: skip
    reach = Reach(Channel.SMS, PersonalText("+380440000000"), ALWAYS, words[0], words[1])
    decision = decide(queued, sent_at, over=False, erased=False, reach=reach)
    if not isinstance(decision, Send):
        is_late = sent_at - now >= timedelta(hours=HOURS_MAX)
        assert is_late or comes, "whoever need not come may be told on any day"
        begun = visit is not None and visit.starts_at is not None and visit.starts_at <= sent_at
        assert is_late or begun or min(ends) <= sent_at, "whoever can still come is told"
        return
    text = TEMPLATES.render(
        message.template, decision.wording, words[0], until_at=decision.until_at, count=0,
        starts_at=queued.starts_at, from_on=queued.from_on,
    ).text  # fmt: skip
    if not comes:
        assert read(text) == []
        assert NOT_TO_COME.search(text), text
        return
    assert not NOT_TO_COME.search(text), text
    *first, told = read(text)

    assert told.last <= min(ends), "what is told is never later than it is there and of use"
    assert told.last >= sent_at.replace(second=0, microsecond=0), "it can still be had then"
    if visit is not None and visit.starts_at is not None:
        assert told.minute == starts_at.replace(second=0, microsecond=0)
        assert sent_at < starts_at
        return
    if visit is not None and first_on > today:
        # Before its first night somebody else may lie in the bed.
        assert [each.day for each in first] == [first_on] or told.day == first_on
    else:
        assert first == []
    if visit is None and not (needed_by or needed_until):
        assert told == Told(day_of(sent_at) + timedelta(days=kind.collect_days), None)
    if visit is None and ask.of_supply:
        # All of the day that is told counts, in summer and in winter.
        assert days.collect_by(sent_at, kind.collect_days, sent_at) >= pickup.end_of(
            day_of(sent_at) + timedelta(days=kind.collect_days)
        )


@pytest.mark.parametrize("paid_by", get_args(Mechanism))
@pytest.mark.parametrize("known", [(True, False), (False, True), (False, False), (True, True)])
def test_who_is_paid_by_bank_card_or_post_is_told_not_to_come(
    paid_by: Mechanism, known: tuple[bool, bool]
) -> None:
    now = datetime(2024, 5, 6, 9, 0, tzinfo=UTC)
    paid = [kind for kind in packaged() if kind.money is not None and kind.money.by == "payout"]
    assert {"financial_aid", "rent_support", "travel"} <= {kind.code for kind in paid}
    for kind in paid:
        today = day_of(now)
        one = replace(
            need(ask_of(kind, 1, today, needed_by=today)), needed_by=today, payee_ref=PayeeRef(ID),
            sensitive=kind.sensitive, sent=is_sent(paid_by) if known[0] else None,
        )  # fmt: skip
        event = ready_at(one, now, None, is_sent(paid_by) if known[1] else None)
        message = ready_message(
            now, HOURS_MAX, Received(event, ID, ID, now, "kyiv", 1, None, b"", None)
        )
        if paid_by == "cash" or not any(known):
            assert message.template == "need_ready"
            assert message.until_at == message.expires_at == pickup.end_of(today)
        else:
            assert (message.template, message.until_at) == ("need_not_come", None)
            assert message.expires_at == now + timedelta(hours=HOURS_MAX), "on any day"


@given(instants, st.integers(0, 60))
def test_a_clock_ends_with_the_day_in_kyiv(started_at: datetime, last_in: int) -> None:
    ends_at = pickup.ends_at(started_at, last_in)
    last_on = day_of(started_at) + timedelta(days=last_in)
    assert day_of(ends_at) == last_on
    next_at = ends_at + timedelta(microseconds=1)
    assert day_of(next_at) == last_on + timedelta(days=1)
    assert kept_until(started_at, last_in) == ends_at
