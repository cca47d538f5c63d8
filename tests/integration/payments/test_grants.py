"""Grants through the HTTP API: pledged, received, allotted, amended."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from aidmesh.chaos.balance import Paid, unbalanced
from aidmesh_contracts.ids import GrantId
from aidmesh_payments.store.queries import grants as queries
from aidmesh_payments.store.queries.rows import Row
from integration.payments.callers import Api
from integration.payments.offices import MAKER


async def test_a_grant_from_pledge_to_summary(api: Api) -> None:
    allotment_id = await api.purse()
    summary = await api.get("/v1/grants/summary")
    [grant] = summary["grants"]
    assert (grant["received_minor"], grant["status"]) == (500_000, "active")
    # 40,000.00 UAH at 41.25 are 969.70 EUR.
    assert (grant["allotted_minor"], grant["unallotted_minor"]) == (96_970, 403_030)
    [holder] = grant["holders"]
    assert (holder["holder"], holder["free_minor"], holder["currency"]) == (
        "kyiv",
        4_000_000,
        "UAH",
    )
    shown = await api.get(f"/v1/grants/{grant['id']}")
    assert [each["free_minor"] for each in shown["holders"]] == [4_000_000]
    assert (await api.get("/v1/allotments?holder=lviv"))["allotments"] == []
    assert {line["code"] for line in shown["budget_lines"]} == {"aid", "overhead"}
    assert (await api.get("/v1/allotments"))["allotments"][0]["allotment_id"] == allotment_id
    ledger = await api.get("/v1/ledger?limit=1")
    assert ledger["next"] is not None
    following = await api.get(f"/v1/ledger?after={ledger['next']}")
    assert following["journals"][0]["id"] != ledger["journals"][0]["id"]
    await api.desk.check()


async def test_a_grant_is_shown_as_of_one_moment(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever adds up what one answer says gets the sums that it says, whatever comes meanwhile."""
    grant_id = await api.grant(currency="UAH")
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    row = {"grant": code, "amount_minor": 9_000, "received_on": "2024-01-05"}
    order = {"grant_id": grant_id, "budget_line": "aid", "amount_minor": 700, "currency": "UAH"}

    async def more(reference: str) -> None:
        paid = row | {"row_id": reference, "bank_reference": reference}
        await api.post("/v1/instalments:bulk", source="bank", rows=[paid])
        await api.post("/v1/allotments", 201, **order)

    await more("in-1")
    read_lines = queries.lines

    async def lines(conn: asyncpg.Connection, of: GrantId) -> list[Row]:
        await more("in-2")
        return await read_lines(conn, of)

    monkeypatch.setattr(queries, "lines", lines)
    shown = await api.get(f"/v1/grants/{grant_id}")
    monkeypatch.undo()
    assert (shown["received_minor"], shown["allotted_minor"]) == (9_000, 700)
    nothing = Paid({}, {})
    assert list(unbalanced(shown, nothing, Paid({"in-1": 9_000}, {}))) == []
    shown = await api.get(f"/v1/grants/{grant_id}")
    paid = Paid({"in-1": 9_000, "in-2": 9_000}, {})
    assert list(unbalanced(shown, paid, paid)) == []
    [one, other] = shown["holders"]
    assert (one["granted_minor"], other["granted_back_minor"]) == (700, 0)


async def test_money_does_not_move_on_a_day_to_come(api: Api) -> None:
    grant_id = await api.grant()
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    row = {"row_id": "1", "grant": code, "amount_minor": 5_000, "received_on": "2099-02-01"}
    answer = await api.post("/v1/instalments:bulk", rows=[row])
    assert answer["rows"][0]["problem"] == "day-in-future"
    # It did not leave an instalment that is expected, which the corrected row would double.
    answer = await api.post("/v1/instalments:bulk", rows=[{**row, "received_on": "2024-02-01"}])
    assert answer["rows"][0]["status"] == "done"
    shown = await api.get(f"/v1/grants/{grant_id}")
    assert [each["state"] for each in shown["instalments"]] == ["received"]
    for verb, more in (
        ("demand", {"amount_minor": 5, "reason": "cut"}),
        ("refund", {"amount_minor": 5, "bank_reference": "b-9"}),
        ("reverse-refund", {"amount_minor": 5, "reason": "returned"}),
        ("book-difference", {"loss_minor": 5, "reason": "bank fee"}),
    ):
        early = await api.post(f"/v1/grants/{grant_id}:{verb}", 422, **more, on="2099-01-01")
        assert early["type"].endswith(":day-in-future")


