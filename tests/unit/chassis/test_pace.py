"""How often a service looks, without waiting for real: the clock is the test's."""

import asyncio

import pytest

from aidmesh_chassis import pace
from aidmesh_chassis.pace import BUSY_S, REST_S, Pace


class Clock:
    """Seconds as the test wants them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "monotonic", clock)
    return clock


def test_who_has_just_begun_or_worked_looks_as_often_as_was_asked(clock: Clock) -> None:
    service = Pace()
    clock.now += BUSY_S - 0.1
    assert service.interval_s(1.0) == 1.0
    clock.now += 0.2
    assert service.interval_s(1.0) == REST_S
    service.worked()
    assert service.interval_s(1.0) == 1.0


def test_nobody_looks_more_often_for_being_at_rest(clock: Clock) -> None:
    service = Pace()
    clock.now += 2 * BUSY_S
    assert service.interval_s(60.0) == 60.0


async def test_whoever_rests_looks_as_soon_as_something_was_done(clock: Clock) -> None:
    service = Pace()
    clock.now += 2 * BUSY_S
    resting = [asyncio.create_task(service.pause(0.0)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not any(each.done() for each in resting)
    service.worked()
    async with asyncio.timeout(REST_S / 2):
        await asyncio.gather(*resting)


async def test_what_was_done_before_the_rest_does_not_end_it(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "REST_S", 0.05)
    service = Pace()
    service.worked()
    clock.now += 2 * BUSY_S
    began = asyncio.get_running_loop().time()
    await service.pause(0.0)
    assert asyncio.get_running_loop().time() - began >= 0.04
