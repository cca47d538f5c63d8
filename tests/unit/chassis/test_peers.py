"""What is known of peer regions: heard or dark, how far behind, and when that is too long."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_chassis.handoff import Waiting
from aidmesh_chassis.metrics import MessageNumbers, Metrics
from aidmesh_chassis.peers import DARK_S, TOLD_S_MAX, LinkState, Peers, Trouble, trouble_of

BEGAN = datetime(2024, 3, 1, 12, tzinfo=UTC)
LATE_S = 300.0


class Desk:
    """Peers of kyiv with a clock that the test turns."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.peers = Peers("kyiv", lambda: self.at_s, lambda: BEGAN + timedelta(seconds=self.at_s))
        self.peers.expect({"lviv"})

    def beat(self, region: str = "lviv", service: bytes = b"intake") -> None:
        self.peers.heard(f"beat.{region}", service)

    def report(self, region: str, **last_seqs: int) -> None:
        body = {name: {"messages": seq, "last_seq": seq} for name, seq in last_seqs.items()}
        self.peers.reported(f"beat.{region}.world", json.dumps(body).encode())

    @property
    def lag(self) -> tuple[int, float]:
        return self.peers.lags()["lviv"]

    def trouble(self) -> Trouble | None:
        return self.peers.troubles(LATE_S)["lviv"]


def when(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_a_link_is_up_since_it_was_heard_again_and_dark_since_it_was_heard_last() -> None:
    desk = Desk()
    assert desk.peers.link("lviv") == LinkState(state="dark", since=BEGAN)
    desk.at_s = 10.0
    desk.beat()
    desk.at_s = 10.0 + DARK_S
    desk.beat()
    assert desk.peers.link("lviv") == LinkState(state="up", since=when(10))
    last = desk.at_s
    desk.at_s = last + DARK_S + 0.1
    assert desk.peers.link("lviv") == LinkState(state="dark", since=when(last))
    desk.at_s = 500.0
    desk.report("lviv", lviv=1)
    assert desk.peers.link("lviv") == LinkState(state="up", since=when(500))


def test_the_own_region_has_no_link_and_a_stranger_is_dark() -> None:
    desk = Desk()
    desk.beat("kyiv")
    desk.report("kyiv", kyiv=4)
    assert desk.peers.link("kyiv") is None
    assert list(desk.peers.ages_s()) == ["lviv"]
    stranger = desk.peers.link("odesa")
    assert stranger is not None
    assert stranger.state == "dark"


def test_lag_is_what_the_peer_tells_of_less_what_is_here() -> None:
    desk = Desk()
    assert desk.peers.lags() == {}
    desk.at_s = 5.0
    desk.report("lviv", lviv=40, kyiv=7)
    assert desk.lag == (40, 5.0)
    desk.report("kyiv", kyiv=7, lviv=40)
    assert desk.lag == (0, 0.0)
    desk.at_s = 8.0
    desk.report("lviv", lviv=52)
    desk.at_s = 12.0
    desk.report("kyiv", lviv=50)
    assert desk.lag == (2, 7.0)  # all was here when it told of 40, at 5 s
    shown = desk.peers.report(LATE_S)["lviv"]
    assert shown["last_event"] == {"seq": 50, "at": None}
    assert shown["told_event"] == {"seq": 52, "at": None}


def test_a_peer_that_tells_no_more_lags_since_it_told_last() -> None:
    desk = Desk()
    desk.report("lviv", lviv=3)
    desk.report("kyiv", lviv=3)
    desk.at_s = TOLD_S_MAX
    assert desk.lag == (0, 0.0)
    desk.at_s += 1.0
    assert desk.lag == (0, TOLD_S_MAX + 1.0)


def test_a_peer_of_an_older_version_tells_nothing_of_itself() -> None:
    desk = Desk()
    desk.report("lviv", kyiv=7)
    shown = desk.peers.report(LATE_S)["lviv"]
    assert (shown["link"], shown["lag_events"], shown["lag_s"]) == ("up", None, None)


@pytest.mark.parametrize(
    ("subject", "payload"),
    [
        ("beat.lviv.world", b"{"),
        ("beat.lviv.world", b'{"lviv": {"last_seq": -1}}'),
        ("beat.lviv.world", b'{"lviv": []}'),
        ("beat.lviv.world", b'{"lviv": {"last_seq": 1}, "x": "' + b"x" * 65_536 + b'"}'),
        ("beat.lviv.other", b'{"lviv": {"last_seq": 1}}'),
    ],
)
def test_what_is_no_report_is_left_alone(subject: str, payload: bytes) -> None:
    desk = Desk()
    desk.peers.reported(subject, payload)
    assert desk.peers.lags() == {}
    shown = desk.peers.report()["lviv"]
    assert (shown["link"], shown["last_beat_s"]) == ("dark", None)


def test_a_peer_can_t_say_what_has_arrived_here() -> None:
    desk = Desk()
    desk.report("lviv", lviv=40)
    desk.report("odesa", lviv=40)
    assert desk.lag == (40, 0.0)


def test_trouble_begins_past_the_bound_and_ends_with_the_next_word() -> None:
    desk = Desk()
    desk.beat()
    desk.at_s = LATE_S
    assert desk.trouble() is None
    desk.at_s += 0.1
    assert desk.trouble() == "dark"
    desk.report("lviv", lviv=1)
    assert desk.trouble() == "behind"
    desk.report("kyiv", lviv=1)
    assert desk.trouble() is None
    desk.peers.handed_over([Waiting("lviv", 2, LATE_S + 1)])
    assert desk.trouble() == "unanswered"
    assert desk.peers.report(LATE_S)["lviv"]["handoffs"] == 2
    desk.peers.handed_over([])
    assert desk.trouble() is None


def test_a_peer_that_fell_silent_is_never_called_behind() -> None:
    desk = Desk()
    desk.report("lviv", lviv=1)
    desk.report("kyiv", lviv=1)
    desk.at_s = 1.0
    desk.beat()
    desk.at_s = LATE_S
    assert desk.trouble() is None
    desk.at_s += 0.5  # so long since all was here, and not quite so long since it was heard
    assert desk.trouble() == "dark"


seconds = st.floats(0, 1e6)


@given(seconds, st.none() | seconds, seconds, seconds)
def test_there_is_trouble_exactly_when_something_is_late(
    silent_s: float, lag_s: float | None, unanswered_s: float, late_s_max: float
) -> None:
    trouble = trouble_of(
        silent_s=silent_s, lag_s=lag_s, unanswered_s=unanswered_s, late_s_max=late_s_max
    )
    assert (trouble is None) == (max(silent_s, lag_s or 0.0, unanswered_s) <= late_s_max)
    assert (trouble == "dark") == (trouble is not None and silent_s > min(DARK_S, late_s_max))


def test_a_region_that_is_linked_with_no_longer_is_not_measured() -> None:
    metrics = Metrics("payments", "kyiv")
    numbers = MessageNumbers(metrics)
    peers = Peers("kyiv")
    for linked in (["lviv", "odesa"], ["odesa"]):
        peers.expect(linked)
        numbers.set_peers(peers, peers.troubles(-1.0))
    shown = metrics.exposition().decode()
    assert 'aidmesh_peer_late{peer="odesa"} 1.0' in shown
    assert "lviv" not in shown
