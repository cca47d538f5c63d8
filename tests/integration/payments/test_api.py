"""Payments through its HTTP API, on a real database."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.idempotency import posts_without_key
from aidmesh_chassis.keys import TOKENS, KeyRing, create_region_keys
from aidmesh_chassis.peers import Peers
from aidmesh_contracts.ids import NeedId, PayeeRef, PurchaseId
from aidmesh_contracts.intake import AidGivenV1, PayeeErasedV1, PayeeSealedV1
from aidmesh_contracts.inventory import GoodsReceivedV1, GoodsReversedV1
from aidmesh_contracts.payments import CommitmentReleasedV1, CommitmentSpentV1, PurchaseOrderedV1
from aidmesh_contracts.values import MoneyDemand
from aidmesh_payments.app import build
from aidmesh_payments.config import Settings
from aidmesh_payments.handlers.office import Office
from integration.payments.offices import CHECKER, MAKER, Desk, approved, confirmed
from support.servers import DatabaseFactory

IBAN = "UA213223130000026007233566001"
NAME = "Canary Kanarenko"
EVERYONE = [Role.FINANCE, Role.APPROVER, Role.LEAD]


@dataclass
class Api:
    """A client for each of two members of staff, and the office behind it."""

    desk: Desk
    peers: Peers
    maker: httpx.AsyncClient
    checker: httpx.AsyncClient
    nobody: httpx.AsyncClient
    finance: httpx.AsyncClient

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        return await self.post_as(self.maker, path, status, **body)

    async def post_as(
        self, who: httpx.AsyncClient, path: str, status: int = 200, **body: Any
    ) -> Any:
        answer = await who.post(path, json=body or None)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str) -> Any:
        answer = await self.maker.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def api(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Api]:
    """The whole service, without a broker."""
    create_region_keys(tmp_path / "keys")
    service = build(
        Settings(
            region="kyiv",
            database_url=SecretStr(await database("payments")),
            keys_dir=tmp_path / "keys",
            float_limits_minor={"UAH": 10_000},
        )
    )
    assert service.database is not None
    await service.database.open()
    signer = KeyRing(tmp_path / "keys", [TOKENS]).token_signer()

    def client(staff_id: UUID, *roles: Role) -> httpx.AsyncClient:
        token = issue_token(signer, staff_id, roles, "kyiv", datetime.now(UTC), 3600)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(service.app),
            base_url="http://payments",
            headers={"Authorization": f"Bearer {token}"},
        )

    desk = Desk(Office("kyiv", {"UAH": 10_000}, lambda: None), service.database)
    async with (
        client(MAKER, *EVERYONE) as maker,
        client(CHECKER, *EVERYONE) as checker,
        client(uuid4(), Role.LOGISTICIAN) as nobody,
        client(uuid4(), Role.FINANCE, Role.APPROVER) as finance,
    ):
        assert service.peers is not None
        yield Api(desk, service.peers, maker, checker, nobody, finance)
    await desk.check()
    await service.database.close()


async def _payee(api: Api, need_id: NeedId) -> PayeeRef:
    made = await api.post(
        "/v1/payees", 201, need_id=str(need_id), mechanism="iban", legal_name=NAME, iban=IBAN
    )
    return PayeeRef(UUID(made["payee_ref"]))


async def _grant(api: Api, **more: Any) -> str:
    donor = await api.post("/v1/donors", 201, name=f"Donor {uuid4()}")
    made = await api.post(
        "/v1/grants",
        201,
        **{
            "donor_id": donor["donor_id"],
            "code": f"g{uuid4().hex}",
            "currency": "EUR",
            "amount_minor": 1_000_000,
            "period_from": "2024-01-01",
            "period_to": "2024-12-31",
            "budget_lines": [{"code": "aid", "amount_minor": 900_000}],
            "overhead_bp": 700,
            **more,
        },
    )
    grant_id: str = made["grant_id"]
    return grant_id


async def _purse(api: Api, amount_minor: int = 4_000_000) -> str:
    grant_id = await _grant(api)
    grant = await api.get(f"/v1/grants/{grant_id}")
    rows = [
        {
            "row_id": "1",
            "grant": grant["code"],
            "amount_minor": 500_000,
            "received_on": "2024-02-01",
            "bank_reference": "b-1",
        }
    ]
    answer = await api.post("/v1/instalments:bulk", source=grant["code"], rows=rows)
    assert answer["rows"][0]["status"] == "done"
    made = await api.post(
        "/v1/allotments",
        201,
        grant_id=grant_id,
        budget_line="aid",
        amount_minor=amount_minor,
        currency="UAH",
        rate="41.25",
    )
    allotment_id: str = made["allotment_id"]
    return allotment_id


async def test_a_grant_from_pledge_to_summary(api: Api) -> None:
    allotment_id = await _purse(api)
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
    assert (await api.get("/v1/ledger/check"))["ok"]


async def test_money_does_not_move_on_a_day_to_come(api: Api) -> None:
    grant_id = await _grant(api)
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    row = {"row_id": "1", "grant": code, "amount_minor": 5_000, "received_on": "2999-02-01"}
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
        ("book-difference", {"loss_minor": 5, "reason": "bank fee"}),
    ):
        early = await api.post(f"/v1/grants/{grant_id}:{verb}", 422, **more, on="2999-01-01")
        assert early["type"].endswith(":day-in-future")


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
        await _purse(api)
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


async def test_a_reconciliation_file_that_comes_twice_counts_once(api: Api) -> None:
    await _purse(api)
    needs = [approved(20_000) for _ in range(5)]
    await api.desk.feed(*needs)
    await api.desk.feed(*(confirmed(need) for need in needs))
    queue = await api.get("/v1/payouts?limit=3")
    assert len(queue["payouts"]) == 3
    assert len((await api.get(f"/v1/payouts?after={queue['next']}"))["payouts"]) == 2
    rows = [{"row_id": str(n), "need_id": str(need.need_id)} for n, need in enumerate(needs)]
    answer = await api.post("/v1/payouts:approve", source="june", rows=rows)
    assert [row["status"] for row in answer["rows"]] == ["done"] * 5
    paid = [{**row, "bank_reference": "camt-1", "served_on": "2024-06-12"} for row in rows]
    # Above the float limit the one who approved may not settle.
    alone = await api.post("/v1/payouts:settle", source="camt", rows=paid)
    assert {row["problem"] for row in alone["rows"]} == {"second-person-needed"}
    early = [{**row, "served_on": "2999-01-01"} for row in paid]
    refused = await api.post_as(api.checker, "/v1/payouts:settle", source="camt", rows=early)
    assert {row["problem"] for row in refused["rows"]} == {"day-in-future"}
    await api.desk.told()
    unknown = {"row_id": "x", "need_id": str(uuid4()), "bank_reference": "camt-1"}
    answer = await api.post_as(
        api.checker, "/v1/payouts:settle", source="camt", rows=[*paid, unknown]
    )
    assert [row["status"] for row in answer["rows"]] == ["done"] * 5 + ["rejected"]
    spent = await api.desk.told_of(CommitmentSpentV1)
    assert {event.spent_on for event in spent} == {date(2024, 6, 12)}
    answer = await api.post_as(api.checker, "/v1/payouts:settle", source="camt", rows=paid)
    assert [row["status"] for row in answer["rows"]] == ["skipped"] * 5
    changed = [{**paid[0], "bank_reference": "camt-2"}]
    answer = await api.post_as(api.checker, "/v1/payouts:settle", source="camt", rows=changed)
    assert answer["rows"][0]["problem"] == "row-changed"
    other = await api.post_as(api.checker, "/v1/payouts:settle", source="again", rows=paid)
    assert {row["status"] for row in other["rows"]} == {"rejected"}
    assert await api.desk.told_of(CommitmentSpentV1) == []
    assert await api.desk.value("SELECT spent_minor FROM allotment") == 100_000


async def test_a_payment_list_opens_payees_and_says_who_did(api: Api) -> None:
    await _purse(api)
    bad = await api.maker.post(
        "/v1/payees",
        json={
            "need_id": str(uuid4()),
            "mechanism": "iban",
            "legal_name": NAME,
            "iban": IBAN[:-1] + "2",
        },
    )
    assert bad.status_code == 422
    assert IBAN[:20] not in bad.text
    need_id = NeedId(uuid4())
    need = approved(20_000, payee_ref=await _payee(api, need_id), need_id=need_id)
    await api.desk.feed(need)
    await api.desk.feed(confirmed(need))
    rows = [{"row_id": "1", "need_id": str(need.need_id)}]
    await api.post("/v1/payouts:approve", rows=rows)
    batch = await api.post("/v1/payouts:export", 201, currency="UAH", mechanism="iban")
    await api.post("/v1/payouts:export", 409, currency="UAH", mechanism="iban")
    answer = await api.maker.get(f"/v1/payout-batches/{batch['batch_id']}/list.csv")
    [line] = csv.DictReader(io.StringIO(answer.text))
    assert (line["iban"], line["legal_name"], line["amount"]) == (IBAN, NAME, "200.00")
    assert len(line["end_to_end_id"]) <= 35
    assert await api.desk.value("SELECT staff_id FROM payee_access") == MAKER
    # Nothing of it is in the database in the clear, nor in any event.
    for table in ("payee", "payout", "payee_access", "outbox", "idempotency"):
        text = await api.desk.value(f"SELECT string_agg(t::text, '') FROM {table} t") or ""  # noqa: S608
        for canary in (NAME, IBAN):
            assert canary not in text
            assert canary.encode().hex() not in text
    refused = await api.nobody.get(f"/v1/payout-batches/{batch['batch_id']}/list.csv")
    assert refused.status_code == 403


async def test_no_details_of_whom_was_erased_or_of_another_need(api: Api) -> None:
    await _purse(api)
    need, other = approved(5_000), approved(5_000)
    await api.desk.feed(need, other)
    await api.desk.feed(confirmed(need), confirmed(other))
    payout_id = await api.desk.value("SELECT id FROM payout WHERE need_id = $1", need.need_id)
    rows = [{"row_id": "1", "payout_id": str(payout_id)}]
    await api.post("/v1/payouts:approve", rows=rows)
    await api.post(f"/v1/payouts/{payout_id}:reject", reason="AC01")
    theirs = await _payee(api, other.need_id)
    redo = f"/v1/payouts/{payout_id}:redo"
    assert (await api.post(redo, 422, payee_ref=str(theirs)))["rule"] == "unknown"
    own = await _payee(api, need.need_id)
    await api.desk.feed(PayeeErasedV1(need_id=need.need_id))
    assert (await api.post(redo, 422, payee_ref=str(own)))["rule"] == "unknown"
    refused = await api.post(
        "/v1/payees", 409, need_id=str(need.need_id), mechanism="cash", legal_name=NAME
    )
    assert refused["type"].endswith("payee-erased")
    await api.post(f"/v1/payouts/{payout_id}:give-up")
    assert await api.desk.value("SELECT array_agg(payee_ref) FROM payee") == [theirs]


async def test_one_payee_who_cannot_be_paid_stops_no_other(api: Api) -> None:
    await _purse(api)
    ids = [NeedId(uuid4()), NeedId(uuid4())]
    refs = [await _payee(api, ids[0]), PayeeRef(uuid4())]
    needs = [
        approved(20_000, payee_ref=ref, need_id=need_id)
        for ref, need_id in zip(refs, ids, strict=True)
    ]
    await api.desk.feed(*needs)
    await api.desk.feed(*(confirmed(need) for need in needs))
    await api.desk.feed(
        PayeeSealedV1(payee_ref=refs[1], need_id=needs[1].need_id, mechanism="iban", sealed="AAAA")
    )
    rows = [{"row_id": str(need.need_id), "need_id": str(need.need_id)} for need in needs]
    await api.post("/v1/payouts:approve", rows=rows)
    batch = await api.post("/v1/payouts:export", 201, currency="UAH", mechanism="iban")
    path = f"/v1/payout-batches/{batch['batch_id']}/list.csv"
    refused = await api.maker.get(path)
    assert refused.json()["type"].endswith("payee-unusable")
    await api.post(f"/v1/payouts/{refused.json()['payout_id']}:reject", reason="AC01")
    [line] = csv.DictReader(io.StringIO((await api.maker.get(path)).text))
    assert (line["iban"], line["legal_name"]) == (IBAN, NAME)


async def test_rejected_then_drawn_up_again_or_given_up(api: Api) -> None:
    await _purse(api)
    need = approved(20_000)
    await api.desk.feed(need)
    await api.desk.feed(confirmed(need))
    payout_id = (await api.get("/v1/payouts"))["payouts"][0]["id"]
    await api.post("/v1/payouts:approve", rows=[{"row_id": "1", "payout_id": payout_id}])
    await api.post(f"/v1/payouts/{payout_id}:reject", reason="AC01")
    await api.post(f"/v1/payouts/{payout_id}:accept", 409)
    again = (await api.post(f"/v1/payouts/{payout_id}:redo", 201, payee_ref=None))["payout_id"]
    await api.post(f"/v1/payouts/{payout_id}:redo", 409, payee_ref=None)
    await api.post(f"/v1/payouts/{payout_id}:give-up", 409)
    # Whoever drew it up does not approve it above the limit.
    rows = [{"row_id": "2", "payout_id": again}]
    answer = await api.post("/v1/payouts:approve", rows=rows)
    assert answer["rows"][0]["problem"] == "second-person-needed"
    await api.post_as(api.checker, "/v1/payouts:approve", rows=rows)
    await api.post(f"/v1/payouts/{again}:reject", reason="AC04")
    await api.desk.told()
    await api.post(f"/v1/payouts/{again}:give-up")
    assert [e.cause for e in await api.desk.told_of(CommitmentReleasedV1)] == ["returned"]


async def test_small_payments_by_one_person_are_reviewed(api: Api) -> None:
    await _purse(api)
    need = approved(5_000)
    await api.desk.feed(need)
    await api.desk.feed(confirmed(need))
    rows = [{"row_id": "1", "need_id": str(need.need_id), "bank_reference": "cash desk"}]
    answer = await api.post("/v1/payouts:settle", rows=rows)
    payout_id = answer["rows"][0]["id"]
    [waiting] = (await api.get("/v1/payouts/reviews"))["payouts"]
    assert waiting["id"] == payout_id
    await api.post(f"/v1/payouts/{payout_id}:review", 409)
    await api.post_as(api.checker, f"/v1/payouts/{payout_id}:review")
    assert (await api.get("/v1/payouts/reviews"))["payouts"] == []


async def test_a_row_that_names_a_need_finds_cash_that_was_given_up(api: Api) -> None:
    await _purse(api)
    need = approved(5_000)
    await api.desk.feed(need)
    await api.desk.feed(confirmed(need))
    [payout] = (await api.get("/v1/payouts"))["payouts"]
    await api.post(f"/v1/payouts/{payout['id']}:not-collected")
    rows = [{"row_id": "1", "need_id": str(need.need_id)}]
    answer = await api.post("/v1/payouts:approve", rows=rows)
    assert answer["rows"][0]["problem"] == "unknown-row"
    answer = await api.post("/v1/payouts:settle", rows=[rows[0] | {"bank_reference": "desk"}])
    assert answer["rows"][0]["id"] == payout["id"]
    assert await api.desk.value("SELECT spent_minor FROM allotment") == 5_000


async def test_every_list_has_a_next_page(api: Api) -> None:
    await _purse(api)
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


async def test_goods_are_charged_once_when_bought(api: Api) -> None:
    allotment_id = await _purse(api)
    wish = {
        "allotment_id": allotment_id,
        "supplier": "Wholesale 7",
        "cost_category": "goods",
        "programme": "relief",
        "area": "UA80",
        "planned_on": "2024-05-01",
    }
    lines = [
        {"item": "soap", "description": "soap", "quantity": 100, "unit_value_minor": 1_000},
        {"description": "delivery", "quantity": 1, "unit_value_minor": 5_000},
    ]
    made = await api.post("/v1/purchases", 201, **wish, lines=lines)
    path = f"/v1/purchases/{made['purchase_id']}"
    await api.post(f"{path}:order", 409)
    await api.desk.told()
    await api.post_as(api.checker, f"{path}:order")
    [ordered] = await api.desk.told_of(PurchaseOrderedV1)
    assert [(line.item, line.quantity) for line in ordered.lines] == [("soap", 100)]
    assert await api.desk.value("SELECT committed_minor FROM allotment") == 105_000
    counted = GoodsReceivedV1(
        receipt_id=uuid4(),
        purchase_id=PurchaseId(UUID(made["purchase_id"])),
        received_on=date(2024, 5, 9),
        lines=(GoodsReceivedV1.Line(item="soap", quantity=100),),
    )
    await api.desk.feed(counted)
    await api.desk.feed(counted)
    shown = await api.get(path)
    assert (shown["state"], shown["lines"][0]["received"]) == ("received", 100)
    # It was another purchase's: taken back, told twice, and then counted in for good.
    undone = GoodsReversedV1(**dict(counted), reason="wrong_purchase")
    await api.desk.feed(undone)
    await api.desk.feed(undone)
    shown = await api.get(path)
    assert (shown["state"], shown["lines"][0]["received"]) == ("ordered", 0)
    overtaken = counted.model_copy(update={"receipt_id": uuid4()})
    await api.desk.feed(undone.model_copy(update={"receipt_id": overtaken.receipt_id}))
    await api.desk.feed(overtaken)
    assert (await api.get(path))["lines"][0]["received"] == 0
    await api.desk.feed(counted.model_copy(update={"receipt_id": uuid4()}))
    await api.post(f"{path}:invoice", amount_minor=104_000, reference="R-1")
    assert await api.desk.value("SELECT committed_minor FROM allotment") == 104_000
    # The bill was entered wrong: what stood there stays known.
    right: dict[str, Any] = {"amount_minor": 103_000, "reference": "R-2", "reason": "entry_error"}
    await api.post(f"{path}:correct-bill", **right)
    assert await api.desk.value("SELECT committed_minor FROM allotment") == 103_000
    dear = right | {"amount_minor": 10**12}
    assert (await api.post(f"{path}:correct-bill", 409, **dear))["type"].endswith("not-so-much")
    early = await api.post(f"{path}:pay", 422, bank_reference="bank-5", paid_on="2999-05-20")
    assert early["type"].endswith(":day-in-future")
    await api.post(f"{path}:pay", bank_reference="bank-5", paid_on="2024-05-20")
    assert await api.desk.value("SELECT spent_minor FROM allotment") == 103_000
    await api.post(f"{path}:correct-bill", 409, **right)
    # It was not this bill that was paid: undone by another than who paid, and paid anew.
    await api.post(f"{path}:reverse-payment", 409, reason="entry_error")
    await api.post_as(api.checker, f"{path}:reverse-payment", reason="entry_error")
    spent = "SELECT ARRAY[spent_minor, committed_minor] FROM allotment"
    assert await api.desk.value(spent) == [0, 103_000]
    assert (await api.get(path))["paid_on"] is None
    await api.post_as(api.checker, f"{path}:reverse-payment", 409, reason="entry_error")
    await api.post(f"{path}:pay", bank_reference="bank-6", paid_on="2024-05-21")
    assert await api.desk.value(spent) == [103_000, 0]
    kept = await api.get(path)
    assert [(each["what"], each["reference"]) for each in kept["corrections"]] == [
        ("bill", "R-1"),
        ("payment", "bank-5"),
    ]
    await api.post(f"{path}:cancel", 409)
    late = await api.post("/v1/purchases", 201, **{**wish, "planned_on": "2025-05-01"}, lines=lines)
    misfit = await api.post_as(api.checker, f"/v1/purchases/{late['purchase_id']}:order", 409)
    assert misfit["misfit"] == "period"


async def test_money_goes_only_to_regions_that_there_are(api: Api) -> None:
    grant_id = await _grant(api, currency="UAH")
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
    grant_id = await _grant(api, currency="UAH", overhead_bp=0)
    path = f"/v1/grants/{grant_id}"
    lines = [{"code": "aid", "amount_minor": 800_000}]
    cut: dict[str, Any] = {"amount_minor": 800_000, "budget_lines": lines, "reason": "cut"}
    assert (await api.post(f"{path}:amend", **cut))["terms_version"] == 2
    early = await api.post(f"{path}:amend", 422, period_to="2023-12-31", reason="typo")
    assert early["type"].endswith("period-ends-before-it-begins")
    await api.post_as(api.finance, f"{path}:amend", 403, period_to="2025-12-31", reason="longer")
    await api.post(f"{path}:amend", period_to="2025-12-31", reason="longer")
    shown = await api.get(path)
    assert (shown["amount_minor"], shown["period_to"]) == (800_000, "2025-12-31")
    assert [line["amount_minor"] for line in shown["budget_lines"]] == [800_000]
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
    await api.post(f"/v1/instalments/{came['id']}:reverse", reason="typo")
    shown = await api.get(path)
    assert (shown["received_minor"], shown["unallotted_minor"]) == (0, 0)
    assert {each["state"] for each in shown["instalments"]} == {"reversed", "withdrawn"}
    assert (await api.get("/v1/ledger/check"))["ok"] is True


async def test_a_line_beyond_its_flexibility_asks_a_second_person(api: Api) -> None:
    grant_id = await _grant(
        api,
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


async def test_bills_and_discrepancies(api: Api) -> None:
    allotment_id = await _purse(api, 100_000)
    need = approved(3_000, by="provider")
    await api.desk.feed(need)
    await api.desk.feed(confirmed(need))
    found = await api.get(f"/v1/needs/{need.need_id}/commitment")
    commitment_id = found["commitments"][0]["id"]
    await api.post(f"/v1/commitments/{commitment_id}:bill", amount_minor=2_500)
    assert await api.desk.value("SELECT committed_minor FROM allotment") == 2_500
    await api.post(f"/v1/commitments/{commitment_id}:bill", 409, amount_minor=200_000)
    assert (await api.get("/v1/discrepancies"))["discrepancies"] == []
    await api.post(f"/v1/allotments/{allotment_id}:return", amount_minor=97_500)
    await api.post(f"/v1/allotments/{allotment_id}:return", 409, amount_minor=1)


async def test_of_sensitive_needs_those_who_move_money_see_how_much_not_what_for(
    api: Api,
) -> None:
    await _purse(api, 100_000)
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


async def test_the_ledger_does_not_lead_from_a_sensitive_need_to_its_grant(api: Api) -> None:
    await _purse(api, 100_000)
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
