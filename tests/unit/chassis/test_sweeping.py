"""Timed work tells in its log lines which it is and how long it took."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from structlog.contextvars import get_contextvars

from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.pace import Pace
from aidmesh_chassis.upkeep import Sweep, keep_sweeping
from support.loglines import written
from support.waiting import eventually


class Nothing:
    """A database whose transactions do nothing; whoever asks for a lock gets it."""

    def __init__(self) -> None:
        self.pace = Pace()

    @asynccontextmanager
    async def transaction(self, *, looks: bool) -> AsyncIterator["Nothing"]:
        assert looks
        yield self

    @property
    def conn(self) -> "Nothing":
        return self

    async def fetchval(self, _: str, *__: object) -> bool:
        return True


async def _keep(sweep: Sweep) -> None:
    await keep_sweeping(cast("Database", Nothing()), sweep, lambda: True, asyncio.Semaphore())


class Ends(Exception):
    """The test has seen enough."""


@pytest.mark.parametrize(
    ("raised", "event", "level"),
    [
        (None, "sweep.done", "debug"),
        (ConnectionResetError(), "sweep.waits", "warning"),
        (LookupError(), "sweep.failed", "error"),
    ],
)
async def test_lines_name_the_sweep_and_its_duration(
    raised: Exception | None, event: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    async def run(_: Tx) -> int:
        seen.append(get_contextvars()["sweep"])
        if raised is not None:
            raise raised
        return 3

    async def over(_: float) -> None:
        raise Ends

    monkeypatch.setattr("aidmesh_chassis.pace.asyncio.sleep", over)
    sweep = Sweep("overdue", 60.0, run)
    with written("intake", level="debug") as lines, pytest.raises(Ends):
        await _keep(sweep)
    (line,) = lines.of(event)
    assert seen == ["overdue"]
    assert (line["sweep"], line["level"]) == ("overdue", level)
    assert line["duration_ms"] >= 0
    assert "sweep" not in get_contextvars()


async def test_a_sweep_whose_database_is_away_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = 0

    async def run(_: Tx) -> int:
        nonlocal tries
        tries += 1
        if tries <= 5:
            raise ConnectionResetError
        return 3

    async def at_once(_: float) -> None:
        if tries > 5:
            raise Ends

    monkeypatch.setattr("aidmesh_chassis.pace.asyncio.sleep", at_once)
    with written("intake") as lines, pytest.raises(Ends):
        await _keep(Sweep("overdue", 60.0, run))
    (waits,) = lines.of("sweep.waits")
    (over,) = lines.of("wait.over")
    assert (waits["sweep"], over["sweep"]) == ("overdue", "overdue")
    assert (over["of"], over["left_out"]) == ("sweep.waits", 4)


async def test_no_more_sweeps_of_a_service_run_at_once_than_have_a_turn() -> None:
    running = most = 0
    done: set[str] = set()

    def sweep(name: str) -> Sweep:
        async def run(_: Tx) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            done.add(name)
            return 0

        return Sweep(name, 60.0, run)

    names = {f"sweep-{number}" for number in range(8)}
    turns = asyncio.Semaphore(2)
    tasks = [
        asyncio.create_task(
            keep_sweeping(cast("Database", Nothing()), sweep(name), lambda: True, turns)
        )
        for name in names
    ]
    await eventually(lambda: done == names)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 2


async def test_a_sweep_whose_region_went_away_while_it_waited_for_a_turn_is_not_run() -> None:
    is_abreast, ran = True, 0
    answers: list[bool] = []

    def abreast() -> bool:
        answers.append(is_abreast)
        return is_abreast

    async def run(_: Tx) -> int:
        nonlocal ran
        ran += 1
        return 0

    turns = asyncio.Semaphore()
    await turns.acquire()
    sweep = Sweep("overdue", 60.0, run, when_abreast=True)
    task = asyncio.create_task(keep_sweeping(cast("Database", Nothing()), sweep, abreast, turns))
    await asyncio.sleep(0)
    is_abreast = False
    turns.release()
    await eventually(lambda: False in answers)
    assert ran == 0
    is_abreast = True
    await eventually(lambda: ran == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
