"""Bulk import: dry run, once only, good rows stay, going on after a cut; three formats."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import Response

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
from aidmesh_intake.handlers import importing, registering
from aidmesh_intake.vault import Vault
from integration.intake.world import World, grew, only, refused
from support.workbooks import workbook

HEAD = "row_id,client_code,kind,area,asked_on,contact_channel,contact_address,contact_hours"
HEAD += ",contact_wording,contact_safe,given,served_on,quantity"


def line(n: int, code: str | None = None, kind: str = "food_parcel", quantity: str = "1") -> str:
    """A good row."""
    return (
        f"r{n},{code or f'code-{n}'},{kind},UA80,2024-02-03,email,canary{n}@example.org,"
        f"09:00-20:00,neutral,true,,,{quantity}"
    )


async def post(world: World, body: str | bytes, key: str | None = None, **query: str) -> Response:
    """Send a file."""
    headers = world.headers() | {"Content-Type": "text/csv"}
    return await world.client.post(
        "/v1/requests:import",
        params={"source": "kobo", "format": "csv", **query},
        content=body,
        headers=headers if key is None else headers | {"Idempotency-Key": key},
    )


async def send(world: World, body: str | bytes, status: int = 200, **query: str) -> Any:
    """Import a file."""
    answer = await post(world, body, **query)
    assert answer.status_code == status, answer.text
    return answer.json()


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


async def test_an_import_goes_on_where_it_was_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 3)
    file = "\n".join([HEAD, *(line(n) for n in range(10))])
    real = registering.register_fitting
    calls = 0

    async def breaking(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ConnectionResetError("the power went")
        return await real(*args)

    monkeypatch.setattr(importing, "register_fitting", breaking)
    with pytest.raises(AssertionError):
        await send(world, file)
    assert len(only(await world.published(), NeedApprovedV1)) == 6
    done = await send(world, file)
    assert (done["state"], done["accepted"], done["skipped"]) == ("done", 10, 0)
    assert len(only(await world.published(), NeedApprovedV1)) == 4


async def test_what_was_rejected_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    tomorrow = day_of(datetime.now(UTC)) + timedelta(days=1)
    early = line(3).replace("2024-02-03", tomorrow.isoformat())
    bad = line(4, quantity="0")
    file = "\n".join([HEAD, line(1), line(2, kind="firewood"), early, bad, line(5)])
    done = await send(world, file)
    assert (done["accepted"], done["skipped"], done["rejected"]) == (2, 0, 3)
    assert {"line": 3, "column": "kind", "rule": "unknown"} in done["problems"]

    kind = await world.get("/v1/kinds/food_parcel")
    answer = await world.client.put(
        "/v1/kinds/firewood",
        json=kind | {"code": "firewood", "version": 1},
        headers=world.headers(Role.LEAD),
    )
    assert answer.status_code == 200, answer.text
    tried = await send(world, file, dry_run="true")
    again = await send(world, file)
    for each in (tried, again):
        assert (each["accepted"], each["skipped"], each["rejected"]) == (1, 2, 2)
    assert again["import_id"] == done["import_id"]
    assert again["by_state"] == {"approved": 1}
    # Its day comes.
    monkeypatch.setattr(importing, "day_of", lambda _: tomorrow)
    late = await send(world, file)
    assert (late["accepted"], late["skipped"], late["rejected"]) == (1, 3, 1)
    assert [each["rule"] for each in late["problems"]] == ["too_small"]
    assert (await send(world, file))["skipped"] == 4
    assert len(only(await world.published(), NeedApprovedV1)) == 4
    assert await jobs(world) == 1


async def test_a_file_that_is_sent_again_may_be_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    file = "\n".join([HEAD, *(line(n, kind="firewood") for n in range(6))])
    done = await send(world, file)
    assert (done["accepted"], done["rejected"]) == (0, 6)
    kind = await world.get("/v1/kinds/food_parcel")
    await world.client.put(
        "/v1/kinds/firewood",
        json=kind | {"code": "firewood", "version": 1},
        headers=world.headers(Role.LEAD),
    )
    real, calls = registering.register_fitting, 0

    async def breaking(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in (1, 3):
            raise ConnectionResetError("the power went")
        return await real(*args)

    monkeypatch.setattr(importing, "register_fitting", breaking)
    with pytest.raises(AssertionError):
        await send(world, file)
    # Before its first rows it is as done as it was.
    job = await world.get(f"/v1/imports/{done['import_id']}")
    assert (job["state"], job["accepted"], job["rejected"]) == ("done", 0, 6)
    with pytest.raises(AssertionError):
        await send(world, file)
    job = await world.get(f"/v1/imports/{done['import_id']}")
    assert (job["state"], job["accepted"], job["rejected"]) == ("running", 2, 0)
    ended = await send(world, file)
    assert (ended["state"], ended["accepted"], ended["skipped"]) == ("done", 6, 0)
    assert len(only(await world.published(), NeedApprovedV1)) == 6


async def test_a_day_that_has_not_come_is_refused(world: World) -> None:
    tomorrow = day_of(datetime.now(UTC)) + timedelta(days=1)
    file = "\n".join([HEAD, line(1), line(2).replace("2024-02-03", tomorrow.isoformat())])
    for dry_run in ("true", "false"):
        done = await send(world, file, dry_run=dry_run)
        assert (done["accepted"], done["rejected"]) == (1, 1)
        assert done["problems"] == [{"line": 3, "column": "asked_on", "rule": "in_the_future"}]


class Gate:
    """Stops an import in its first chunk, or after it (`_keep`), until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: str = "register_fitting") -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self._real = getattr(importing, where)
        monkeypatch.setattr(importing, where, self._wait)

    async def _wait(self, *args: Any) -> Any:
        self.reached.set()
        await asyncio.wait_for(self.opened.wait(), 30)
        return await self._real(*args)


