"""An office is restored from a backup while money moves between two: none of it is free again."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from aidmesh.backup.container import ContainerError
from aidmesh.backup.load import check
from aidmesh_chassis.crypto import PrivateKey
from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_payments.domain.grants import Line, Override
from aidmesh_payments.domain.payout import Verb
from aidmesh_payments.handlers import allotting, correcting, holding, payouts, purchases
from aidmesh_payments.handlers.office import Office
from integration.payments.offices import (
    CHECKER,
    MAKER,
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
    Row,
    agree,
    backed_up,
    hear_again,
    over,
    restored_office,
    rows_of,
    two_offices,
)
from support.servers import DatabaseFactory

HELD = "SELECT id, allotment_id::text, amount_minor FROM commitment WHERE state = 'held'"
OVERRIDE = Override(CHECKER, "winter")
GRANTS = """
    SELECT g.id::text, g.unallotted_minor, g.amount_minor, g.period_to, g.refund_due_minor,
           (SELECT COALESCE(sum(m.returned_minor), 0)::bigint FROM grant_allotment m
            WHERE m.grant_id = g.id) AS returned_minor,
           l.amount_minor AS a_minor
    FROM donor_grant g LEFT JOIN budget_line l ON l.grant_id = g.id AND l.code = 'a'
    ORDER BY 1
"""
GIVEN = """
    SELECT m.id::text, m.grant_id, m.budget_line, m.holder, m.amount_minor, m.granted_minor
    FROM grant_allotment m {} ORDER BY 1
"""
RAISABLE = GIVEN.format("""
    JOIN donor_grant g ON g.id = m.grant_id WHERE g.unallotted_minor > 0 AND m.recall_reason IS NULL
""")


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
    granted, allotted = await rows_of(kyiv, GRANTS), await rows_of(kyiv, GIVEN.format(""))
    await kyiv.db.close()

    restored = await restored_office(dsn, fresh, backup, lviv)
    await hear_again(restored, lviv)

    assert await restored.value("SELECT count(*) FROM commitment WHERE state = 'held'") == 0
    for row in await rows_of(restored, ALLOTMENTS):
        was = next(each for each in before if each["id"] == row["id"])
        assert row["received_minor"] == was["received_minor"]
        assert row["returned_minor"] <= was["returned_minor"] + waiting[row["id"]]
        assert row["free"] <= was["free"] + waiting[row["id"]]
    assert len(await rows_of(restored, ALLOTMENTS)) == len(before)
    assert await rows_of(restored, GIVEN.format("")) == allotted
    for row, was in zip(await rows_of(restored, GRANTS), granted, strict=True):
        # What the region gave back to itself stays where that is not free in the backup.
        kept_minor = was["returned_minor"] - row["returned_minor"]
        assert row == {
            **was,
            "unallotted_minor": max(0, was["unallotted_minor"] - kept_minor),
            "returned_minor": row["returned_minor"],
            "a_minor": row["a_minor"],  # of lines nobody was told
        }
    assert await rows_of(lviv, ALLOTMENTS) == given
    await agree(restored, lviv)
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
    await restored.run(lambda tx: purchases.cancel(restored.office, tx, order, MAKER))
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
        row = await _one_of(rng, desk, GRANTS)
        if row is None or rng.random() < 0.3 or not row["unallotted_minor"]:
            lines = [Line("a", 30_000, 0), Line("b", 20_000, 10)]
            grant_id, left = await desk.grant(50_000, lines=lines), 50_000
        else:
            grant_id, left = GrantId(UUID(row["id"])), row["unallotted_minor"]
        line, to = rng.choice("ab"), rng.choice(sorted(REGIONS))
        await desk.allot(grant_id, rng.randint(1, left), line=line, to=to, override=OVERRIDE)

    async def give_more(desk: Desk) -> None:
        row = await _one_of(rng, desk, RAISABLE)
        if row is None:
            return
        [left] = [
            each["unallotted_minor"]
            for each in await rows_of(desk, GRANTS)
            if each["id"] == str(row["grant_id"])
        ]
        await desk.allot(
            row["grant_id"],
            rng.randint(1, left),
            line=row["budget_line"],
            to=row["holder"],
            override=OVERRIDE,
            allotment_id=AllotmentId(UUID(row["id"])),
        )

    async def amend(desk: Desk) -> None:
        row = await _one_of(rng, desk, GRANTS)
        if row is None:
            return
        amendment = correcting.Amendment(
            row["amount_minor"] + 10_000,
            row["period_to"] + timedelta(days=1),
            {"a": row["a_minor"] + 10_000},
            "more",
        )
        grant_id = GrantId(UUID(row["id"]))
        await desk.run(lambda tx: correcting.amend(desk.office, tx, grant_id, amendment, MAKER))
        await desk.take_in(grant_id, 10_000)

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
        give, give, give_more, amend, hold, hold, commit, commit, end, give_back, ask_back,
    )  # fmt: skip
    for _ in range(steps):
        await rng.choice(acts)(rng.choice((kyiv, lviv)))
        if rng.random() < 0.3:
            await exchange(kyiv, lviv)
    await exchange(kyiv, lviv)


async def _one_of(rng: random.Random, desk: Desk, query: str) -> Row | None:
    rows = await rows_of(desk, query)
    return rng.choice(rows) if rows else None
