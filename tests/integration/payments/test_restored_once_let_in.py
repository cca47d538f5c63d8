"""A region that is restored once it was let in again counts, and may not know of its fence yet."""

from functools import partial
from pathlib import Path

import pytest

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import AllotmentId
from aidmesh_contracts.payments_grants import AllotmentReturnedV1
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
)
from integration.payments.offices import Desk, approved, confirmed, exchange, public, withdrawn
from integration.payments.restored import backed_up, events_of, over, restored_office, two_offices
from support.servers import DatabaseFactory

RETURNED = "SELECT count(*) FROM conflict WHERE event_type = $1 AND closed_at IS NULL"
OLDER = """
    UPDATE outbox SET payload = convert_to(
        (convert_from(payload, 'UTF8')::jsonb - 'fences')::text, 'UTF8')
    WHERE stream = 'EVENTS'
"""
ON_ITS_WAY = "SELECT count(*) FROM transfer WHERE state = 'in_transit'"


@pytest.mark.parametrize("given_back", [100, 600])
async def test_what_is_given_back_before_a_fence_was_heard_of_is_credited_once(
    pair: tuple[Desk, Desk], given_back: int
) -> None:
    kyiv, lviv = pair
    allotment = await _fenced(kyiv, lviv)
    await _restored(lviv)
    await lviv.run(lambda tx: holding.give_back(lviv.office, tx, allotment, given_back))
    await kyiv.feed(*await public(lviv), region="lviv", epoch=2)
    assert (await kyiv.value(FREE), await kyiv.value(GONE)) == (600, 400)
    assert await kyiv.value(RETURNED, AllotmentReturnedV1.type) == 1

    await lviv.feed(*await public(kyiv), region="kyiv")
    await come_back(lviv)
    await kyiv.feed(*await public(lviv), region="lviv", epoch=2)
    assert (await kyiv.value(FREE), await kyiv.value(GONE)) == (600, 400)
    assert (await lviv.value(THERE), await lviv.value(OWED), await lviv.value(UNTOLD)) == (
        400,
        0,
        0,
    )
    assert await lviv.value(ON_ITS_WAY) == 0
    for desk in pair:
        await desk.check()


