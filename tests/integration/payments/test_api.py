"""What holds of all of payments' routes: pages, roles, keys, fields."""

from typing import Any

import httpx

from integration.payments.callers import Api
from integration.payments.offices import approved, confirmed
from support.bodies import lax_bodies, misread_routes
from support.routes import posts_without_key


async def _walk(api: Api, path: str, rows: str) -> list[Any]:
    """All rows of a list, read one by one."""
    found: list[Any] = []
    after = ""
    while True:
        page = await api.get(f"{path}?limit=1{after}")
        assert len(page[rows]) <= 1
        found += page[rows]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


async def test_every_list_is_read_page_by_page(api: Api) -> None:
    for _ in range(3):
        await api.purse()
    grants = await _walk(api, "/v1/grants", "grants")
    assert len(grants) == 3
    assert [each["code"] for each in grants] == sorted(each["code"] for each in grants)
    summary = await _walk(api, "/v1/grants/summary", "grants")
    assert [each["id"] for each in summary] == [each["id"] for each in grants]
    assert all(len(each["holders"]) == 1 for each in summary)
    assert len({each["name"] for each in await _walk(api, "/v1/donors", "donors")}) == 3
    held = await _walk(api, "/v1/allotments", "allotments")
    assert {each["grant_id"] for each in held} == {each["id"] for each in grants}
    assert len((await api.get("/v1/allotments?holder=kyiv"))["allotments"]) == 3
    accounts = await _walk(api, "/v1/accounts", "accounts")
    whole = (await api.get("/v1/accounts?limit=200"))["accounts"]
    assert accounts == whole
    assert len(whole) > 10
    for grant in grants:
        await api.post(
            "/v1/allotments",
            202,
            grant_id=grant["id"],
            budget_line="aid",
            amount_minor=1,
            currency="EUR",
            over_line_reason="cold winter",
        )
    asked = await _walk(api, "/v1/allotment-requests", "requests")
    assert {each["grant_id"] for each in asked} == {each["id"] for each in grants}


async def test_every_list_has_a_next_page(api: Api) -> None:
    await api.purse()
    needs = [approved(1_000) for _ in range(5)]
    await api.desk.feed(*needs)
    await api.desk.feed(*(confirmed(need) for need in needs))
    for place, need in enumerate(needs):
        row = {"row_id": str(place), "need_id": str(need.need_id)}
        if place < 3:
            await api.post("/v1/payouts:settle", rows=[row | {"bank_reference": "cash desk"}])
        else:
            await api.post("/v1/payouts:approve", rows=[row])
            await api.post("/v1/payouts:export", 201, currency="UAH", mechanism="cash")
    days = [("EUR", "UAH", day) for day in (1, 2)] + [("USD", "UAH", 2)]
    for base, spending, day in days:
        rate = {"base": base, "spending": spending, "rate": "41", "on": f"2024-05-0{day}"}
        await api.post("/v1/rates", 201, **rate, source="nbu")
    for path, name, count in (
        ("/v1/payouts/reviews", "payouts", 3),
        ("/v1/payout-batches", "batches", 2),
        ("/v1/rates", "rates", 3),
    ):
        whole = (await api.get(path))[name]
        assert len(whole) == count
        page = await api.get(f"{path}?limit=1")
        found = page[name]
        while page["next"] is not None:
            page = await api.get(f"{path}?limit=1&after={page['next']}")
            found += page[name]
        assert found == whole


async def test_roles_keys_and_unknown_fields(api: Api) -> None:
    assert (await api.nobody.get("/v1/payouts")).status_code == 403
    unknown = await api.maker.post("/v1/donors", json={"name": "X", "nmae": "Y"})
    assert unknown.status_code == 422
    key = {"Idempotency-Key": "a-key-of-sixteen-"}
    first = await api.maker.post("/v1/donors", json={"name": "Once"}, headers=key)
    second = await api.maker.post("/v1/donors", json={"name": "Once"}, headers=key)
    assert first.json() == second.json()
    assert (first.status_code, second.status_code) == (201, 201)
    transport = api.maker._transport
    assert isinstance(transport, httpx.ASGITransport)
    assert posts_without_key(transport.app) == []  # type: ignore[arg-type]
    assert lax_bodies(transport.app) == set()  # type: ignore[arg-type]
    assert misread_routes(transport.app) == []  # type: ignore[arg-type]


async def test_a_misspelled_restriction_makes_no_unrestricted_grant(api: Api) -> None:
    donor = (await api.maker.post("/v1/donors", json={"name": "Donor"})).json()["donor_id"]
    grant = {
        "donor_id": donor,
        "code": "only-kyiv",
        "currency": "UAH",
        "amount_minor": 100_000,
        "period_from": "2024-01-01",
        "period_to": "2024-12-31",
        "budget_lines": [{"code": "aid", "amount_minor": 100_000}],
    }
    refused = await api.maker.post("/v1/grants", json=grant | {"restriction": {"area": ["UA80"]}})
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"field": "body.restriction.area", "rule": "extra_forbidden"}
    ]
    made = await api.maker.post("/v1/grants", json=grant | {"restriction": {"areas": ["UA80"]}})
    assert made.status_code == 201, made.text
