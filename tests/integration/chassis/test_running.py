"""What a running service notices, says of itself, and passes on. Real servers."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast
from uuid import uuid4

import httpx
import pytest
from structlog.contextvars import get_contextvars

from aidmesh.chaos.road import Road
from aidmesh.embedded.ports import free_ports
from aidmesh.topology import reporter, warden
from aidmesh.topology.api import JetStreamApi, Json, section
from aidmesh.topology.recover import Recovered
from aidmesh.topology.warden import Warden
from aidmesh_chassis import logs, peers, running
from aidmesh_chassis.consuming import Inlet, Received
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.durables import DurableMissing, Durables
from aidmesh_chassis.envelope import new_event_id
from aidmesh_chassis.outbox import Origin
from aidmesh_chassis.running import Running
from aidmesh_chassis.service import Service
from aidmesh_contracts.intake import ContactSealedV1
from integration.chassis.parts import Producer, Taker, card, emit, opened, wire
from support.loglines import written
from support.regions import linked_regions
from support.servers import DatabaseFactory, NatsRegion
from support.services import service_at, service_of, settings_for
from support.waiting import eventually

DURABLE = "notification-private"


async def ask(one: Service, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=one.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path, headers=headers)


async def ready(one: Service) -> bool:
    return (await ask(one, "/readyz")).status_code == 200


async def ended(taker: Taker) -> str:
    """Wait until the service ends by itself; why it did."""
    await eventually(taker.task.done, 20)
    error: BaseException | None = taker.task.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, RuntimeError)
    return str(error)


Change = Callable[[JetStreamApi], Awaitable[object]]


async def delete(api: JetStreamApi) -> None:
    await api.delete_consumer("PRIVATE", DURABLE)


def update(**changes: object) -> Change:
    async def change(api: JetStreamApi) -> None:
        info = cast("Json", await api.consumer_info("PRIVATE", DURABLE))
        config = {**section(info, "config"), **changes}
        await api.put_consumer("PRIVATE", config, action="update")

    return change


async def nobody_looks(*_: object) -> dict[object, object]:
    return {}


@pytest.mark.parametrize(
    ("change", "shown", "why"),
    [
        (delete, "DurableMissing", "a durable consumer is missing"),
        (
            update(filter_subjects=["private.kyiv.intake.payee.sealed.v1"]),
            "DurableDiffers",
            "a durable consumer is not the one agreed",
        ),
        (
            update(ack_wait=5_000_000_000),
            "DurableDiffers",
            "a durable consumer is not the one agreed",
        ),
        (update(max_ack_pending=7), "DurableDiffers", "a durable consumer is not the one agreed"),
        (update(max_deliver=3), "DurableDiffers", "a durable consumer is not the one agreed"),
    ],
    ids=["deleted", "another filter", "another wait", "fewer pending", "fewer deliveries"],
)
async def test_a_durable_other_than_agreed_is_shown_and_ends_the_service(
    taker: Taker,
    nats_region: NatsRegion,
    change: Change,
    shown: str,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Warden, "_look_after_durables", nobody_looks)  # it would put it right
    await eventually(lambda: ready(taker.service))
    admin = await nats_region.admin()
    await change(JetStreamApi(admin))
    answer = await ask(taker.service, "/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["consumers"] == f"failed: {shown}"
    assert await ended(taker) == why
    await admin.close()


async def test_durables_of_a_log_that_is_made_anew_are_waited_for(
    taker: Taker,
    producer: Producer,
    nats_region: NatsRegion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aidmesh_chassis.running.WATCH_S", 0.05)
    missed: list[str] = []
    check, put, may_go_on = Durables.check, JetStreamApi.put_consumer, asyncio.Event()

    async def checked(self: Durables) -> None:
        try:
            await check(self)
        except DurableMissing as error:
            missed.append(str(error))
            raise

    async def put_late(self: JetStreamApi, stream: str, config: Json, *, action: str) -> Json:
        await may_go_on.wait()
        return await put(self, stream, config, action=action)

    monkeypatch.setattr(Durables, "check", checked)
    monkeypatch.setattr(JetStreamApi, "put_consumer", put_late)
    await eventually(lambda: ready(taker.service))
    nats_region.kill()
    shutil.rmtree(nats_region.folder / "nats" / "jetstream")
    await asyncio.to_thread(nats_region.start)
    await eventually(lambda: len(missed) > 3, 60)
    assert not taker.task.done()
    may_go_on.set()
    await emit(producer.database, [1])

    async def taken() -> bool:
        return await taker.seen() == {1: 1}

    await eventually(taken, 60)
    await eventually(lambda: ready(taker.service), 60)
    assert not taker.task.done()


async def test_nobody_has_heard_everything_before_the_gate_is_open(
    database: DatabaseFactory, nats_region: NatsRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams that are empty say nothing of what is still to be put back into them."""
    monkeypatch.setattr(running, "ABREAST_S", 0.02)
    looked, may_go_on = 0, asyncio.Event()
    check = Durables.check

    async def recover_late(*_: object) -> list[Recovered]:
        await may_go_on.wait()
        return []

    async def checked(self: Durables) -> int:
        nonlocal looked
        waiting = await check(self)
        looked += 1
        return waiting

    db = Database(await database("intake"), Origin("kyiv", "intake"))
    service = Running(service_of("intake", nats_region, db))
    task = asyncio.create_task(service.run())
    await eventually(lambda: service._is_abreast, 30)
    monkeypatch.setattr(warden, "recover", recover_late)
    monkeypatch.setattr(Durables, "check", checked)
    nats_region.kill()
    await eventually(lambda: not service._is_abreast)
    await asyncio.to_thread(nats_region.start)
    looked = 0
    await eventually(lambda: looked > 3, 30)
    assert not service._is_abreast
    may_go_on.set()
    await eventually(lambda: service._is_abreast, 30)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_connection_that_ended_for_good_ends_the_service(
    taker: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aidmesh_chassis.running.WATCH_S", 0.1)
    running = taker.service.health._get()
    await eventually(lambda: ready(taker.service))
    client = running._broker.client
    # The library counts the payload, the server the headers too, and then it hangs up.
    await client.publish("beat.kyiv", b"x" * (client.max_payload - 10), headers={"a": "b" * 100})
    await eventually(lambda: client.is_closed)
    assert await ended(taker) == "the connection to NATS ended for good"


@asynccontextmanager
async def running_service(
    region: NatsRegion, database: DatabaseFactory, name: str, late_s_max: float = 300.0
) -> AsyncIterator[Service]:
    db = Database(await database(name), Origin(region.region, name))
    one = service_of(name, region, db)
    one.settings.peer_late_s_max = late_s_max
    task = asyncio.create_task(Running(one).run())
    try:
        await eventually(lambda: ready(one), 20)
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_peer_that_fell_silent_is_shown_and_makes_nobody_unready(
    tmp_path: Path, database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"BEAT_S": 0.1, "WATCH_S": 0.2, "MEASURE_S": 0.2}.items():
        monkeypatch.setattr(f"aidmesh_chassis.running.{name}", seconds)
    async with (
        linked_regions(tmp_path, ("kyiv", "lviv")) as mesh,
        running_service(mesh.regions["kyiv"], database, "intake") as kyiv,
    ):

        async def lviv() -> dict[str, object]:
            peers: dict[str, dict[str, object]] = (await ask(kyiv, "/readyz")).json()["peers"]
            return peers.get("lviv") or {"services": {}}

        async def never_heard() -> bool:
            return (await lviv())["services"] == {}

        async def heard() -> bool:
            seen = await lviv()
            return set(cast("Json", seen["services"])) == {"payments"} and recent(seen)

        async def silent() -> bool:
            return not recent(await lviv())

        await eventually(never_heard)
        async with running_service(mesh.regions["lviv"], database, "payments"):
            await eventually(heard)
            await mesh.cable("kyiv", "lviv").cut()
            await eventually(silent)
            assert await ready(kyiv)
            mesh.cable("kyiv", "lviv").heal()
            await eventually(heard, 20)
        exposed = (await ask(kyiv, "/metrics")).text
        assert 'aidmesh_peer_beat_age_seconds{peer="lviv"}' in exposed
        assert "kyiv" not in (await ask(kyiv, "/readyz")).json()["peers"]


async def test_a_peer_s_link_and_lag_are_shown_and_warned_of_once(
    tmp_path: Path,
    database: DatabaseFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, seconds in {"BEAT_S": 0.1, "WATCH_S": 0.2, "MEASURE_S": 0.1}.items():
        monkeypatch.setattr(f"aidmesh_chassis.running.{name}", seconds)
    monkeypatch.setattr(reporter, "REPORT_S", 0.2)
    monkeypatch.setattr(peers, "DARK_S", 5.0)  # a beat may be late where much is going on
    # What was told before a cut must be too old to be believed when the cut is over, as it is with
    # the real bounds; else the peer is fine until its next report, and then behind.
    monkeypatch.setattr(peers, "TOLD_S_MAX", 5.0)
    logs.configure("intake", "kyiv")
    async with (
        linked_regions(tmp_path, ("kyiv", "lviv")) as mesh,
        running_service(mesh.regions["kyiv"], database, "intake", late_s_max=10.0) as kyiv,
        running_service(mesh.regions["lviv"], database, "payments"),
    ):

        async def lviv() -> dict[str, object]:
            shown: dict[str, dict[str, object]] = (await ask(kyiv, "/readyz")).json()["peers"]
            return shown.get("lviv", {})

        async def is_complete(events: int) -> bool:
            seen = await lviv()
            last = cast("Json", seen["last_event"] or {})
            return seen["link"] == "up" and last.get("seq") == events and seen["lag_events"] == 0

        async def publish() -> None:
            admin = await mesh.regions["lviv"].admin()
            subject = "aid.lviv.payments.grant.changed.v1"
            headers = {"Nats-Msg-Id": str(uuid4()), "ce-time": "2024-03-01T10:00:00+00:00"}
            await admin.jetstream().publish(subject, b"{}", headers=headers)
            await admin.close()

        async def late(expected: str) -> bool:
            return (
                f'aidmesh_peer_late{{peer="lviv"}} {expected}' in (await ask(kyiv, "/metrics")).text
            )

        await publish()
        await eventually(lambda: is_complete(1), 20)
        shown = await lviv()
        assert cast("Json", shown["last_event"])["at"] == "2024-03-01T10:00:00+00:00"
        assert (shown["trouble"], shown["lag_s"]) == (None, 0.0)

        await mesh.cable("kyiv", "lviv").cut()
        await eventually(lambda: late("1.0"), 20)
        shown = await lviv()
        assert (shown["link"], shown["trouble"]) == ("dark", "dark")
        assert shown["since"] is not None
        await publish()

        mesh.cable("kyiv", "lviv").heal()
        await eventually(lambda: is_complete(2), 20)
        await eventually(lambda: late("0.0"), 20)
    events = [json.loads(line).get("event") for line in capsys.readouterr().out.splitlines()]
    assert events.count("peer.dark") == 1
    assert events.count("peer.fine") == 1


def recent(peer: dict[str, object]) -> bool:
    age_s = peer.get("last_beat_s")
    return isinstance(age_s, float) and age_s < 1.0


async def test_the_way_of_messages_is_measured(
    producer: Producer, taker: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aidmesh_chassis.running.MEASURE_S", 0.1)
    monkeypatch.setattr("aidmesh_chassis.running.WATCH_S", 0.1)
    await emit(producer.database, range(1, 41))
    async with taker.database.transaction() as tx:
        tx.emit(card(1))  # of another service's class: no right to publish it, so it stays
    async with taker.database.connection() as conn:
        await conn.execute(
            "INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason)"
            " VALUES ('x', $1, 'x', '{}', '', 'dead', 'x')",
            uuid4(),
        )

    async def measured() -> bool:
        text = (await ask(taker.service, "/metrics")).text
        for line in (
            (
                'aidmesh_inbox_events_handled_total{durable="notification-private",'
                'event_type="intake.contact.sealed.v1"} 40.0'
            ),
            'aidmesh_inbox_batch_events_sum{durable="notification-private"} 40.0',
            "aidmesh_outbox_pending_rows 1.0",
            'aidmesh_dead_letters{status="dead"} 1.0',
            'aidmesh_dead_letters{status="parked"} 0.0',
            "aidmesh_gate_open 1.0",
            'aidmesh_consumer_pending_events{durable="notification-private"} 0.0',
        ):
            assert line in text, line
        age = next(x for x in text.splitlines() if x.startswith("aidmesh_outbox_pending_age"))
        return float(age.split()[1]) > 0

    await eventually(measured, 20)


async def test_a_database_that_does_not_answer_is_told(
    database: DatabaseFactory, nats_region: NatsRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks the service for anything; its gate stays open, and it runs on. While it waits for
    NATS alone, nothing is said against its database."""
    monkeypatch.setattr("aidmesh_chassis.running.MEASURE_S", 0.1)
    monkeypatch.setattr("aidmesh_chassis.running.RETRY_S", 0.1)
    dsn = await database("intake")
    port = int(dsn.rpartition(":")[2].partition("/")[0])
    first, second = free_ports(2)
    road, to_nats = Road(first, port), Road(second, int(nats_region.url.rpartition(":")[2]))
    for each in (road, to_nats):
        await each.open()
        await each.cut()
    db = Database(dsn.replace(f":{port}/", f":{first}/"), Origin("kyiv", "intake"))
    settings = settings_for("intake", nats_region)
    settings.nats_url = f"nats://127.0.0.1:{second}"
    one = service_at("intake", settings, db)

    async def told(line: str) -> bool:
        return line in (await ask(one, "/metrics")).text

    with written("intake") as lines:
        task = asyncio.create_task(Running(one).run())
        try:
            await eventually(lambda: lines.of("database.waits"))
            assert await told("aidmesh_database_up 0.0")
            road.heal()
            await eventually(lambda: told("aidmesh_database_up 1.0"), 20)
            assert await told("aidmesh_gate_open 0.0")
            to_nats.heal()
            await eventually(lambda: told("aidmesh_gate_open 1.0"), 20)
            await road.cut()
            await eventually(lambda: told("aidmesh_database_up 0.0"), 20)
            assert await told("aidmesh_gate_open 1.0")
            road.heal()
            await eventually(lambda: told("aidmesh_database_up 1.0"), 20)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await road.close()
            await to_nats.close()


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_correlation_and_trace_go_from_a_request_through_events(
    database: DatabaseFactory, nats_region: NatsRegion
) -> None:
    db = await opened(await database("intake"))
    one = service_of("intake", nats_region, db)

    @one.app.get("/say")
    async def say() -> None:
        async with db.transaction() as tx:
            tx.emit(card(1))

    correlation = str(uuid4())
    await ask(one, "/say", **{"X-Correlation-Id": correlation, "traceparent": TRACE})
    await ask(one, "/say", traceparent="something else")
    async with db.transaction() as tx:
        tx.emit(card(2))
    async with db.connection() as conn:
        rows = await conn.fetch("SELECT subject, headers, payload FROM outbox ORDER BY seq")
    asked, other, alone = (json.loads(row["headers"]) for row in rows)
    assert (asked["aid-correlation"], asked["traceparent"]) == (correlation, TRACE)
    assert other["aid-correlation"] not in (correlation, other["ce-id"])
    assert "traceparent" not in other
    assert alone["aid-correlation"] == alone["ce-id"]
    assert "traceparent" not in alone

    caused = await opened(await database("console"), "notification")
    lines: list[dict[str, object]] = []

    async def answer(tx: Tx, batch: list[Received[ContactSealedV1]]) -> None:
        lines.append(dict(get_contextvars()))
        for item in batch:
            tx.emit(card(9), cause=item)

    message = wire(card(1), new_event_id())
    message.headers = asked
    await Inlet(caused, DURABLE, {ContactSealedV1: answer}).take([message])  # type: ignore[dict-item]
    async with caused.connection() as conn:
        headers = json.loads(await conn.fetchval("SELECT headers FROM outbox"))
    assert headers["aid-correlation"] == correlation
    assert headers["aid-causation"] == asked["ce-id"]
    assert headers["traceparent"] == TRACE
    assert lines == [{"event_id": asked["ce-id"], "correlation_id": correlation}]
    assert get_contextvars() == {}
    await caused.close()
    await db.close()
