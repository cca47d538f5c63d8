"""Every check of `aidmesh verify` fails when what it promises is broken, and no other one does."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import UUID

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client

from aidmesh.credentials import seed_file
from aidmesh.quiet import RegionProbe, probing, wait_quiet
from aidmesh.topology.api import JetStreamApi, section
from aidmesh.topology.rights import SUPERVISOR
from aidmesh.verification import streams
from aidmesh.verification.outcome import Outcome
from aidmesh.verification.privacy import Canaries
from aidmesh.verification.run import check_all
from e2e.breaks.breaking import PLANTED, SOME_READY, Break
from e2e.breaks.table import BREAKS
from support.funding import fund
from support.running import Json, RunningMesh, Staff
from support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
TODAY = datetime.now(UTC).date()
FROM_OUTSIDE = {
    "public_events_reached_the_peers",
    "no_personal_data_in_events",
    "no_personal_data_in_logs",
    "mesh.no_personal_data_in_logs",
}
"""Broken by the tests below, not by SQL."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """Two regions in which a little of everything was done; others must not find them broken."""
    mesh = RunningMesh(tmp_path_factory.mktemp("verified"), "kyiv,lviv")
    mesh.start()
    try:
        asyncio.run(play(mesh))
        yield mesh
    finally:
        mesh.stop()


async def play(mesh: RunningMesh) -> None:
    kyiv, lviv = mesh.staff("kyiv"), mesh.staff("lviv")
    try:
        await parcels(kyiv)
        await guests(kyiv)
        await counseling(kyiv)
        await cash(kyiv)
        await money_to_and_fro(kyiv, lviv)
        await people(kyiv)
    finally:
        await kyiv.close()
        await lviv.close()


async def parcels(kyiv: Staff) -> None:
    """One handed over, one that waits to be fetched."""
    site = await kyiv.site("center", area="UA8021")
    await kyiv.item("food_parcel")
    await kyiv.receive(site, "food_parcel", 5)
    for issued in (True, False):
        need = await kyiv.ask("food_parcel", place_area="UA8021")
        await kyiv.becomes(need, "ready")
        if issued:
            await act(kyiv, need, "issue")


async def guests(kyiv: Staff) -> None:
    """Two beds, two guests, the same nights."""
    site = await kyiv.site("shelter", area="UA8022")
    nights: Json = {"from_on": str(TODAY), "to_on": str(TODAY + timedelta(days=3))}
    for label in ("A1", "A2"):
        bed = {"site_id": str(site), "label": label, "room": "A", "code": "shelter"}
        await kyiv.post("logistician", "inventory", "/beds", bed)
        need = await kyiv.ask("shelter_night", place_area="UA8022", **nights)
        await kyiv.becomes(need, "ready")
        await act(kyiv, need, "check-in")


async def counseling(kyiv: Staff) -> None:
    """An hour that was attended and paid for."""
    site = await kyiv.site("office", area="UA8023")
    await fund(kyiv, 200_000, area="UA8023")
    slot = {
        "site_id": str(site),
        "code": "counseling_paid",
        "professional": "p-1",
        "starts_at": (datetime.now(UTC) + timedelta(days=2)).isoformat(),
        "minutes": 50,
        "seats": 1,
    }
    await kyiv.post("logistician", "inventory", "/slots", slot)
    need = await kyiv.ask("counseling_paid", place_area="UA8023")
    await kyiv.becomes(need, "ready")
    await act(kyiv, need, "attend")


async def cash(kyiv: Staff) -> None:
    """One paid by two people, one only committed; a little of the grant is free."""
    await fund(kyiv, 800_000, area="UA8024")
    for paid in (True, False):
        need = await kyiv.ask(
            "financial_aid",
            place_area="UA8024",
            payee={"mechanism": "cash", "legal_name": "Anna Testova"},
        )
        await kyiv.becomes(need, "ready")
        if paid:
            row = {"row_id": str(need), "need_id": str(need)}
            body = {"source": "e2e", "rows": [row]}
            await kyiv.post("approver", "payments", "/payouts:approve", body)
            settled = {**row, "bank_reference": "B-1", "served_on": str(TODAY)}
            body = {"source": "e2e", "rows": [settled]}
            await kyiv.post("finance", "payments", "/payouts:settle", body)
            await kyiv.becomes(need, "fulfilled")


async def money_to_and_fro(kyiv: Staff, lviv: Staff) -> None:
    """An allotment to Lviv of which a part comes back."""
    money = await fund(kyiv, 200_000, to_region="lviv", area="UA4611")
    path = f"/allotments/{money['allotment_id']}:return"

    async def came() -> bool:
        await lviv.post("finance", "payments", path, {"amount_minor": 50_000})
        return True

    await eventually(came, 30)

    async def is_back() -> bool:
        summary = await kyiv.get("finance", "payments", "/grants/summary")
        (grant,) = [each for each in summary["grants"] if each["id"] == money["grant_id"]]
        assert grant["unallotted_minor"] == 50_000
        return True

    await eventually(is_back, 30)
    await rebalancing(kyiv, lviv, money["allotment_id"])


async def rebalancing(kyiv: Staff, lviv: Staff, allotment_id: str) -> None:
    """A part of what Lviv holds goes back, and on to Kyiv."""
    body = {"allotment_id": allotment_id, "to_region": "kyiv", "amount_minor": 30_000}
    body |= {"reason": "waiting_needs"}
    made = await kyiv.post("finance", "payments", "/rebalancings", body)
    path = f"/rebalancings/{made['rebalancing_id']}"
    ask = f"/return-asks/{made['rebalancing_id']}"
    await kyiv.post("approver", "payments", f"{path}:sign")

    async def prepared() -> bool:
        await lviv.post("finance", "payments", f"{ask}:prepare", {"amount_minor": 20_000})
        return True

    await eventually(prepared, 60)
    await lviv.post("approver", "payments", f"{ask}:consent")

    async def is_there() -> bool:
        (row,) = (await kyiv.get("finance", "payments", "/rebalancings"))["rebalancings"]
        assert (row["state"], row["returned_minor"]) == ("moved", 20_000)
        return True

    await eventually(is_there, 60)


async def people(kyiv: Staff) -> None:
    """One who was erased, and two who are one."""
    ids = []
    for code in ("gone", "twice-1", "twice-2"):
        await kyiv.ask("pep_navigation", {"client_code": code, "area": "UA80"})
        found = await kyiv.post("caseworker", "intake", "/persons:find", {"client_code": code})
        ids.append(found["person_id"])
    await kyiv.post("lead", "intake", f"/persons/{ids[0]}:erase")
    into = {"into_person_id": ids[2]}
    merge = await kyiv.post("caseworker", "intake", f"/persons/{ids[1]}:merge", into)
    await kyiv.post("lead", "intake", f"/merges/{merge['merge_id']}:confirm")


async def act(staff: Staff, need: UUID, step: str) -> None:
    """Hand over, check in, attend."""
    held = (await staff.reservation(need))["reservation_id"]
    body = {"served_on": str(TODAY)}
    await staff.post("caseworker", "inventory", f"/reservations/{held}:{step}", body)
    await staff.becomes(need, "fulfilled")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(own: RunningMesh) -> AsyncIterator[list[RegionProbe]]:
    """Looks at both regions when everything has arrived; what is missing is missing at once.

    One look at a mesh that is whole is enough: whatever a test left broken would be found by the
    next.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "LOOKS_MAX", 2)
        patch.setattr(streams, "LOOK_S", 0.1)
        async with probing(own.file) as probes:

            async def months_are_published() -> bool:
                asking = "SELECT NOT EXISTS (SELECT FROM dirty_month)"
                return all([await p.connections["reporting"].fetchval(asking) for p in probes])

            await eventually(months_are_published, 60)
            assert await wait_quiet(probes, 60) == {}
            assert failing(await look(own, probes)) == set()
            yield probes


