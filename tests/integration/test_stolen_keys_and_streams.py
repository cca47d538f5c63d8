"""What somebody who has stolen a key can't have the server itself do to streams and durables.

The server answers to whatever reply subject it is given, and delivers to whatever subject a
consumer names, with every right of the account in which it does so.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import nats.errors
import pytest
from nats.aio.client import Client

from aidmesh.topology.api import JetStreamApi, Json, section
from aidmesh.topology.durables import Found, look
from aidmesh.topology.plan import plan_of
from aidmesh.topology.provision import differences
from aidmesh.topology.rights import READER
from support.regions import LinkedRegions, linked_regions
from support.servers import NatsRegion
from support.thief import RogueServer, Tries, answered, links_of, messages_in
from support.waiting import eventually

DURABLE = "payments-local"
NEXT = "$JS.API.CONSUMER.MSG.NEXT.LOCAL.intake-local"
NOTHING = "NATS/1.0 400 Bad Request"
REQUESTS = (
    *(f"$JS.API.STREAM.{verb}.LOCAL" for verb in ("DELETE", "PURGE", "LEADER.STEPDOWN")),
    *(f"$JS.API.CONSUMER.{verb}.LOCAL.{DURABLE}" for verb in ("DELETE", "PAUSE", "UNPIN")),
)


async def state_of(region: NatsRegion, stream: str = "LOCAL", durable: str = DURABLE) -> object:
    """Which stream and which durable it is, what they hold, and where they are."""
    admin = await region.admin()
    try:
        api = JetStreamApi(admin)
        held = await api.stream_info(stream) or {}
        info = await api.consumer_info(stream, durable) or {}
    finally:
        await admin.close()
    found = section(held, "state"), section(info, "config"), section(info, "ack_floor")
    return held.get("created"), info.get("created"), *found


async def settled(thief: Client, request: str, body: bytes) -> None:
    """Wait until the server has answered this request: those from before are done by then."""
    await thief.request(request, body, timeout=30)


async def test_a_service_s_key_has_the_server_change_nothing_by_its_answers(
    nats_region: NatsRegion,
) -> None:
    thief = Tries()
    await thief.connect(nats_region.url, nats_region.seed_file("intake"), "_INBOX_intake")
    await thief.client.jetstream().publish("local.kyiv.intake.x.v1", b"{}")
    before = await state_of(nats_region)
    for request in REQUESTS:
        await thief.client.publish(NEXT, b"{no request", reply=request)
    await settled(thief.client, NEXT, b"{no request")
    assert await state_of(nats_region) == before
    await thief.client.close()


async def test_the_reader_s_key_has_the_server_change_nothing_by_its_answers(
    nats_region: NatsRegion,
) -> None:
    reader = Tries()
    await reader.connect(nats_region.url, nats_region.seed_file(READER), "_INBOX")
    await say_in(nats_region, "local.kyiv.intake.x.v1", b"")
    absent = b'{"seq":4000000}'
    before = await state_of(nats_region)
    for request in REQUESTS:
        await reader.client.publish("$JS.API.DIRECT.GET.LOCAL", absent, reply=request)
        await reader.client.publish("$JS.API.DIRECT.GET.LOCAL", b'{"seq":1}', reply=request)
    await settled(reader.client, "$JS.API.DIRECT.GET.LOCAL", absent)
    assert await state_of(nats_region) == before
    await reader.client.close()


async def test_the_reader_s_key_changes_no_durable_by_a_name_in_the_request(
    nats_region: NatsRegion,
) -> None:
    reader = Tries()
    await reader.connect(nats_region.url, nats_region.seed_file(READER), "_INBOX")
    before = await state_of(nats_region)
    config = cast("tuple[Json, ...]", before)[3]
    changed = {
        **{key: value for key, value in config.items() if key != "durable_name"},
        "pause_until": "2099-01-01T00:00:00Z",
        "filter_subjects": ["local.kyiv.x"],
    }
    body = json.dumps({"stream_name": "LOCAL", "config": changed}).encode()
    for at in ("", f".{DURABLE}", f".{DURABLE}.local.kyiv.x"):
        assert not await answered(reader.client, f"$JS.API.CONSUMER.CREATE.LOCAL{at}", body)
    assert await state_of(nats_region) == before
    await reader.client.close()


async def say_in(region: NatsRegion, subject: str, payload: bytes) -> None:
    """Put an event into a region's log."""
    admin = await region.admin()
    await admin.jetstream().publish(subject, payload)
    await admin.close()


async def test_the_supervisor_s_own_account_changes_no_stream(nats_region: NatsRegion) -> None:
    """It takes the system account, whose key no service has, and the region's name for it."""
    admin = await nats_region.admin()
    for request in ("$JS.API.STREAM.DELETE.LOCAL", "$JS.kyiv.API.STREAM.DELETE.LOCAL"):
        with pytest.raises(nats.errors.NoRespondersError):
            await admin.request(request, timeout=30)
    await JetStreamApi(admin).delete_stream("LOCAL")
    assert await JetStreamApi(admin).stream_info("LOCAL") is None
    await admin.close()


