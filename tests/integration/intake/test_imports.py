"""Bulk import: dry run, once only, good rows stay; three formats."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_chassis.keys import MASTER, KeyRing
from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import (
    AidGivenV1,
    ContactSealedV1,
    NeedApprovedV1,
    NeedFulfilledV1,
    PayeeSealedV1,
)
from aidmesh_intake.handlers import importing
from aidmesh_intake.vault import Vault
from integration.intake.files import HEAD, jobs, line, send
from integration.intake.world import World, grew, only, refused
from support.workbooks import workbook


async def test_a_dry_run_knows_the_rows_of_its_earlier_chunks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 3)
    changed = line(0, quantity="2")
    file = "\n".join([HEAD, *map(line, range(4)), changed, line(1)])
    dry = await send(world, file, dry_run="true")
    done = await send(world, file)
    assert {**dry, "state": "done", "import_id": done["import_id"]} == done
    assert (done["accepted"], done["skipped"], done["rejected"]) == (4, 1, 1)


async def test_dry_run_then_import_then_again(world: World) -> None:
    bad = line(3).replace("UA80", "Kyiv").replace("canary3@example.org", "")
    file = "\n".join([HEAD, line(1), line(2), bad, line(4, quantity="0")])
    dry = await send(world, file, dry_run="true")
    assert (dry["state"], dry["accepted"], dry["rejected"]) == ("dry_run", 2, 2)
    assert {(p["line"], p["column"]) for p in dry["problems"]} == {(4, "area"), (5, "quantity")}
    assert "Kyiv" not in json.dumps(dry)
    assert await world.published() == []
    assert (await world.get("/v1/needs"))["needs"] == []

    done = await send(world, file)
    assert (done["state"], done["accepted"], done["skipped"], done["rejected"]) == ("done", 2, 0, 2)
    assert done["by_state"] == {"approved": 2}
    events = await world.published()
    assert len(only(events, NeedApprovedV1)) == 2
    assert len(only(events, ContactSealedV1)) == 2
    first, second = only(events, NeedApprovedV1)
    assert first.planned_on.isoformat() == "2024-02-03"
    # Whoever still waits is not served on the day they asked.
    await world.feed(refused(first))
    (again,) = only(await world.feed(grew("food_parcel", 1)), NeedApprovedV1)
    assert (again.need_id, again.planned_on) == (first.need_id, day_of(datetime.now(UTC)))
    assert second.planned_on.isoformat() == "2024-02-03"

    same = await send(world, file)
    assert same["import_id"] == done["import_id"]
    assert (same["accepted"], same["skipped"], same["rejected"]) == (0, 2, 2)
    assert (same["state"], same["by_state"], same["problems"]) == ("done", {}, done["problems"])
    assert (await world.get(f"/v1/imports/{done['import_id']}"))["skipped"] == 2
    assert only(await world.published(), NeedApprovedV1) == []
    mended = "\n".join([HEAD, line(1), line(2, quantity="2"), line(3), line(4)])
    more = await send(world, mended)
    assert (more["accepted"], more["skipped"], more["rejected"]) == (2, 1, 1)
    assert more["problems"] == [
        {"line": 3, "column": "row_id", "rule": "changed_since_it_was_imported"}
    ]
    assert (await world.get(f"/v1/imports/{more['import_id']}"))["accepted"] == 2

    found = await world.post("/v1/needs:lookup", {"source": "kobo", "row_ids": ["r1", "r9"]})
    assert [row["state"] for row in found["rows"]] == ["approved", None]


async def test_one_code_is_one_person(world: World) -> None:
    file = "\n".join(
        [HEAD, line(1, "same"), line(2, "Same", "hygiene_kit"), line(3, "same", "hiv_test")]
    )
    await send(world, file)
    answer = await world.post("/v1/persons:find", {"client_code": "SAME"})
    page = await world.get("/v1/needs", person_id=answer["person_id"], names=True)
    assert len(page["needs"]) == 3
    assert {row["client_code"] for row in page["needs"]} == {"same"}
    assert len(only(await world.published(), ContactSealedV1)) == 1
    # A later file does not rewrite who they are.
    await send(world, "\n".join([HEAD, line(4, "same", "legal_advice")]))
    assert only(await world.published(), ContactSealedV1) == []


async def test_one_code_is_one_household_however_it_is_spelt(world: World) -> None:
    head = "row_id,client_code,kind,area,asked_on,household_code,for_household"
    file = f"""{head}
