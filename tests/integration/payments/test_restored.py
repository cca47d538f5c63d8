"""An office is restored from a backup while money moves between two: none of it is free again."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from aidmesh.backup.container import ContainerError
from aidmesh.backup.load import check
from aidmesh_chassis.crypto import PrivateKey
from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import AllotmentId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_payments.domain.payout import Verb
from aidmesh_payments.handlers import allotting, holding, payouts, purchases
from aidmesh_payments.handlers.office import Office
from integration.payments.offices import (
    CHECKER,
    REGIONS,
    Desk,
    approved,
    confirmed,
    exchange,
    withdrawn,
)
from integration.payments.paying import take_step
from integration.payments.restored import (
    ALLOTMENTS,
    ELSEWHERE,
    Row,
    backed_up,
    events_of,
    over,
    restored_office,
    rows_of,
    two_offices,
)
from support.servers import DatabaseFactory

HELD = "SELECT id, allotment_id::text, amount_minor FROM commitment WHERE state = 'held'"
UNALLOTTED = "SELECT id::text, unallotted_minor FROM donor_grant ORDER BY 1"


@pytest.mark.parametrize("seed", range(3))
async def test_no_money_is_free_again(database: DatabaseFactory, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    dsn, fresh, kyiv, lviv = await two_offices(database)
    needs: list[NeedApprovedV1] = []
    await _work(rng, kyiv, lviv, needs, 25)
    backup = await backed_up(dsn, tmp_path)
    held = await rows_of(kyiv, HELD)
    await _work(rng, kyiv, lviv, needs, 25)
    # A hold that was there in the backup, and of which nobody heard since, is let go of.
    waiting: Counter[str] = Counter()
    for row in await rows_of(kyiv, HELD):
        waiting[row["allotment_id"]] += row["amount_minor"] if row in held else 0
    before, given = await rows_of(kyiv, ALLOTMENTS), await rows_of(lviv, ALLOTMENTS)
    unallotted = await rows_of(kyiv, UNALLOTTED)
    await kyiv.db.close()

    restored = await restored_office(dsn, fresh, backup, lviv)
    heard = [event for event in await events_of(lviv) if event.stream == "EVENTS"]
    for event in heard:  # their log is read anew, from its start
        await restored.feed(event, region="lviv", epoch=1)
    await exchange(restored, lviv)

    assert await restored.value("SELECT count(*) FROM commitment WHERE state = 'held'") == 0
    for row in await rows_of(restored, ALLOTMENTS):
        was = next(each for each in before if each["id"] == row["id"])
        assert row["received_minor"] == was["received_minor"]
        assert row["returned_minor"] <= was["returned_minor"]
        assert row["free"] <= was["free"] + waiting[row["id"]]
    assert len(await rows_of(restored, ALLOTMENTS)) == len(before)
    for row, was in zip(await rows_of(restored, UNALLOTTED), unallotted, strict=True):
        assert row["id"] == was["id"]
        assert row["unallotted_minor"] <= was["unallotted_minor"]
    assert await rows_of(lviv, ALLOTMENTS) == given
    assert await rows_of(lviv, ELSEWHERE) == await rows_of(restored, ALLOTMENTS)
    await over(restored, lviv)


async def test_what_was_held_and_then_spent_is_not_free_when_the_hold_runs_out(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    await kyiv.purse(100_000)
    need = approved(5_000)
    await kyiv.feed(need)
    backup = await backed_up(dsn, tmp_path)
    await kyiv.feed(confirmed(need))
    payout_id = await kyiv.value("SELECT id FROM payout")
    for verb in ("approve", "settle"):
        step = payouts.Step(payout_id, bank_reference="bank-2")
        await kyiv.run(partial(_take_step, office=kyiv.office, verb=verb, step=step))
    await exchange(kyiv, lviv)
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv)
    [row] = await rows_of(restored, ALLOTMENTS)
    assert row["free"] == 95_000
    assert await restored.value("SELECT committed_minor FROM allotment") == 5_000
    await restored.feed(withdrawn(need))
    [row] = await rows_of(restored, ALLOTMENTS)
    assert row["free"] == 95_000
    await over(restored, lviv)


async def _take_step(tx: Tx, *, office: Office, verb: Verb, step: payouts.Step) -> None:
    await take_step(office, tx, verb, step, CHECKER)


async def test_the_own_log_tells_what_nobody_else_has_heard(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    allotment_id = await kyiv.purse(100_000)
    backup = await backed_up(dsn, tmp_path)
    kept, gone = approved(5_000), approved(7_000)
    await kyiv.feed(kept, gone)
    await kyiv.feed(withdrawn(gone))
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv, with_log=True)
    assert await restored.value("SELECT committed_minor FROM allotment") == 5_000
    order = await restored.value("SELECT id FROM purchase WHERE allotment_id = $1", allotment_id)
    await restored.run(lambda tx: purchases.cancel(restored.office, tx, order))
    assert await restored.value("SELECT committed_minor FROM allotment") == 0
    await over(restored, lviv)


async def test_a_changed_or_cut_off_backup_is_found_out(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    path, key = await backed_up(await database("payments"), tmp_path)
    assert (await check(path, key)).region == "kyiv"
    whole = path.read_bytes()
    for spoiled in (whole[:-1], whole + b"x", whole[:5_000] + b"?" + whole[5_001:]):
        path.write_bytes(spoiled)
        with pytest.raises(ContainerError):
            await check(path, key)
    path.write_bytes(whole)
    with pytest.raises(ContainerError, match="another key"):
        await check(path, PrivateKey.random())


async def _work(
    rng: random.Random, kyiv: Desk, lviv: Desk, needs: list[NeedApprovedV1], steps: int
) -> None:
    """Money is given, held, committed, let go, given back and asked back, heard of now and then."""

    async def give(desk: Desk) -> None:
        to = rng.choice(sorted(REGIONS))
        await desk.allot(await desk.grant(50_000), rng.randint(1_000, 40_000), to=to)

    async def hold(_: Desk) -> None:
        need = approved(rng.randint(100, 9_000))
        await kyiv.feed(need)
        needs.append(need)

    async def commit(_: Desk) -> None:
        if needs:
            await kyiv.feed(confirmed(rng.choice(needs)))

    async def end(_: Desk) -> None:
        if needs:
            await kyiv.feed(withdrawn(needs.pop(rng.randrange(len(needs)))))

    async def give_back(desk: Desk) -> None:
        row = await _one_of(rng, desk, ALLOTMENTS)
        if row is not None and row["free"] > 0:
            back, amount = AllotmentId(UUID(row["id"])), rng.randint(1, row["free"])
            await desk.run(lambda tx: holding.give_back(desk.office, tx, back, amount))

    async def ask_back(desk: Desk) -> None:
        row = await _one_of(rng, desk, "SELECT id::text FROM grant_allotment ORDER BY 1")
        if row is not None and rng.random() < 0.3:
            asked = AllotmentId(UUID(row["id"]))
            await desk.run(lambda tx: allotting.recall(desk.office, tx, asked, "not_needed"))

    acts: Sequence[Callable[[Desk], Awaitable[None]]] = (
        give, hold, hold, commit, commit, end, give_back, ask_back,
    )  # fmt: skip
    for _ in range(steps):
        await rng.choice(acts)(rng.choice((kyiv, lviv)))
        if rng.random() < 0.3:
            await exchange(kyiv, lviv)
    await exchange(kyiv, lviv)


async def _one_of(rng: random.Random, desk: Desk, query: str) -> Row | None:
    rows = await rows_of(desk, query)
    return rng.choice(rows) if rows else None