async def test_a_server_with_a_configuration_of_before_is_asked_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aidmesh.topology.config.CHANGES", "NOBODY")
    monkeypatch.setattr("aidmesh.topology.config.closed_requests", list[str])
    region = NatsRegion(tmp_path / "kyiv")
    await asyncio.to_thread(region.start)
    try:
        await region.open()
        assert await durable_of(region)
    finally:
        await region.close()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages the durable had delivered, at each look of a warden, soon after another."""
    counts: list[int] = []

    async def look_and_tell(*args: Any) -> Found:
        found = await look(*args)
        counts.extend(at.delivered for key, at in found.places.items() if key[1] == DURABLE)
        return found

    monkeypatch.setattr("aidmesh.topology.warden.look", look_and_tell)
    monkeypatch.setattr("aidmesh.topology.warden.DURABLES_LOOK_S", 0.2)
    return counts


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[LinkedRegions]:
    async with linked_regions(tmp_path, ("kyiv", "lviv")) as linked:
        yield linked


@asynccontextmanager
async def thief_of_lviv(mesh: LinkedRegions, folder: Path) -> AsyncIterator[Client]:
    """Somebody who dials Kyiv with the keys of Lviv's link."""
    address = f"127.0.0.1:{mesh.cable('kyiv', 'lviv').target_port}"
    rogue = RogueServer(folder, mesh.regions["lviv"].keys, dial=address)
    async with rogue.running("lviv") as thief:
        await links_of(mesh.regions["kyiv"], {"lviv", "rogue"})
        await eventually(lambda: answered(thief, "handoff.kyiv.lviv.intake.x.v1"), 30)
        yield thief


CREATE = "$JS.kyiv.API.CONSUMER.CREATE.WORLD"


async def test_a_stolen_link_key_stops_and_narrows_no_durable(
    mesh: LinkedRegions, tmp_path: Path
) -> None:
    kyiv = mesh.regions["kyiv"]
    async with thief_of_lviv(mesh, tmp_path / "rogue") as thief:
        before = await state_of(kyiv, "WORLD", "payments-world")
        config = cast("tuple[Json, ...]", before)[3]
        for change in (
            {"pause_until": "2099-01-01T00:00:00Z"},
            {"filter_subject": "aid.lviv.x", "filter_subjects": None},
            {"inactive_threshold": 1_000_000_000},
        ):
            body = json.dumps({"stream_name": "WORLD", "config": {**config, **change}}).encode()
            for at in ("payments-world", "payments-world.aid.lviv.x"):
                assert not await answered(thief, f"{CREATE}.{at}", body)
        assert await state_of(kyiv, "WORLD", "payments-world") == before


async def test_a_durable_that_a_stolen_link_key_put_elsewhere_is_made_anew(
    seen: list[int], mesh: LinkedRegions, tmp_path: Path
) -> None:
    """The thief's own event is delivered to the durable as if it were a request."""
    kyiv, lviv = mesh.regions["kyiv"], mesh.regions["lviv"]
    for _ in range(3):
        await say_in(kyiv, "local.kyiv.intake.aid.given.v1", b"{}")
    await take(kyiv, 3)
    await say_in(lviv, "aid.lviv.x", b'{"seq":4000000000}')
    await eventually(lambda: has_heard(kyiv), 30)
    await eventually(lambda: 3 in seen, 30)
    created = (await durable_of(kyiv)).get("created")
    async with thief_of_lviv(mesh, tmp_path / "rogue") as thief:
        body = {
            "stream_name": "WORLD",
            "config": {
                "name": "x",
                "filter_subject": "aid.lviv.x",
                "deliver_subject": f"$JS.API.CONSUMER.RESET.LOCAL.{DURABLE}",
                "ack_policy": "none",
                "inactive_threshold": 1_000_000_000,
            },
        }
        await answered(thief, f"{CREATE}.x.aid.lviv.x", json.dumps(body).encode())
        await eventually(lambda: is_anew(kyiv, created), 30)
    await take(kyiv, 3)  # everything comes again


async def durable_of(region: NatsRegion) -> Json:
    admin = await region.admin()
    try:
        return await JetStreamApi(admin).consumer_info("LOCAL", DURABLE) or {}
    finally:
        await admin.close()


async def is_anew(region: NatsRegion, created: object) -> bool:
    return (await durable_of(region)).get("created") not in {None, created}


async def has_heard(region: NatsRegion) -> bool:
    return (await messages_in(region))["WORLD"][0] == 1


async def take(region: NatsRegion, messages: int) -> None:
    """Take these from the durable as its service does."""
    admin = await region.admin()
    pulled = await admin.jetstream().pull_subscribe_bind(DURABLE, "LOCAL")
    taken = await pulled.fetch(messages, timeout=30)
    assert len(taken) == messages
    for message in taken:
        await message.ack_sync()
    await admin.close()


@pytest.mark.usefixtures("seen")
async def test_a_changed_durable_is_put_right(nats_region: NatsRegion) -> None:
    admin = await nats_region.admin()
    api = JetStreamApi(admin)
    config = section(await durable_of(nats_region), "config")
    paused: Json = {"pause_until": "2099-01-01T00:00:00Z"}
    changes: list[Json] = [
        {**config, "inactive_threshold": 3_600_000_000_000},
        {**config, "filter_subjects": ["local.kyiv.intake.aid.given.v1"]},
    ]
    await api.change(f"CONSUMER.PAUSE.LOCAL.{DURABLE}", paused)
    await eventually(lambda: as_planned(api), 30)
    for change in changes:
        await api.put_consumer("LOCAL", change, action="update")
        await eventually(lambda: as_planned(api), 30)
    await api.delete_consumer("LOCAL", DURABLE)
    await eventually(lambda: as_planned(api), 30)
    await admin.close()


async def as_planned(api: JetStreamApi) -> bool:
    return await differences(api, plan_of("kyiv", [])) == []


async def test_the_gate_answers_nobody_but_inboxes(nats_region: NatsRegion) -> None:
    thief = Tries()
    await thief.connect(nats_region.url, nats_region.seed_file("intake"), "_INBOX_intake")
    before = await messages_in(nats_region)
    await thief.client.publish("gate.kyiv", b"", reply="local.kyiv.payments.x.v1")
    await settled(thief.client, "gate.kyiv", b"")
    assert await messages_in(nats_region) == before
    await thief.client.close()
