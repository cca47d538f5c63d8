"""Whoever is on call finds why a need is stuck, and sees to what could not be handled.

The mesh is this file's own: its services run apart, so that one can hang, and it is traced.
"""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import cast
from uuid import UUID, uuid4

import asyncpg
import httpx
import psutil
import pytest

from aidmesh.credentials import seed_file
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import SUPERVISOR
from support.collector import Collector, Told, collecting
from support.funding import fund
from support.running import Json, RunningMesh, Staff
from support.waiting import eventually


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Where the services' spans go."""
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[RunningMesh]:
    """One region, its services in processes of their own."""
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    folder = tmp_path_factory.mktemp("on-call")
    running = RunningMesh(folder, "kyiv", "--apart", environment=traced)
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def kyiv(mesh: RunningMesh) -> AsyncIterator[Staff]:
    """The staff there."""
    staff = mesh.staff("kyiv")
    yield staff
    await staff.close()


async def told(mesh: RunningMesh, *arguments: str) -> tuple[int, str]:
    """A command of the operators, while this test goes on listening; its code and what it says."""
    done = await asyncio.to_thread(mesh.aidmesh, *arguments)
    return done.returncode, done.stdout + done.stderr


async def test_one_trace_goes_from_the_request_to_the_message(
    mesh: RunningMesh, kyiv: Staff, collector: Collector
) -> None:
    site = await kyiv.site(f"center-{uuid4().hex[:6]}", area="UA8001")
    await kyiv.item("food_parcel")
    await kyiv.receive(site, "food_parcel", 1)
    person: Json = {"client_code": f"canary-{uuid4().hex}", "area": "UA80"}
    need = await kyiv.ask("food_parcel", person, place_area="UA8001", site_id=str(site))
    await kyiv.becomes(need, "ready", deadline_s=60)

    def spans_of_it() -> list[Told]:
        of_it = {
            each.trace_id
            for each in collector.spans
            if each.attributes.get("aidmesh.need_id") == str(need)
            and each.name.startswith("process ")
        }
        assert len(of_it) == 1
        found = collector.of_trace(of_it.pop())
        assert {
            ("intake", "process notification.message.suppressed.v1"),
            ("intake", "POST /v1/requests"),
        } <= {(each.service, each.name) for each in found}
        by_id = {each.span_id for each in found}
        assert all(each.parent_id in by_id for each in found if each.parent_id)
        return found

    spans = cast("list[Told]", await eventually(spans_of_it, 60))
    one = {(each.service, each.name): each for each in spans}
    request = one["intake", "POST /v1/requests"]
    assert [each for each in spans if not each.parent_id] == [request]
    approved = "intake.need.approved.v1"
    assert one["intake", f"send {approved}"].parent_id == request.span_id
    assert one["payments", f"process {approved}"].parent_id == request.span_id
    hold = one["inventory", f"process {approved}"]
    assert hold.parent_id == request.span_id
    held = "inventory.reservation.held.v1"
    assert one["inventory", f"send {held}"].parent_id == hold.span_id
    assert one["intake", f"process {held}"].parent_id == hold.span_id
    queued = one["notification", "process intake.need.ready.v1"]
    ended = one["intake", "process notification.message.suppressed.v1"]
    assert ended.parent_id == queued.span_id
    assert {each.region for each in spans} == {"kyiv"}

    batches = [each for each in collector.spans if each.name.startswith("batch ")]
    assert (hold.trace_id, hold.span_id) in {link for each in batches for link in each.links}

    person_id = str((await kyiv.need(need))["person_id"])
    said = " ".join(value for each in collector.spans for value in each.attributes.values())
    assert person_id not in said
    assert str(person["client_code"]).encode() not in collector.wire
    assert {each.name for each in collector.spans if " /v1/" in each.name} >= {
        "POST /v1/requests", "GET /v1/needs/{need_id}",
    }  # fmt: skip


async def stands(mesh: RunningMesh, need: UUID) -> Json:
    """What `aidmesh trace` says of a need."""
    _, text = await told(mesh, "trace", str(need), "--json")
    return cast("Json", json.loads(text))


