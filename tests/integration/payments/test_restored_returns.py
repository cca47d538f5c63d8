"""What an office gave back after the backup that it was restored from went back once."""

from pathlib import Path

import pytest

from aidmesh_contracts.ids import AllotmentId
from aidmesh_payments.handlers import allotting
from integration.payments.moving import consent, prepare, propose, refused, settle, sign
from integration.payments.offices import Desk, approved, confirmed, exchange, withdrawn
from integration.payments.restored import (
    agree,
    backed_up,
    give_back,
    hear_again,
    over,
    restored_office,
    two_offices,
)
from support.servers import DatabaseFactory

OUTSTANDING = "SELECT amount_minor - returned_minor FROM grant_allotment WHERE id = $1"
FIGURES = "SELECT (received_minor, returned_minor, committed_minor) FROM allotment WHERE id = $1"

ASKED = "SELECT (state, prepared_minor) FROM return_ask"


@pytest.mark.parametrize("recalled", [False, True])
async def test_what_was_held_then_and_given_back_since_is_given_back(
    database: DatabaseFactory, tmp_path: Path, recalled: bool
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    allotment_id = await _given(kyiv, lviv)
    need = approved(600)
    await kyiv.feed(need)
    if recalled:
        await _recall(lviv, allotment_id)  # and 400 go back
        await exchange(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path)
    await kyiv.feed(withdrawn(need))
    if not recalled:
        await give_back(kyiv, allotment_id, 700)
    await exchange(kyiv, lviv)
    left = 0 if recalled else 300
    assert await lviv.value(OUTSTANDING, allotment_id) == left
    await kyiv.db.close()

    restored = await restored_office(dsn, fresh, backup, lviv)
    assert await restored.value(FIGURES, allotment_id) == (1_000, 1_000 - left, 0)
    assert await restored.value("SELECT count(*) FROM conflict") == 0
    await hear_again(restored, lviv)
    await agree(restored, lviv)
    if not recalled:
        # What goes back next is another transfer than any that is known.
        await _recall(lviv, allotment_id)
        await exchange(restored, lviv)
    assert await lviv.value(OUTSTANDING, allotment_id) == 0
    await agree(restored, lviv)
    await over(restored, lviv)


async def test_what_was_held_of_recalled_money_and_spent_since_does_not_go_back(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    allotment_id = await _given(kyiv, lviv)
    need = approved(600)
    await kyiv.feed(need)
    await _recall(lviv, allotment_id)
    await exchange(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path)
    await kyiv.feed(confirmed(need))
    await exchange(kyiv, lviv)
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv)
    assert await restored.value(FIGURES, allotment_id) == (1_000, 400, 600)
    await hear_again(restored, lviv)
    assert await lviv.value(OUTSTANDING, allotment_id) == 600
    await over(restored, lviv)


async def test_what_was_committed_then_and_given_back_since_is_owed(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    allotment_id = await _given(kyiv, lviv)
    need = approved(600)
    await kyiv.feed(need)
    await kyiv.feed(confirmed(need))
    backup = await backed_up(dsn, tmp_path)
    await kyiv.feed(withdrawn(need))
    for amount in (500, 200):
        await give_back(kyiv, allotment_id, amount)
    await exchange(kyiv, lviv)
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv)
    # The smaller one fits. A person hears of the other, and nothing of it is promised again.
    assert await restored.value("SELECT count(*) FROM conflict") == 1
    assert await restored.value(FIGURES, allotment_id) == (1_000, 400, 600)
    assert await restored.value("SELECT sum(owed_minor) FROM taken_back") == 300
    await hear_again(restored, lviv)
    await restored.feed(withdrawn(need))
    await exchange(restored, lviv)
    assert await restored.value(FIGURES, allotment_id) == (1_000, 1_000, 0)
    assert await lviv.value(OUTSTANDING, allotment_id) == 0
    assert await lviv.value("SELECT unallotted_minor FROM donor_grant") == 1_000
    await over(restored, lviv)


@pytest.mark.parametrize("then", ["unasked", "asked", "prepared"])
async def test_what_was_consented_to_since_is_not_asked_for_again(
    database: DatabaseFactory, tmp_path: Path, then: str
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    allotment_id = await _given(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path) if then == "unasked" else None
    made = await propose(lviv, allotment_id, 500, "lviv")
    await exchange(kyiv, lviv)
    if then == "asked":
        backup = await backed_up(dsn, tmp_path)
    await prepare(kyiv, made, 500)
    if then == "prepared":
        backup = await backed_up(dsn, tmp_path)
    await prepare(kyiv, made, 300)
    await consent(kyiv, made)
    await settle(kyiv, lviv)
    await kyiv.db.close()

    assert backup is not None
    restored = await restored_office(dsn, fresh, backup, lviv)
    known = None if then == "unasked" else ("returned", 300)
    assert await restored.value(ASKED) == known
    await hear_again(restored, lviv)
    await settle(restored, lviv)
    assert await restored.value(ASKED) == ("returned", 300)
    assert await refused(consent(restored, made)) == "wrong-state"
    await sign(lviv, made)
    await settle(restored, lviv)
    assert await restored.value("SELECT told_state FROM return_ask") == "moved"
    assert await restored.value(FIGURES, allotment_id) == (1_000, 300, 0)
    await over(restored, lviv)


async def _given(kyiv: Desk, lviv: Desk) -> AllotmentId:
    """What kyiv has of lviv's: 1,000."""
    allotment_id = await lviv.allot(await lviv.grant(1_000), 1_000, to="kyiv")
    await exchange(kyiv, lviv)
    return allotment_id


async def _recall(desk: Desk, allotment_id: AllotmentId) -> None:
    await desk.run(lambda tx: allotting.recall(desk.office, tx, allotment_id, "not_needed"))
