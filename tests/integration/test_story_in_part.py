"""Stories and letters are told from the databases that answer, with what may be missing."""

import json
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh.commands.common import EXIT_FAILED, EXIT_REFUSED
from aidmesh.commands.dead import _list
from aidmesh.meshfile import WITH_DATABASE, MeshFile, RegionEntry, write_mesh
from aidmesh.story import databases
from aidmesh.story.databases import TELLS
from aidmesh.story.read import read_story
from aidmesh.story.told import Story
from integration.intake.world import open_world, refused
from integration.test_heard import approved, databases_of, entry_of, headers, say
from integration.test_lacks import asked_for, closed, region_of
from support.regions import ids_in, linked_regions
from support.servers import DatabaseFactory
from support.waiting import eventually


async def waiting_need(entry: RegionEntry, folder: Path) -> UUID:
    """A need that waits for stock."""
    world = await open_world(entry.admin_dsn("intake"), folder)
    try:
        need_id, asked = await asked_for(world, "food_parcel")
        await world.feed(refused(asked))
    finally:
        await closed(world)
    return need_id


def without(entry: RegionEntry, service: str) -> RegionEntry:
    """The same, of which this one database does not answer."""
    cut = entry.model_copy(deep=True)
    cut.services[service].database_url = f"postgresql://{service}@127.0.0.1:1/{service}"
    return cut


def of_silence(told: Story) -> list[str]:
    return [line for line in told.trouble if "could not be asked" in line]


async def test_a_database_that_is_away_takes_nothing_of_the_others_with_it(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    entry = await region_of(database)
    need_id = await waiting_need(entry, tmp_path)
    whole = await read_story(MeshFile(regions={"kyiv": entry}), need_id)
    assert whole.steps
    assert of_silence(whole) == []
    for service in WITH_DATABASE:
        told = await read_story(MeshFile(regions={"kyiv": without(entry, service)}), need_id)
        (line,) = of_silence(told)
        assert line.startswith(f"kyiv: the database of {service} could not be asked (")
        assert TELLS[service] in line
        if service != "intake":
            assert [step.said for step in told.steps] == [step.said for step in whole.steps]
            assert told.now[0].startswith(f"need {need_id} is waitlisted")
        missed = {taker.service for step in told.steps for taker in step.missing}
        assert service not in missed, "who could not be asked may have taken it in"
        if service == "inventory":
            assert told.now[0].endswith("waits for stock food_parcel (short)"), (
                "nobody knows whether its item was entered"
            )


async def test_a_database_that_answers_no_question_is_left_out(
    database: DatabaseFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await region_of(database)
    need_id = await waiting_need(entry, tmp_path)
    monkeypatch.setattr(databases, "STATEMENT_S_MAX", 1.0)
    conn = await asyncpg.connect(entry.admin_dsn("payments"))
    try:
        async with conn.transaction():
            await conn.execute("LOCK TABLE outbox")
            told = await read_story(MeshFile(regions={"kyiv": entry}), need_id)
    finally:
        await conn.close()
    (line,) = of_silence(told)
    assert line.startswith("kyiv: the database of payments could not be asked (TimeoutError)")
    assert told.steps
    assert told.now[0].startswith(f"need {need_id} is waitlisted")


async def test_without_intake_nothing_is_shown_that_may_be_sensitive(
    database: DatabaseFactory,
) -> None:
    dsns = await databases_of(database)
    entry, need = entry_of(dsns), uuid4()
    await approved(dsns["inventory"], uuid4(), need, uuid4())
    said = json.dumps({"need_id": str(need), "item": "x", "state": "y"})
    conn = await asyncpg.connect(dsns["inventory"])
    try:
        await conn.execute("UPDATE outbox SET payload = $1", said.encode())
    finally:
        await conn.close()
    told = await read_story(MeshFile(regions={"kyiv": entry}), need)
    assert fields_of(told) == {"item": "x", "state": "y"}
    told = await read_story(MeshFile(regions={"kyiv": without(entry, "intake")}), need)
    assert fields_of(told) == {"state": "y"}


@pytest.mark.parametrize("as_json", [False, True])
async def test_letters_of_the_databases_that_answer_are_listed(
    database: DatabaseFactory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    as_json: bool,
) -> None:
    entry = await region_of(database)
    conn = await asyncpg.connect(entry.admin_dsn("payments"))
    try:
        await conn.execute(
            """
            INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason)
            VALUES ('payments-local', gen_random_uuid(), 'local.kyiv.intake.need.approved.v1',
                    '{}', '{}', 'dead', 'bug')
            """
        )
    finally:
        await conn.close()
    for silent, code in ((None, EXIT_FAILED), ("intake", EXIT_REFUSED)):
        kyiv = entry if silent is None else without(entry, silent)
        write_mesh(tmp_path, MeshFile(regions={"kyiv": kyiv}))
        assert await _list(tmp_path, None, every=False, as_json=as_json) == code
        out, err = capsys.readouterr()
        assert "kyiv/payments/1" in out
        assert ("the database of intake in kyiv did not answer" in err) == (silent is not None)
    write_mesh(tmp_path, MeshFile(regions={"kyiv": without(entry, "payments")}))
    assert await _list(tmp_path, None, every=False, as_json=as_json) == EXIT_REFUSED
    out, err = capsys.readouterr()
    assert out == "", "nobody knows that none waits"
    assert "the database of payments in kyiv did not answer" in err


def fields_of(told: Story) -> Mapping[str, object]:
    (step,) = told.steps
    return step.fields


async def test_what_a_silent_database_told_all_is_told_by_who_heard_it(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    shipment = uuid4()
    kyiv, lviv = await databases_of(database), await databases_of(database)
    async with linked_regions(tmp_path, ("kyiv", "lviv")) as linked:
        there = linked.regions["lviv"]
        sent = await say(there, "inventory.shipment.sent.v1", headers(shipment, number=1), {})
        paid = await say(there, "payments.grant.changed.v1", headers(shipment, number=2), {})

        async def arrived() -> bool:
            return set(await ids_in(linked.regions["kyiv"], "WORLD")) == {sent, paid}

        await eventually(arrived, 90)
        mesh = MeshFile(
            regions={
                "kyiv": entry_of(kyiv, linked.regions["kyiv"]),
                "lviv": without(entry_of(lviv, there), "inventory"),
            }
        )
        told = await read_story(mesh, shipment)
    assert [str(step.said.event_id) for step in told.steps] == [sent], "the outbox has no other"
    assert told.steps[0].said.heard_by == ("kyiv",)
    assert len(of_silence(told)) == 1
