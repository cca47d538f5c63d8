"""The service as it is put together: its API, and what nobody may ever read in it."""

import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from aidmesh_chassis import logs
from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.crypto import PrivateKey
from aidmesh_chassis.keys import NOTIFICATION, TOKENS, KeyRing
from aidmesh_chassis.service import Service
from aidmesh_notification.app import build
from aidmesh_notification.config import Settings
from aidmesh_notification.sender import Sender
from integration.notification.world import World, ready, spool_lines
from support.answers import as_told
from support.bodies import lax_bodies, misread_routes
from support.routes import posts_without_key
from support.servers import DatabaseFactory

ADDRESS = "+380440000042"
CANARIES = (ADDRESS, "380440000042", "Canary Organization", "everything is ready")


def client_of(service: Service, keys_dir: Path, *roles: Role) -> httpx.AsyncClient:
    signer = KeyRing(keys_dir, [TOKENS]).token_signer()
    token = issue_token(signer, uuid4(), roles, "kyiv", datetime.now(UTC), 600)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(service.app),
        base_url="http://notification",
        headers={"Authorization": f"Bearer {token}"},
        event_hooks={"response": [as_told(service.app)]},
    )


class Built(NamedTuple):
    """The service, who feeds it, and its sender."""

    service: Service
    world: World
    sender: Sender


@pytest.fixture
async def built(database: DatabaseFactory, keys_dir: Path, tmp_path: Path) -> AsyncIterator[Built]:
    """The whole service, without a broker."""
    service = build(
        Settings(
            region="kyiv",
            database_url=SecretStr(await database("notification")),
            keys_dir=keys_dir,
            organization="Canary Organization",
            spool_path=tmp_path / "spool.jsonl",
        )
    )
    assert service.database is not None
    await service.database.open()
    world = World(service.database)
    world.key = PrivateKey((keys_dir / "notification.key").read_bytes())
    sender = service.tasks["sender"].__self__  # type: ignore[attr-defined]
    assert isinstance(sender, Sender)
    yield Built(service, world, sender)
    wrong = await world.wrong()
    await sender._outlets[next(iter(sender._outlets))].close()
    await service.database.close()
    assert wrong == []


async def test_staff_are_told_by_which_channels_messages_go_out(
    built: Built, keys_dir: Path
) -> None:
    async with client_of(built.service, keys_dir, Role.CASEWORKER) as client:
        assert (await client.get("/v1/channels")).json() == {"channels": ["file"]}


@pytest.mark.parametrize(
    ("channel", "rule"), [("email", "not_an_email_address"), ("sms", "not_a_phone_number")]
)
async def test_a_digest_is_sent_to_an_address_that_can_be_one(
    built: Built, keys_dir: Path, channel: str, rule: str
) -> None:
    async with client_of(built.service, keys_dir, Role.CASEWORKER) as client:
        body = {"channel": channel, "address": "somebody"}
        refused = await client.put("/v1/subscription", json=body)
        assert refused.status_code == 422
        assert refused.json()["errors"] == [{"field": "body.address", "rule": rule}]


async def test_lists_show_states_and_reasons_but_never_address_or_text(
    built: Built, keys_dir: Path, tmp_path: Path
) -> None:
    service, world, sender = built
    lines = io.StringIO()
    logs.configure("notification", "kyiv", level="debug", stream=lines)
    person = uuid4()
    await world.take(world.card(person, channel="file", address=ADDRESS, wording="plain"))
    reached, unreached = ready(person), ready(None)
    await world.take(reached, unreached)
    await sender.run_once()
    async with client_of(service, keys_dir, Role.CASEWORKER) as client:
        listed = await client.get("/v1/messages", params={"limit": 1})
        rest = await client.get("/v1/messages", params={"limit": 1, "after": listed.json()["next"]})
        both = [*listed.json()["messages"], *rest.json()["messages"]]
        assert rest.json()["next"] is None
        assert {each["need_id"]: (each["state"], each["why"], each["told"]) for each in both} == {
            str(reached.need_id): ("sent", None, True),
            str(unreached.need_id): ("suppressed", "no_safe_contact", False),
        }
        only = await client.get("/v1/messages", params={"state": "sent"})
        assert [each["need_id"] for each in only.json()["messages"]] == [str(reached.need_id)]
        queue = await client.get("/v1/messages/to-tell")
        assert [each["need_id"] for each in queue.json()["messages"]] == [str(unreached.need_id)]
        counts = await client.get("/v1/messages/counts")
        assert counts.json() == {"sent": 1, "suppressed": 1}
    async with client_of(service, keys_dir, Role.FINANCE) as client:
        assert (await client.get("/v1/messages")).status_code == 403
    [line] = spool_lines(tmp_path / "spool.jsonl")
    assert line["address"] == ADDRESS
    seen = lines.getvalue() + json.dumps(both) + queue.text + await everything(service)
    for canary in CANARIES:
        assert canary not in seen
    assert ADDRESS not in repr(vars(sender))


async def test_messages_about_sensitive_needs_are_seen_by_role(
    built: Built, keys_dir: Path
) -> None:
    service, world, sender = built
    plain, secret = ready(None), ready(None, sensitive=True)
    await world.take(plain, secret)
    await sender.run_once()
    both = {str(plain.need_id), str(secret.need_id)}
    for role, seen in [
        (Role.ONCALL, {str(plain.need_id)}),
        (Role.CASEWORKER, both),
        (Role.LEAD, both),
    ]:
        async with client_of(service, keys_dir, role) as client:
            for path in ("/v1/messages", "/v1/messages/to-tell"):
                found = (await client.get(path)).json()["messages"]
                assert {each["need_id"] for each in found} == seen
            counts = await client.get("/v1/messages/counts")
            assert counts.json() == {"suppressed": len(seen)}


