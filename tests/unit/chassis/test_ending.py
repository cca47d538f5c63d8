"""A loop ends even when a library loses the cancellation."""

import asyncio

import pytest

from aidmesh_chassis import ending


async def test_a_cancellation_that_was_swallowed_still_ends_the_loop() -> None:
    turns = 0

    async def swallowing() -> None:
        nonlocal turns
        while ending.goes_on():
            turns += 1
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue  # as asyncio.wait_for does before Python 3.12 when its result is there

    task = asyncio.create_task(swallowing())
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(5):
        await task
    assert turns == 1


async def test_check_raises_what_was_lost() -> None:
    async def losing() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ending.check()
            raise AssertionError("check let it pass") from None

    task = asyncio.create_task(losing())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_was_not_cancelled_goes_on() -> None:
    assert ending.goes_on()
    ending.check()


class Transport:
    """A connection that is closing while it connects anew: both wait for one future."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        reconnecting = asyncio.create_task(self._wait())
        await asyncio.sleep(0)
        reconnecting.cancel()
        await asyncio.sleep(0)
        await self._wait()

    async def _wait(self) -> None:
        await self.closed


async def test_closing_cancels_nobody_but_what_the_library_waits_for() -> None:
    await ending.close(Transport())
    assert ending.goes_on()


async def test_who_is_cancelled_while_closing_is_cancelled() -> None:
    class Slow:
        async def close(self) -> None:
            await asyncio.sleep(60)

    task = asyncio.create_task(ending.close(Slow()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_is_cut_off_by_a_library_ends_its_group() -> None:
    async def working() -> None:
        await Transport().close()

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ending.lasting(working()))
    assert caught.group_contains(ending.CutOffError)


async def test_lasting_work_ends_by_itself_and_by_being_cancelled() -> None:
    assert await ending.lasting(asyncio.sleep(0, "done")) == "done"
    task = asyncio.create_task(ending.lasting(asyncio.sleep(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