async def test_whatever_a_need_is_stuck_for_is_said_with_who_does_what(
    mesh: RunningMesh, kyiv: Staff
) -> None:
    area = "UA8002"
    cash: Json = {"mechanism": "cash", "legal_name": "Anna Testova"}
    site = await kyiv.site(f"center-{uuid4().hex[:6]}", area=area)
    await kyiv.item("food_parcel")
    stock = await kyiv.ask("food_parcel", place_area=area, site_id=str(site))
    money = await kyiv.ask("financial_aid", place_area=area, payee=cash)
    rent = await kyiv.ask("rent_support", place_area=area, payee=cash)
    await kyiv.becomes(stock, "waitlisted")
    await kyiv.becomes(money, "waitlisted")

    async def says(need: UUID, now: str, todo: str) -> None:
        async def said() -> bool:
            found = await stands(mesh, need)
            assert now in str(found["now"]), found["now"]
            assert todo in str(found["todo"]), found["todo"]
            return True

        await eventually(said, 60)

    await says(stock, "waits for stock food_parcel (short)", "take goods in")
    await says(money, "waits for money cash/UAH (short)", "finance receives an instalment")
    await says(rent, "waits for a decision", "decides it at the desk")
    await kyiv.receive(site, "food_parcel", 1)
    await fund(kyiv, 400_000, area=area)
    await kyiv.becomes(stock, "ready")
    await kyiv.becomes(money, "ready")
    await says(stock, "message is suppressed (no_safe_contact)", "tell them in person")
    await says(money, "waits for its approval", "somebody other than its maker approves it")


