"""The pick-up clock of cash."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts import pickup as shared
from aidmesh_payments.domain.pickup import Clock, Pause, kept_until, runs_out_at, told_again

START = datetime(2024, 6, 1, 9, 0, tzinfo=UTC)
HORIZON_H = 60


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


pauses = st.lists(
    st.builds(
        lambda begin, lasts: Pause(at(begin), None if lasts is None else at(begin + lasts)),
        st.integers(-10, 20),
        st.one_of(st.none(), st.integers(0, 12)),
    ),
    max_size=6,
)
ended = st.lists(
    st.builds(
        lambda begin, lasts: Pause(at(begin), at(begin + lasts)),
        st.integers(-10, 20),
        st.integers(0, 12),
    ),
    max_size=6,
)


def by_the_hour(lasts_h: int, found: Sequence[Pause]) -> datetime | None:
    """The same, counted hour by hour."""
    left = lasts_h
    for hour in range(HORIZON_H):
        if left == 0:
            return at(hour)
        stands = any(p.began_at <= at(hour) and (p.ended_at or at(999)) > at(hour) for p in found)
        left -= not stands
    return None


@given(st.integers(1, 20), st.one_of(pauses, ended))
def test_a_clock_runs_only_between_pauses(lasts_h: int, found: list[Pause]) -> None:
    out = runs_out_at(START, timedelta(hours=lasts_h), found)
    expected = by_the_hour(lasts_h, found)
    if out is None:
        assert expected is None
        assert any(pause.ended_at is None for pause in found)
    else:
        # It runs out at the end of its last hour; a pause that begins there changes nothing.
        last_h = by_the_hour(lasts_h - 1, found) if lasts_h > 1 else START
        assert last_h is not None
        assert expected is None or out <= expected
        assert out - timedelta(hours=1) >= last_h


@given(st.integers(1, 20), pauses, st.randoms())
def test_the_order_in_which_pauses_come_does_not_matter(
    lasts_h: int, found: list[Pause], random: object
) -> None:
    lasts = timedelta(hours=lasts_h)
    shuffled = sorted(found, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert runs_out_at(START, lasts, found) == runs_out_at(START, lasts, shuffled)
    assert runs_out_at(START, lasts, found) == runs_out_at(START, lasts, found + found)


def test_overlapping_pauses_count_once() -> None:
    day = timedelta(days=1)
    assert runs_out_at(START, day, []) == at(24)
    alert, closing = Pause(at(2), at(6)), Pause(at(4), at(9))
    assert runs_out_at(START, day, [alert]) == at(28)
    assert runs_out_at(START, day, [closing, alert]) == at(31)
    assert runs_out_at(START, day, [Pause(at(30), at(40))]) == at(24)
    assert runs_out_at(START, day, [Pause(at(-9), at(3))]) == at(27)
    assert runs_out_at(START, day, [Pause(at(23), None)]) is None
    assert runs_out_at(START, day, [Pause(at(24), None)]) == at(24)


def test_whom_a_pause_concerns() -> None:
    here, there = UUID(int=1), UUID(int=2)
    closing, alert = Pause(START, None, site_id=here), Pause(START, None, area="UA80")
    assert closing.holds_at(here, "UA80")
    assert not closing.holds_at(there, "UA80")
    assert not closing.holds_at(None, "UA80")
    assert alert.holds_at(None, "UA80")
    assert alert.holds_at(there, "UA8000000")
    assert not alert.holds_at(here, "UA46")
    assert not alert.holds_at(None, None)
    assert Pause(START, at(1)).holds_at(None, None)


def test_only_long_silences_are_downtime() -> None:
    assert shared.downtime(at(0), at(0) + timedelta(minutes=15)) == timedelta(0)
    assert shared.downtime(at(0), at(2)) == timedelta(hours=2)
    assert shared.starts_at(at(0), at(0) + timedelta(minutes=15)) == at(0)
    assert shared.starts_at(at(0), at(2)) == at(2)


clocks = st.builds(Clock, st.integers(0, 40).map(at), st.integers(1, 3))


@given(clocks, clocks, pauses, pauses, st.integers(0, 24))
def test_who_is_told_again_loses_no_time_that_they_had(
    one: Clock, other: Clock, past: list[Pause], later: list[Pause], now_h: int
) -> None:
    now = max(one.started_at, other.started_at) + timedelta(hours=now_h)
    known = [each for each in past if each.began_at <= now]
    # Those that last still end some day, and more are to come.
    following = [replace(each, ended_at=each.ended_at or at(90)) for each in known]
    moved = timedelta(hours=70)
    following += [Pause(now + moved, now + moved + (e.ended_at - e.began_at))
                  for e in later if e.ended_at is not None]  # fmt: skip
    kept = told_again(one, other, known, now)

    def until(clock: Clock) -> datetime:
        end = kept_until(clock.started_at, clock.collect_days, following)
        assert end is not None
        return end

    if max(until(one), until(other)) > now:
        assert until(kept) == max(until(one), until(other))
