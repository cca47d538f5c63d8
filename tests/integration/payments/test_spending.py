"""Purchases and bills through the HTTP API."""

from datetime import date
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.ids import AllotmentId, GrantId, PurchaseId
from aidmesh_contracts.inventory import GoodsReceivedV1, GoodsReversedV1
from aidmesh_contracts.payments import (
    PurchaseBilledV1,
    PurchaseCanceledV1,
    PurchaseChangedV1,
    PurchaseOrderedV1,
)
from aidmesh_payments.handlers import allotting, correcting
from integration.payments.billing import spent_by_day
from integration.payments.callers import Api
from integration.payments.offices import CHECKER, MAKER, approved, confirmed


async def test_goods_are_charged_once_when_bought(api: Api) -> None:
    allotment_id = await api.purse()
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
    assert (await api.post(f"{path}:correct-bill", 409, **dear))["type"].endswith("allotment-short")
    early = await api.post(f"{path}:pay", 422, bank_reference="bank-5", paid_on="2099-05-20")
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


FREE = "SELECT ARRAY[committed_minor, spent_minor] FROM allotment"


async def ordered(api: Api, *lines: dict[str, Any]) -> str:
    """Something that was ordered; its path."""
    made = await api.post(
        "/v1/purchases",
        201,
        allotment_id=await api.purse(),
        supplier="Hall 7",
        cost_category="goods",
        programme="relief",
        area="UA80",
        planned_on="2024-05-01",
        lines=lines,
    )
    path = f"/v1/purchases/{made['purchase_id']}"
    await api.post_as(api.checker, f"{path}:order")
    return path


@pytest.mark.parametrize("recalled", [False, True])
async def test_what_the_supplier_paid_back_is_given_up(api: Api, recalled: bool) -> None:
    hall = {"description": "hall", "quantity": 1, "unit_value_minor": 50_000}
    path = await ordered(api, hall)
    await api.post(f"{path}:receive")
    await api.post(f"{path}:invoice", amount_minor=48_000, reference="R-1")
    await api.post(f"{path}:pay", bank_reference="bank-5", paid_on="2024-05-20")
    assert (await api.post(f"{path}:cancel", 409))["type"].endswith("wrong-state")
    await api.post_as(api.checker, f"{path}:reverse-payment", reason="not_happened")
    allotment_id = AllotmentId(await api.desk.value("SELECT id FROM allotment"))
    if recalled:
        await api.desk.run(
            lambda tx: allotting.recall(api.desk.office, tx, allotment_id, "donor_cut")
        )
    assert await api.desk.value(FREE) == [48_000, 0]
    await api.post(f"{path}:cancel", reason="not_happened")
    assert await api.desk.value(FREE) == [0, 0]
    status = await api.desk.value("SELECT status FROM allotment")
    assert status == ("returned" if recalled else "active")
    kept = await api.get(path)
    assert kept["state"] == "cancelled"
    told = ("what", "amount_minor", "reference", "reason")
    assert [kept["corrections"][-1][each] for each in told] == [
        "order", 48_000, "R-1", "not_happened",
    ]  # fmt: skip
    assert kept["corrections"][-1]["corrected_by"] == str(MAKER)
    await api.post(f"{path}:cancel", 409)
    await api.desk.check()


async def test_a_payment_counts_once_in_its_month_whatever_is_undone_later(api: Api) -> None:
    hall = {"description": "hall", "quantity": 1, "unit_value_minor": 50_000}
    path, spent = await ordered(api, hall), partial(spent_by_day, api.desk)
    first, back, last = date(2024, 5, 20), date(2024, 6, 3), date(2024, 6, 10)
    await api.post(f"{path}:receive")
    await api.post(f"{path}:invoice", amount_minor=48_000, reference="R-1")
    await api.post(f"{path}:pay", bank_reference="bank-5", paid_on=first.isoformat())
    undo = partial(api.post_as, api.checker, f"{path}:reverse-payment")
    # Entered with the wrong reference, found later, and entered again with its day.
    await undo(reason="entry_error")
    assert await spent() == {first: 0}
    await api.post(f"{path}:pay", bank_reference="bank-6", paid_on=first.isoformat())
    assert await spent() == {first: 48_000}
    # The supplier gave it back later: it had left before.
    refused = await undo(422, reason="paid_back", came_back_on="2024-05-19")
    assert refused["type"].endswith(":came-back-too-early")
    refused = await undo(422, reason="paid_back", came_back_on="2099-05-19")
    assert refused["type"].endswith(":day-in-future")
    assert (await api.get(path))["state"] == "paid"
    await undo(reason="paid_back", came_back_on=back.isoformat())
    assert await spent() == {first: 48_000, back: -48_000}
    await api.post(f"{path}:pay", bank_reference="bank-7", paid_on=last.isoformat())
    assert await spent() == {first: 48_000, back: -48_000, last: 48_000}
    assert await api.desk.value(FREE) == [0, 48_000]
    await api.desk.check()


