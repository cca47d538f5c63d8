"""What staff of two offices do with a proposal that money moves on."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import AllotmentId, RebalancingId
from aidmesh_payments.handlers import rebalancing, return_asks
from integration.payments.offices import CHECKER, MAKER, Desk, exchange


async def propose(
    desk: Desk, allotment_id: AllotmentId, amount: int, to: str, by: UUID | None = MAKER
) -> RebalancingId:
    made = RebalancingId(uuid4())
    await desk.run(
        lambda tx: rebalancing.propose(
            desk.office, tx, made, allotment_id, to, amount, "waiting_needs", 14, by
        )
    )
    return made


async def sign(desk: Desk, made: RebalancingId, by: UUID = CHECKER) -> None:
    await desk.run(lambda tx: rebalancing.sign(desk.office, tx, made, by))


async def prepare(
    desk: Desk, made: RebalancingId, amount: int | None = None, by: UUID = MAKER
) -> None:
    await desk.run(lambda tx: return_asks.prepare(desk.office, tx, made, amount, by))


async def consent(desk: Desk, made: RebalancingId, by: UUID = CHECKER) -> None:
    await desk.run(lambda tx: return_asks.consent(desk.office, tx, made, by))


async def decline(desk: Desk, made: RebalancingId) -> None:
    await desk.run(lambda tx: return_asks.decline(desk.office, tx, made, "needed_here", MAKER))


async def step(desk: Desk, made: RebalancingId, taken: Callable[..., Awaitable[None]]) -> None:
    await desk.run(lambda tx: taken(desk.office, tx, made))


async def sweep(desk: Desk) -> None:
    await desk.run(partial(rebalancing.pass_on, desk.office))
    await desk.run(partial(return_asks.lapse, desk.office))


async def settle(kyiv: Desk, lviv: Desk) -> None:
    """Let both do and tell all they have to."""
    for _ in range(3):
        for desk in (kyiv, lviv):
            await sweep(desk)
        await exchange(kyiv, lviv)


async def refused(act: Awaitable[Any]) -> str:
    with pytest.raises(Problem) as problem:
        await act
    return problem.value.kind.slug


async def states(kyiv: Desk, lviv: Desk) -> tuple[object, object]:
    return (
        await kyiv.value("SELECT state FROM rebalancing"),
        await lviv.value("SELECT (state, told_state) FROM return_ask"),
    )
