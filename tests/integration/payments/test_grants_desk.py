"""A grant that stops and goes on at the desk, before a real payments."""

from pathlib import Path

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import Speaker
from integration.payments.callers import Api
from support.desk import at_desk


async def test_a_grant_is_suspended_resumed_and_closed(api: Api, tmp_path: Path) -> None:
    grant_id = await api.grant(currency="UAH")
    path = f"/money/grants/{grant_id}"
    code = (await api.get(f"/v1/grants/{grant_id}"))["code"]
    row = {"row_id": "1", "grant": code, "amount_minor": 9_000, "received_on": "2024-01-05"}
    order = {"grant_id": grant_id, "budget_line": "aid", "amount_minor": 100, "currency": "UAH"}
    async with at_desk(api.maker._transport, tmp_path / "keys", Role.LEAD) as lead:
        await lead.send(path, f"{path}/activate")
        await api.post("/v1/instalments:bulk", rows=[row])
        for stop, status in (("suspend", "suspended"), ("close", "closed")):
            await lead.send(path, f"{path}/{stop}")
            assert (await api.get(f"/v1/grants/{grant_id}"))["status"] == status
            refused = await api.post("/v1/allotments", 409, **order)
            assert refused["type"].endswith(":grant-not-active")
            page = await lead.send(path, f"{path}/resume")
            assert "The grant is resumed" in page
            await api.post("/v1/allotments", 201, **order)


async def test_money_of_a_donor_is_exchanged_and_sent_back_at_the_desk(
    api: Api, tmp_path: Path
) -> None:
    grant_id = await api.grant(currency="EUR")
    path = f"/money/grants/{grant_id}"
    paid = {"paid_amount": "110", "paid_currency": "USD"}
    came = {"came_amount": "100", "came_on": "2024-01-05", "came_reference": "b-1"}
    async with at_desk(api.maker._transport, tmp_path / "keys", Role.LEAD) as lead:
        page = await lead.send(path, f"{path}/instalments", **came, **paid)
        assert f"paid: {Speaker('en').money(11_000, 'USD')}" in page
        difference = {"book_difference_amount": "2", "book_difference_reason": "statement"}
        await lead.send(path, f"{path}/book-difference", **difference, book_difference_way="more")
        await lead.send(path, f"{path}/demand", demand_amount="90", demand_reason="cut")
        refund = {"refund_bank_reference": "b-2"}
        await lead.send(path, f"{path}/refund", **refund, refund_amount="90")
        back = {"reverse_refund_amount": "90", "reverse_refund_reason": "typo"}
        page = await lead.send(path, f"{path}/reverse-refund", **back)
        assert "set aside for the donor again" in page
        await lead.send(path, f"{path}/refund", **refund, refund_amount="9")
    shown = await api.get(f"/v1/grants/{grant_id}")
    names = ("received", "unallotted", "exchange_difference", "refund_due", "refunded")
    assert [shown[f"{name}_minor"] for name in names] == [10_000, 800, 200, 8_100, 900]
    await api.desk.check()
