"""An office is restored from a backup while money moves between two: none of it is free again."""

import base64
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh.backup.container import ContainerError
from aidmesh.backup.load import check, load
from aidmesh.backup.take import Links, take
from aidmesh.restoring.forward import Forwarded, Restored, prepare, redo_money
from aidmesh_chassis import restoring
from aidmesh_chassis.crypto import PrivateKey
from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import Problem
from aidmesh_chassis.restoring import Lost
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId, GrantId, PayoutId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.payments import AllotmentSentV1, KeyChangedV1, PayoutAssignedV1
from aidmesh_contracts.registry import REGISTRY
from aidmesh_contracts.streams import event_type_of
from aidmesh_payments.domain.payout import Verb
from aidmesh_payments.handlers import allotting, grants, holding, orders, payouts, purchases
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import restoring as restoring_store
from integration.payments.offices import (
    CHECKER,
    MAKER,
    REGIONS,
    Desk,
    approved,
    confirmed,
    exchange,
    open_desk,
    received,
    withdrawn,
)
from integration.payments.paying import take_step
from support.servers import DatabaseFactory

ALLOTMENTS = """
    SELECT id::text, received_minor, returned_minor, held_minor,
           received_minor - returned_minor - held_minor - committed_minor - spent_minor AS free
    FROM allotment ORDER BY 1
"""
ELSEWHERE = """
    SELECT allotment_id::text AS id, received_minor, returned_minor, held_minor,
           received_minor - returned_minor - held_minor - committed_minor - spent_minor AS free
    FROM allotment_elsewhere ORDER BY 1
"""
HELD = "SELECT id, allotment_id::text, amount_minor FROM commitment WHERE state = 'held'"
UNALLOTTED = "SELECT id::text, unallotted_minor FROM donor_grant ORDER BY 1"
TOLD = "SELECT event_id, stream, subject, headers, payload FROM outbox ORDER BY seq"