@pytest_asyncio.fixture(loop_scope="module")
async def probes(whole: list[RegionProbe]) -> list[RegionProbe]:
    """The same, once the test before has come to rest."""
    assert await wait_quiet(whole, 60) == {}
    return whole


@asynccontextmanager
async def intruding(probe: RegionProbe) -> AsyncIterator[Client]:
    """Somebody with the supervisor's key: no other user could break what the tests below break."""
    seed = str(seed_file(probe.entry.keys, SUPERVISOR))
    client = await nats.connect(probe.entry.nats.url, nkeys_seed=seed)
    try:
        yield client
    finally:
        await client.close()


async def look(own: RunningMesh, probes: list[RegionProbe]) -> list[Outcome]:
    return await check_all(own.data, probes, Canaries([PLANTED]))


def failing(outcomes: list[Outcome]) -> set[str]:
    """Names of the checks that do not hold, without the region's."""
    return {plain(each.name) for each in outcomes if not each.ok}


def plain(name: str) -> str:
    region, _, rest = name.partition(".")
    return rest if region in ("kyiv", "lviv") else name


@asynccontextmanager
async def broken(probes: Mapping[str, RegionProbe], one: Break) -> AsyncIterator[None]:
    """The break, for whoever looks through this probe; nothing of it is ever committed."""
    erased = "SELECT min(person_id::text) FROM erased_person"
    sql = one.sql
    for name, value in (
        ("{some_ready}", SOME_READY),
        ("{planted}", PLANTED),
        ("{erased}", await probes["kyiv"].connections["intake"].fetchval(erased)),
    ):
        sql = sql.replace(name, value)
    conn = probes[one.region].connections[one.service]
    async with AsyncExitStack() as stack:
        transaction = conn.transaction()
        await transaction.start()
        stack.push_async_callback(transaction.rollback)
        await conn.execute("SET LOCAL session_replication_role = replica")
        done = await conn.execute(sql)
        assert not done.endswith(" 0"), "nothing to break"
        yield


