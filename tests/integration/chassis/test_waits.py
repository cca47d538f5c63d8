"""While NATS hangs a service tells once what waits, however often it tries, and once that it is
over."""

import asyncio
from collections import Counter

import pytest

from aidmesh.chaos.road import Road
from aidmesh.embedded.ports import free_ports
from aidmesh_chassis import broker, courier, relay, waits
from aidmesh_chassis.consuming import Subscription
from aidmesh_chassis.courier import Courier
from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from aidmesh_chassis.peers import Peers
from aidmesh_chassis.running import Running
from aidmesh_chassis.settings import ServiceSettings
from aidmesh_chassis.waits import Wait
from aidmesh_contracts.intake import ContactSealedV1, NeedReadyUntilV1
from aidmesh_contracts.streams import Stream
from integration.chassis.parts import record
from support.loglines import written
from support.servers import DatabaseFactory, NatsRegion
from support.services import is_open, service_at, settings_for
from support.waiting import eventually

TRIES = 20


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each wait was met; everything is tried again at once."""
    tried: Counter[str] = Counter()
    tell = Wait.warning

    def count(self: Wait, event: str, **fields: object) -> None:
        tried[event] += 1
        tell(self, event, **fields)

    monkeypatch.setattr(Wait, "warning", count)
    monkeypatch.setattr(waits, "EVERY_S", 3600.0)  # however slow the machine
    monkeypatch.setattr(broker, "RETRY_S", 0.05)
    monkeypatch.setattr(relay, "SWEEP_S", 0.05)
    monkeypatch.setattr(courier, "SWEEP_S", 0.05)
    monkeypatch.setattr(courier, "CONNECT_S_MAX", 0.05)
    return tried


def over_the_road(name: str, region: NatsRegion, road: Road) -> ServiceSettings:
    return settings_for(name, region).model_copy(
        update={"nats_url": f"nats://127.0.0.1:{road.port}"}
    )


async def test_a_service_whose_server_hangs_says_so_once(
    database: DatabaseFactory, nats_region: NatsRegion, tried: Counter[str]
) -> None:
    road = Road(free_ports(1)[0], int(nats_region.url.rpartition(":")[2]))
    await road.open()
    db = Database(await database("notification"), Origin("kyiv", "notification"))
    settings = over_the_road("notification", nats_region, road)
    subscription = Subscription(Stream.PRIVATE, {ContactSealedV1: record, NeedReadyUntilV1: record})
    with written("notification") as lines:
        running = Running(service_at("notification", settings, db, [subscription]))
        task = asyncio.create_task(running.run())
        try:
            await eventually(lambda: is_open(db) and lines.of("relay.opened"), 30)
            road.stall()

            def has_tried() -> bool:
                return min(tried["relay.waits"], tried["broker.fetch_failed"]) >= TRIES

            await eventually(has_tried, 90)
            for event in ("relay.waits", "broker.fetch_failed"):
                assert len(lines.of(event)) == 1, event
            assert lines.of("wait.over") == []
            road.heal()

            def is_over() -> bool:
                told = {line["of"] for line in lines.of("wait.over")}
                return {"relay.waits", "broker.fetch_failed"} <= told

            await eventually(is_over, 60)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await road.close()
        for over in lines.of("wait.over"):
            if over["of"] in ("relay.waits", "broker.fetch_failed"):
                assert over["left_out"] == tried[over["of"]] - 1
                assert over["duration_ms"] > 0


async def test_a_courier_whose_server_hangs_says_so_once(
    database: DatabaseFactory, nats_region: NatsRegion, tried: Counter[str]
) -> None:
    road = Road(free_ports(1)[0], int(nats_region.url.rpartition(":")[2]))
    await road.open()
    road.stall()
    db = Database(await database("payments"), Origin("kyiv", "payments"))
    await db.open()
    with written("payments") as lines:
        made = Courier(db, over_the_road("payments", nats_region, road), Peers("kyiv"))
        task = asyncio.create_task(made.run())
        try:
            await eventually(lambda: tried["courier.waits"] >= TRIES, 60)
            assert len(lines.of("courier.waits")) == 1
            courier.CONNECT_S_MAX = 5.0
            road.heal()
            await eventually(lambda: lines.of("wait.over"), 60)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await db.close()
            await road.close()
        (over,) = lines.of("wait.over")
        assert over["left_out"] == tried["courier.waits"] - 1