async def test_of_two_receipts_for_one_instalment_one_is_booked_and_the_other_says_so(
    api: Api,
) -> None:
    """As in two forms: what was not booked is not said to be, and may come as another."""
    grant_id = await api.grant()
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    promised = {"row_id": "0", "grant": code, "amount_minor": 100_000, "expected_on": "2024-01-05"}
    [expected] = (await api.post("/v1/instalments:bulk", rows=[promised]))["rows"]
    half = {"instalment_id": expected["id"], "received_on": "2024-01-05"}
    first = {"row_id": "1", "amount_minor": 60_000, "bank_reference": "r1"} | half
    second = {"row_id": "2", "amount_minor": 40_000, "bank_reference": "r2"} | half
    told = (await api.post("/v1/instalments:bulk", rows=[first, second]))["rows"]
    assert [(each["status"], each["problem"]) for each in told] == [
        ("done", None),
        ("rejected", "wrong-state"),
    ]
    assert (await api.get(f"/v1/grants/{grant_id}"))["received_minor"] == 60_000
    # It was not remembered as taken in either.
    [again] = (await api.post("/v1/instalments:bulk", rows=[second]))["rows"]
    assert (again["status"], again["problem"]) == ("rejected", "wrong-state")
    other = {"row_id": "2", "grant": code, "amount_minor": 40_000, "received_on": "2024-01-05"}
    [booked] = (await api.post("/v1/instalments:bulk", rows=[other]))["rows"]
    assert booked["status"] == "done"
    assert (await api.get(f"/v1/grants/{grant_id}"))["received_minor"] == 100_000
    await api.desk.check()


async def test_a_line_of_the_bank_that_two_people_enter_is_credited_once(api: Api) -> None:
    """Each form has a key of its own, and neither names an instalment that was expected."""
    grant_id, other_id = await api.grant(), await api.grant()
    code, other = [(await api.get(f"/v1/grants/{each}"))["code"] for each in (grant_id, other_id)]
    line = {"grant": code, "amount_minor": 60_000, "received_on": "2024-01-05"}
    rows = [
        line | {"row_id": "1", "bank_reference": "r1"},
        line | {"row_id": "2", "bank_reference": "r1"},
        # A donor who pays twice has two references; and each of these is another line.
        line | {"row_id": "3", "bank_reference": "r2"},
        line | {"row_id": "4", "bank_reference": "r1", "amount_minor": 60_001},
        line | {"row_id": "5", "bank_reference": "r1", "received_on": "2024-01-06"},
        line | {"row_id": "6", "bank_reference": "r1", "grant": other},
    ]
    told = (await api.post("/v1/instalments:bulk", rows=rows))["rows"]
    assert [each["problem"] for each in told] == [None, "received-already", None, None, None, None]
    again = line | {"row_id": "7", "bank_reference": " R 1"}
    [late] = (await api.post_as(api.checker, "/v1/instalments:bulk", rows=[again]))["rows"]
    assert (late["status"], late["problem"]) == ("rejected", "received-already")
    shown = await api.get(f"/v1/grants/{grant_id}")
    assert (shown["received_minor"], len(shown["instalments"])) == (4 * 60_000 + 1, 4)
    # What was taken out again may come after all.
    await api.post(f"/v1/instalments/{told[0]['id']}:reverse", reason="typo")
    [anew] = (await api.post("/v1/instalments:bulk", rows=[again]))["rows"]
    assert anew["status"] == "done"
    assert (await api.get(f"/v1/grants/{grant_id}"))["received_minor"] == 4 * 60_000 + 1
    await api.desk.check()


async def test_of_one_line_in_two_forms_at_once_one_is_credited(api: Api) -> None:
    grant_id = await api.grant()
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    line = {"grant": code, "amount_minor": 60_000, "received_on": "2024-01-05"}
    forms = [
        api.post("/v1/instalments:bulk", rows=[line | {"row_id": key, "bank_reference": "r1"}])
        for key in ("1", "2", "3")
    ]
    told = [answer["rows"][0]["problem"] for answer in await asyncio.gather(*forms)]
    assert sorted(told, key=str) == [None, "received-already", "received-already"]
    assert (await api.get(f"/v1/grants/{grant_id}"))["received_minor"] == 60_000