@pytest.mark.parametrize("seed", range(3))
async def test_no_money_is_free_again(database: DatabaseFactory, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    dsn, fresh = await database("payments"), await database("payments")
    kyiv, lviv = await open_desk(dsn, "kyiv"), await open_desk(await database("payments"), "lviv")
    needs: list[NeedApprovedV1] = []
    await _work(rng, kyiv, lviv, needs, 25)
    backup = await _backed_up(dsn, tmp_path)
    held = await _rows(kyiv, HELD)
    await _work(rng, kyiv, lviv, needs, 25)
    # A hold that was there in the backup, and of which nobody heard since, is let go of.
    waiting: Counter[str] = Counter()
    for row in await _rows(kyiv, HELD):
        waiting[row["allotment_id"]] += row["amount_minor"] if row in held else 0
    before, given = await _rows(kyiv, ALLOTMENTS), await _rows(lviv, ALLOTMENTS)
    unallotted = await _rows(kyiv, UNALLOTTED)
    await kyiv.db.close()

    restored = await _restored(dsn, fresh, backup, lviv)
    heard = [event for event in await _events(lviv) if event.stream == "EVENTS"]
    for event in heard:  # their log is read anew, from its start
        await restored.feed(event, region="lviv", epoch=1)
    await exchange(restored, lviv)

    assert await restored.value("SELECT count(*) FROM commitment WHERE state = 'held'") == 0
    for row in await _rows(restored, ALLOTMENTS):
        was = next(each for each in before if each["id"] == row["id"])
        assert row["received_minor"] == was["received_minor"]
        assert row["returned_minor"] <= was["returned_minor"]
        assert row["free"] <= was["free"] + waiting[row["id"]]
    assert len(await _rows(restored, ALLOTMENTS)) == len(before)
    for row, was in zip(await _rows(restored, UNALLOTTED), unallotted, strict=True):
        assert row["id"] == was["id"]
        assert row["unallotted_minor"] <= was["unallotted_minor"]
    assert await _rows(lviv, ALLOTMENTS) == given
    assert await _rows(lviv, ELSEWHERE) == await _rows(restored, ALLOTMENTS)
    for desk in (restored, lviv):
        await desk.check()
        await desk.db.close()


@pytest.mark.parametrize(("verb", "status"), [("suspend", "suspended"), ("close", "closed")])
async def test_a_grant_that_was_stopped_since_is_active_nowhere(
    database: DatabaseFactory, tmp_path: Path, verb: str, status: str
) -> None:
    dsn, fresh = await database("payments"), await database("payments")
    kyiv, lviv = await open_desk(dsn, "kyiv"), await open_desk(await database("payments"), "lviv")
    old, idle = await kyiv.grant(100_000), await kyiv.grant(10_000)
    await exchange(kyiv, lviv)
    backup = await _backed_up(dsn, tmp_path)
    await kyiv.allot(old, 30_000, to="lviv")
    await kyiv.allot(old, 20_000)
    young = await kyiv.grant(50_000)
    for grant_id in (old, idle, young):
        await kyiv.run(partial(_change, office=kyiv.office, grant_id=grant_id, verb=verb))
    await exchange(kyiv, lviv)
    await kyiv.db.close()

    restored = await _restored(dsn, fresh, backup, lviv)
    standing = "SELECT array_agg(DISTINCT status) FROM {}"
    assert await restored.value(standing.format("donor_grant")) == [status]
    assert await restored.value(standing.format("grant_terms")) == [status]
    # What was allotted before that is gone all the same.
    known = "SELECT (received_minor, allotted_minor) FROM donor_grant WHERE id = $1"
    assert await restored.value(known, old) == (100_000, 50_000)
    assert await restored.value(known, young) == (50_000, 0)
    for event in await restored.told():
        if event.stream == "EVENTS":
            await lviv.feed(event, region="kyiv", epoch=2)
            assert await lviv.value(standing.format("grant_terms")) == [status]
    version = "SELECT state_version FROM grant_terms WHERE grant_id = $1"
    for grant_id in (old, idle):
        assert await lviv.value(version, grant_id) > restoring.VERSION_GAP
    for desk in (restored, lviv):
        await desk.check()
        await desk.db.close()


async def test_what_was_allotted_while_a_grant_was_resumed_is_booked(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh = await database("payments"), await database("payments")
    kyiv, lviv = await open_desk(dsn, "kyiv"), await open_desk(await database("payments"), "lviv")
    grant_id = await kyiv.grant(100_000)
    await kyiv.run(partial(_change, office=kyiv.office, grant_id=grant_id, verb="suspend"))
    backup = await _backed_up(dsn, tmp_path)
    await kyiv.run(partial(_change, office=kyiv.office, grant_id=grant_id, verb="resume"))
    for region in ("kyiv", "lviv"):
        await kyiv.allot(grant_id, 20_000, to=region)
    await exchange(kyiv, lviv)
    await kyiv.db.close()
    restored = await _restored(dsn, fresh, backup, lviv)
    # A lead resumes it once more, or not; its money is not there twice either way.
    known = "SELECT (status, allotted_minor) FROM donor_grant"
    assert await restored.value(known) == ("suspended", 40_000)
    for desk in (restored, lviv):
        await desk.check()
        await desk.db.close()


async def _change(tx: Tx, *, office: Office, grant_id: GrantId, verb: str) -> None:
    await grants.change_status(office, tx, grant_id, verb)


async def test_what_was_held_and_then_spent_is_not_free_when_the_hold_runs_out(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh = await database("payments"), await database("payments")
    kyiv, lviv = await open_desk(dsn, "kyiv"), await open_desk(await database("payments"), "lviv")
    await kyiv.purse(100_000)
    need = approved(5_000)
    await kyiv.feed(need)
    backup = await _backed_up(dsn, tmp_path)
    await kyiv.feed(confirmed(need))
    payout_id = await kyiv.value("SELECT id FROM payout")
    for verb in ("approve", "settle"):
        step = payouts.Step(payout_id, bank_reference="bank-2")
        await kyiv.run(partial(_take_step, office=kyiv.office, verb=verb, step=step))
    await exchange(kyiv, lviv)
    await kyiv.db.close()
    restored = await _restored(dsn, fresh, backup, lviv)
    [row] = await _rows(restored, ALLOTMENTS)
    assert row["free"] == 95_000
    assert await restored.value("SELECT committed_minor FROM allotment") == 5_000
    await restored.feed(withdrawn(need))
    [row] = await _rows(restored, ALLOTMENTS)
    assert row["free"] == 95_000
    for desk in (restored, lviv):
        await desk.check()
        await desk.db.close()


async def _take_step(tx: Tx, *, office: Office, verb: Verb, step: payouts.Step) -> None:
    await take_step(office, tx, verb, step, CHECKER)


async def test_what_may_be_paid_already_waits_for_a_person(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh = await database("payments"), await database("payments")
    kyiv, lviv = await open_desk(dsn, "kyiv"), await open_desk(await database("payments"), "lviv")
    await kyiv.purse(100_000)
    need = approved(5_000)
    await kyiv.feed(need)
    await kyiv.feed(confirmed(need))
    backup = await _backed_up(dsn, tmp_path)
    await kyiv.db.close()
    restored = await _restored(dsn, fresh, backup, lviv)
    payout_id = await restored.value("SELECT id FROM payout")

    async def approve() -> None:
        step = payouts.Step(payout_id)
        await restored.run(lambda tx: take_step(restored.office, tx, "approve", step, CHECKER))

    with pytest.raises(Problem, match="outcome-unproven"):
        await approve()
    # A payout that is drawn up later, for a need that was there: it may be the second.
    later = approved(6_000)
    async with restored.db.transaction() as tx:
        await restoring.doubt(tx.conn, "need", [later.need_id])
    await restored.feed(later)
    await restored.feed(confirmed(later))
    second = await restored.value("SELECT id FROM payout WHERE need_id = $1", later.need_id)
    async with restored.db.transaction() as tx:
        assert await restoring.doubted(tx.conn, [second, later.need_id]) == {later.need_id}
        ids = {payout_id, second}
        ids |= set(await restoring_store.needs_of(tx.conn, ids))
        assert await restoring.clear(tx.conn, ids, "nothing on the statement", CHECKER) == 2
    await approve()
    for desk in (restored, lviv):
        await desk.check()
        await desk.db.close()


async def test_orders_of_before_wait_for_a_person_and_answers_of_before_are_asked_for_again(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh = await database("payments"), await database("payments")
    kyiv, lviv = await open_desk(dsn, "kyiv"), await open_desk(await database("payments"), "lviv")
    backup = await _backed_up(dsn, tmp_path)
    await kyiv.db.close()
    sealed = base64.b64encode(b"box").decode()
    older, newer = (PayoutAssignedV1(payout_id=PayoutId(uuid4()), sealed=sealed) for _ in range(2))
    await lviv.run(lambda tx: _hand_over(tx, older))
    assert await lviv.value("SELECT status FROM handoff") == "settled"

    restored = await _restored(dsn, fresh, backup, lviv)
    await exchange(restored, lviv)
    told = KeyChangedV1(purpose="seal", public=base64.b64encode(bytes(32)).decode(), version=1)
    await lviv.feed(told, region="kyiv", epoch=1)
    assert await lviv.value("SELECT status FROM handoff") == "settled"
    await lviv.feed(told, region="kyiv", epoch=2)
    assert await lviv.value("SELECT status FROM handoff") == "waiting"

    await restored.feed(older, region="lviv", at=datetime.now(UTC) - timedelta(minutes=1))
    await restored.feed(newer, region="lviv", at=datetime.now(UTC) + timedelta(hours=1))
    async with restored.db.transaction() as tx:
        ids = [older.payout_id, newer.payout_id]
        assert await restoring.doubted(tx.conn, ids) == {older.payout_id}
        outcomes = await orders.take_steps(
            restored.office, tx, "export", [payouts.Step(each) for each in ids], CHECKER
        )
    assert outcomes[older.payout_id] == "outcome-unproven"
    assert outcomes[newer.payout_id] != "outcome-unproven"
    for desk in (restored, lviv):
        await desk.check()
        await desk.db.close()


async def _hand_over(tx: Tx, event: Event) -> None:
    """Hand something over, and have it answered."""
    tx.hand_over(event, "kyiv")
    await tx.flush()
    await tx.conn.execute("UPDATE handoff SET status = 'settled', settled_at = now()")


async def test_the_own_log_tells_what_nobody_else_has_heard(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh = await database("payments"), await database("payments")
    kyiv, lviv = await open_desk(dsn, "kyiv"), await open_desk(await database("payments"), "lviv")
    allotment_id = await kyiv.purse(100_000)
    backup = await _backed_up(dsn, tmp_path)
    kept, gone = approved(5_000), approved(7_000)
    await kyiv.feed(kept, gone)
    await kyiv.feed(withdrawn(gone))
    await kyiv.db.close()
    restored = await _restored(dsn, fresh, backup, lviv, with_log=True)
    assert await restored.value("SELECT committed_minor FROM allotment") == 5_000
    order = await restored.value("SELECT id FROM purchase WHERE allotment_id = $1", allotment_id)
    await restored.run(lambda tx: purchases.cancel(restored.office, tx, order))
    assert await restored.value("SELECT committed_minor FROM allotment") == 0
    for desk in (restored, lviv):
        await desk.check()
        await desk.db.close()


async def test_what_nobody_drew_up_is_not_billed_and_paid_by_one_person(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh = await database("payments"), await database("payments")
    kyiv, lviv = await open_desk(dsn, "kyiv"), await open_desk(await database("payments"), "lviv")
    await kyiv.purse(100_000)
    backup = await _backed_up(dsn, tmp_path)
    await kyiv.feed(approved(20_000))
    await kyiv.db.close()
    restored = await _restored(dsn, fresh, backup, lviv, with_log=True)
    order, office = await restored.value("SELECT id FROM purchase"), restored.office
    await restored.run(lambda tx: purchases.receive(office, tx, order))
    await restored.run(lambda tx: purchases.invoice(office, tx, order, MAKER, 20_000, "bill 7"))
    with pytest.raises(Problem, match="second-person-needed"):
        await restored.run(lambda tx: purchases.pay(office, tx, order, MAKER, "bank-7", None))
    await restored.run(lambda tx: purchases.pay(office, tx, order, CHECKER, "bank-7", None))
    assert await restored.value("SELECT spent_minor FROM allotment") == 20_000
    for desk in (restored, lviv):
        await desk.check()
        await desk.db.close()


async def test_a_changed_or_cut_off_backup_is_found_out(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    path, key = await _backed_up(await database("payments"), tmp_path)
    assert (await check(path, key)).region == "kyiv"
    whole = path.read_bytes()
    for spoiled in (whole[:-1], whole + b"x", whole[:5_000] + b"?" + whole[5_001:]):
        path.write_bytes(spoiled)
        with pytest.raises(ContainerError):
            await check(path, key)
    path.write_bytes(whole)
    with pytest.raises(ContainerError, match="another key"):
        await check(path, PrivateKey.random())


Backup = tuple[Path, PrivateKey]
Row = dict[str, Any]


async def _backed_up(dsn: str, folder: Path) -> Backup:
    path, key = folder / "kyiv.backup", PrivateKey.random()
    links = Links({"lviv": None}, "127.0.0.1", 1)
    await take("kyiv", 1, links, {"payments": dsn}, path, key.public)
    return path, key


async def _restored(
    old: str, fresh: str, backup: Backup, lviv: Desk, *, with_log: bool = False
) -> Desk:
    """Kyiv's office as `aidmesh restore` leaves it, its services not yet at work."""
    path, key = backup

    async def empty(_: str) -> None:
        conn = await asyncpg.connect(fresh)
        await conn.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await conn.close()

    manifest = await load(path, key, lambda _: fresh, empty)
    conn, was = await asyncpg.connect(fresh), await asyncpg.connect(old)
    known = {row["event_id"] for row in await conn.fetch(TOLD)}
    lost = [
        Lost(
            row["event_id"],
            row["stream"],
            row["subject"],
            json.loads(row["headers"]),
            row["payload"],
        )
        for row in await was.fetch(TOLD)
        if row["event_id"] not in known
    ]
    at = Restored("kyiv", 2, manifest.taken_at, REGIONS, {"payments": fresh}, {"payments": conn})
    public = [event for event in lost if event.stream == "EVENTS"]
    await prepare(at, public)
    for about, ids in await restoring_store.open_payments(conn):
        await restoring.doubt(conn, about, ids)
    sent = [
        received(event, "lviv")
        for event in await _events(lviv)
        if isinstance(event, AllotmentSentV1)
    ]
    local = [event for event in lost if event.stream == "LOCAL"] if with_log else []
    handled = await redo_money(at, public, local, sent, Forwarded())
    left = [event for event in public if event not in handled]
    await restoring.leave_to_people(conn, "kyiv", left)
    await conn.close()
    await was.close()
    desk = await open_desk(fresh, "kyiv")
    desk.db.origin.epoch = 2
    return desk


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
    rows = await _rows(desk, query)
    return rng.choice(rows) if rows else None


async def _rows(desk: Desk, query: str) -> list[Row]:
    async with desk.db.read() as conn:
        return [dict(row) for row in await conn.fetch(query)]


async def _events(desk: Desk) -> list[Event]:
    async with desk.db.read() as conn:
        rows = await conn.fetch(TOLD)
    return [
        REGISTRY[event_type_of(row["subject"])].model_validate_json(row["payload"]) for row in rows
    ]