@pytest.mark.parametrize("one", BREAKS, ids=[f"{n}-{b.name}" for n, b in enumerate(BREAKS)])
async def test_what_is_broken_is_found_by_its_check_alone(
    own: RunningMesh, probes: list[RegionProbe], one: Break
) -> None:
    async with broken({probe.name: probe for probe in probes}, one):
        outcomes = await look(own, probes)

    assert failing(outcomes) == {one.fails, *one.also}


async def test_no_check_exists_that_cannot_fail(
    own: RunningMesh, probes: list[RegionProbe]
) -> None:
    names = {plain(each.name) for each in await look(own, probes)}

    assert names == {one.fails for one in BREAKS} | FROM_OUTSIDE


async def test_the_command_searches_a_demo_s_own_values_and_says_when_there_are_none(
    own: RunningMesh,
) -> None:
    without = await asyncio.to_thread(own.aidmesh, "verify")
    file = own.data / "scenario" / "canaries.csv"
    file.parent.mkdir()
    file.write_text(f"field,value\nchosen_name,{PLANTED}\n", encoding="utf-8")
    try:
        searched = await asyncio.to_thread(own.aidmesh, "verify")
    finally:
        file.unlink()
        file.parent.rmdir()

    assert without.returncode == 0, without.stdout
    assert "not looked at: personal data" in without.stdout
    assert searched.returncode == 0, searched.stdout
    assert "none of 1 planted personal values" in searched.stdout


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("kyiv/log/host.log", "no_personal_data_in_logs"),
        ("kyiv/log/postgres/more.log", "no_personal_data_in_logs"),
        ("mesh.log", "mesh.no_personal_data_in_logs"),
    ],
)
@pytest.mark.parametrize("line", [PLANTED, json.dumps(PLANTED)[1:-1], quote(PLANTED)])
async def test_a_planted_value_in_a_log_is_found(
    own: RunningMesh, probes: list[RegionProbe], path: str, check: str, line: str
) -> None:
    file = own.data / path
    before = file.read_bytes() if file.exists() else None
    with file.open("a", encoding="utf-8") as log:
        log.write(f'{{"event": "{line}"}}\n')
    try:
        outcomes = await look(own, probes)
    finally:
        file.unlink() if before is None else file.write_bytes(before)

    assert failing(outcomes) == {check}


@pytest.mark.parametrize("subject", ["aid.kyiv", "private.kyiv", "handoff.kyiv.lviv"])
async def test_a_planted_value_in_an_event_is_found(
    own: RunningMesh, probes: list[RegionProbe], subject: str
) -> None:
    async with intruding(probes[0]) as client:
        context = client.jetstream()
        ack = await context.publish(f"{subject}.intake.need.odd.v1", f"x {PLANTED} y".encode())
        try:
            outcomes = await look(own, probes)
        finally:
            await JetStreamApi(client).change(f"STREAM.MSG.DELETE.{ack.stream}", {"seq": ack.seq})

    assert failing(outcomes) == {"no_personal_data_in_events"}


async def test_a_message_that_was_removed_is_missed(
    own: RunningMesh, probes: list[RegionProbe]
) -> None:
    """The last one here: what is removed from a stream stays removed."""
    kyiv, lviv = probes
    for probe, stream, subject, check in (
        (lviv, "WORLD", "aid.kyiv.payments.>", "public_events_reached_the_peers"),
        (kyiv, "LOCAL", "local.kyiv.>", "sent_events_are_in_their_streams"),
    ):
        before = failing(await look(own, probes))
        async with intruding(probe) as client:
            api = JetStreamApi(client)
            found = await api.request(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
            seq = section(found, "message")["seq"]
            await api.change(f"STREAM.MSG.DELETE.{stream}", {"seq": seq})

        assert failing(await look(own, probes)) == {*before, check}
