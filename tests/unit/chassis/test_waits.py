"""What has to be waited for is told when it begins, once a minute, and when it is over."""

import pytest

from aidmesh_chassis import acknowledging
from aidmesh_chassis.waits import EVERY_S, Wait
from support.loglines import written


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Unheard:
    """A message whose first acknowledgments do not reach the server."""

    subject, data, headers = "a", b"", None

    def __init__(self, tries: int) -> None:
        self.tries = tries

    async def ack(self) -> None:
        if self.tries > 0:
            self.tries -= 1
            raise ConnectionResetError

    async def nak(self, delay: float | None = None) -> None:
        raise NotImplementedError

    async def term(self) -> None:
        raise NotImplementedError

    async def in_progress(self) -> None:
        raise NotImplementedError


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wait(clock: Clock) -> Wait:
    return Wait(clock)


def test_a_wait_is_told_once_a_minute_with_how_many_lines_were_left_out(
    wait: Wait, clock: Clock
) -> None:
    began = clock.now
    with written("intake") as lines:
        while clock.now < began + 2.5 * EVERY_S:  # a try a second, 150 of them
            wait.warning("relay.waits", cause="TimeoutError")
            clock.now += 1
        told = lines.of("relay.waits")
        assert [line.get("left_out") for line in told] == [None, 59, 59]
        assert {line["cause"] for line in told} == {"TimeoutError"}
        wait.over()
        wait.over()
        (over,) = lines.of("wait.over")
    assert (over["of"], over["left_out"], over["duration_ms"]) == ("relay.waits", 29, 150_000)
    assert over["level"] == "info"


def test_the_next_wait_is_told_at_once(wait: Wait, clock: Clock) -> None:
    with written("intake") as lines:
        for _ in range(2):
            wait.warning("database.waits")
            clock.now += 1
            wait.warning("database.waits")
            wait.over()
        told = lines.of("database.waits")
        assert ["left_out" in line for line in told] == [False, False]
        assert [line["left_out"] for line in lines.of("wait.over")] == [1, 1]


def test_what_never_had_to_wait_says_nothing(wait: Wait) -> None:
    with written("intake", level="debug") as lines:
        wait.over()
    assert lines.text == ""


async def test_what_is_handled_is_acknowledged_without_a_line_for_every_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acknowledging, "ACK_RETRY_S", 0.0)
    message = Unheard(tries=9)
    with written("intake") as lines:
        await acknowledging.ack_all([message])
        (waits,) = lines.of("message.ack_waits")
        (over,) = lines.of("wait.over")
    assert (waits["messages"], waits["cause"]) == (1, "ConnectionResetError")
    assert (over["of"], over["left_out"]) == ("message.ack_waits", 8)
    assert message.tries == 0
