"""What is told of grants, allotments and purchases is what the store has, value by value."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from pydantic_core import to_json

from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_contracts.payments_grants import AllotmentChangedV1, GrantChangedV1, GrantTerms
from aidmesh_contracts.restriction import UNRESTRICTED
from aidmesh_payments.store.queries import grants as grant_queries
from aidmesh_payments.store.queries import spending
from integration.payments.callers import Api
from integration.payments.offices import CHECKER

NOW = "when it is read"


def _as_json(rows: object) -> Any:
    """Rows as they are told where nobody says what they have."""
    return json.loads(to_json(rows))


def _at_once(holdings: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Allotments without the moment at which the own ones were read."""
    return [
        {**each, "as_of": NOW if each["holder"] == "kyiv" else each["as_of"]} for each in holdings
    ]


def _at_times_null(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Fields that some of the rows have a value in and others none."""
    seen: dict[str, set[bool]] = {}
    for row in rows:
        for name, value in row.items():
            seen.setdefault(name, set()).add(value is None)
    return {name for name, kinds in seen.items() if len(kinds) == 2}


async def _holdings(api: Api, *grant_ids: UUID) -> list[Any]:
    """What the store knows of allotments, of some grants or all, as it is to be told."""
    async with api.desk.db.read() as conn:
        rows = (
            await grant_queries.holdings_of(conn, "kyiv", grant_ids)
            if grant_ids
            else await grant_queries.holdings(conn, "kyiv", None, None, 50)
        )
    linked = [{**row, "link": api.peers.link(str(row["holder"]))} for row in rows]
    return _at_once(_as_json(linked))


async def _elsewhere(api: Api, *, known: bool) -> UUID:
    """Have lviv tell of what it holds of odesa's grant, whose terms are known here or not yet."""
    grant_id = GrantId(uuid4())
    if known:
        terms = GrantTerms(
            grant_id=grant_id, code="g-odesa", donor="Donor", currency="EUR",
            restriction=UNRESTRICTED, paying_office="odesa", terms_version=1,
        )  # fmt: skip
        state = GrantChangedV1(
            grant_id=grant_id, terms=terms, amount_minor=10_000, received_minor=9_000,
            status="active", version=1,
        )  # fmt: skip
        await api.desk.feed(state, region="odesa")
    held = AllotmentChangedV1(
        allotment_id=AllotmentId(uuid4()),
        grant_id=grant_id,
        grantor="odesa",
        holder="lviv",
        currency="UAH",
        received_minor=900,
        returned_minor=100,
        held_minor=50,
        committed_minor=40,
        spent_minor=30,
        status="active",
        version=1,
        as_of=datetime(2024, 5, 1, 10, 30, tzinfo=UTC),
    )
    await api.desk.feed(held, region="lviv")
    return grant_id


async def _given(api: Api) -> UUID:
    """A grant with all that may belong to it: money here and on its way, changes, a demand."""
    lines = [
        {"code": "aid", "amount_minor": 600_000},
        {"code": "goods", "amount_minor": 300_000, "cost_categories": ["goods", "rent"]},
    ]
    grant_id = await api.grant(budget_lines=lines)
    path = f"/v1/grants/{grant_id}"
    code = (await api.get(path))["code"]
    rows = [
        {"row_id": "1", "amount_minor": 500_000, "received_on": "2024-02-01",
         "paid_minor": 540_000, "paid_currency": "USD"},
        {"row_id": "2", "amount_minor": 5_000, "expected_on": "2024-03-05"},
        {"row_id": "3", "amount_minor": 7_000, "expected_on": "2024-04-05"},
    ]  # fmt: skip
    entered = await api.post("/v1/instalments:bulk", rows=[row | {"grant": code} for row in rows])
    await api.post(f"/v1/instalments/{entered['rows'][1]['id']}:withdraw", reason="not coming")
    own = {"grant_id": grant_id, "budget_line": "aid", "amount_minor": 400_000, "currency": "UAH"}
    made = await api.post("/v1/allotments", 201, **own, rate="41.25")
    await api.post(f"/v1/allotments/{made['allotment_id']}:return", amount_minor=100_000)
    sent = {"to_region": "lviv", "amount_minor": 20_000, "currency": "EUR"}
    await api.post("/v1/allotments", 201, **own | sent, valid_until="2024-11-30")
    cut = [{"code": "aid", "amount_minor": 550_000}]
    await api.post(f"{path}:amend", amount_minor=950_000, budget_lines=cut, reason="cut")
    await api.post(f"{path}:demand", amount_minor=490_000, reason="audit")
    await api.post(f"{path}:withdraw-demand", amount_minor=1_000, reason="agreed")
    await api.post(f"{path}:refund", amount_minor=2_000, bank_reference="b-9")
    return UUID(grant_id)


async def test_grants_are_told_as_they_are_kept(api: Api) -> None:
    api.peers.expect(["lviv"])
    grant_id, bare_id = await _given(api), UUID(await api.grant())
    async with api.desk.db.read() as conn:
        kept = _as_json(await grant_queries.grants(conn, None, 50))
        others = {
            "budget_lines": await grant_queries.lines(conn, GrantId(grant_id)),
            "instalments": await grant_queries.instalments(conn, GrantId(grant_id)),
            "amendments": await grant_queries.amendments(conn, GrantId(grant_id)),
            "demand_withdrawals": await grant_queries.withdrawals(conn, GrantId(grant_id)),
        }
    assert all(others.values())
    assert await api.get("/v1/grants") == {"region": "kyiv", "grants": kept, "next": None}
    mine = {"shortfall_minor", "in_transit_minor", "refund_due_minor", "refunded_minor"}
    (given,) = (each for each in kept if each["id"] == str(grant_id))
    assert all(given[name] > 0 for name in mine)

    whole = await api.get(f"/v1/grants/{grant_id}")
    holders = _at_once(whole.pop("holders"))
    assert whole == {**given, **_as_json(others)}
    assert len(holders) == 2
    assert holders == await _holdings(api, grant_id)
    assert _at_times_null(whole["budget_lines"]) == {"cost_categories"}
    assert _at_times_null(whole["instalments"]) == {
        "received_minor", "paid_minor", "paid_currency", "received_on", "bank_reference", "reason",
    }  # fmt: skip
    bare = await api.get(f"/v1/grants/{bare_id}")
    assert [bare[name] for name in ("holders", "instalments", "amendments")] == [[], [], []]


async def test_the_summary_has_own_grants_with_their_holders_and_what_others_hold(
    api: Api,
) -> None:
    api.peers.expect(["lviv", "odesa"])
    ids = [await _given(api), UUID(await api.grant())]
    foreign = await _elsewhere(api, known=True)
    async with api.desk.db.read() as conn:
        kept = _as_json(await grant_queries.grants_of(conn, ids))
    summary = await api.get("/v1/grants/summary")
    as_of = summary.pop("as_of")
    assert datetime.fromisoformat(as_of) <= datetime.now(UTC)
    for each in summary["grants"]:
        assert {held["as_of"] for held in each["holders"] if held["holder"] == "kyiv"} <= {as_of}
        each["holders"] = _at_once(each["holders"])
    assert summary == {
        "region": "kyiv",
        "grants": [{**each, "holders": await _holdings(api, UUID(each["id"]))} for each in kept],
        "others": await _holdings(api, foreign),
        "next": None,
    }
    assert len(summary["others"]) == 1


async def test_allotments_are_told_as_they_are_kept(api: Api) -> None:
    api.peers.expect(["lviv"])
    await _given(api)
    for known in (True, False):
        await _elsewhere(api, known=known)
    answer = await api.get("/v1/allotments")
    told = _at_once(answer["allotments"])
    assert answer | {"allotments": told} == {
        "region": "kyiv", "allotments": await _holdings(api), "next": None,
    }  # fmt: skip
    assert len(told) == 4
    assert _at_times_null(told) == {
        "budget_line", "valid_until", "as_of", "grant_code", "grant_status", "granted_minor",
        "granted_back_minor", "link",
    }  # fmt: skip


async def test_purchases_are_told_as_they_are_kept(api: Api) -> None:
    wish = {
        "allotment_id": await api.purse(), "supplier": "Wholesale 7", "cost_category": "goods",
        "programme": "relief", "area": "UA80", "planned_on": "2024-05-01",
        "lines": [
            {"item": "soap", "description": "soap", "quantity": 3, "unit_value_minor": 1_000},
            {"description": "delivery", "quantity": 1, "unit_value_minor": 5_000},
        ],
    }  # fmt: skip
    drafted, paid = [
        f"/v1/purchases/{(await api.post('/v1/purchases', 201, **wish))['purchase_id']}"
        for _ in range(2)
    ]
    await api.post_as(api.checker, f"{paid}:order")
    await api.post(f"{paid}:receive")
    await api.post(f"{paid}:invoice", amount_minor=7_000, reference="R-1")
    right: dict[str, Any] = {"amount_minor": 7_500, "reference": "R-2", "reason": "entry_error"}
    await api.post(f"{paid}:correct-bill", **right)
    await api.post(f"{paid}:pay", bank_reference="bank-5", paid_on="2024-05-20")
    await api.post_as(api.checker, f"{paid}:reverse-payment", reason="entry_error")
    await api.post_as(api.checker, f"{paid}:pay", bank_reference="bank-6", paid_on="2024-05-21")
    told = [await api.get(path) for path in (drafted, paid)]
    async with api.desk.db.read() as conn:
        kept = [await spending.purchase(conn, UUID(each["id"])) for each in told]
        columns = await conn.fetch("SELECT * FROM purchase ORDER BY recorded_at")
    assert told == _as_json(kept)
    # Every column of the table is told.
    for each, row in zip(told, columns, strict=True):
        assert _as_json(dict(row)).items() <= each.items()
    assert told[1]["payer"] == str(CHECKER)
    assert _at_times_null(told) == {
        "commitment_id", "invoice_reference", "bank_reference", "paid_on", "approver", "payer",
        "biller",
    }  # fmt: skip
    assert _at_times_null(told[1]["lines"]) == {"item"}
    assert _at_times_null(told[1]["corrections"]) == {"paid_on"}
