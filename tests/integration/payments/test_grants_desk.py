"""A grant that stops and goes on at the desk, before a real payments."""

from pathlib import Path

from aidmesh_chassis.auth import Role
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
