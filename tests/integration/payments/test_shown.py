"""What those who may not see sensitive needs are shown of their money."""

from datetime import date
from typing import Any
from uuid import UUID, uuid4

import httpx

from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import AidGivenV1
from aidmesh_contracts.values import MoneyDemand
from integration.payments.callers import Api
from integration.payments.offices import approved, confirmed


async def test_of_sensitive_needs_those_who_move_money_see_how_much_not_what_for(
    api: Api,
) -> None:
    await api.purse(100_000)
    plain, secret = approved(3_000), approved(3_000, sensitive=True)
    missing = approved(900_000, programme="health", sensitive=True)
    fact = AidGivenV1(
        need_id=NeedId(uuid4()),
        kind="medical",
        programme="health",
        served_on=date(2024, 5, 1),
        place_area="UA80",
        money=MoneyDemand(amount_minor=900_000, currency="UAH", cost_category="fees", by="payout"),
    )
    await api.desk.feed(plain, secret, missing)
    await api.desk.feed(fact)

    async def seen(who: httpx.AsyncClient, need_id: UUID) -> dict[str, Any]:
        found = (await who.get(f"/v1/needs/{need_id}/commitment")).json()
        rows = [*found["commitments"], *([found["refused"]] if found["refused"] else [])]
        (row,) = rows
        assert isinstance(row, dict)
        return row

    for need_id, amount_minor, names in [
        (secret.need_id, 3_000, ("allotment_id", "grant_code")),
        (missing.need_id, 900_000, ("code",)),
    ]:
        hidden, shown = await seen(api.finance, need_id), await seen(api.maker, need_id)
        assert hidden["amount_minor"] == shown["amount_minor"] == amount_minor
        assert [hidden[name] for name in names] == [None] * len(names)
        assert all(shown[name] for name in names)
    assert await seen(api.finance, plain.need_id) == await seen(api.maker, plain.need_id)
    (odd,) = (await api.finance.get("/v1/discrepancies")).json()["discrepancies"]
    assert (odd["programme"], odd["cost_category"], odd["amount_minor"]) == (None, None, 900_000)
    (odd,) = (await api.get("/v1/discrepancies"))["discrepancies"]
    assert (odd["programme"], odd["cost_category"]) == ("health", "fees")


async def test_a_payout_says_what_it_is_for_to_those_who_may_know(api: Api) -> None:
    await api.purse(100_000)
    plain, secret = approved(3_000), approved(4_000, sensitive=True)
    for need in (plain, secret):
        await api.desk.feed(need)
        await api.desk.feed(confirmed(need))
    names = ("programme", "grant_code", "budget_line")

    async def told(who: httpx.AsyncClient, path: str) -> dict[str, set[bool]]:
        """Whether what a payout is for is told, by its need."""
        rows = (await who.get(path)).json()["payouts"]
        return {row["need_id"]: {row[name] is not None for name in names} for row in rows}

    all_of_it = {str(plain.need_id): {True}, str(secret.need_id): {True}}
    some_of_it = {str(plain.need_id): {True}, str(secret.need_id): {False}}
    assert await told(api.maker, "/v1/payouts") == all_of_it
    assert await told(api.finance, "/v1/payouts") == some_of_it
    (row, _) = (await api.get("/v1/payouts"))["payouts"]
    (grant,) = (await api.get("/v1/grants"))["grants"]
    assert (row["programme"], row["grant_code"]) == (plain.programme, grant["code"])
    for need in (plain, secret):
        found = (await api.finance.get(f"/v1/needs/{need.need_id}/commitment")).json()
        (drawn,) = found["payouts"]
        (listed,) = [
            each
            for each in (await api.get("/v1/payouts"))["payouts"]
            if each["need_id"] == str(need.need_id)
        ]
        assert drawn["id"] == listed["id"]
        assert (drawn["state"], drawn["amount_minor"]) == ("draft", listed["amount_minor"])
    rows = [
        {"row_id": str(each.need_id), "need_id": str(each.need_id), "bank_reference": "cash desk"}
        for each in (plain, secret)
    ]
    await api.post("/v1/payouts:settle", rows=rows)
    assert await told(api.maker, "/v1/payouts/reviews") == all_of_it
    assert await told(api.finance, "/v1/payouts/reviews") == some_of_it


async def test_the_ledger_does_not_lead_from_a_sensitive_need_to_its_grant(api: Api) -> None:
    await api.purse(100_000)
    amounts = {3_000: False, 4_000: True}
    for amount_minor, sensitive in amounts.items():
        need = approved(amount_minor, sensitive=sensitive)
        await api.desk.feed(need)
        await api.desk.feed(confirmed(need))
        row = {"row_id": str(amount_minor), "need_id": str(need.need_id)}
        await api.post("/v1/payouts:approve", rows=[row])
        paid = row | {"bank_reference": f"bank-{amount_minor}"}
        answer = await api.post_as(api.checker, "/v1/payouts:settle", rows=[paid])
        assert answer["rows"][0]["status"] == "done"

    async def spent(who: httpx.AsyncClient, query: str = "") -> dict[int, set[bool]]:
        """Whether grant and allotment are told, by amount."""
        found = (await who.get(f"/v1/ledger?{query}")).json()["journals"]
        return {
            abs(journal["postings"][0]["amount_minor"]): {
                posting["grant_id"] is not None and posting["allotment_id"] is not None
                for posting in journal["postings"]
            }
            for journal in found
            if journal["kind"] == "spending"
        }

    (grant,) = (await api.get("/v1/grants"))["grants"]
    assert await spent(api.finance) == {3_000: {True}, 4_000: {False}}
    assert await spent(api.finance, f"grant_id={grant['id']}") == {3_000: {True}}
    assert await spent(api.maker) == {3_000: {True}, 4_000: {True}}
    assert await spent(api.maker, f"grant_id={grant['id']}") == {3_000: {True}, 4_000: {True}}