1,a,food_parcel,UA80,2024-02-03,Home-1,true
2,b,hygiene_kit,UA80,2024-02-03,home-1,true
3,c,hygiene_kit,UA80,2024-02-03,HOME-1,
4,d,hygiene_kit,UA80,2024-02-03,home-2,
"""
    done = await send(world, file)
    assert (done["state"], done["accepted"], done["rejected"]) == ("done", 4, 0)
    rows = (await world.get("/v1/needs"))["needs"]
    (home,) = {row["household_id"] for row in rows if row["for_whom"] == "household"}
    async with world.db.read() as conn:
        members = await conn.fetchval("SELECT count(*) FROM person WHERE household_id = $1", home)
        assert (members, await conn.fetchval("SELECT count(*) FROM household")) == (3, 2)
    # The next file finds it, too.
    done = await send(world, f"{head}\n5,e,food_parcel,UA80,2024-02-04,hOME-1,")
    assert (done["state"], done["accepted"]) == ("done", 1)
    async with world.db.read() as conn:
        members = await conn.fetchval("SELECT count(*) FROM person WHERE household_id = $1", home)
        assert members == 4


async def test_rows_of_a_household_make_no_member(world: World) -> None:
    head = "row_id,kind,area,origin_area,asked_on,household_code,for_household,given,served_on,note"
    file = f"""{head}
1,food_parcel,UA80,UA14,2024-02-03,H-1,yes,yes,2024-02-03,CanaryStory
2,food_parcel,UA80,UA14,2024-02-10,H-1,yes,,,
3,food_parcel,UA80,UA14,2024-02-17,h-1,yes,,,
4,food_voucher,UA80,UA14,2024-02-17,H-1,yes,,,
"""
    for dry_run in ("true", "false"):
        done = await send(world, file, dry_run=dry_run)
        assert (done["accepted"], done["rejected"]) == (4, 0)
        assert done["by_state"] == {"fulfilled": 1, "requested": 2, "approved": 1}
    async with world.db.read() as conn:
        assert await conn.fetchval("SELECT count(*) FROM person") == 0
        homes = {row["id"] for row in await conn.fetch("SELECT id FROM household")}
    events = await world.published()
    (given,) = only(events, NeedFulfilledV1)
    assert (given.person_ids, {given.household_id}) == ((), homes)
    (asked,) = only(events, NeedApprovedV1)
    assert (asked.stay_area, asked.origin_area) == ("UA80", "UA14")
    for limited in (await world.get("/v1/needs", state="requested"))["needs"]:
        assert (limited["reason"], limited["person_id"]) == ("limit", None)
    (fact,) = (await world.get("/v1/needs", state="fulfilled"))["needs"]
    said = await world.get(f"/v1/requests/{fact['request_id']}")
    assert said["note"] == "CanaryStory"
    # Whoever belongs to it later counts, as if they had been known.
    await send(world, "row_id,client_code,kind,area,household_code\n5,a,food_parcel,UA80,H-1")
    (joined,) = {row["person_id"] for row in (await world.get("/v1/needs"))["needs"]} - {None}
    async with world.db.read() as conn:
        home = await conn.fetchval("SELECT household_id FROM person WHERE id = $1", UUID(joined))
    assert {home} == homes


async def test_a_household_by_its_code_alone_makes_no_member(world: World) -> None:
    body = {
        "for_whom": "household",
        "person": {"household_code": "H-1"},
        "needs": [{"kind": "food_parcel", "place_area": "UA80"}],
    }
    made = [await world.post("/v1/requests", body, status=201) for _ in range(2)]
    assert [each["person_id"] for each in made] == [None, None]
    assert [each["needs"][0]["reason"] for each in made] == [None, "limit"]
    async with world.db.read() as conn:
        assert await conn.fetchval("SELECT count(*) FROM person") == 0
        assert await conn.fetchval("SELECT count(*) FROM household") == 1


async def test_facts_headcounts_payees_and_limits(world: World) -> None:
    head = "row_id,client_code,kind,area,asked_on,quantity,headcount,given,served_on"
    head += ",payee_mechanism,payee_name,payee_iban,place_area"
    iban = "UA213223130000026007233566001"
    file = f"""{head}
