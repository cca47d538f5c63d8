"""What may have been paid before a restore: listed, settled as a fact, or cleared."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis import restoring
from aidmesh_chassis.restoring import About
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.payments import CommitmentSpentV1
from integration.payments.callers import Api
from integration.payments.offices import CHECKER, approved, confirmed, withdrawn

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
    early = {**PAID, "served_on": "2099-01-01"}
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


async def bank(api: Api, amount_minor: int) -> tuple[NeedApprovedV1, str]:
    """A payout by the bank that waits for its approval."""
    need, payout = await drafted(api, amount_minor)
    await api.desk.execute("UPDATE payout SET mechanism = 'iban' WHERE id = $1::text::uuid", payout)
    return need, payout


@pytest.mark.parametrize("about", ["payout", "need"])
@pytest.mark.parametrize("is_spent", [False, True])
async def test_what_was_cancelled_before_anybody_looked_is_settled_if_it_was_paid(
    api: Api, about: About, is_spent: bool
) -> None:
    allotment = await api.purse(2 * FLOAT_MINOR)
    need, payout = await bank(api, 2 * FLOAT_MINOR)
    await doubt(api, about, payout if about == "payout" else need.need_id)
    await api.desk.feed(withdrawn(need))
    (row,) = await listed(api)
    assert (row["id"], row["state"]) == (payout, "cancelled")
    if is_spent:
        await bank(api, FLOAT_MINOR)
    await api.desk.told()
    await api.post(f"/v1/unproven/{payout}:paid", **PAID)
    assert await listed(api) == []
    state = "SELECT state FROM payout WHERE id = $1::text::uuid"
    assert await api.desk.value(state, payout) == "settled"
    (spent,) = await api.desk.told_of(CommitmentSpentV1)
    assert (spent.need_id, spent.unfunded) == (need.need_id, is_spent)
    if not is_spent:
        assert await api.desk.value("SELECT spent_minor FROM allotment") == 2 * FLOAT_MINOR
        assert (await api.get("/v1/discrepancies"))["discrepancies"] == []
        return
    # Another need has the money: finance finds some.
    (odd,) = (await api.get("/v1/discrepancies"))["discrepancies"]
    assert (odd["about"], odd["amount_minor"]) == ("no_money", 2 * FLOAT_MINOR)
    assert await api.desk.value("SELECT spent_minor FROM allotment WHERE id::text = $1",
                                allotment) == 0  # fmt: skip


async def test_of_a_need_in_doubt_the_last_payout_is_looked_up(api: Api) -> None:
    await api.purse()
    need, first = await bank(api, FLOAT_MINOR)
    await doubt(api, "need", need.need_id)
    await api.desk.feed(withdrawn(need))
    again = need.model_copy(update={"attempt_no": 2})
    await api.desk.feed(again)
    await api.desk.feed(confirmed(again))
    (row,) = await listed(api)
    assert (row["id"] != first, row["state"]) == (True, "draft")
    await api.post("/v1/unproven:clear", ids=[row["id"]], note="neither was paid")
    assert await listed(api) == []


async def test_what_was_cancelled_and_is_in_no_doubt_stays_so(api: Api) -> None:
    await api.purse()
    need, payout = await bank(api, FLOAT_MINOR)
    await api.desk.feed(withdrawn(need))
    settle = {"row_id": "1", "payout_id": payout, **PAID}
    refused = await api.post("/v1/payouts:settle", source="camt", rows=[settle])
    assert refused["rows"][0]["problem"] == "wrong-state"


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


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_statement_read_in_settles_the_doubt_too(api: Api, *, is_cancelled: bool) -> None:
    await api.purse()
    need, payout = await bank(api, FLOAT_MINOR)
    await doubt(api, "payout", payout)
    if is_cancelled:
        await api.desk.feed(withdrawn(need))
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
