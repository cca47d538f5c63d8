"""Whether a message may go out: decided at the moment of sending."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts.pickup import ends_at
from aidmesh_notification.domain.cards import Channel, Reach, reach_of, read_card
from aidmesh_notification.domain.hours import DAY_MIN, Window
from aidmesh_notification.domain.sending import (
    Queued,
    Retry,
    Send,
    Suppress,
    Wait,
    after_refusal,
    decide,
)

START = datetime(2024, 1, 1, tzinfo=UTC)

moments = st.integers(0, 366 * DAY_MIN).map(lambda minutes: START + timedelta(minutes=minutes))
windows = (
    st.tuples(st.integers(0, DAY_MIN - 1), st.integers(0, DAY_MIN))
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: Window(*pair))
)
reaches = st.builds(
    Reach,
    st.sampled_from(Channel),
    st.just(PersonalText("+380440000000")),
    windows,
    st.sampled_from(["uk", "en", "de"]),
    st.sampled_from(["neutral", "plain"]),
)


@st.composite
def queued(draw: st.DrawFn) -> Queued:
    return Queued(
        message_id=uuid4(),
        template="need_ready",
        sensitive=draw(st.booleans()),
        collect_days=draw(st.integers(1, 60)),
        expires_at=draw(moments),
    )


@given(queued(), moments, st.booleans(), st.booleans(), st.one_of(st.none(), reaches))
def test_only_a_wanted_message_to_a_safe_contact_at_a_safe_hour_goes_out(
    message: Queued, now: datetime, over: bool, erased: bool, reach: Reach | None
) -> None:
    decision = decide(message, now, over=over, erased=erased, reach=reach)
    if isinstance(decision, Send):
        assert not over
        assert not erased
        assert decision.reach is reach
        assert now < message.expires_at
        assert decision.reach.hours.holds(now)
        assert decision.wording == "neutral" or (
            decision.reach.wording == "plain" and not message.sensitive
        )
        assert decision.until_at == message.told_until(now)
    elif isinstance(decision, Wait):
        assert not over
        assert not erased
        assert now < decision.until < message.expires_at
        assert isinstance(
            decide(message, decision.until, over=False, erased=False, reach=reach), Send
        )
    else:
        assert decision.reason == (
            "superseded"
            if over
            else "erased"
            if erased
            else "expired"
            if now >= message.expires_at or reach is not None
            else "no_safe_contact"
        )


def test_nobody_is_told_that_they_may_come_when_it_is_over() -> None:
    kept = Queued(uuid4(), "need_ready", False, 7, START)
    kept_until = ends_at(START, 7)
    assert kept.told_until(START) == kept_until
    for late, until in ((-1, kept_until - timedelta(days=1)), (0, kept_until), (1, kept_until)):
        over_at = kept_until + timedelta(days=late)
        assert replace(kept, until_at=over_at).told_until(START) == until
        # A place is kept by its own days, however long other things are.
        place = replace(kept, until_at=over_at, from_on=START.date())
        assert place.told_until(START) == over_at


def test_who_can_be_told_only_as_it_expires_is_told_in_person() -> None:
    hours = Window(9 * 60, 20 * 60)
    opens_at = hours.next_opening(START)
    reach = Reach(Channel.SMS, PersonalText("+380440000000"), hours, "uk", "neutral")
    for early_s, decision in ((0, Suppress("expired")), (1, Wait(opens_at))):
        expires_at = opens_at + timedelta(seconds=early_s)
        message = Queued(uuid4(), "need_ready", False, 7, expires_at)
        assert decide(message, START, over=False, erased=False, reach=reach) == decision


@given(queued(), moments)
def test_without_a_contact_the_person_is_told_in_person(message: Queued, now: datetime) -> None:
    decision = decide(message, now, over=False, erased=False, reach=None)
    assert isinstance(decision, Suppress)
    assert decision.reason in ("no_safe_contact", "expired")


@given(st.integers(1, 20), st.booleans(), st.integers(1, 20), st.floats(0.1, 600, allow_nan=False))
def test_a_refusal_is_tried_again_a_bounded_number_of_times(
    tries: int, lasting: bool, tries_max: int, retry_s: float
) -> None:
    follows = after_refusal(tries, START, lasting=lasting, tries_max=tries_max, retry_s=retry_s)
    if lasting:
        assert follows == Suppress("rejected")
    elif tries >= tries_max:
        assert follows == Suppress("failed")
    else:
        assert isinstance(follows, Retry)
        assert follows.at >= START + timedelta(seconds=retry_s - 0.001)


PERSON = UUID("11111111-2222-4333-8444-555555555555")


def card(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "person_id": str(PERSON),
        "version": 2,
        "language": "en-GB",
        "channel": "email",
        "address": "a@example.org",
        "hours_from": "10:00",
        "hours_to": "12:00",
        "wording": "neutral",
        "safe": True,
    }
    return json.dumps({**fields, **changes}).encode()


def test_a_card_that_is_safe_in_every_part_can_be_used() -> None:
    read = read_card(card(), PERSON, 2)
    assert read is not None
    reach = reach_of(read)
    assert reach is not None
    assert reach.channel is Channel.EMAIL
    assert reach.language == "en"
    assert reach.hours == Window(600, 720)


def test_whatever_is_missing_or_odd_makes_a_contact_unsafe() -> None:
    for changes in (
        {"safe": False},
        {"channel": None},
        {"channel": "pigeon"},
        {"address": None},
        {"hours_from": None},
        {"hours_from": None, "hours_to": None},
        {"hours_to": "later"},
        {"hours_from": "10:00", "hours_to": "10:00"},
    ):
        read = read_card(card(**changes), PERSON, 2)
        assert read is not None
        assert reach_of(read) is None, changes


def test_a_card_of_somebody_else_or_of_another_version_is_not_used() -> None:
    assert read_card(card(), uuid4(), 2) is None
    assert read_card(card(), PERSON, 3) is None
    assert read_card(card(wording="loud"), PERSON, 2) is None
    assert read_card(b"{", PERSON, 2) is None


def test_a_card_does_not_show_its_address() -> None:
    read = read_card(card(), PERSON, 2)
    assert "example" not in repr(read)
    assert "example" not in str(read)