async def test_a_receipt_that_is_refused_leaves_the_instalment_to_the_next_row(api: Api) -> None:
    grant_id = await api.grant()
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    promised = {"row_id": "0", "grant": code, "amount_minor": 9_000, "expected_on": "2024-01-05"}
    [expected] = (await api.post("/v1/instalments:bulk", rows=[promised]))["rows"]
    row = {"instalment_id": expected["id"], "amount_minor": 9_000, "received_on": "2024-01-05"}
    rows = [row | {"row_id": "1", "paid_currency": "UAH"}, row | {"row_id": "2"}]
    rows.append({"row_id": "3", "instalment_id": str(UUID(int=1)), "amount_minor": 1})
    told = (await api.post("/v1/instalments:bulk", rows=rows))["rows"]
    assert [each["problem"] for each in told] == ["paid-amount-unfit", None, "unknown-row"]


@pytest.mark.parametrize(
    "paid",
    [{"paid_currency": "UAH"}, {"paid_minor": 9_001}, {"paid_minor": 1, "paid_currency": "EUR"}],
)
@pytest.mark.parametrize("is_expected", [False, True])
async def test_what_came_in_another_currency_is_entered_with_both_amounts(
    api: Api, paid: dict[str, object], is_expected: bool
) -> None:
    grant_id = await api.grant(currency="EUR")
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    row = {"row_id": "1", "amount_minor": 9_000, "received_on": "2024-02-01"}
    if is_expected:
        promised = {"grant": code, "amount_minor": 9_000, "expected_on": "2024-01-05"}
        rows = [promised | {"row_id": "0"}]
        [expected] = (await api.post("/v1/instalments:bulk", rows=rows))["rows"]
        row["instalment_id"] = expected["id"]
    else:
        row["grant"] = code
    [refused] = (await api.post("/v1/instalments:bulk", rows=[row | paid]))["rows"]
    assert (refused["status"], refused["problem"]) == ("rejected", "paid-amount-unfit")
    assert (await api.get(f"/v1/grants/{grant_id}"))["received_minor"] == 0
    whole = {"paid_minor": 412_500, "paid_currency": "UAH"}
    [done] = (await api.post("/v1/instalments:bulk", rows=[row | whole]))["rows"]
    assert done["status"] == "done"
    # What was refused left no instalment that is still expected.
    [shown] = (await api.get(f"/v1/grants/{grant_id}"))["instalments"]
    assert (shown["state"], shown["received_minor"]) == ("received", 9_000)
    assert (shown["paid_minor"], shown["paid_currency"]) == (412_500, "UAH")
    await api.desk.check()


async def test_what_a_donor_pays_after_the_last_report_is_entered(api: Api) -> None:
    grant_id = await api.grant(currency="UAH")
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    row = {"grant": code, "amount_minor": 9_000, "received_on": "2024-01-05"}
    await api.post("/v1/instalments:bulk", rows=[row | {"row_id": "1"}])
    await api.post(f"/v1/grants/{grant_id}:demand", amount_minor=10_000, reason="cut")
    await api.post(f"/v1/grants/{grant_id}:close")
    answer = await api.post("/v1/instalments:bulk", rows=[row | {"row_id": "2"}])
    assert answer["rows"][0]["status"] == "done"
    shown = await api.get(f"/v1/grants/{grant_id}")
    # Who asked money back is served first, as ever.
    assert (shown["status"], shown["received_minor"]) == ("closed", 18_000)
    assert (shown["refund_due_minor"], shown["unallotted_minor"]) == (10_000, 8_000)
    order = {"grant_id": grant_id, "budget_line": "aid", "amount_minor": 100, "currency": "UAH"}
    refused = await api.post("/v1/allotments", 409, **order)
    assert refused["type"].endswith(":grant-not-active")
    await api.post_as(api.finance, f"/v1/grants/{grant_id}:resume", 403)
    await api.post(f"/v1/grants/{grant_id}:resume")
    await api.post("/v1/allotments", 201, **order)