async def test_a_gateway_reports_on_sensitive_messages_that_it_does_not_see(
    built: Built, keys_dir: Path
) -> None:
    service, world, sender = built
    person = uuid4()
    await world.take(world.card(person, channel="file", address=ADDRESS))
    await world.take(ready(person, sensitive=True))
    await sender.run_once()
    [message] = await world.messages()
    failed = {"outcome": "failed", "reason": "mailbox_full"}
    async with client_of(service, keys_dir, Role.ONCALL) as client:
        assert (await client.get("/v1/messages")).json()["messages"] == []
        # Its own id follows from the need: whoever knows that learns nothing by it.
        own = await client.post(f"/v1/messages/{message['message_id']}:report", json=failed)
        assert own.status_code == 404
        told = await client.post(f"/v1/messages/{message['post_id']}:report", json=failed)
    assert told.json() == {"message_id": str(message["post_id"]), "state": "failed"}
    async with client_of(service, keys_dir, Role.LEAD) as client:
        queue = (await client.get("/v1/messages/to-tell")).json()["messages"]
    assert [each["message_id"] for each in queue] == [str(message["message_id"])]


async def test_a_gateway_reports_what_became_of_a_message(
    built: Built, keys_dir: Path, tmp_path: Path
) -> None:
    service, world, sender = built
    person = uuid4()
    await world.take(world.card(person, channel="file", address=ADDRESS))
    await world.take(ready(person), ready(None))
    await sender.run_once()
    [line] = spool_lines(tmp_path / "spool.jsonl")
    path = f"/v1/messages/{line['post_id']}:report"
    failed = {"outcome": "failed", "reason": "mailbox_full"}
    key = {"Idempotency-Key": "report-0123456789"}
    async with client_of(service, keys_dir, Role.FINANCE) as client:
        assert (await client.post(path, json=failed, headers=key)).status_code == 403
    async with client_of(service, keys_dir, Role.ONCALL) as client:
        for body in ({"outcome": "failed"}, {"outcome": "delivered", "reason": "x"}):
            assert (await client.post(path, json=body)).status_code == 422
        answers = [await client.post(path, json=failed, headers=key) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json()
        assert answers[0].json()["state"] == "failed"
        late = await client.post(path, json={"outcome": "delivered"})
        assert late.status_code == 409
        assert late.json()["type"] == "urn:aidmesh:problem:not-reportable"
        nothing = await client.post(f"/v1/messages/{uuid4()}:report", json=failed)
        assert nothing.status_code == 404
        [shown] = (await client.get("/v1/messages", params={"state": "failed"})).json()["messages"]
        assert (shown["why"], shown["report_code"]) == ("undelivered", "mailbox_full")
        queue = (await client.get("/v1/messages/to-tell")).json()["messages"]
        assert line["message_id"] in {each["message_id"] for each in queue}


async def everything(service: Service) -> str:
    """Every row of every table, as text; bytes are shown in both hex and as they are."""
    assert service.database is not None
    shown: list[str] = []
    async with service.database.read() as conn:
        tables = await conn.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        )
        assert len(tables) > 5
        for table in tables:
            for row in await conn.fetch(f'SELECT * FROM "{table["tablename"]}"'):  # noqa: S608
                for value in row.values():
                    raw = value.decode(errors="replace") if isinstance(value, bytes) else ""
                    shown.append(f"{value!s} {raw}")
    return "\n".join(shown)


async def test_staff_subscribe_with_a_sealed_address_and_see_the_templates(
    built: Built, keys_dir: Path
) -> None:
    service = built.service
    async with client_of(service, keys_dir, Role.LEAD) as client:
        assert (await client.get("/v1/subscription")).json()["subscribed"] is False
        body = {"channel": "file", "address": ADDRESS, "language": "en"}
        assert (await client.put("/v1/subscription", json=body)).status_code == 204
        assert (await client.get("/v1/subscription")).json()["subscribed"] is True
        refused = await client.put(
            "/v1/subscription", json={**body, "hours_from": "09:00", "hours_to": "09:00"}
        )
        assert refused.status_code == 422
        assert ADDRESS not in refused.text
        assert ADDRESS not in await everything(service)
        assert (await client.delete("/v1/subscription")).status_code == 204
        templates = (await client.get("/v1/templates")).json()
    assert {template["code"] for template in templates} == {
        "need_not_come", "need_ready", "need_ready_at", "need_ready_from", "staff_to_tell"
    }  # fmt: skip
    assert all(len(template["texts"]) == 6 for template in templates)
    assert posts_without_key(service.app) == []
    assert lax_bodies(service.app) == set()
    assert misread_routes(service.app) == []


async def test_a_service_without_its_key_is_locked_but_answers(
    database: DatabaseFactory, keys_dir: Path
) -> None:
    (keys_dir / "notification.key").unlink()
    assert KeyRing(keys_dir, [NOTIFICATION]).missing == (NOTIFICATION,)
    service = build(
        Settings(
            region="kyiv",
            database_url=SecretStr(await database("notification")),
            keys_dir=keys_dir,
        )
    )
    assert service.database is not None
    await service.database.open()
    try:
        await World(service.database).take(ready(None))
        async with client_of(service, keys_dir, Role.LEAD) as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/v1/messages/counts")).json() == {"queued": 1}
    finally:
        await service.database.close()