1,a,food_parcel,UA80,2024-02-03,1,,true,2024-02-04,,,,
2,a,food_parcel,UA80,2024-02-05,1,,,,,,,
3,,condoms_lubricant,,2024-02-03,30,30,yes,2024-02-03,,,,UA46
4,b,financial_aid,UA80,2024-02-03,1,,,,iban,Canary Name,{iban},
5,b,financial_aid,UA80,2024-02-03,1,,,,iban,Canary Name,,
"""
    done = await send(world, file)
    assert done["accepted"] == 4
    assert done["problems"][0]["rule"] == "iban_goes_with_mechanism"
    assert done["by_state"] == {"fulfilled": 2, "requested": 1, "approved": 1}
    events = await world.published()
    assert len(only(events, NeedFulfilledV1)) == 2
    assert [fact.entered_by for fact in only(events, AidGivenV1)] == [world.staff_id] * 2
    assert len(only(events, PayeeSealedV1)) == 1
    (limited,) = (await world.get("/v1/needs", state="requested"))["needs"]
    assert limited["reason"] == "limit"


async def test_unmapped_columns_are_refused_unless_ignored(world: World) -> None:
    rows = [
        {
            "_uuid": "u-1",
            "person": {"code": "kobo-1"},
            "need": {"kind": "food_parcel", "area": "UA80"},
            "meta": {"device": "x"},
        },
        {"_uuid": "u-2", "person": {"code": "kobo-2"}, "need": {"kind": "nope", "area": "UA80"}},
    ]
    body = "\n".join(json.dumps(row) for row in rows)
    refused = await send(world, body, 422, format="ndjson")
    assert refused["type"] == "urn:aidmesh:problem:unmapped-columns"
    assert refused["columns"] == ["***"] * 5, "none is known: they may be no names"
    refused = await send(world, body, 422, format="ndjson", mapping='{"header": true}')
    assert refused["columns"] == ["_uuid", "person/code", "need/kind", "need/area", "meta/device"]
    mapping = {
        "columns": {
            "_uuid": "row_id",
            "person/code": "client_code",
            "need/kind": "kind",
            "need/area": "area",
        },
        "ignore": ["meta/*"],
        "constants": {"asked_on": "2024-05-01"},
    }
    done = await send(world, body, format="ndjson", mapping=json.dumps(mapping))
    assert done["accepted"] == 1
    assert done["problems"] == [{"line": 2, "column": "kind", "rule": "unknown"}]


async def test_answers_and_notes_are_imported_and_sealed(world: World) -> None:
    file = """row_id,client_code,kind,area,asked_on,answer_in_danger_now,answer_pregnant,note