async def test_what_came_by_mistake_is_given_up_and_what_was_counted_in_is_not(api: Api) -> None:
    soap = {"item": "soap", "description": "soap", "quantity": 5, "unit_value_minor": 1_000}
    path = await ordered(api, soap)
    counted = GoodsReceivedV1(
        receipt_id=uuid4(),
        purchase_id=PurchaseId(UUID(path.rsplit("/", 1)[1])),
        received_on=date(2024, 5, 9),
        lines=(GoodsReceivedV1.Line(item="soap", quantity=1),),
    )
    await api.desk.feed(counted)
    await api.post(f"{path}:receive")
    await api.post(f"{path}:cancel", 409)
    await api.post(f"{path}:invoice", amount_minor=5_000, reference="R-1")
    await api.post(f"{path}:cancel", 409)
    await api.desk.feed(GoodsReversedV1(**dict(counted), reason="wrong_purchase"))
    await api.post(f"{path}:cancel")
    assert await api.desk.value(FREE) == [0, 0]
    assert (await api.get(path))["corrections"][-1]["reason"] == "cancelled"


async def test_an_order_says_of_which_terms_it_is(api: Api) -> None:
    allotment_id = await api.purse()
    grant_id = GrantId(await api.desk.value("SELECT id FROM donor_grant"))
    amendment = correcting.Amendment(None, date(2041, 1, 1), {}, "extended")
    await api.desk.run(
        lambda tx: correcting.amend(api.desk.office, tx, grant_id, amendment, CHECKER)
    )
    made = await api.post(
        "/v1/purchases",
        201,
        allotment_id=allotment_id,
        supplier="Wholesale 7",
        cost_category="goods",
        programme="relief",
        area="UA80",
        planned_on="2024-05-01",
        lines=[{"item": "soap", "description": "soap", "quantity": 1, "unit_value_minor": 1_000}],
    )
    await api.desk.told()
    await api.post_as(api.checker, f"/v1/purchases/{made['purchase_id']}:order")
    [ordered] = await api.desk.told_of(PurchaseOrderedV1)
    assert (ordered.terms_version, ordered.restriction.valid_to) == (2, date(2041, 1, 1))


async def test_inventory_hears_which_orders_are_given_up(api: Api) -> None:
    allotment_id = await api.purse()
    wish = {
        "allotment_id": allotment_id,
        "supplier": "Wholesale 7",
        "cost_category": "goods",
        "programme": "relief",
        "area": "UA80",
        "planned_on": "2024-05-01",
    }
    soap = {"item": "soap", "description": "soap", "quantity": 100, "unit_value_minor": 1_000}
    rent = {"description": "rent", "quantity": 1, "unit_value_minor": 5_000}

    async def drawn_up(line: dict[str, Any]) -> str:
        made = await api.post("/v1/purchases", 201, **wish, lines=[line])
        return str(made["purchase_id"])

    draft, service, goods = await drawn_up(soap), await drawn_up(rent), await drawn_up(soap)
    for each in (service, goods):
        await api.post_as(api.checker, f"/v1/purchases/{each}:order")
    await api.desk.told()
    for each in (draft, service, goods):
        await api.post(f"/v1/purchases/{each}:cancel")
    [canceled] = await api.desk.told_of(PurchaseCanceledV1)
    assert canceled.purchase_id == UUID(goods)
    assert await api.desk.value("SELECT committed_minor FROM allotment") == 0
    await api.post(f"/v1/purchases/{goods}:cancel", 409)
    assert await api.desk.told_of(PurchaseCanceledV1) == []


async def test_goods_that_came_for_a_canceled_order_can_be_billed(api: Api) -> None:
    soap = {"item": "soap", "description": "soap", "quantity": 100, "unit_value_minor": 1_000}
    path = await ordered(api, soap)
    await api.post(f"{path}:cancel")
    assert await api.desk.value(FREE) == [0, 0]
    await api.desk.told()

    def crossing() -> GoodsReceivedV1:
        return GoodsReceivedV1(
            receipt_id=uuid4(),
            purchase_id=PurchaseId(UUID(path.rsplit("/", 1)[1])),
            received_on=date(2024, 5, 9),
            lines=(GoodsReceivedV1.Line(item="soap", quantity=40),),
        )

    first = crossing()
    await api.desk.feed(first)
    [shown] = (await api.get("/v1/purchases?state=draft"))["purchases"]
    assert shown["id"] == path.rsplit("/", 1)[1]
    await api.post(f"{path}:cancel", 409)
    # Taken back in stock, it is given up as before.
    await api.desk.feed(GoodsReversedV1(**dict(first), reason="wrong_purchase"))
    assert (await api.get(path))["state"] == "cancelled"
    await api.post_as(api.checker, f"{path}:order", 409)
    # Come again, somebody else than who drew it up approves it anew; nothing more is to come.
    await api.desk.feed(crossing())
    assert (await api.post(f"{path}:order", 409))["type"].endswith("second-person-needed")
    await api.post_as(api.checker, f"{path}:order")
    assert await api.desk.told_of(PurchaseOrderedV1) == []
    shown = await api.get(path)
    assert (shown["state"], shown["lines"][0]["received"]) == ("received", 40)
    assert await api.desk.value(FREE) == [100_000, 0]
    assert await api.desk.value("SELECT array_agg(state) FROM commitment") == ["committed"]
    await api.post(f"{path}:invoice", amount_minor=40_000, reference="R-1")
    await api.post(f"{path}:pay", bank_reference="bank-5", paid_on="2024-05-20")
    assert await api.desk.value(FREE) == [0, 40_000]


