"""Whoever is on call finds why a need is stuck, and sees to what could not be handled."""

import json
import re
from collections.abc import Mapping
from typing import cast
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from aidmesh.credentials import seed_file
from aidmesh.topology.config import SUPERVISOR
from aidmesh.topology.warden import connect_as
from support.running import Json, RunningMesh, Staff
from support.waiting import eventually

pytestmark = pytest.mark.timeout(240)


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
    return [cast("Json", json.loads(line)) for line in text.splitlines()]


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
    why = ("--reason", "nobody waits for it", "--by", "olena")
    assert mesh.aidmesh("dead", "drop", place, *why).returncode == 0
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
    entry = mesh.file.regions["lviv"]
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