@pytest.mark.parametrize(("given_back", "older"), [(100, False), (700, False), (100, True)])
async def test_what_a_backup_does_not_know_was_given_back_in_vain_is_set_against_the_fence(
    database: DatabaseFactory, tmp_path: Path, given_back: int, older: bool
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    allotment = await lviv.allot(await lviv.grant(1_000), 1_000, to="kyiv")
    await exchange(kyiv, lviv)
    need = approved(300)
    await kyiv.feed(need)
    await kyiv.feed(confirmed(need))
    await exchange(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path)
    await declare_lost(lviv, "kyiv")
    await kyiv.run(lambda tx: holding.give_back(kyiv.office, tx, allotment, given_back))
    await lviv.feed(*await public(kyiv), region="kyiv")
    if older:
        await kyiv.execute(OLDER)
    await close_conflicts(lviv)
    await lviv.run(lambda tx: lost.readmit(tx, "kyiv"))
    await kyiv.db.close()

    restored = await restored_office(dsn, fresh, backup, lviv)
    await _says_only_what_is_new(restored)
    await lviv.feed(*await public(restored), region="kyiv", epoch=2)
    assert (await lviv.value(FREE), await lviv.value(GONE)) == (700, 300)
    await _hear_all(restored, lviv)
    assert (await lviv.value(FREE), await lviv.value(GONE)) == (700, 300)
    assert (await restored.value(THERE), await restored.value(OWED)) == (300, 0)
    assert await restored.value(ON_ITS_WAY) == 0
    await over(restored, lviv)


async def test_what_was_given_back_since_a_fence_was_heard_of_is_not_set_against_it(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    await lviv.allot(await lviv.grant(1_000), 1_000, to="kyiv")
    await exchange(kyiv, lviv)
    need = approved(400)
    await kyiv.feed(need)
    await exchange(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path)
    await declare_lost(lviv, "kyiv")
    await lviv.run(lambda tx: lost.readmit(tx, "kyiv"))
    await kyiv.feed(*await public(lviv), region="lviv")
    await come_back(kyiv)
    await kyiv.feed(withdrawn(need))
    await lviv.feed(*await public(kyiv), region="kyiv", epoch=2)
    assert await lviv.value(FREE) == 1_000
    await kyiv.db.close()

    restored = await restored_office(dsn, fresh, backup, lviv, epoch=3)
    await _says_only_what_is_new(restored)
    await lviv.feed(*await public(restored), region="kyiv", epoch=3)
    await _hear_all(restored, lviv)
    assert (await lviv.value(FREE), await lviv.value(GONE)) == (1_000, 0)
    # What had paid the fence off nobody was told: it is committed until people cancel that.
    assert (await restored.value(THERE), await restored.value(OWED)) == (600, 600)
    await over(restored, lviv)


@pytest.mark.parametrize("had_heard", [False, True])
async def test_what_was_told_anew_as_a_sum_is_not_told_again_after_a_restore(
    database: DatabaseFactory, tmp_path: Path, had_heard: bool
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    allotment = await lviv.allot(await lviv.grant(1_000), 1_000, to="kyiv")
    await exchange(kyiv, lviv)
    need, let_go = approved(300), approved(100)
    await kyiv.feed(need, let_go)
    await kyiv.feed(confirmed(need))
    await exchange(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path) if not had_heard else None
    await declare_lost(lviv, "kyiv")
    await kyiv.feed(withdrawn(let_go))
    await kyiv.run(lambda tx: holding.give_back(kyiv.office, tx, allotment, 700))
    await lviv.feed(*await public(kyiv), region="kyiv")
    await close_conflicts(lviv)
    await lviv.run(lambda tx: lost.readmit(tx, "kyiv"))
    await kyiv.feed(*await public(lviv), region="lviv")
    backup = backup or await backed_up(dsn, tmp_path)
    await come_back(kyiv)
    await lviv.feed(*await public(kyiv), region="kyiv", epoch=2)
    assert (await lviv.value(FREE), await lviv.value(GONE)) == (700, 300)
    await kyiv.db.close()

    restored = await restored_office(dsn, fresh, backup, lviv, epoch=3)
    await _says_only_what_is_new(restored)
    await lviv.feed(*await public(restored), region="kyiv", epoch=3)
    await _hear_all(restored, lviv)
    assert (await lviv.value(FREE), await lviv.value(GONE)) == (700, 300)
    assert (await restored.value(THERE), await restored.value(OWED)) == (300, 0)
    await over(restored, lviv)


async def test_more_than_is_with_a_holder_is_left_to_people(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    allotment = await _fenced(kyiv, lviv)
    await _restored(lviv)
    for amount_minor in (300, 200):  # an older region does not say what it knew
        await lviv.run(partial(_gives_back, lviv, allotment, amount_minor))
    older = [
        each.model_copy(update={"fences": None})
        for each in await public(lviv)
        if isinstance(each, AllotmentReturnedV1)
    ]
    await kyiv.feed(*older, region="lviv", epoch=2)
    assert (await kyiv.value(FREE), await kyiv.value(GONE)) == (900, 100)
    assert await kyiv.value(RETURNED, AllotmentReturnedV1.type) == 1
    await kyiv.feed(*older, region="lviv", epoch=2)
    assert (await kyiv.value(FREE), await kyiv.value(GONE)) == (900, 100)
    await kyiv.check()


async def _gives_back(desk: Desk, allotment: AllotmentId, amount_minor: int, tx: Tx) -> None:
    await holding.give_back(desk.office, tx, allotment, amount_minor)


async def _says_only_what_is_new(restored: Desk) -> None:
    """What it had said before is in its history, in the epochs of then, and known."""
    before = "SELECT COALESCE(max(seq), 0) FROM outbox WHERE (headers ->> 'aid-epoch')::int < $1"
    restored.read_to = await restored.value(before, restored.db.origin.epoch)


async def _hear_all(restored: Desk, lviv: Desk) -> None:
    """It reads Lviv's log from its start, and says the rest."""
    epoch = restored.db.origin.epoch
    for event in await events_of(lviv):
        if event.stream == "EVENTS":
            await restored.feed(event, region="lviv")
    await come_back(restored)
    while said := await public(restored):
        await lviv.feed(*said, region="kyiv", epoch=epoch)
        await restored.feed(*await public(lviv), region="lviv")


async def _fenced(kyiv: Desk, lviv: Desk) -> AllotmentId:
    """What lviv has of kyiv's, 1,000: of it 600 were taken back, and lviv was let in again."""
    allotment = await kyiv.allot(await kyiv.grant(1_000), 1_000, to="lviv")
    await exchange(kyiv, lviv)
    await lviv.feed(approved(400))
    await exchange(kyiv, lviv)
    await declare_lost(kyiv, "lviv")
    await close_conflicts(kyiv)
    await kyiv.run(lambda tx: lost.readmit(tx, "lviv"))
    assert await kyiv.value(FREE) == 600
    return allotment


async def _restored(lviv: Desk) -> None:
    """It speaks in the epoch after the last one that was heard: nobody has heard of it yet."""
    lviv.db.origin.epoch = 2