async def test_inventory_hears_that_all_has_come_and_when_that_does_not_hold(api: Api) -> None:
    soap = {"item": "soap", "description": "soap", "quantity": 5, "unit_value_minor": 1_000}
    path = await ordered(api, soap)
    came = GoodsReceivedV1(
        receipt_id=uuid4(),
        purchase_id=PurchaseId(UUID(path.rsplit("/", 1)[1])),
        received_on=date(2024, 5, 9),
        lines=(GoodsReceivedV1.Line(item="soap", quantity=2),),
    )
    await api.desk.feed(came)
    assert await api.desk.told_of(PurchaseChangedV1) == []
    await api.post(f"{path}:receive")
    [closed] = await api.desk.told_of(PurchaseChangedV1)
    assert (closed.purchase_id, closed.is_to_come) == (came.purchase_id, False)
    # Nothing of it came after all: it is ordered as before.
    await api.desk.feed(GoodsReversedV1(**dict(came), reason="wrong_purchase"))
    assert (await api.get(path))["state"] == "ordered"
    [again] = await api.desk.told_of(PurchaseChangedV1)
    assert (again.is_to_come, again.version > closed.version) == (True, True)
    await api.post(f"{path}:receive")
    [closed] = await api.desk.told_of(PurchaseChangedV1)
    assert (closed.is_to_come, closed.version > again.version) == (False, True)
    # What is billed waits for nothing more, and nothing is to come of what is no goods.
    await api.post(f"{path}:invoice", amount_minor=2_000, reference="R-1")
    await api.desk.feed(came.model_copy(update={"receipt_id": uuid4()}))
    hall = {"description": "hall", "quantity": 1, "unit_value_minor": 50_000}
    await api.post(f"{await ordered(api, hall)}:receive")
    assert await api.desk.told_of(PurchaseChangedV1) == []


async def test_inventory_hears_what_goods_cost_by_their_bill(api: Api) -> None:
    soap = {"item": "soap", "description": "soap", "quantity": 5, "unit_value_minor": 1_000}
    delivery = {"description": "delivery", "quantity": 1, "unit_value_minor": 500}
    path = await ordered(api, soap, delivery)
    bill: dict[str, Any] = {"amount_minor": 6_000, "reference": "R-1"}

    async def told() -> list[tuple[str, int]]:
        events = await api.desk.told_of(PurchaseBilledV1)
        return [(line.item, line.unit_value_minor) for each in events for line in each.lines]

    async def shown() -> list[int | None]:
        return [line["billed_unit_minor"] for line in (await api.get(path))["lines"]]

    await api.post(f"{path}:receive")
    for wrong in (2, 3):
        prices = [{"line": wrong, "unit_value_minor": 900}]
        refused = await api.post(f"{path}:invoice", 422, **bill, prices=prices)
        assert refused["type"].endswith(":unknown-purchase-line")
    await api.post(f"{path}:invoice", **bill, prices=[{"line": 1, "unit_value_minor": 1_100}])
    assert await told() == [("soap", 1_100)]
    assert await shown() == [1_100, None]
    # A correction that says nothing of prices leaves them; one that says so takes them back.
    right = bill | {"reason": "entry_error"}
    await api.post(f"{path}:correct-bill", **right)
    assert (await told(), await shown()) == ([], [1_100, None])
    await api.post(f"{path}:correct-bill", **right, prices=[])
    assert (await told(), await shown()) == ([("soap", 1_000)], [None, None])
    same = [{"line": 1, "unit_value_minor": 1_000}]
    await api.post(f"{path}:correct-bill", **right, prices=same)
    assert (await told(), await shown()) == ([], [None, None])


async def test_bills_and_discrepancies(api: Api) -> None:
    allotment_id = await api.purse(100_000)
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