async def jobs(world: World) -> int:
    async with world.db.read() as conn:
        found: int = await conn.fetchval("SELECT count(*) FROM import_job")
    return found


KEY = "0123456789abcdef"


@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_the_same_request_is_not_begun_while_it_runs(
    world: World, monkeypatch: pytest.MonkeyPatch, dry_run: str
) -> None:
    file, other = "\n".join([HEAD, line(1), line(2)]), "\n".join([HEAD, line(3)])
    gate = Gate(monkeypatch)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(post(world, file, KEY, dry_run=dry_run))
        await asyncio.wait_for(gate.reached.wait(), 30)
        for meanwhile in (file, other):
            refused = await post(world, meanwhile, KEY, dry_run=dry_run)
            assert refused.status_code == 409, refused.text
            assert refused.json()["type"].endswith(":in-progress")
            assert int(refused.headers["Retry-After"]) > 0
        gate.opened.set()
    again = await post(world, file, KEY, dry_run=dry_run)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.result().json()
    assert (await post(world, other, KEY, dry_run=dry_run)).status_code == 422
    assert await jobs(world) == (dry_run == "false")
    taken = 2 if dry_run == "false" else 0
    assert len(only(await world.published(), NeedApprovedV1)) == taken


@pytest.mark.parametrize("where", ["register_fitting", "_keep"])
async def test_a_file_is_taken_in_by_one_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    file = "\n".join([HEAD, line(1), line(2)])
    gate = Gate(monkeypatch, where)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(post(world, file))
        await asyncio.wait_for(gate.reached.wait(), 30)
        assert (await post(world, file, KEY)).status_code == 409  # under another key too
        gate.opened.set()
    again = (await post(world, file, KEY)).json()
    assert again["import_id"] == first.result().json()["import_id"]
    assert (again["accepted"], again["skipped"]) == (0, 2)
    assert first.result().json()["by_state"] == {"approved": 2}
    assert await jobs(world) == 1
    assert len(only(await world.published(), NeedApprovedV1)) == 2


async def test_two_who_send_a_file_again_double_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    file = "\n".join([HEAD, *(line(n) for n in range(5))])
    await send(world, file)
    for _ in range(2):
        answers = await asyncio.gather(*(post(world, file) for _ in range(6)))
        read = [answer.json() for answer in answers if answer.status_code == 200]
        assert read
        assert {answer.status_code for answer in answers} <= {200, 409}
        for each in read:
            assert (each["accepted"], each["skipped"], each["rejected"]) == (0, 5, 0)
    assert len(only(await world.published(), NeedApprovedV1)) == 5


async def test_many_equal_requests_at_once_make_one_import(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    file = "\n".join([HEAD, *(line(n) for n in range(9))])
    answers = await asyncio.gather(*(post(world, file, KEY) for _ in range(8)))
    done = [answer.json() for answer in answers if answer.status_code == 200]
    assert done
    assert all(answer == done[0] for answer in done)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert (done[0]["accepted"], done[0]["by_state"]) == (9, {"approved": 9})
    assert await jobs(world) == 1
    assert len(only(await world.published(), NeedApprovedV1)) == 9


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
