"""Proposals over HTTP: who may take which step, and what everybody sees of them."""

from uuid import UUID

from integration.payments.callers import Api
from integration.payments.offices import CHECKER, MAKER


async def test_each_step_takes_its_role_and_is_shown(api: Api) -> None:
    api.peers.expect({"lviv"})
    allotment_id = await api.purse(400_000)
    body = {"allotment_id": allotment_id, "to_region": "lviv", "amount_minor": 300_000}
    body |= {"reason": "waiting_needs"}
    denied = await api.nobody.post("/v1/rebalancings", json=body)
    assert denied.status_code == 403
    made = (await api.post_as(api.finance, "/v1/rebalancings", 201, **body))["rebalancing_id"]
    path, ask = f"/v1/rebalancings/{made}", f"/v1/return-asks/{made}"
    # What the own region holds is asked of itself; each step by the roles that it takes.
    [asked] = (await api.get("/v1/return-asks"))["asks"]
    assert (asked["state"], asked["grantor"], asked["holder"]) == ("asked", "kyiv", "kyiv")
    assert asked["free_minor"] == 400_000
    alone = await api.post_as(api.finance, f"{path}:sign", 409)
    assert alone["type"].endswith("second-person-needed")
    assert (await api.nobody.post(f"{path}:sign")).status_code == 403
    await api.post(f"{path}:sign")
    await api.post(f"{ask}:prepare", amount_minor=250_000)
    alone = await api.post(f"{ask}:consent", 409)
    assert alone["type"].endswith("second-person-needed")
    await api.post_as(api.checker, f"{ask}:consent")
    await api.post(f"{ask}:decline", 409, reason="needed_here")
    [proposal] = (await api.get("/v1/rebalancings"))["rebalancings"]
    assert (proposal["state"], proposal["returned_minor"]) == ("returned", 250_000)
    assert UUID(proposal["signed_by"]) == MAKER
    assert proposal["budget_line"] == "aid"
    [asked] = (await api.get("/v1/return-asks"))["asks"]
    assert (asked["state"], asked["booked"]) == ("returned", True)
    assert UUID(asked["decided_by"]) == CHECKER
    # Nothing hinders it, and it came back: it can be kept, not withdrawn.
    await api.post(f"{path}:withdraw", 409)
    await api.post(f"{path}:retry", 409)
    await api.post(f"{path}:keep")
    [proposal] = (await api.get("/v1/rebalancings"))["rebalancings"]
    assert proposal["state"] == "kept"
    await api.post("/v1/rebalancings/00000000-0000-4000-8000-000000000000:sign", 404)
