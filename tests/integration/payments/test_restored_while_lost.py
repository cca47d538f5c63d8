"""A region that is restored while it is held for lost speaks in an epoch that was not fenced."""

from aidmesh_payments.handlers import holding, lost
from integration.payments.fenced import (
    FREE,
    GONE,
    OWED,
    THERE,
    UNTOLD,
    close_conflicts,
    come_back,
    declare_lost,
    restore,
)
from integration.payments.offices import Desk, approved, confirmed, exchange, public, withdrawn


async def test_what_a_region_said_that_was_restored_while_it_was_lost_is_told_again(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    await kyiv.allot(await kyiv.grant(1_000), 1_000, to="lviv")
    await exchange(kyiv, lviv)
    need = approved(400)
    await lviv.feed(need)
    await lviv.feed(confirmed(need))
    await exchange(kyiv, lviv)
    await declare_lost(kyiv, "lviv")
    assert await kyiv.value(FREE) == 600

    await restore(lviv, kyiv)
    await lviv.feed(*await public(kyiv), region="kyiv")
    await lviv.feed(withdrawn(need))
    await kyiv.feed(*await public(lviv), region="lviv", epoch=2)
    assert await kyiv.value(FREE) == 600

    await close_conflicts(kyiv)
    await kyiv.run(lambda tx: lost.readmit(tx, "lviv"))
    await lviv.feed(*await public(kyiv), region="kyiv")
    await come_back(lviv)
    assert lviv.db.origin.epoch == 3
    await kyiv.feed(*await public(lviv), region="lviv", epoch=3)
    await lviv.feed(*await public(kyiv), region="kyiv")
    assert (await kyiv.value(FREE), await kyiv.value(GONE)) == (1_000, 0)
    assert (await lviv.value(THERE), await lviv.value(OWED), await lviv.value(UNTOLD)) == (0, 0, 0)
    assert await lviv.value("SELECT count(*) FROM transfer WHERE state = 'in_transit'") == 0


async def test_what_was_given_back_before_a_fence_was_heard_of_pays_off_what_is_owed(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment = await kyiv.allot(await kyiv.grant(1_000), 1_000, to="lviv")
    await exchange(kyiv, lviv)
    await lviv.feed(approved(400))
    await exchange(kyiv, lviv)
    await declare_lost(kyiv, "lviv")
    await restore(lviv, kyiv)
    await lviv.run(lambda tx: holding.give_back(lviv.office, tx, allotment, 100))
    await kyiv.feed(*await public(lviv), region="lviv", epoch=2)
    await lviv.feed(*await public(kyiv), region="kyiv")
    assert await lviv.value(OWED) == 0

    await close_conflicts(kyiv)
    await kyiv.run(lambda tx: lost.readmit(tx, "lviv"))
    await lviv.feed(*await public(kyiv), region="kyiv")
    await come_back(lviv)
    await kyiv.feed(*await public(lviv), region="lviv", epoch=3)
    assert (await kyiv.value(FREE), await kyiv.value(GONE)) == (600, 400)
    assert (await lviv.value(THERE), await lviv.value(OWED)) == (400, 0)


async def test_nothing_is_taken_back_twice_by_the_same_figures(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(1_500)
    allotment = await kyiv.allot(grant_id, 1_000, to="lviv")
    await exchange(kyiv, lviv)
    await lviv.feed(approved(400))
    await exchange(kyiv, lviv)
    await kyiv.allot(grant_id, 500, to="lviv", allotment_id=allotment)  # it may get there
    await declare_lost(kyiv, "lviv")
    assert await kyiv.value(FREE) == 600
    await restore(lviv, kyiv)
    await kyiv.run(lambda tx: lost.readmit(tx, "lviv"))
    assert await kyiv.value("SELECT array_agg(epoch ORDER BY epoch) FROM reissue") == [1, 2]
    assert await kyiv.value(FREE) == 600
