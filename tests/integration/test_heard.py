"""A story across regions of which only one is at hand: another folder's is told as it was heard."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh.commands.trace import _lines
from aidmesh.meshfile import (
    WITH_DATABASE,
    Elsewhere,
    MeshFile,
    NatsEntry,
    RegionEntry,
    ServiceEntry,
)
from aidmesh.story import heard as hearing
from aidmesh.story.read import read_story
from aidmesh.story.told import Story
from aidmesh_chassis import letters
from support.regions import ids_in, linked_regions
from support.servers import DatabaseFactory, NatsRegion
from support.waiting import eventually

OLD = datetime.now(UTC) - timedelta(hours=1)


def entry_of(dsns: Mapping[str, str], nats: NatsRegion | None = None) -> RegionEntry:
    """A region as a folder knows it; without `nats` none of its servers answers."""
    port = 1 if nats is None else int(nats.url.rpartition(":")[2])
    return RegionEntry(
        keys=Path("/nowhere") if nats is None else nats.keys,
        nats=NatsEntry(client_port=port, monitor_port=1, leaf_port=1),
        services={each: ServiceEntry(database_url=dsn) for each, dsn in dsns.items()},
    )


async def databases_of(database: DatabaseFactory) -> dict[str, str]:
    return {service: await database(service) for service in WITH_DATABASE}


def headers(about: UUID, correlation: UUID | None = None, number: int = 0) -> str:
    """What an event says of itself; `number` orders those of one moment."""
    found = {
        "ce-id": str(UUID(int=number)), "ce-subject": str(about), "ce-time": OLD.isoformat(),
        "aid-correlation": str(correlation or uuid4()), "aid-epoch": "1",
    }  # fmt: skip
    return json.dumps(found)


async def say(region: NatsRegion, event: str, head: str, body: object) -> str:
    """Publish an event as a region's service does; its id."""
    event_id = str(json.loads(head)["ce-id"])
    client = await region.admin()
    try:
        await client.jetstream().publish(
            f"aid.{region.region}.{event}",
            json.dumps(body).encode(),
            headers={**json.loads(head), "Nats-Msg-Id": event_id},
        )
    finally:
        await client.close()
    return event_id


async def test_what_a_peer_of_another_folder_said_is_told_as_it_was_heard(
    tmp_path: Path, database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipment, other, cause = uuid4(), uuid4(), uuid4()
    dsns = await databases_of(database)
    async with linked_regions(tmp_path, ("kyiv", "lviv")) as linked:
        lviv = linked.regions["lviv"]
        names = {"of": str(shipment)}
        ids = [
            await say(lviv, "inventory.shipment.sent.v1", headers(shipment, number=1), {"n": 1}),
            await say(lviv, "inventory.shipment.asked.v1", headers(other, number=2), names),
            await say(lviv, "inventory.shipment.taken.v1", headers(other, cause, 3), {"n": 3}),
            await say(lviv, "inventory.stock.changed.v1", headers(uuid4(), number=4), {"n": 4}),
        ]

        async def arrived() -> bool:
            return set(await ids_in(linked.regions["kyiv"], "WORLD")) == set(ids)

        await eventually(arrived, 90)
        mesh = MeshFile(
            regions={"kyiv": entry_of(dsns, linked.regions["kyiv"])},
            elsewhere={"lviv": Elsewhere()},
        )
        found = await read_story(mesh, shipment)
        assert ids_of(found) == ids[:2], "what it is about, and what names it"
        assert [step.said.heard_by for step in found.steps] == [("kyiv",)] * 2
        assert (found.steps[0].said.region, found.steps[0].said.service) == ("lviv", "inventory")
        assert dict(found.steps[0].fields) == {"n": 1}
        assert found.steps[0].said.at == OLD
        assert found.gaps == ()
        assert any("lviv inventory" in line and "(heard by kyiv)" in line for line in _lines(found))
        assert ids_of(await read_story(mesh, cause)) == [ids[2]]
        assert ids_of(await read_story(mesh, UUID(ids[3]))) == [ids[3]]
        assert (await read_story(mesh, uuid4())).steps == ()

        mesh.elsewhere = {}
        mesh.retired = {}
        assert (await read_story(mesh, shipment)).steps == (), "nobody was asked who is no peer"
        mesh.elsewhere = {"lviv": Elsewhere()}

        monkeypatch.setattr(hearing, "MESSAGES_MAX", 2)
        found = await read_story(mesh, shipment)
        assert ids_of(found) == []
        assert "only the last 2 events" in found.gaps[0]
    found = await read_story(mesh, shipment)
    (gap,) = found.gaps
    assert "of lviv could not all be looked through" in gap
    assert f"? {gap}" in list(_lines(found))
    assert found.as_json()["gaps"] == [gap]


def ids_of(found: Story) -> list[str]:
    return [str(step.said.event_id) for step in found.steps]


async def approved(dsn: str, event_id: UUID, need: UUID, cause: UUID) -> None:
    """Intake has said that a need is approved."""
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(
            """
            INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash,
                                created_at)
            VALUES ($1, 'LOCAL', 'local.kyiv.intake.need.approved.v1', $2, $3, ''::bytea, $4)
            """,
            event_id,
            headers(need, cause),
            json.dumps({"need_id": str(need)}).encode(),
            OLD,
        )
    finally:
        await conn.close()


async def test_what_a_person_dropped_is_not_told_as_handled(database: DatabaseFactory) -> None:
    event_id, need = uuid4(), uuid4()
    kyiv = await databases_of(database)
    await approved(kyiv["intake"], event_id, need, uuid4())
    conn = await asyncpg.connect(kyiv["payments"])
    try:
        await conn.execute(
            """
            INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason)
            VALUES ('payments-local', $1, 'local.kyiv.intake.need.approved.v1', '{}', '{}', 'dead',
                    'bug')
            """,
            event_id,
        )
        assert await letters.drop(conn, 1, "olena", "withdrawn since")
    finally:
        await conn.close()
    (step,) = (await read_story(MeshFile(regions={"kyiv": entry_of(kyiv)}), need)).steps
    assert [(each.service, each.status) for each in step.took] == [("payments", "dropped")]


async def test_a_letter_of_a_peer_is_no_part_of_the_story_of_who_is_at_home_elsewhere(
    database: DatabaseFactory,
) -> None:
    cause, need = uuid4(), uuid4()
    kyiv, lviv = await databases_of(database), await databases_of(database)
    mesh = MeshFile(regions={"kyiv": entry_of(kyiv), "lviv": entry_of(lviv)})
    await approved(kyiv["intake"], uuid4(), need, cause)
    for region, dsns in (("kyiv", kyiv), ("lviv", lviv)):
        conn = await asyncpg.connect(dsns["notification"])
        try:
            await conn.execute(
                """
                INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status,
                                         reason)
                VALUES ('notification-private', $1, $2, $3, '{}', 'dead', 'bug')
                """,
                uuid4(),
                f"private.{region}.intake.contact.changed.v1",
                headers(uuid4(), cause),
            )
        finally:
            await conn.close()
    found = await read_story(mesh, cause)
    assert [step.said.region for step in found.steps] == ["kyiv"]
    failed = [line for line in found.trouble if "failed in" in line]
    assert len(failed) == 1
    assert "kyiv/notification/1" in failed[0]
    assert found.gaps == ()
