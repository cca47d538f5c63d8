"""Inventory's HTTP API as members of staff call it."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx

from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.keys import TOKENS, KeyRing
from aidmesh_chassis.service import Service
from support.answers import as_told

CANARY = "вул. Канаркова, 7"


class Api:
    """A member of staff with all roles, or those given."""

    def __init__(self, service: Service, *roles: Role) -> None:
        key = KeyRing(service.settings.keys_dir, [TOKENS]).token_signer()
        token = issue_token(key, uuid4(), roles or tuple(Role), "kyiv", datetime.now(UTC), 600)
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(service.app),
            base_url="http://inventory",
            headers={"Authorization": f"Bearer {token}"},
            event_hooks={"response": [as_told(service.app)]},
        )

    async def get(self, path: str, status: int = 200, **query: object) -> Any:
        asked = {name.rstrip("_"): str(value) for name, value in query.items()}
        response = await self._client.get(f"/v1/{path}", params=asked)
        assert response.status_code == status, response.text
        return response.json()

    async def post(
        self, path: str, body: object = None, status: int | None = None, key: str | None = None
    ) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        response = await self._client.post(f"/v1/{path}", json=body or {}, headers=headers)
        good = response.status_code in (200, 201) if status is None else False
        assert good or response.status_code == status, response.text
        return response.json()


async def new_site(api: Api, code: str = "kyiv-1", area: str = "UA80") -> str:
    body = {"code": code, "name": code, "area": area, "site_type": "shelter", "address": CANARY}
    return str((await api.post("sites", body))["site_id"])


async def new_item(api: Api, code: str = "parcel") -> None:
    names = {"uk": "набір", "en": "parcel", "de": "Paket"}
    await api.post("items", {"code": code, "names": names})