1,a,food_parcel,UA80,2024-02-03,yes,no,CanaryStory
2,b,food_parcel,UA80,2024-02-03,,,
3,c,food_parcel,UA80,2024-02-03,perhaps,,
"""
    done = await send(world, file)
    assert (done["accepted"], done["rejected"]) == (2, 1)
    assert done["problems"] == [
        {"line": 4, "column": "answer_in_danger_now", "rule": "not_yes_or_no"}
    ]
    page = (await world.get("/v1/needs"))["needs"]
    assert [row["band"] for row in page] == ["urgent", "normal"]
    async with world.db.read() as conn:
        row = await conn.fetchrow(
            "SELECT r.id, r.sealed_reasons, p.id AS person_id, p.wrapped_key, r::text AS line"
            " FROM request r JOIN person p ON p.id = r.person_id WHERE sealed_reasons IS NOT NULL"
        )
    assert row is not None
    assert "CanaryStory" not in row["line"]
    vault = Vault(KeyRing(world.service.settings.keys_dir, (MASTER,))).open()
    locker = vault.locker(row["person_id"], row["wrapped_key"])
    said = vault.show_reasons(locker, row["id"], row["sealed_reasons"])
    assert said.answers == {"in_danger_now": True, "pregnant": False}
    assert said.note is not None
    assert said.note.reveal() == "CanaryStory"


async def test_a_form_with_a_workbook(world: World) -> None:
    answer = await world.client.post(
        "/v1/requests:import",
        params={"source": "office"},
        files={"file": ("list.xlsx", workbook([["row_id", "client_code", "kind", "area"],
                                               [7, 1001, "food_parcel", "UA80"]]))},
        data={"mapping": "{}"},
        headers=world.headers(),
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 1
    assert (await world.post("/v1/persons:find", {"client_code": "1001"}))["person_id"]


@pytest.mark.parametrize(
    ("form", "rules"),
    [
        ([("dry_run", "true")], {"body.dry_run": "extra_forbidden"}),
        ([("source", "kobo"), ("mapping", "{}")], {"body.source": "extra_forbidden"}),
        ([("mapping", "{}"), ("mapping", "{}")], {"body.mapping": "given_twice"}),
        # A name that looks like no field may be somebody's data.
        ([("Canary Name", "x"), ("a", ""), ("b", ""), ("c", ""), ("d", "")],
         {"body.***": "extra_forbidden", **{f"body.{name}": "extra_forbidden" for name in "abcd"}}),
    ],
)  # fmt: skip
async def test_a_form_says_where_what_it_does_not_take_belongs(
    world: World, form: list[tuple[str, str]], rules: dict[str, str]
) -> None:
    file = "\n".join([HEAD, line(1), line(2)])
    fields = [(name, (None, value.encode(), None)) for name, value in form]
    answer = await world.client.post(
        "/v1/requests:import",
        params={"source": "kobo"},
        files=[*fields, ("file", ("list.csv", file.encode(), "text/csv"))],
        headers=world.headers(),
    )
    assert answer.status_code == 422, answer.text
    told = answer.json()
    assert told["type"] == "urn:aidmesh:problem:invalid-request"
    assert {each["field"]: each["rule"] for each in told["errors"]} == rules
    assert "dry_run=true" in told["detail"]
    assert await jobs(world) == 0
    assert await world.published() == []


async def test_a_day_that_has_not_come_is_refused(world: World) -> None:
    tomorrow = day_of(datetime.now(UTC)) + timedelta(days=1)
    file = "\n".join([HEAD, line(1), line(2).replace("2024-02-03", tomorrow.isoformat())])
    for dry_run in ("true", "false"):
        done = await send(world, file, dry_run=dry_run)
        assert (done["accepted"], done["rejected"]) == (1, 1)
        assert done["problems"] == [{"line": 3, "column": "asked_on", "rule": "in_the_future"}]


async def test_files_that_cannot_be_read(world: World) -> None:
    assert (await send(world, b"\xff\xfe", 422))["rule"] == "not_utf8"
    assert (await send(world, "a,a\n1,2", 422))["rule"] == "column_named_twice"
    assert (await send(world, "", 422))["rule"] == "no_header"
    assert (await send(world, "{", 422, format="ndjson"))["rule"] == "bad_json"
    assert (await send(world, b"PK", 422, format="xlsx"))["rule"] == "bad_xlsx"
    far = workbook([["row_id"]], more='<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    assert len(far) < 5000
    assert (await send(world, far, 422, format="xlsx"))["rule"] == "too_large_unpacked"
    answer = await world.client.post(
        "/v1/requests:import",
        params={"source": "kobo", "format": "csv"},
        content="row_id\n1",
        headers=world.headers(Role.LOGISTICIAN),
    )
    assert answer.status_code == 403
