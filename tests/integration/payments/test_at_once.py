"""What is asked of the database at once, not row by row."""

from datetime import UTC, date, datetime
from functools import partial

import asyncpg
import pytest

from aidmesh_payments.domain.money import today_in_kyiv
from aidmesh_payments.handlers import waits
from aidmesh_payments.store import funding
from integration.payments.offices import MAKER, Desk
from integration.payments.test_waits import offers, waiting


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
        today = today_in_kyiv(datetime.now(UTC))
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