async def test_money_goes_only_to_regions_that_there_are(api: Api) -> None:
    grant_id = await api.grant(currency="UAH")
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    row = {"row_id": "1", "grant": code, "amount_minor": 9_000, "received_on": "2024-01-05"}
    await api.post("/v1/instalments:bulk", rows=[row])
    order = {"grant_id": grant_id, "budget_line": "aid", "amount_minor": 100, "currency": "UAH"}
    # The own region needs nobody; of others nothing is known before the broker said.
    await api.post("/v1/allotments", 201, **order)
    not_yet = await api.post("/v1/allotments", 503, **order, to_region="lviv")
    assert not_yet["type"].endswith(":regions-not-known-yet")
    api.peers.expect(["lviv", "odesa"])
    assert (await api.get("/v1/regions"))["regions"] == ["kyiv", "lviv", "odesa"]
    sent = await api.post("/v1/allotments", 201, **order, to_region="lviv")
    api.peers.heard("beat.lviv", b"payments")
    shown = [
        *(await api.get("/v1/allotments"))["allotments"],
        *(await api.get(f"/v1/grants/{grant_id}"))["holders"],
        *(await api.get("/v1/grants/summary"))["grants"][0]["holders"],
    ]
    assert {(each["holder"], (each["link"] or {}).get("state")) for each in shown} == {
        ("kyiv", None),
        ("lviv", "up"),
    }
    for more in ({}, {"over_line_reason": "cold winter"}):
        refused = await api.post("/v1/allotments", 422, **order, to_region="lvov", **more)
        assert refused["type"].endswith(":region-unknown")
    asked = await api.post(
        "/v1/allotments", 202, **order, to_region="lviv", over_line_reason="cold winter"
    )
    # One that is linked no more gets no more, whatever was asked or given before.
    api.peers.expect(["odesa"])
    await api.post(f"/v1/allotments/{sent['allotment_id']}:raise", 422, amount_minor=1)
    path = f"/v1/allotment-requests/{asked['request_id']}:approve"
    assert (await api.post_as(api.checker, path, 422))["type"].endswith(":region-unknown")
    assert await api.desk.value("SELECT count(*) FROM transfer WHERE to_region = 'lviv'") == 1


async def test_a_grant_is_amended_and_its_entries_put_right(api: Api) -> None:
    grant_id = await api.grant(currency="UAH", overhead_bp=0)
    path = f"/v1/grants/{grant_id}"
    shown = await api.get(path)
    assert shown["amendments"] == []
    before = shown["amount_minor"], shown["period_to"], shown["budget_lines"][0]["amount_minor"]
    lines = [{"code": "aid", "amount_minor": 800_000}]
    cut: dict[str, Any] = {"amount_minor": 800_000, "budget_lines": lines, "reason": "cut"}
    assert (await api.post(f"{path}:amend", **cut))["terms_version"] == 2
    early = await api.post(f"{path}:amend", 422, period_to="2023-12-31", reason="typo")
    assert early["type"].endswith("period-ends-before-it-begins")
    await api.post_as(api.finance, f"{path}:amend", 403, period_to="2025-12-31", reason="longer")
    await api.post_as(api.finance, f"{path}:reverse-refund", 403, amount_minor=1, reason="typo")
    await api.post(f"{path}:amend", period_to="2025-12-31", reason="longer")
    shown = await api.get(path)
    assert (shown["amount_minor"], shown["period_to"]) == (800_000, "2025-12-31")
    assert [line["amount_minor"] for line in shown["budget_lines"]] == [800_000]
    assert shown["terms_version"] == 3
    stale = await api.post(f"{path}:amend", 409, amount_minor=9, reason="cut", terms_version=2)
    assert stale["type"].endswith(":wrong-state")
    # How it was before each, and who changed it why.
    second, first = shown["amendments"]
    assert (first["terms_version"], first["reason"], first["amended_by"]) == (2, "cut", str(MAKER))
    assert (first["amount_minor"], first["period_to"]) == before[:2]
    assert first["budget_lines"] == [{"code": "aid", "amount_minor": before[2]}]
    assert second["budget_lines"] == lines
    assert (second["terms_version"], second["amount_minor"]) == (3, 800_000)
    rows = [
        {"row_id": "1", "grant": shown["code"], "amount_minor": 9_000, "received_on": "2024-01-05"},
        {"row_id": "2", "grant": shown["code"], "amount_minor": 5, "expected_on": "2024-03-05"},
    ]
    came, expected = (await api.post("/v1/instalments:bulk", rows=rows))["rows"]
    await api.post(f"/v1/instalments/{came['id']}:withdraw", 409, reason="typo")
    await api.post(f"/v1/instalments/{expected['id']}:withdraw", reason="typo")
    await api.post(f"/v1/instalments/{expected['id']}:reverse", 409, reason="typo")
    await api.post(f"{path}:demand", amount_minor=9_500, reason="audit")
    await api.post(f"/v1/instalments/{came['id']}:reverse", 409, reason="typo")
    less = await api.post(f"{path}:withdraw-demand", amount_minor=300, reason="agreed")
    assert less["shortfall_minor"] == 200
    await api.post(f"{path}:withdraw-demand", amount_minor=9_200, reason="agreed")
    await api.post(f"{path}:withdraw-demand", 409, amount_minor=1, reason="agreed")
    shown = await api.get(path)
    assert [
        (each["amount_minor"], each["reason"], each["withdrawn_by"])
        for each in shown["demand_withdrawals"]
    ] == [(9_200, "agreed", str(MAKER)), (300, "agreed", str(MAKER))]
    await api.post(f"/v1/instalments/{came['id']}:reverse", reason="typo")
    shown = await api.get(path)
    assert (shown["received_minor"], shown["unallotted_minor"]) == (0, 0)
    assert {each["state"] for each in shown["instalments"]} == {"reversed", "withdrawn"}
    assert {each["reason"] for each in shown["instalments"]} == {"typo"}
    await api.desk.check()


