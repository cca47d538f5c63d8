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
