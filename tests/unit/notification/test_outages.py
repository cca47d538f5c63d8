"""A channel that is away: tried rarely and with little, and what waits leaves soon afterwards."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.domain.outages import FORGOTTEN, Outage, Passage, look_again, seen_away

START = datetime(2024, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
spans = st.timedeltas(timedelta(0), timedelta(days=3))


@given(spans, st.floats(1, 600))
def test_it_is_looked_at_after_as_long_again_within_bounds(
    waited: timedelta, wait_s_max: float
) -> None:
    wait = look_again(START + waited, START, wait_s_max=wait_s_max) - (START + waited)
    assert SECOND <= wait <= timedelta(seconds=wait_s_max)
    assert wait in (SECOND, timedelta(seconds=wait_s_max), waited)


def test_an_outage_of_three_days_is_looked_at_seldom_and_to_its_end() -> None:
    outage, now, looks = seen_away(None, START, wait_s_max=60), START, 0
    while now < START + timedelta(days=3):
        assert outage.since == START
        now, looks = outage.look_at, looks + 1
        outage = seen_away(outage, now, wait_s_max=60)
    assert looks < 3 * 24 * 60 + 10


def test_an_outage_that_nobody_looked_at_for_long_is_another_one() -> None:
    old = Outage(START, START + SECOND)
    assert seen_away(old, old.look_at + FORGOTTEN, wait_s_max=60).since == START
    later = old.look_at + FORGOTTEN + SECOND
    assert seen_away(old, later, wait_s_max=60).since == later


def test_a_channel_that_was_away_is_tried_with_one_message() -> None:
    away = Outage(START, START + SECOND)
    early = Passage({Channel.EMAIL: away}, START)
    assert [early.opens(Channel.EMAIL) for _ in range(3)] == [away.look_at] * 3
    assert early.opens(Channel.SMS) == START, "the others go out"
    due = Passage({Channel.EMAIL: away}, away.look_at)
    assert [due.opens(Channel.EMAIL) for _ in range(3)] == [away.look_at, None, None]
    there = Passage({}, START)
    assert [there.opens(Channel.EMAIL) for _ in range(3)] == [START] * 3
