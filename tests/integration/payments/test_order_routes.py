"""What other regions have this office pay, over HTTP."""

import base64
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis import restoring
from aidmesh_chassis.keys import PAYMENTS, KeyRing
from aidmesh_contracts.ids import PayoutId
from aidmesh_contracts.payments import PayoutAssignedV1, PayoutOutcomeV1, PayoutWithdrawnV1
from aidmesh_contracts.payments_grants import AllotmentChangedV1
from aidmesh_payments.handlers import assignments, orders
from aidmesh_payments.handlers.assignments import Assignment
from aidmesh_payments.handlers.payees import Payee
from integration.payments.callers import IBAN, NAME, Api
from integration.payments.offices import REGIONS

ELSEWHERE = UUID(int=8)
"""Who approved it at lviv."""


async def _ordered(api: Api, keys: KeyRing, amount_minor: int) -> PayoutId:
    """lviv, which holds money of a grant of ours, has us pay somebody."""
    kyiv = replace(api.desk, office=replace(api.desk.office, regions=lambda: REGIONS))
    grant_id = await kyiv.grant(100_000)
    allotment_id = await kyiv.allot(grant_id, 100_000, to="lviv")
    held = AllotmentChangedV1(
        allotment_id=allotment_id, grant_id=grant_id, grantor="kyiv", holder="lviv",
        currency="UAH", received_minor=100_000, returned_minor=0, held_minor=0,
        committed_minor=amount_minor, spent_minor=0, status="active", version=1,
        as_of=datetime.now(UTC),
    )  # fmt: skip
    await kyiv.feed(held, region="lviv")
    payee = Payee.model_validate({"mechanism": "iban", "legal_name": NAME, "iban": IBAN})
    box = assignments.sealed(
        Assignment(
            grant_id=grant_id, allotment_id=allotment_id, amount_minor=amount_minor,
            currency="UAH", approver=ELSEWHERE, purpose="Theirs", payee=payee,
        ),
        keys.public(PAYMENTS),
    )  # fmt: skip
    payout_id = PayoutId(uuid4())
    sealed = base64.b64encode(box).decode()
    await kyiv.feed(PayoutAssignedV1(payout_id=payout_id, sealed=sealed), region="lviv")
    await kyiv.run(partial(orders.read_boxes, kyiv.office, keys))
    return payout_id


async def test_an_order_is_listed_exported_and_settled(api: Api, tmp_path: Path) -> None:
    keys = KeyRing(tmp_path / "keys", [PAYMENTS])
    payout_id = await _ordered(api, keys, 20_000)
    (shown,) = (await api.get("/v1/paying-orders"))["orders"]
    assert shown["link"]["state"] == "dark", "nothing was heard of that region yet"
    assert (shown["id"], shown["region"], shown["amount_minor"]) == (
        str(payout_id),
        "lviv",
        20_000,
    )
    assert NAME not in str(shown)
    # What the grant is for may say more of a person than whoever moves the money has to know.
    code = await api.desk.value("SELECT code FROM grant_terms")
    (hidden,) = (await api.finance.get("/v1/paying-orders")).json()["orders"]
    assert (shown["grant_code"], hidden) == (code, shown | {"grant_code": None})
    form = {"currency": "UAH", "mechanism": "iban"}
    listed = await api.post("/v1/paying-orders:export", 201, **form)
    assert (listed["orders"], listed["total_minor"]) == (1, 20_000)
    await api.post("/v1/paying-orders:export", 409, **form)
    answer = await api.maker.get(f"/v1/payout-batches/{listed['batch_id']}/list.csv")
    line = answer.text.splitlines()[1]
    assert line == f"{payout_id.hex},{NAME},{IBAN},,,,200.00,UAH,Theirs"
    row = {"row_id": "1", "payout_id": str(payout_id), "bank_reference": "b-1"}
    for expected in ("done", "skipped"):
        settled = await api.post("/v1/paying-orders:settle", rows=[row])
        assert [each["status"] for each in settled["rows"]] == [expected]
    twice = [row | {"row_id": str(number), "bank_reference": "b-2"} for number in (2, 3)]
    refused = await api.post("/v1/paying-orders:settle", rows=twice)
    assert [each["problem"] for each in refused["rows"]] == ["wrong-state", "wrong-state"]
    await api.post(f"/v1/paying-orders/{payout_id}:return", reason="AC04")
    (back,) = (await api.get("/v1/paying-orders?state=returned"))["orders"]
    assert (back["reason"], back["bank_reference"]) == ("AC04", "b-1")


@pytest.mark.parametrize("is_paid", [False, True])
async def test_an_order_in_doubt_is_given_back_once_it_is_known_to_be_unpaid(
    api: Api, tmp_path: Path, *, is_paid: bool
) -> None:
    payout_id = await _ordered(api, KeyRing(tmp_path / "keys", [PAYMENTS]), 20_000)
    async with api.desk.db.transaction() as tx:
        await restoring.doubt(tx.conn, "order", [payout_id])
    for _ in range(2):
        await api.desk.feed(PayoutWithdrawnV1(payout_id=payout_id), region="lviv")
    # Whether somebody was paid by it is to be found out first: its region keeps the money for it.
    state = "SELECT (state, version) FROM paying_order"
    assert await api.desk.value(state) == ("received", 1)
    if is_paid:
        paid: dict[str, Any] = {"bank_reference": "statement 7", "served_on": "2024-06-12"}
        await api.post(f"/v1/unproven/{payout_id}:paid", **paid)
    else:
        await api.post("/v1/unproven:clear", ids=[str(payout_id)], note="not on the statement")
    assert await api.desk.value(state) == ("settled" if is_paid else "cancelled", 2)
    async with api.desk.db.read() as conn:
        said = [
            PayoutOutcomeV1.model_validate_json(row["payload"])
            for row in await conn.fetch("SELECT payload FROM handoff")
        ]
    assert max(said, key=lambda each: each.version).state == ("settled" if is_paid else "cancelled")
    assert len(said) == 2


async def test_a_small_order_that_one_person_paid_is_reviewed(api: Api, tmp_path: Path) -> None:
    keys = KeyRing(tmp_path / "keys", [PAYMENTS])
    payout_id = await _ordered(api, keys, 100)
    await api.desk.execute(
        "UPDATE paying_order SET approver = (SELECT recorded_by FROM donor_grant)"
    )
    row = {"row_id": "1", "payout_id": str(payout_id), "bank_reference": "b-1"}
    await api.post("/v1/paying-orders:settle", rows=[row])
    (due,) = (await api.get("/v1/paying-orders/reviews"))["orders"]
    assert due["id"] == str(payout_id)
    await api.post(f"/v1/paying-orders/{payout_id}:review", 409)
    await api.post_as(api.checker, f"/v1/paying-orders/{payout_id}:review")
    assert (await api.get("/v1/paying-orders/reviews"))["orders"] == []
