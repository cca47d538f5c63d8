"""All keys of two regions are replaced by the operators' command while people work."""

import asyncio

import asyncpg
import httpx
import pytest

from aidmesh_chassis.auth import Role
from support.funding import fund
from support.running import RunningMesh, Staff
from support.waiting import eventually

AREA = "UA8025"
IBANS = ("UA213223130000026007233566001", "UA903052992990004149123456789")


async def _payee_of(staff: Staff, iban: str) -> dict[str, object]:
    payee = {"mechanism": "iban", "legal_name": "Oksana Testova", "iban": iban}
    need = await staff.ask("financial_aid", place_area=AREA, payee=payee)
    await staff.becomes(need, "ready", deadline_s=60)
    return {"row_id": str(need), "need_id": str(need)}


async def _paid_list(staff: Staff, rows: list[dict[str, object]]) -> str:
    await staff.post(
        "approver", "payments", "/payouts:approve", {"source": "rotated", "rows": rows}
    )
    body = {"currency": "UAH", "mechanism": "iban", "rows_max": 50}
    batch = await staff.post("finance", "payments", "/payouts:export", body)
    url = f"{staff.url('payments')}/v1/payout-batches/{batch['batch_id']}/list.csv"
    headers = {"Authorization": f"Bearer {staff.tokens[Role.FINANCE]}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as client:
        return (await client.get(url)).raise_for_status().text


def authority_of(mesh: RunningMesh, region: str) -> str:
    """What vouches for the certificate of a region's links."""
    return (mesh.file.regions[region].keys / "nats" / "ca.pem").read_text(encoding="ascii")


async def test_keys_are_replaced_while_people_work(mesh: RunningMesh, kyiv: Staff) -> None:
    await fund(kyiv, 800_000, area=AREA)
    before = await _payee_of(kyiv, IBANS[0])
    stop = asyncio.Event()
    asked = 0

    async def load() -> None:
        nonlocal asked
        while not stop.is_set():
            await kyiv.ask("pep_navigation")  # with what they signed in with before
            asked += 1
            await asyncio.sleep(0.1)

    former = {name: entry.dsn("intake") for name, entry in mesh.file.regions.items()}
    authorities = {name: authority_of(mesh, name) for name in former}
    working = asyncio.create_task(load())
    rotated = await asyncio.to_thread(mesh.aidmesh, "keys", "rotate")
    stop.set()
    await working
    assert rotated.returncode == 0, rotated.stdout + rotated.stderr
    assert asked > 5
    for name, dsn in former.items():
        assert (
            f"{name}: new passwords of databases; sessions from before are over" in rotated.stdout
        )
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(dsn)
        assert authority_of(mesh, name) not in authorities[name]
        assert authorities[name] not in authority_of(mesh, name)
    anew = mesh.staff("kyiv")
    try:
        after = await _payee_of(anew, IBANS[1])
        text = await _paid_list(kyiv, [before, after])
        assert all(iban in text for iban in IBANS)
        shown = mesh.aidmesh("keys", "show", "--region", "lviv").stdout
        assert "lviv payments: " in shown
        assert shown.count("former: none") == 1  # what signs manifests

        verified = await asyncio.to_thread(mesh.aidmesh, "verify", "--wait", "60")
        assert verified.returncode == 0, verified.stdout + verified.stderr

        finished = mesh.aidmesh("keys", "rotate", "--finish", "--region", "kyiv")
        assert finished.returncode == 0, finished.stderr

        async def refused() -> bool:
            await kyiv.call("lead", "GET", "intake", "/needs-by-state", status=401)
            return True

        await eventually(refused, 30)
        await anew.get("lead", "intake", "/needs-by-state")
    finally:
        await anew.close()