async def test_a_line_beyond_its_flexibility_asks_a_second_person(api: Api) -> None:
    grant_id = await api.grant(
        currency="UAH",
        budget_lines=[{"code": "aid", "amount_minor": 1_000, "flexibility_percent": 0}],
    )
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    row = {"row_id": "1", "grant": code, "amount_minor": 9_000, "received_on": "2024-01-05"}
    await api.post("/v1/instalments:bulk", rows=[row])
    order = {
        "grant_id": grant_id,
        "budget_line": "aid",
        "amount_minor": 1_500,
        "currency": "UAH",
    }
    refused = await api.post("/v1/allotments", 409, **order)
    assert refused["type"].endswith("budget-line-exceeded")
    asked = await api.post("/v1/allotments", 202, **order, over_line_reason="cold winter")
    path = f"/v1/allotment-requests/{asked['request_id']}"
    await api.post(f"{path}:approve", 409)
    assert len((await api.get("/v1/allotment-requests"))["requests"]) == 1
    await api.post_as(api.checker, f"{path}:approve")
    await api.post_as(api.checker, f"{path}:approve", 409)
    assert await api.desk.value("SELECT received_minor FROM allotment") == 1_500


async def test_an_office_that_there_is_not_pays_for_no_grant(api: Api) -> None:
    donor = await api.post("/v1/donors", 201, name="Donor of offices")
    body: dict[str, Any] = {
        "donor_id": donor["donor_id"],
        "code": "offices",
        "currency": "EUR",
        "amount_minor": 100,
        "period_from": "2024-01-01",
        "period_to": "2024-12-31",
        "budget_lines": [{"code": "aid", "amount_minor": 100}],
        "paying_office": "lviv",
    }
    unknown = await api.post("/v1/grants", 503, **body)
    assert unknown["type"].endswith("regions-not-known-yet")
    api.peers.expect({"odesa"})
    refused = await api.post("/v1/grants", 422, **body)
    assert refused["type"].endswith("region-unknown")
    assert "GET /v1/regions" in refused["detail"]
    api.peers.expect({"odesa", "lviv"})
    made = await api.post("/v1/grants", 201, **body)
    assert (await api.get(f"/v1/grants/{made['grant_id']}"))["paying_office"] == "lviv"


async def test_what_cannot_be_a_grant_or_a_rate_is_refused_with_the_reason(api: Api) -> None:
    donor = await api.post("/v1/donors", 201, name="A donor")
    line = {"code": "aid", "amount_minor": 900_000}
    grant = {"donor_id": donor["donor_id"], "code": "g1", "currency": "EUR",
             "amount_minor": 1_000_000, "period_from": "2024-01-01", "period_to": "2024-12-31",
             "budget_lines": [line]}  # fmt: skip
    rate = {"base": "EUR", "spending": "UAH", "on": "2024-02-01", "source": "nbu", "rate": "41.25"}
    for path, body, reason in (
        ("/v1/grants", {**grant, "period_to": "2023-12-31"}, "period-ends-before-it-begins"),
        ("/v1/grants", {**grant, "budget_lines": [line, line]}, "budget-lines-unfit"),
        ("/v1/rates", {**rate, "rate": "0"}, "rate-unfit"),
        ("/v1/rates", {**rate, "spending": "EUR"}, "rate-unfit"),
    ):
        assert (await api.post(path, 422, **body))["type"].endswith(reason)
    grant_id = await api.grant()
    nothing = {"loss_minor": 0, "on": "2024-02-01", "reason": "rounding"}
    refused = await api.post(f"/v1/grants/{grant_id}:book-difference", 422, **nothing)
    assert refused["type"].endswith("amount-is-zero")
