"""Hours of the day: across midnight, and on the two nights when the clocks change."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aidmesh_contracts.days import KYIV
from aidmesh_notification.domain.hours import DAY_MIN, Window, parse_hours

FORWARD = datetime(2024, 3, 31, tzinfo=UTC)
BACK = datetime(2024, 10, 27, tzinfo=UTC)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    start = draw(st.integers(0, DAY_MIN - 1))
    end = draw(st.integers(0, DAY_MIN).filter(lambda minute: minute != start))
    return Window(start, end)


moments = st.one_of(
    st.datetimes(datetime(2022, 1, 1), datetime(2030, 12, 31)).map(  # noqa: DTZ001
        lambda naive: naive.replace(tzinfo=UTC)
    ),
    st.builds(
        lambda night, minutes: night + timedelta(minutes=minutes),
        st.sampled_from([FORWARD, BACK]),
        st.integers(-DAY_MIN, DAY_MIN),
    ),
)


def inside(window: Window, now: datetime) -> bool:
    """The model: walk from the window's start to its end, minute by minute of the clock face."""
    local = now.astimezone(KYIV)
    face = local.hour * 60 + local.minute
    minute = window.from_min
    while minute % DAY_MIN != window.to_min % DAY_MIN:
        if minute % DAY_MIN == face:
            return True
        minute += 1
    return window.to_min == DAY_MIN and window.from_min == 0


@given(windows(), moments)
@example(Window(0, DAY_MIN), FORWARD)
@example(Window(22 * 60, 6 * 60), BACK)
@example(Window(9 * 60, 20 * 60), datetime(2024, 6, 1, 20, 0, tzinfo=KYIV))  # as it closes
@example(Window(9 * 60, 20 * 60), datetime(2024, 6, 1, 9, 0, tzinfo=KYIV))
def test_a_window_is_what_the_clock_face_shows(window: Window, now: datetime) -> None:
    assert window.holds(now) == inside(window, now)


@given(windows(), moments)
@example(Window(200, 230), FORWARD)  # 03:20 to 03:50 does not exist that night
@example(Window(210, 225), BACK + timedelta(minutes=40))  # comes twice that night
def test_the_next_opening_is_inside_and_nothing_before_it_was(
    window: Window, now: datetime
) -> None:
    opening = window.next_opening(now)
    assert opening >= now
    assert window.holds(opening)
    if opening == now:
        return
    missed = [
        moment
        for minutes in range(int((opening - now).total_seconds() // 60))
        if window.holds(moment := now + timedelta(minutes=minutes))
    ]
    # On the night the clocks go forward a start that does not exist is taken up to an hour late.
    assert not missed or (
        missed[0].astimezone(KYIV).date() == FORWARD.date()
        or any(
            (moment + timedelta(hours=1)).astimezone(KYIV).utcoffset()
            != (moment - timedelta(hours=2)).astimezone(KYIV).utcoffset()
            for moment in missed
        )
    )
    assert len(missed) <= 60


def test_a_window_across_midnight_holds_on_both_sides() -> None:
    window = parse_hours("22:00", "06:00")
    assert window.holds(datetime(2024, 6, 1, 23, 0, tzinfo=KYIV))
    assert window.holds(datetime(2024, 6, 1, 5, 59, tzinfo=KYIV))
    assert not window.holds(datetime(2024, 6, 1, 6, 0, tzinfo=KYIV))


def test_nine_in_the_morning_stays_nine_when_the_clocks_change() -> None:
    window = parse_hours("09:00", "20:00")
    evening = datetime(2024, 3, 30, 21, 0, tzinfo=KYIV).astimezone(UTC)
    assert window.next_opening(evening) == datetime(2024, 3, 31, 9, 0, tzinfo=KYIV)
    evening = datetime(2024, 10, 26, 21, 0, tzinfo=KYIV).astimezone(UTC)
    assert window.next_opening(evening) == datetime(2024, 10, 27, 9, 0, tzinfo=KYIV)


def test_an_end_of_midnight_is_the_end_of_the_day() -> None:
    window = parse_hours("18:00", "24:00")
    assert window.holds(datetime(2024, 6, 1, 23, 59, tzinfo=KYIV))
    assert not window.holds(datetime(2024, 6, 2, 0, 0, tzinfo=KYIV))


@pytest.mark.parametrize(
    ("start", "end"),
    [("9", "20:00"), ("09:60", "20:00"), ("25:00", "26:00"), ("08:00", "08:00"), ("", ""),
     ("-1:00", "20:00"), ("24:00", "06:00"), ("09:0", "20:00")],
)  # fmt: skip
def test_what_is_no_time_of_day_is_refused(start: str, end: str) -> None:
    with pytest.raises(ValueError, match=r"HH:MM|hours lie|window needs"):
        parse_hours(start, end)
