"""What is asked of the database and written at once, not row by row."""

import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final
from uuid import uuid4

import asyncpg
import pytest

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId
from aidmesh_contracts.payments_waits import WaitChangedV1
from aidmesh_payments.handlers import waits
from aidmesh_payments.store import funding, owing
from aidmesh_payments.store import waits as wait_store
from integration.payments.offices import MAKER, Desk, received
from integration.payments.test_waits import offers, waiting

NOW: Final = datetime(2024, 6, 1, tzinfo=UTC)


async def test_rates_of_all_lines_are_read_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = "43.40"
    for base, spending, rate, on in [
        ("EUR", "UAH", "43.37", "2024-06-01"),
        ("EUR", "UAH", newest, "2024-06-02"),
        ("EUR", "UAH", "50", "2999-01-01"),
        ("USD", "UAH", "40.1", "2024-06-01"),
    ]:
        await desk.execute(
            "INSERT INTO exchange_rate (base, spending, rate, rate_on, source, recorded_by)"
            " VALUES ($1, $2, $3, $4::text::date, 'nbu', $5)",
            *(base, spending, rate, on, MAKER),
        )
    for currency in ("EUR", "USD", "UAH", "PLN", "EUR"):
        await desk.grant(10_000, currency=currency)
    await desk.feed(waiting(5_000_000))
    await desk.run(partial(waits.tell, desk.office))
    async with desk.db.read() as conn:
        today = day_of(datetime.now(UTC))
        pairs = [("EUR", "UAH"), ("USD", "UAH"), ("UAH", "EUR")]
        found = await funding.latest_rates(conn, pairs, today)
        assert {pair: rate for pair, (rate, _, _) in found.items()} == {
            ("EUR", "UAH"): newest, ("USD", "UAH"): "40.1",
        }  # fmt: skip
        assert found == {pair: await funding.latest_rate(conn, *pair, today) for pair in pairs[:2]}
        assert await funding.latest_rate(conn, *pairs[2], today) is None
    assert {each.amount_minor for each in await offers(desk)} == {434_000, 401_000, 10_000}
    asked: list[set[tuple[str, str]]] = []
    rates = funding.latest_rates

    async def counted(
        conn: asyncpg.Connection, pairs: set[tuple[str, str]], on: date
    ) -> dict[tuple[str, str], tuple[str, date, str]]:
        asked.append(pairs)
        return await rates(conn, pairs, on)

    monkeypatch.setattr(funding, "latest_rates", counted)
    assert len(await offers(desk)) == 4
    assert len(asked) == 1


def told(chance: random.Random) -> WaitChangedV1:
    programme, currency = chance.choice(["cash", "food"]), chance.choice(["EUR", "UAH"])
    version = chance.randint(1, 4)
    return WaitChangedV1(
        programme_currency=f"{programme}/{currency}",
        programme=programme,
        currency=currency,
        amount_minor=version * 100_000,
        chosen_minor=version * 10_000,
        version=version,
        as_of=NOW + timedelta(minutes=version),
    )


@pytest.mark.parametrize("seed", range(3))
async def test_of_what_regions_tell_the_highest_epoch_and_version_hold(
    desk: Desk, seed: int
) -> None:
    chance = random.Random(seed)
    batches = [
        [
            received(told(chance), chance.choice(["lviv", "odesa"]), epoch=chance.randint(1, 2))
            for _ in range(chance.randint(0, 12))
        ]
        for _ in range(4)
    ]
    expected: dict[tuple[str, str, str], tuple[int, int]] = {}
    for each in (each for batch in batches for each in batch):
        key = (each.region, each.event.programme, each.event.currency)
        expected[key] = max(expected.get(key, (0, 0)), (each.epoch, each.event.version))
    for batch in batches:
        await desk.run(partial(waits.know, batch=batch))
    async with desk.db.read() as conn:
        found = await wait_store.waits(conn)
        rows = await conn.fetch("SELECT region, programme, currency, epoch, version FROM wait")
    assert {tuple(row)[:3]: tuple(row)[3:] for row in rows} == expected
    for wait in found:
        _, version = expected[wait.key]
        assert (wait.amount_minor, wait.chosen_minor) == (version * 100_000, version * 10_000)
        assert wait.as_of == NOW + timedelta(minutes=version)


async def test_debts_are_paid_off_the_oldest_first(desk: Desk) -> None:
    chance = random.Random(3)
    for _ in range(12):
        one, other = AllotmentId(uuid4()), AllotmentId(uuid4())
        owed = {epoch: chance.choice([0, 1, 40, 700]) for epoch in chance.sample(range(1, 9), 4)}

        for allotment_id in (one, other):
            await desk.run(partial(owe, allotment_id=allotment_id, owed=owed))
        amount = chance.choice([0, 1, 39, 41, 500, 5_000])
        paid = await desk.run(partial(pay_off, allotment_id=one, amount_minor=amount))
        assert paid == min(amount, sum(owed.values()))
        left = amount
        for epoch in sorted(owed):
            part = min(left, owed[epoch])
            left -= part
            assert await still_owed(desk, one, epoch) == owed[epoch] - part
            assert await still_owed(desk, other, epoch) == owed[epoch]


async def owe(tx: Tx, allotment_id: AllotmentId, owed: Mapping[int, int]) -> None:
    for epoch, minor in owed.items():
        await owing.owe(tx.conn, allotment_id, epoch, 1_000, minor, 0)


async def pay_off(tx: Tx, allotment_id: AllotmentId, amount_minor: int) -> int:
    return await owing.pay_off(tx.conn, allotment_id, amount_minor)


async def still_owed(desk: Desk, allotment_id: AllotmentId, epoch: int) -> int:
    owed: int = await desk.value(
        "SELECT owed_minor FROM taken_back WHERE allotment_id = $1 AND epoch = $2",
        *(allotment_id, epoch),
    )
    return owed
