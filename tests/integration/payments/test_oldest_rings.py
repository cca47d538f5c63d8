"""The on-call person is rung for the oldest case of money, not for how many there are."""

from uuid import uuid4

from aidmesh_payments.store.numbers import MEASURED
from integration.payments.offices import Desk, exchange
from integration.payments.test_regions import RATE
from support.ringing import rings_for

PAYMENTS = [{"region": "kyiv", "service": "payments"}]
OPEN = """
INSERT INTO discrepancy (id, about, need_id, programme, amount_minor, currency, occurred_on,
                         opened_at)
VALUES ($1, 'no_money', $1, 'relief', 1, 'UAH', current_date, now() - $2 * interval '1 day')
"""


async def test_money_rings_when_it_is_on_its_way_for_a_day(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(100_000, "EUR")
    for hours in (0, 23):
        await kyiv.allot(grant_id, 412_500, to="lviv", rate=RATE)
        await kyiv.execute(
            "UPDATE transfer SET recorded_at = now() - $1 * interval '1 hour'", hours
        )
        assert await rings_for("MoneyInTransit", kyiv.db, MEASURED) == []
    await kyiv.execute(
        "UPDATE transfer SET recorded_at = now() - interval '25 hours' WHERE id = ("
        " SELECT id FROM transfer LIMIT 1)"
    )
    assert await rings_for("MoneyInTransit", kyiv.db, MEASURED) == PAYMENTS
    await exchange(kyiv, lviv)
    assert await rings_for("MoneyInTransit", kyiv.db, MEASURED) == []


async def test_a_discrepancy_of_money_rings_after_a_week(desk: Desk) -> None:
    for days in (0, 6):
        await desk.execute(OPEN, uuid4(), days)
        assert await rings_for("DiscrepanciesOpen", desk.db, MEASURED) == []
    await desk.execute(OPEN, uuid4(), 8)
    assert await rings_for("DiscrepanciesOpen", desk.db, MEASURED) == PAYMENTS
    await desk.execute(
        "UPDATE discrepancy SET settled_at = now(), settled_by = $1"
        " WHERE opened_at < now() - interval '7 days'",
        uuid4(),
    )
    assert await rings_for("DiscrepanciesOpen", desk.db, MEASURED) == []
