"""What looks after things goes on, whatever it meets, and says what that was."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from aidmesh.watching import unfailing
from support.loglines import written
from support.waiting import eventually


async def test_an_error_that_nobody_expected_is_told_and_the_work_is_begun_anew() -> None:
    begun: list[str] = []

    async def work() -> None:
        begun.append("once")
        if len(begun) == 1:
            raise KeyError("whatever")
        await asyncio.Event().wait()

    with written("mesh") as lines:
        task = asyncio.create_task(unfailing("postgres", work, "kyiv"))
        await eventually(lambda: len(begun) == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    (line,) = lines.of("watch.failed")
    assert (line["level"], line["region"], line["watched"]) == ("error", "kyiv", "postgres")
    assert line["exception"]["type"] == "builtins.KeyError"
    assert task.cancelled()


async def test_a_library_that_cuts_it_off_does_not_end_it() -> None:
    begun: list[str] = []

    async def work() -> None:
        begun.append("once")
        if len(begun) == 1:
            raise asyncio.CancelledError
        await asyncio.Event().wait()

    task = asyncio.create_task(unfailing("postgres", work))
    await eventually(lambda: len(begun) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_fails_again_and_again_is_begun_later_each_time_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async def work() -> None:
        if len(pauses) < 8:
            raise ValueError

    monkeypatch.setattr(asyncio, "sleep", note)
    await unfailing("postgres", work)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
