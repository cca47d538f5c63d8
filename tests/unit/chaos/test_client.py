"""What a client sends can be told from what others do, in events too."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from aidmesh.chaos.book import Book
from aidmesh.chaos.load.client import Client
from aidmesh.meshfile import RegionEntry
from aidmesh_chassis.auth import Role
from aidmesh_chassis.keys import create_region_keys


async def test_a_call_s_key_goes_along_as_correlation_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(201, json={"site_id": "s"})

    create_region_keys(tmp_path)
    services = {"inventory": SimpleNamespace(url="http://inventory")}
    entry = cast("RegionEntry", SimpleNamespace(keys=tmp_path, services=services))
    client = Client("kyiv", entry, Book())
    await client.close()
    over = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    monkeypatch.setattr(client, "_http", over)

    op = await client.do("site", "inventory", "/sites", Role.LOGISTICIAN)
    await client.close()

    [request] = asked
    assert request.headers["Idempotency-Key"] == request.headers["X-Correlation-Id"] == op.key
    assert (client.begun, client.done) == (1, {"site"})
