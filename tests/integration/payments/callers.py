"""Members of staff who call payments' HTTP API, on a real database, and what they need first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr

from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.keys import TOKENS, KeyRing, create_region_keys
from aidmesh_chassis.peers import Peers
from aidmesh_contracts.ids import NeedId, PayeeRef
from aidmesh_payments.app import build
from aidmesh_payments.config import Settings
from aidmesh_payments.handlers.office import Office
from integration.payments.offices import CHECKER, MAKER, Desk
from support.answers import as_told

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

    async def payee(self, need_id: NeedId) -> PayeeRef:
        """Seal the details of whom to pay for a need."""
        made = await self.post(
            "/v1/payees", 201, need_id=str(need_id), mechanism="iban", legal_name=NAME, iban=IBAN
        )
        return PayeeRef(UUID(made["payee_ref"]))

    async def grant(self, **more: Any) -> str:
        """Pledge a grant."""
        donor = await self.post("/v1/donors", 201, name=f"Donor {uuid4()}")
        made = await self.post(
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

    async def purse(self, amount_minor: int = 4_000_000) -> str:
        """Allot money of a grant that was paid in."""
        grant_id = await self.grant()
        grant = await self.get(f"/v1/grants/{grant_id}")
        rows = [
            {
                "row_id": "1",
                "grant": grant["code"],
                "amount_minor": 500_000,
                "received_on": "2024-02-01",
                "bank_reference": "b-1",
            }
        ]
        answer = await self.post("/v1/instalments:bulk", source=grant["code"], rows=rows)
        assert answer["rows"][0]["status"] == "done"
        made = await self.post(
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


@asynccontextmanager
async def open_api(database_url: str, keys_dir: Path) -> AsyncIterator[Api]:
    """The whole service, without a broker; `keys_dir` takes its keys."""
    create_region_keys(keys_dir)
    service = build(
        Settings(
            region="kyiv",
            database_url=SecretStr(database_url),
            keys_dir=keys_dir,
            float_limits_minor={"UAH": 10_000},
        )
    )
    assert service.database is not None
    await service.database.open()
    signer = KeyRing(keys_dir, [TOKENS]).token_signer()
    look = as_told(service.app)

    def client(staff_id: UUID, *roles: Role) -> httpx.AsyncClient:
        token = issue_token(signer, staff_id, roles, "kyiv", datetime.now(UTC), 3600)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(service.app),
            base_url="http://payments",
            headers={"Authorization": f"Bearer {token}"},
            event_hooks={"response": [look]},
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
