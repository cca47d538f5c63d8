"""What may have been paid before a restore: listed, settled as a fact, or cleared."""

from typing import Any
from uuid import UUID, uuid4

from aidmesh_chassis import restoring
from aidmesh_chassis.restoring import About
from aidmesh_contracts.intake import NeedApprovedV1
from integration.payments.callers import Api
from integration.payments.offices import CHECKER, approved, confirmed

PAID: dict[str, Any] = {"bank_reference": "statement 7", "served_on": "2024-06-12"}
FLOAT_MINOR = 10_000


async def drafted(api: Api, amount_minor: int) -> tuple[NeedApprovedV1, str]:
    """A payout that waits for its approval; its need and its id."""
    need = approved(amount_minor)
    await api.desk.feed(need)
    await api.desk.feed(confirmed(need))
    query = "SELECT id::text FROM payout WHERE need_id = $1"
    return need, await api.desk.value(query, need.need_id)


async def doubt(api: Api, about: About, identity: UUID | str) -> None:
    async with api.desk.db.transaction() as tx:
        await restoring.doubt(tx.conn, about, [UUID(str(identity))])


async def listed(api: Api) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await api.get("/v1/unproven"))["unproven"]
    return rows


async def one(api: Api, query: str) -> tuple[object, ...]:
    async with api.desk.db.read() as conn:
        (row,) = await conn.fetch(query)
    return tuple(row)


async def test_what_was_paid_is_settled_though_nobody_remembers_who_approved_it(api: Api) -> None:
    await api.purse()
    need, payout = await drafted(api, 2 * FLOAT_MINOR)
    await doubt(api, "payout", payout)
    (row,) = await listed(api)
    assert (row["id"], row["about"], row["amount_minor"], row["currency"], row["state"]) == (
        payout, "payout", 2 * FLOAT_MINOR, "UAH", "draft",
    )  # fmt: skip
    assert row["need_id"] == str(need.need_id)
    rows = [{"row_id": "1", "payout_id": payout}]
    refused = await api.post("/v1/payouts:approve", source="s", rows=rows)
    assert refused["rows"][0]["problem"] == "outcome-unproven"
    early = {**PAID, "served_on": "2999-01-01"}
    answer = await api.maker.post(f"/v1/unproven/{payout}:paid", json=early)
    assert (answer.status_code, answer.json()["type"][-13:]) == (422, "day-in-future"), answer.text
    assert (await api.nobody.post(f"/v1/unproven/{payout}:paid", json=PAID)).status_code == 403

    await api.post(f"/v1/unproven/{payout}:paid", **PAID)
    assert await listed(api) == []
    settled = await one(api, "SELECT state, bank_reference, settled_on::text FROM payout")
    assert settled == ("settled", PAID["bank_reference"], PAID["served_on"])
    assert await api.desk.value("SELECT spent_minor FROM allotment") == 2 * FLOAT_MINOR
    (review,) = (await api.get("/v1/payouts/reviews"))["payouts"]
    assert review["id"] == payout
    alone = await api.maker.post(f"/v1/payouts/{payout}:review")
    assert alone.status_code == 409, "whoever settled it is not the second person"
    await api.post_as(api.checker, f"/v1/payouts/{payout}:review")
    # Once: it is in doubt no more, and what was never in doubt is settled another way.
    for known in (payout, uuid4(), (await drafted(api, 2 * FLOAT_MINOR))[1]):
        again = await api.maker.post(f"/v1/unproven/{known}:paid", json=PAID)
        assert again.status_code == 404
    assert await api.desk.value("SELECT spent_minor FROM allotment") == 2 * FLOAT_MINOR


async def test_a_payout_drawn_up_since_is_listed_by_its_need(api: Api) -> None:
    await api.purse()
    need, payout = await drafted(api, FLOAT_MINOR)
    await doubt(api, "need", need.need_id)
    await doubt(api, "need", uuid4())  # nothing was drawn up for it
    (row,) = await listed(api)
    assert (row["id"], row["about"]) == (payout, "payout")
    await doubt(api, "payout", payout)
    assert [each["id"] for each in await listed(api)] == [payout], "once, not twice"
    await api.post(f"/v1/unproven/{payout}:paid", **PAID)
    assert await listed(api) == []
    open_ones = "SELECT count(*) FROM unproven WHERE cleared_at IS NULL AND id = $1"
    assert await api.desk.value(open_ones, need.need_id) == 0


async def test_cash_that_was_fetched_is_settled_without_paying_it_again(api: Api) -> None:
    await api.purse()
    _, payout = await drafted(api, FLOAT_MINOR)
    assert await one(api, "SELECT mechanism FROM payout") == ("cash",)
    await doubt(api, "payout", payout)
    settle = {"row_id": "1", "payout_id": payout, "bank_reference": "desk"}
    refused = await api.post("/v1/payouts:settle", source="s", rows=[settle])
    assert refused["rows"][0]["problem"] == "outcome-unproven"
    await api.post(f"/v1/unproven/{payout}:paid", **PAID)
    assert await api.desk.value("SELECT state FROM payout") == "settled"


async def test_what_was_not_paid_goes_its_usual_way(api: Api) -> None:
    await api.purse()
    _, payout = await drafted(api, FLOAT_MINOR)
    await doubt(api, "payout", payout)
    cleared = await api.post("/v1/unproven:clear", ids=[payout], note="not on the statement")
    assert cleared == {"cleared": 1}
    assert await listed(api) == []
    rows = [{"row_id": "1", "payout_id": payout}]
    done = await api.post("/v1/payouts:approve", source="s", rows=rows)
    assert done["rows"][0]["status"] == "done"


async def test_a_statement_read_in_settles_the_doubt_too(api: Api) -> None:
    await api.purse()
    _, payout = await drafted(api, FLOAT_MINOR)
    async with api.desk.db.transaction() as tx:
        await tx.conn.execute("UPDATE payout SET mechanism = 'iban'")
    await doubt(api, "payout", payout)
    settle = {"row_id": "1", "payout_id": payout, **PAID}
    done = await api.post_as(api.checker, "/v1/payouts:settle", source="camt", rows=[settle])
    assert done["rows"][0]["status"] == "done", done
    assert await listed(api) == []
    assert await one(api, "SELECT note, cleared_by FROM unproven") == ("settle", CHECKER)


async def test_purchases_are_looked_up_and_then_entered_step_by_step(api: Api) -> None:
    allotment = await api.purse()
    line = {"description": "blankets", "quantity": 3, "unit_value_minor": 1_000}
    made = await api.post(
        "/v1/purchases", 201, allotment_id=allotment, supplier="Shop", cost_category="goods",
        programme="relief", area="UA80", planned_on="2024-06-01", lines=[line],
    )  # fmt: skip
    await doubt(api, "purchase", made["purchase_id"])
    (row,) = await listed(api)
    assert (row["about"], row["supplier"], row["amount_minor"]) == ("purchase", "Shop", 3_000)
    order = await api.checker.post(f"/v1/purchases/{made['purchase_id']}:order")
    assert order.status_code == 409
    paid = await api.maker.post(f"/v1/unproven/{made['purchase_id']}:paid", json=PAID)
    assert paid.status_code == 409
    await api.post("/v1/unproven:clear", ids=[made["purchase_id"]], note="never ordered")
    await api.post_as(api.checker, f"/v1/purchases/{made['purchase_id']}:order")
