"""Everybody begins with what a run must have; what can't be done yet does not hold up the rest."""

from collections.abc import Awaitable, Callable
from typing import cast

from aidmesh.chaos.load.client import Client
from aidmesh.chaos.load.firsts import TRIES_MAX, Firsts


class Caller:
    """Stands in for a client: counts what it begins."""

    def __init__(self) -> None:
        self.begun = 0
        self.done: set[str] = set()
        self.tried: list[str] = []


def step(
    caller: Caller, what: str, *, begins: bool = True, accepted: bool = True
) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        caller.tried.append(what)
        caller.begun += begins
        if begins and accepted:
            caller.done.add(what)

    return act


def firsts(caller: Caller, **steps: Callable[[], Awaitable[None]]) -> Firsts:
    return Firsts(cast("Client", caller), steps)


async def test_each_is_done_once_in_its_order() -> None:
    caller = Caller()
    first = firsts(caller, ask=step(caller, "ask"), count=step(caller, "count"))

    assert [await first.act() for _ in range(4)] == [True, True, False, False]
    assert caller.tried == ["ask", "count"]


async def test_whoever_has_to_wait_for_others_goes_on_meanwhile() -> None:
    caller = Caller()
    first = firsts(caller, count=step(caller, "count", begins=False), ask=step(caller, "ask"))

    assert [await first.act() for _ in range(3)] == [True, False, False]
    assert caller.tried == ["count", "ask", "count", "count"]


async def test_what_is_refused_again_and_again_is_left_to_chance() -> None:
    caller = Caller()
    first = firsts(caller, ask=step(caller, "ask", accepted=False), count=step(caller, "count"))

    begun = [await first.act() for _ in range(TRIES_MAX + 2)]

    assert begun == [True] * (TRIES_MAX + 1) + [False]
    assert caller.tried == ["ask"] * TRIES_MAX + ["count"]
