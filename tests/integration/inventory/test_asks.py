"""Asks between two real databases: promised, withdrawn, and answered while they are withdrawn."""

import asyncio
import random

import pytest

from aidmesh_chassis.errors import Poison
from aidmesh_inventory.domain.shipments import Counted
from aidmesh_inventory.handlers import transfers
from aidmesh_inventory.store.shipments import Book
from integration.inventory.sides import Side, exchange


async def test_no_more_is_sent_for_an_ask_than_was_promised_and_nothing_else(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    await kyiv.world.item("blanket")
    lot_id = await kyiv.world.stock(kyiv.site_id, 30)
    blankets = await kyiv.world.stock(kyiv.site_id, 5, item="blanket")
    transfer_id = await lviv.ask(kyiv, 15)
    await exchange(kyiv, lviv)
    early = await kyiv.prepare(lviv, (lot_id, 1), transfer_id=transfer_id)
    assert early == "not-accepted"
    assert await kyiv.accept(transfer_id, 12) is None
    other = await kyiv.prepare(lviv, (lot_id, 1), (blankets, 1), transfer_id=transfer_id)
    assert other == "not-what-was-asked"
    first = await kyiv.send(lviv, (lot_id, 7), transfer_id=transfer_id)
    assert await kyiv.add(first.shipment_id, (blankets, 1)) == "not-what-was-asked"
    assert await kyiv.prepare(lviv, (lot_id, 6), transfer_id=transfer_id) == "more-than-accepted"
    second = await kyiv.send(lviv, (lot_id, 4), transfer_id=transfer_id)
    assert await kyiv.add(second.shipment_id, (lot_id, 2)) == "more-than-accepted"
    assert isinstance(await kyiv.add(second.shipment_id, (lot_id, 1)), Book)
    assert isinstance(await kyiv.dispatch(second.shipment_id), Book)
    # What is given up is free for another shipment, what left is not.
    assert isinstance(await kyiv.cancel(first.shipment_id), Book)
    assert await kyiv.prepare(lviv, (lot_id, 8), transfer_id=transfer_id) == "more-than-accepted"
    await kyiv.send(lviv, (lot_id, 7), transfer_id=transfer_id)
    # Unasked anything can be sent.
    await kyiv.send(lviv, (lot_id, 9), (blankets, 5))


async def test_two_who_prepare_for_one_ask_do_not_promise_it_twice(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 30)
    transfer_id = await lviv.ask(kyiv, 10)
    await exchange(kyiv, lviv)
    assert await kyiv.accept(transfer_id, 10) is None
    made = await asyncio.gather(
        *(kyiv.prepare(lviv, (lot_id, 6), transfer_id=transfer_id) for _ in range(4))
    )
    assert sorted(str(each) for each in made if isinstance(each, str)) == ["more-than-accepted"] * 3


async def test_an_ask_is_withdrawn_by_whoever_asked_and_what_left_comes_all_the_same(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 30)
    transfer_id = await lviv.ask(kyiv, 10)
    await exchange(kyiv, lviv)
    assert await kyiv.withdraw(transfer_id) == "unknown-transfer"
    assert await kyiv.accept(transfer_id, 10) is None
    left = await kyiv.send(lviv, (lot_id, 4), transfer_id=transfer_id)
    assert isinstance(await kyiv.dispatch(left.shipment_id), Book)
    waits = await kyiv.send(lviv, (lot_id, 5), transfer_id=transfer_id)
    assert await lviv.withdraw(transfer_id) is None
    assert await lviv.withdraw(transfer_id) == "ask-withdrawn"
    await exchange(kyiv, lviv)
    for side in pair:
        assert await side.world.value("SELECT state FROM transfer") == "withdrawn"
    # What was prepared for it stays, until somebody cancels it.
    assert await kyiv.dispatch(waits.shipment_id) == "ask-withdrawn"
    assert await kyiv.add(waits.shipment_id, (lot_id, 1)) == "ask-withdrawn"
    assert await kyiv.prepare(lviv, (lot_id, 1), transfer_id=transfer_id) == "ask-withdrawn"
    assert await kyiv.accept(transfer_id, 1) == "ask-withdrawn"
    assert isinstance(await kyiv.cancel(waits.shipment_id), Book)
    line_id = left.shipment.lines[0].line_id
    assert isinstance(await lviv.count(left.shipment_id, {line_id: Counted(4, 0, None)}), Book)


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("seed", range(3))
async def test_both_ends_agree_on_an_ask_that_is_answered_while_it_is_withdrawn(
    pair: tuple[Side, Side], seed: int, *, accepted: bool
) -> None:
    kyiv, lviv = pair
    transfer_id = await lviv.ask(kyiv, 10)
    first = await lviv.said()
    await kyiv.hear(first, "lviv")
    async with kyiv.world.database.transaction() as tx:
        fault = await transfers.answer(
            tx,
            region="kyiv",
            transfer_id=transfer_id,
            accepted=10 if accepted else None,
            reason=None if accepted else "own_needs",
            by=None,
        )
    assert fault is None
    assert await lviv.withdraw(transfer_id) is None
    late = [(kyiv, each, "lviv") for each in (*first, *await lviv.said())]
    late += [(lviv, each, "kyiv") for each in await kyiv.said()]
    random.Random(seed).shuffle(late)
    for at, event, region in (*late, *late):
        await at.hear([event], region)
    for side in pair:
        assert await side.world.value("SELECT state FROM transfer") == "withdrawn"


async def test_a_withdrawal_may_come_before_its_ask(pair: tuple[Side, Side]) -> None:
    kyiv, lviv = pair
    transfer_id = await lviv.ask(kyiv, 10)
    assert await lviv.withdraw(transfer_id) is None
    asked, withdrawn = await lviv.said()
    with pytest.raises(Poison):
        await kyiv.hear([withdrawn], "odesa")
    await kyiv.hear([withdrawn], "lviv")
    other = withdrawn.model_copy(update={"to_region": "odesa"})
    with pytest.raises(Poison):
        await kyiv.hear([other], "odesa")
    await kyiv.hear([asked], "lviv")
    assert await kyiv.accept(transfer_id, 1) == "ask-withdrawn"
