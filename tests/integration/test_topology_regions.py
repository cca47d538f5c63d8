"""Regions linked for real: what crosses, what never does, and healing after a cut."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import nats.errors
import pytest
from nats.aio.msg import Msg

from aidmesh.topology.api import JetStreamApi, section
from aidmesh_chassis.client import Client
from support.regions import LinkedRegions, ids_in, linked_regions
from support.servers import NatsRegion
from support.waiting import eventually

NAMES = ("kyiv", "lviv", "odesa")


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[LinkedRegions]:
    async with linked_regions(tmp_path, NAMES) as linked:
        yield linked


async def publish(region: NatsRegion, stream_prefix: str, count: int) -> set[str]:
    """Publish events of a region; returns their ids."""
    client = await region.admin()
    context = client.jetstream()
    ids = {str(uuid4()) for _ in range(count)}
    subject = f"{stream_prefix}.{region.region}.payments.grant.changed.v1"
    await asyncio.gather(
        *(context.publish(subject, b"{}", headers={"Nats-Msg-Id": one}) for one in ids)
    )
    await client.close()
    return ids


async def test_events_reach_every_peer_once_and_local_ones_none(mesh: LinkedRegions) -> None:
    sent = {name: await publish(mesh.regions[name], "aid", 20) for name in NAMES}
    secret = await publish(mesh.regions["kyiv"], "local", 5)
    private = await publish(mesh.regions["kyiv"], "private", 5)
    for name in NAMES:
        wanted = set().union(*(sent[other] for other in NAMES if other != name))

        async def complete(name: str = name, wanted: set[str] = wanted) -> bool:
            return len(await ids_in(mesh.regions[name], "WORLD")) >= len(wanted)

        await eventually(complete, 20)
        world = await ids_in(mesh.regions[name], "WORLD")
        assert sorted(world) == sorted(wanted)
        assert not set(world) & (secret | private)
        assert set(await ids_in(mesh.regions[name], "EVENTS")) == sent[name]


async def test_a_handoff_lands_at_its_region_and_a_forged_sender_nowhere(
    mesh: LinkedRegions,
) -> None:
    kyiv, odesa = mesh.regions["kyiv"], mesh.regions["odesa"]

    async def linked() -> bool:
        return {"kyiv", "lviv"} <= odesa.warden.watcher.linked

    await eventually(linked, 20)
    for sender, receiver in ((kyiv, odesa), (odesa, kyiv)):  # acceptor to dialer, and back
        client = Client()
        await client.connect(
            sender.url,
            nkeys_seed=str(sender.seed_file("intake")),
            inbox_prefix=f"_INBOX_handoff_{sender.region}.intake".encode(),
        )

        async def handed_over(
            client: Client = client, sender: NatsRegion = sender, receiver: NatsRegion = receiver
        ) -> bool:
            subject = f"handoff.{receiver.region}.{sender.region}.intake.referral.offered.v1"
            try:
                answer = await client.request(subject, b"sealed", timeout=2)
            except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
                return False
            return bool(json.loads(answer.data)["stream"] == "HANDOFF")

        await eventually(handed_over, 20)
        await client.close()

    admin = await kyiv.admin()  # whoever holds all of kyiv still can't speak for lviv
    for subject in (
        "handoff.odesa.lviv.intake.referral.offered.v1",
        "local.odesa.intake.need.ready.v1",
        "aid.odesa.payments.grant.changed.v1",
        "$JS.odesa.API.STREAM.DELETE.EVENTS",
        "$JS.odesa.API.CONSUMER.CREATE.LOCAL.thief",
    ):
        with pytest.raises((nats.errors.NoRespondersError, nats.errors.TimeoutError)):
            await admin.request(subject, b"{}", timeout=1)
    await admin.close()
    handoffs = await odesa.admin()
    info = await handoffs.jetstream().stream_info("HANDOFF", subjects_filter=">")
    await handoffs.close()
    assert set(info.state.subjects or {}) == {"handoff.odesa.kyiv.intake.referral.offered.v1"}


async def test_a_service_may_not_speak_for_another(mesh: LinkedRegions) -> None:
    client = await mesh.regions["kyiv"].connect("intake")
    refused = [
        "aid.kyiv.payments.grant.changed.v1",
        "aid.lviv.intake.need.changed.v1",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.STREAM.PURGE.LOCAL",
        "$JS.API.CONSUMER.DELETE.LOCAL.payments-local",
        "$JS.API.CONSUMER.MSG.NEXT.LOCAL.payments-local",
    ]
    for subject in refused:
        with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
            await client.request(subject, b"", timeout=0.3)
    answer = await client.request("local.kyiv.intake.need.ready.v1", b"{}", timeout=30)
    assert json.loads(answer.data)["stream"] == "LOCAL"
    await client.close()


async def test_a_cut_link_heals_within_ten_seconds(mesh: LinkedRegions) -> None:
    kyiv, odesa = mesh.regions["kyiv"], mesh.regions["odesa"]
    sent = await publish(kyiv, "aid", 10)

    async def arrived() -> bool:
        return sent <= set(await ids_in(odesa, "WORLD", "aid.kyiv."))

    await eventually(arrived, 20)
    cable = mesh.cable("kyiv", "odesa")
    await cable.cut()
    await eventually(lambda: "kyiv" not in odesa.warden.watcher.linked, 20)
    sent |= await publish(kyiv, "aid", 10)

    # Long enough for the server's own request to be in flight, which alone would wait 30 s.
    def silent() -> bool:
        seconds = odesa.warden.watcher.silent_s.get("kyiv", 0.0)
        return seconds is None or seconds > 12

    await eventually(silent, 30)
    assert not await arrived()
    cable.heal()
    await eventually(arrived, 10)
    world = await ids_in(odesa, "WORLD", "aid.kyiv.")
    assert sorted(world) == sorted(sent)


async def test_a_source_that_was_left_out_of_world_comes_back(mesh: LinkedRegions) -> None:
    """To be asked anew it is taken out and put in; the server stood still in between."""
    odesa = mesh.regions["odesa"]
    admin = await odesa.admin()
    api = JetStreamApi(admin)
    config = section(await api.stream_info("WORLD") or {}, "config")
    async with odesa.warden.watcher.world:
        await api.update_stream({**config, "sources": []})
    sent = await publish(mesh.regions["kyiv"], "aid", 1)

    async def arrived() -> bool:
        return sent <= set(await ids_in(odesa, "WORLD"))

    await eventually(arrived, 30)
    await admin.close()


@pytest.mark.parametrize("put_back", [False, True], ids=["lost", "put back"])
async def test_an_acknowledgment_from_before_counts_for_no_event_of_another_store(
    mesh: LinkedRegions, tmp_path: Path, *, put_back: bool
) -> None:
    """One event was taken in, and another has its number when the server is told so."""
    odesa = mesh.regions["odesa"]
    store, old = odesa.folder / "nats" / "jetstream", tmp_path / "old"
    await asyncio.to_thread(odesa.stop)
    shutil.copytree(store, old)
    await asyncio.to_thread(odesa.start)
    client = Client()
    await client.connect(
        odesa.url, nkeys_seed=str(odesa.seed_file("payments")), inbox_prefix=b"_INBOX_payments"
    )

    async def next_of_world() -> Msg:
        subscription = await client.jetstream().pull_subscribe_bind("payments-world", "WORLD")
        (message,) = await subscription.fetch(1, timeout=20)
        return message

    async def not_taken_in() -> int:
        info = await client.jetstream().consumer_info("WORLD", "payments-world")
        return info.num_ack_pending or 0

    await publish(mesh.regions["lviv"], "aid", 1)
    taken_in = await next_of_world()
    await mesh.cable("lviv", "odesa").cut()  # so that another event comes first this time
    await asyncio.to_thread(odesa.kill)
    shutil.rmtree(store)
    if put_back:
        shutil.copytree(old, store)
    await eventually(lambda: not odesa.warden.gate.is_open, 30)
    await asyncio.to_thread(odesa.start)
    await publish(mesh.regions["kyiv"], "aid", 2)
    await eventually(lambda: odesa.warden.gate.is_open and client.is_connected, 30)

    other, later = await next_of_world(), await next_of_world()
    assert other.metadata.sequence.stream == taken_in.metadata.sequence.stream
    assert other.subject != taken_in.subject
    await taken_in.ack()
    await later.ack_sync(timeout=20)  # the server has heard what was said before
    assert await not_taken_in() == 1
    await other.ack_sync(timeout=20)
    assert await not_taken_in() == 0
    await client.close()
