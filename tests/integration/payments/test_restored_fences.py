"""What an office said of a lost region after the backup that it was restored from stands."""

from pathlib import Path

import pytest

from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_payments.handlers import lost
from integration.payments.fenced import FREE, OWED, close_conflicts, come_back, declare_lost
from integration.payments.offices import (
    CHECKER,
    MAKER,
    Desk,
    approved,
    confirmed,
    exchange,
    public,
    withdrawn,
)
from integration.payments.restored import (
    agree,
    backed_up,
    events_of,
    hear_again,
    over,
    restored_office,
    two_offices,
)
from support.servers import DatabaseFactory

GIVEN = "SELECT amount_minor - returned_minor FROM grant_allotment WHERE id = $1"
WAITING = "SELECT count(*) FROM handoff WHERE status = 'waiting' AND to_region = 'lviv'"
LEFT = """
    SELECT COALESCE(array_agg(event_type), '{}') FROM conflict
    WHERE event_type <> 'payments.grant.changed.v1'
"""
STANDS = "SELECT (standing, epoch) FROM region_standing WHERE region = 'lviv'"


@pytest.mark.parametrize("by", ["kyiv", "odesa"])
async def test_what_was_taken_back_of_a_lost_region_since_the_backup_is_in_the_books(
    database: DatabaseFactory, tmp_path: Path, by: str
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    grant_id = await kyiv.grant(10_000)
    given = await kyiv.allot(grant_id, 10_000, to="lviv")
    await exchange(kyiv, lviv)
    used = approved(3_000)
    await lviv.feed(used)
    await lviv.feed(confirmed(used))
    await exchange(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path)

    in_the_dark = approved(6_000)
    await lviv.feed(in_the_dark)
    await lviv.feed(confirmed(in_the_dark))
    await declare_lost(kyiv, "lviv")
    await kyiv.allot(grant_id, 7_000)  # what was taken back is given on
    fence = await public(kyiv)
    await lviv.feed(*fence, region="kyiv")
    assert await lviv.value(OWED) == 6_000
    await kyiv.db.close()

    if by == "kyiv":
        restored = await restored_office(dsn, fresh, backup, lviv)
    else:
        said_elsewhere = frozenset({RegionChangedV1.type})
        restored = await restored_office(dsn, fresh, backup, lviv, without=said_elsewhere)
        said = [event for event in fence if isinstance(event, RegionChangedV1)]
        await restored.feed(*said, region="odesa")
    assert await restored.value(STANDS) == ("lost", 1)
    assert await restored.value(GIVEN, given) == 3_000
    assert await restored.value(FREE) == 0
    assert await restored.value("SELECT (epoch, amount_minor) FROM reissue") == (1, 7_000)
    assert await restored.value(LEFT) == []
    # What comes late has no effect.
    await hear_again(restored, lviv)
    assert await restored.value("SELECT committed_minor FROM allotment_elsewhere") == 3_000

    await _let_in_again(restored, lviv)
    await agree(restored, lviv)
    await lviv.feed(withdrawn(in_the_dark))
    assert await lviv.value(OWED) == 0
    await restored.feed(*await public(lviv), region="lviv", epoch=2)
    await agree(restored, lviv)
    await over(restored, lviv)


async def test_a_region_that_was_lost_and_let_in_again_since_the_backup_is_a_member(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    given = await kyiv.allot(await kyiv.grant(10_000), 10_000, to="lviv")
    await exchange(kyiv, lviv)
    # Who of two leads is still asked is not asked any more.
    await kyiv.run(lambda tx: lost.declare(kyiv.office, tx, "lviv", "flooded", MAKER))
    backup = await backed_up(dsn, tmp_path)
    await lviv.feed(approved(4_000))
    await kyiv.run(lambda tx: lost.confirm(tx, "lviv", CHECKER))
    await _let_in_again(kyiv, lviv)
    await kyiv.db.close()

    restored = await restored_office(dsn, fresh, backup, lviv)
    assert await restored.value(STANDS) == ("member", 2)
    assert await restored.value("SELECT state FROM lost_declaration") == "confirmed"
    assert await restored.value(GIVEN, given) == 0
    assert await restored.value(LEFT) == []
    for event in await events_of(lviv):
        if event.stream == "EVENTS":
            await restored.feed(event, region="lviv", epoch=2)
    await agree(restored, lviv)
    assert await lviv.value(OWED) == 4_000
    await over(restored, lviv)


async def test_a_lost_region_pays_nothing_that_it_was_asked_to_before_the_backup(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    await kyiv.purse(50_000)
    need = approved(5_000)
    await kyiv.feed(need)
    await kyiv.feed(confirmed(need))
    await kyiv.execute(
        "UPDATE payout SET state = 'approved', assigned_to = 'lviv', approver = $1", CHECKER
    )
    backup = await backed_up(dsn, tmp_path)
    await declare_lost(kyiv, "lviv")
    await kyiv.db.close()

    restored = await restored_office(dsn, fresh, backup, lviv)
    assert await restored.value("SELECT (state, assigned_to) FROM payout") == ("approved", None)
    assert await restored.value("SELECT about FROM unproven WHERE cleared_at IS NULL") == "payout"
    assert await restored.value(WAITING) == 1
    await over(restored, lviv)


async def _let_in_again(restored: Desk, lviv: Desk) -> None:
    await close_conflicts(restored)
    await restored.run(lambda tx: lost.readmit(tx, "lviv"))
    await lviv.feed(*await public(restored), region="kyiv", epoch=2)
    await come_back(lviv)
    await restored.feed(*await public(lviv), region="lviv", epoch=2)
    await lviv.feed(*await public(restored), region="kyiv", epoch=2)