@contextmanager
def hanging(mesh: RunningMesh, service: str) -> Iterator[None]:
    """Have a service's process stand still, which no supervisor sees."""
    (victim,) = [
        each
        for each in psutil.Process(mesh.pid).children(recursive=True)
        if each.cmdline()[-2:] == ["aidmesh.host", service]
        and "keeper.py" not in str(each.cmdline())
    ]
    os.kill(victim.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(victim.pid, signal.SIGCONT)


async def test_a_service_that_hangs_is_named_wherever_one_looks(
    mesh: RunningMesh, kyiv: Staff
) -> None:
    site = await kyiv.site(f"center-{uuid4().hex[:6]}", area="UA8005")
    await kyiv.item("food_parcel")
    await kyiv.receive(site, "food_parcel", 1)
    with hanging(mesh, "payments"):
        need = await kyiv.ask("food_parcel", place_area="UA8005", site_id=str(site))

        async def missed() -> Json:
            found = await stands(mesh, need)
            assert "was not taken in by kyiv payments-local" in str(found["trouble"])
            return found

        await eventually(missed, 60)
        code, text = await told(mesh, "status", "--json")
        found = json.loads(text)
        assert code == 1
        assert "kyiv: payments is away" in found["attention"]
        services = {each["service"]: each for each in found["regions"][0]["services"]}
        assert services["payments"]["lag"]["payments-local"] >= 1
        assert services["inventory"]["untaken"] == 0
        code, text = await told(mesh, "doctor", "--json")
        away = next(each for each in json.loads(text) if each["where"] == "kyiv payments")
        assert code == 1
        assert away["what"].startswith("does not answer; waiting for it:")
        assert "aidmesh.host payments" in away["do"]
    await kyiv.becomes(need, "ready", deadline_s=60)


async def test_holds_that_are_about_to_end_are_shown(mesh: RunningMesh, kyiv: Staff) -> None:
    site = await kyiv.site(f"center-{uuid4().hex[:6]}", area="UA8006")
    await kyiv.item("food_parcel")
    await kyiv.receive(site, "food_parcel", 1)
    with hanging(mesh, "intake"):
        entry = mesh.file.regions["kyiv"]
        conn = await asyncpg.connect(entry.admin_dsn("inventory"))
        try:
            await conn.execute(
                """
                INSERT INTO reservation (id, need_id, attempt_no, way, state, site_id, planned_on,
                                         hold_until)
                SELECT gen_random_uuid(), gen_random_uuid(), 1, 'handover', 'held', $1,
                       current_date, now() + make_interval(secs => ends_s)
                FROM unnest(ARRAY[200, 1000]) AS ends_s
                """,
                site,
            )
            _, text = await told(mesh, "status", "--json")
            (held,) = [
                each["holds"]
                for each in json.loads(text)["regions"][0]["services"]
                if each["service"] == "inventory"
            ]
            assert (held["held"], held["ending"]) == (2, 1)
            assert 100 < held["next_ends_s"] <= 200
        finally:
            await conn.execute("DELETE FROM reservation WHERE site_id = $1", site)
            await conn.close()


async def numbers(kyiv: Staff, service: str) -> set[tuple[str, ...]]:
    """Names and label values of what is more than zero."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(kyiv.url(service).removesuffix("/v1") + "/metrics")).text
    found = re.findall(r"(?m)^(aidmesh_\w+)(?:\{(.*)\})? (\S+)$", text)
    return {
        (name, *re.findall(r'"([^"]*)"', labels)) for name, labels, value in found
        if float(value) > 0
    }  # fmt: skip


async def test_a_story_says_what_happened_and_what_a_need_waits_for(
    mesh: RunningMesh, kyiv: Staff
) -> None:
    site = await kyiv.site(f"center-{uuid4().hex[:6]}", area="UA8003")
    await kyiv.item("food_parcel")
    need = await kyiv.ask("food_parcel", place_area="UA8003", site_id=str(site))
    await kyiv.becomes(need, "waitlisted")

    waits = mesh.aidmesh("trace", str(need))
    assert waits.returncode == 0, waits.stdout
    assert "waits for stock food_parcel (short)" in waits.stdout
    # By its number at the desk, too, and by the person, of whom nobody has spoken yet.
    assert mesh.aidmesh("trace", str(need)[:8].upper()).stdout == waits.stdout
    person = (await kyiv.need(need))["person_id"]
    assert "waits for stock food_parcel (short)" in mesh.aidmesh("trace", person).stdout

    async def measured() -> bool:
        return ("aidmesh_waitlist_needs", "stock") in await numbers(kyiv, "intake")

    await eventually(measured, 30)

    await kyiv.receive(site, "food_parcel", 1)
    await kyiv.becomes(need, "ready")
    found = json.loads(mesh.aidmesh("trace", str(need), "--json").stdout)
    events = [step["event"] for step in found["steps"]]
    assert events[0] == "intake.need.approved.v1"
    assert {"intake.need.waitlisted.v1", "inventory.reservation.held.v1"} <= set(events)
    approved = found["steps"][0]
    assert {each["service"] for each in approved["taken"]} == {"inventory", "payments"}
    assert found["trouble"] == []

    unknown = mesh.aidmesh("trace", str(uuid4()))
    assert unknown.returncode == 2
    assert "nobody has spoken of" in unknown.stdout
    for text, why in (("12ab", "at least"), ("ffffffffff", "nothing here has an id")):
        refused = mesh.aidmesh("trace", text)
        assert refused.returncode == 2
        assert why in refused.stderr


async def lost_event(mesh: RunningMesh, about: UUID) -> None:
    """Have something come in that no service can read."""
    kyiv = mesh.file.regions["kyiv"]
    client = await connect_as(kyiv.nats.url, seed_file(kyiv.keys, SUPERVISOR))
    try:
        headers = {
            "ce-id": str(uuid4()), "ce-source": "/aidmesh/kyiv/intake", "ce-subject": str(about),
            "ce-time": "2026-03-01T08:00:00+00:00", "aid-epoch": "1",
        }  # fmt: skip
        await client.jetstream().publish(
            "local.kyiv.intake.need.ready.v1", b'{"need_id": "none"}', headers=headers
        )
    finally:
        await client.close()


def letters(mesh: RunningMesh) -> list[Json]:
    text = mesh.aidmesh("dead", "list", "--regions", "kyiv", "--json").stdout
    return cast("list[Json]", json.loads(text))


async def test_a_dead_letter_is_found_tried_again_and_dropped_with_a_reason(
    mesh: RunningMesh,
) -> None:
    about = uuid4()
    await lost_event(mesh, about)

    async def set_aside() -> Json | None:
        return next((each for each in letters(mesh) if each["about"] == str(about)), None)

    letter = cast("Mapping[str, object]", await eventually(set_aside))
    place = str(letter["letter"])
    assert place.startswith("kyiv/notification/")
    assert letter["status"] == "dead"

    found = json.loads(mesh.aidmesh("doctor", "--json").stdout)
    (dead,) = [each for each in found if "could not be handled" in each["what"]]
    assert (dead["harm"], dead["where"]) == ("error", "kyiv notification")

    story = mesh.aidmesh("trace", str(letter["event_id"]))
    assert story.returncode == 1, "its producer never said it"
    assert f"aidmesh dead show {place}" in story.stdout
    assert f"aidmesh dead show {place}" in mesh.aidmesh("trace", str(about)).stdout

    why = ("--reason", "the producer was mended", "--by", "olena")
    assert mesh.aidmesh("dead", "retry", place, *why).returncode == 0

    async def dead_again() -> bool:
        shown = json.loads(mesh.aidmesh("dead", "show", place, "--json").stdout)
        return (shown["status"], shown["decided_by"]) == ("dead", "olena")

    await eventually(dead_again)
    found = json.loads(mesh.aidmesh("dead", "retry-all", "--dry-run", "--json").stdout)
    assert found == [{"region": "kyiv", "service": "notification", "letters": 1}]
    which = ("--services", "notification", "--cause", "bad_payload", "--event", "need.ready")
    replayed = mesh.aidmesh(
        "dead", "retry-all", *which, "--reason", "mended once more", "--by", "petro"
    )
    assert replayed.stdout == "kyiv notification: 1 letter to be handled again\n"

    async def dead_once_more() -> bool:
        shown = json.loads(mesh.aidmesh("dead", "show", place, "--json").stdout)
        return (shown["status"], shown["decided_by"]) == ("dead", "petro")

    await eventually(dead_once_more)
    why = ("--reason", "nobody waits for it", "--by", "olena")
    dropped = mesh.aidmesh("dead", "drop", place, *why, "--json")
    assert (dropped.returncode, json.loads(dropped.stdout)) == (0, {"letter": place, "done": True})
    assert mesh.aidmesh("dead", "drop", place, *why).returncode == 1
    shown = json.loads(mesh.aidmesh("dead", "show", place, "--json").stdout)
    assert (shown["status"], shown["note"]) == ("dropped", "nobody waits for it")
    assert mesh.aidmesh("dead", "list", "--regions", "kyiv").returncode == 0
    for wrong in ("kyiv/nobody/1", "kyiv/intake/x", "1", "kyiv/intake/999999999"):
        assert mesh.aidmesh("dead", "show", wrong).returncode == 2
    assert mesh.aidmesh("dead", "retry", place, "--reason", " ", "--by", "olena").returncode == 2


async def test_the_doctor_finds_what_is_stuck_and_what_is_set_up_wrong(mesh: RunningMesh) -> None:
    def errors() -> list[str]:
        found = json.loads(mesh.aidmesh("doctor", "--json").stdout)
        return [each["what"] for each in found if each["harm"] == "error"]

    assert errors() == []
    checked = mesh.aidmesh("topology", "check", "--json")
    assert checked.returncode == 0
    assert json.loads(checked.stdout) == {"kyiv": {"differences": [], "lost": {}}}
    assert json.loads(mesh.aidmesh("topology", "apply", "--json").stdout) == {"kyiv": {"done": []}}
    entry = mesh.file.regions["kyiv"]
    conn = await asyncpg.connect(entry.admin_dsn("inventory"))
    try:
        await conn.execute("ALTER SYSTEM SET synchronous_commit = off")
        await conn.execute("SELECT pg_reload_conf()")

        async def said() -> bool:
            return "synchronous_commit is off" in errors()

        await eventually(said)
    finally:
        await conn.execute("ALTER SYSTEM RESET synchronous_commit")
        await conn.execute("SELECT pg_reload_conf()")
        await conn.close()
