"""`aidmesh status` over a mesh of which parts run."""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from nats.aio.client import Client

from aidmesh import log_sizes
from aidmesh.__main__ import build
from aidmesh.asking import Holds, State
from aidmesh.credentials import seed_file
from aidmesh.embedded.ports import free_ports
from aidmesh.mesh import running_mesh
from aidmesh.status import (
    CopyStatus,
    PeerStatus,
    RegionStatus,
    ServiceStatus,
    Status,
    attention_of,
    copy_of,
    status_of,
)
from aidmesh.status_table import table
from aidmesh.story.named import ids_between
from aidmesh.story.read import read_story
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import SUPERVISOR
from aidmesh_contracts.consumers import consumers_of
from aidmesh_contracts.streams import Stream
from support.servers import keys_in
from support.waiting import eventually

FINE = RegionStatus(
    region="kyiv",
    epoch=1,
    nats=True,
    postgres=True,
    services=(ServiceStatus("intake", "ready", (), 0, 0.0, 0, 0, 0),),
    peers=(PeerStatus("lviv", "up", "2024-03-01T10:00:00+00:00", 7, None, 0, 0.0, 0, 0.0),),
)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (replace(FINE, nats=False), "kyiv: NATS does not answer"),
        (replace(FINE, postgres=False), "kyiv: PostgreSQL does not answer"),
        (
            replace(FINE, unasked=("payments",)),
            "kyiv: the database of payments could not be asked",
        ),
        (
            replace(FINE, services=(ServiceStatus("intake", "not ready", ("outbox",)),)),
            "kyiv: intake is not ready (outbox)",
        ),
        (
            replace(FINE, services=(ServiceStatus("intake", "ready", missing_keys=("master",)),)),
            "kyiv: intake is locked (master); aidmesh unlock",
        ),
        (
            replace(FINE, services=(ServiceStatus("intake", "ready", dead=2),)),
            "kyiv: intake has 2 dead letters",
        ),
        (
            replace(FINE, services=(ServiceStatus("inventory", "ready", holds=Holds(9, 3, -300)),)),
            "kyiv: inventory has holds that are over for 5 min",
        ),
        (
            replace(FINE, peers=(PeerStatus("lviv", "dark", "noon"),)),
            "kyiv: lviv is dark since noon",
        ),
        (
            replace(
                FINE,
                peers=(
                    PeerStatus("lviv", "dark", standing="lost", standing_since="noon"),
                    PeerStatus("odesa", "dark", standing="retired", standing_since="noon"),
                ),
            ),
            "kyiv: lviv is held for lost since noon",
        ),
        (
            replace(FINE, peers=(PeerStatus("lviv", "up", trouble="behind"),)),
            "kyiv: lviv is behind",
        ),
    ],
)
def test_what_a_person_should_see_to_is_said(found: RegionStatus, line: str) -> None:
    assert attention_of([FINE]) == ()
    assert attention_of([FINE, found]) == (line,)


def copies(*found: CopyStatus) -> ServiceStatus:
    return ServiceStatus("intake", "ready", (), 0, 0.0, 0, 0, 0, copies=found)


WORKS, AWAY, LOCKED = (
    CopyStatus(1, "http://a", "ready"),
    CopyStatus(2, "http://b", "away"),
    CopyStatus(3, "http://c", "ready", (), ("master",)),
)


@pytest.mark.parametrize(
    ("service", "lines"),
    [
        (copies(WORKS, replace(WORKS, number=2)), ()),
        (
            copies(WORKS, AWAY, LOCKED),
            (
                "kyiv: intake (copy 2 of 3) is away",
                "kyiv: intake (copy 3 of 3) is locked (master); aidmesh unlock",
            ),
        ),
        (
            replace(copies(replace(AWAY, number=1), AWAY), state="away"),
            ("kyiv: intake is away",),
        ),
        (
            replace(copies(LOCKED, LOCKED), missing_keys=("master",)),
            ("kyiv: intake is locked (master); aidmesh unlock",),
        ),
        (
            replace(copies(copy_of(1, "http://a", None), copy_of(2, "http://b", {
                "ready": False, "checks": {"broker": "no", "database": "ok"},
            })), state="not ready"),
            (
                "kyiv: intake (copy 1 of 2) is away",
                "kyiv: intake (copy 2 of 2) is not ready (broker)",
            ),
        ),
    ],
)  # fmt: skip
def test_each_copy_of_a_service_is_looked_at(
    service: ServiceStatus, lines: tuple[str, ...]
) -> None:
    found = replace(FINE, services=(service,))
    assert attention_of([found]) == lines
    ready = sum(each.state == "ready" for each in service.copies)
    assert f"{service.state}" in table(Status("now", (found,)))[1]
    assert f"({ready} of {len(service.copies)})" in table(Status("now", (found,)))[1]


@pytest.mark.parametrize(
    ("servers", "lines"),
    [
        (("ready", "ready", "ready"), ()),
        (("ready", "away", "not ready"), (
            "kyiv: NATS server 2 of 3 is away", "kyiv: NATS server 3 of 3 is not ready",
        )),
        (("away", "away", "away"), ("kyiv: NATS does not answer",)),
    ],
)  # fmt: skip
def test_each_server_of_a_cluster_is_looked_at(
    servers: tuple[State, ...], lines: tuple[str, ...]
) -> None:
    found = replace(FINE, nats=set(servers) != {"away"}, nats_servers=servers)
    assert attention_of([found]) == lines


@pytest.mark.parametrize(
    ("holds", "cell"),
    [
        (Holds(0, 0, None), "0"),
        (Holds(9, 2, 48.3), "9 (2 end soon; first ends in 48 s)"),
        (Holds(9, 2, -60), "9 (2 end soon; first is over for 60 s)"),
    ],
)
def test_all_that_waits_in_a_service_is_shown(holds: Holds, cell: str) -> None:
    service = ServiceStatus(
        "inventory", "ready", (), 7, 65.0, 3, 2, 0, {"inventory-local": 3}, holds=holds
    )
    region = replace(FINE, services=(service,))
    assert attention_of([region]) == ("kyiv: inventory has 2 dead letters",)
    status = Status("now", (region,))
    line = table(status)[1]
    for shown in ("3 events", "7 unsent, 65 s", cell):
        assert shown in line
    assert line.endswith("  2")
    (found,) = json.loads(json.dumps(status.as_json()))["regions"][0]["services"]
    assert found["holds"]["ending"] == holds.ending
    assert found["lag"] == {"inventory-local": 3}


async def test_a_mesh_without_services_tells_what_its_servers_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_sizes, "LOG_BYTES_MAX", 200)
    monkeypatch.setattr(log_sizes, "LOOK_S", 0.5)
    data = tmp_path / "data"
    async with running_mesh(
        data, ("kyiv", "lviv"), keys_in(tmp_path / "keys"), services=()
    ) as mesh:

        async def linked() -> bool:
            found = await status_of(mesh.file)
            return all(peer.link == "up" for region in found.regions for peer in region.peers)

        await eventually(linked, 20)
        client: Client = await connect_as(
            mesh.file.regions["kyiv"].nats.url,
            seed_file(mesh.file.regions["kyiv"].keys, SUPERVISOR),
        )
        await client.jetstream().publish("local.kyiv.intake.need.approved.v1", b"{}")
        await client.close()
        found = await status_of(mesh.file)
        kyiv = next(region for region in found.regions if region.region == "kyiv")
        assert (kyiv.nats, kyiv.postgres) == (True, True)
        services = {each.service: each for each in kyiv.services}
        assert services["inventory"].state == "away"
        assert services["inventory"].untaken == 1
        assert services["inventory"].lag == {
            each.durable: int(each.stream is Stream.LOCAL) for each in consumers_of("inventory")
        }
        assert services["inventory"].holds == services["payments"].holds == Holds(0, 0, None)
        assert services["intake"].holds is None
        assert (services["inventory"].unsent, services["inventory"].dead) == (0, 0)
        assert kyiv.peers == (PeerStatus("lviv", "up", handoffs=0, handoffs_age_s=0.0),)
        assert "kyiv: inventory is away" in found.attention
        assert kyiv.unasked == ()
        lines = table(found)
        assert lines[0].startswith("REGION")
        assert len(lines) == 1 + 2 * (6 + 1) + len(found.attention)

        # Of one database that says nothing is told what nobody knows then.
        conn = await asyncpg.connect(mesh.file.regions["kyiv"].admin_dsn("intake"))
        await conn.execute("ALTER DATABASE payments ALLOW_CONNECTIONS false")
        found = await status_of(mesh.file)
        assert "kyiv: the database of payments could not be asked" in found.attention
        assert [(each.postgres, each.unasked) for each in found.regions] == [
            (True, ("payments",)), (True, ()),
        ]  # fmt: skip
        assert "kyiv: PostgreSQL does not answer" not in found.attention
        await conn.execute("ALTER DATABASE payments ALLOW_CONNECTIONS true")
        await conn.close()

        # A story is told without a region whose databases are away, and says so.
        cut = mesh.file.model_copy(deep=True)
        cut.regions["lviv"].own_postgres.port = free_ports(1)[0]
        told = await read_story(cut, uuid4())
        (trouble,) = told.trouble
        assert trouble.startswith("the databases of lviv do not answer (ConnectionRefusedError)")
        named = await ids_between(cut, UUID(int=0), UUID(int=2**128 - 1))
        assert named.silent == ["lviv intake", "lviv inventory", "lviv payments"]

        async def shortened() -> bool:
            assert (data / "mesh.log.1").exists()
            return bool([*data.glob("kyiv/postgres/log/*.json.1")])

        await eventually(shortened, 60)
    after = await status_of(mesh.file)
    assert all(not region.nats and not region.postgres for region in after.regions)
    assert all(region.unasked == () for region in after.regions)
    assert {peer.link for region in after.regions for peer in region.peers} == {"unknown"}
    again = json.loads(json.dumps(after.as_json()))
    assert again["regions"][0]["services"][0]["state"] == "away"
    assert again["attention"]


@pytest.mark.parametrize(
    ("peer", "code"),
    [
        (PeerStatus("lviv", "up", "noon", 7, None, 0, 0.0, 0, 0.0), 0),
        (PeerStatus("lviv", "dark", "noon", 7, None, 3, 90.5, 2, 90.5), 1),
        (PeerStatus("lviv", "dark", "noon", 7, None, 3, 400.0, 2, 400.0, "dark"), 1),
        (PeerStatus("lviv", "up", "noon", 7, None, 3, 400.0, 0, 0.0, "behind"), 1),
    ],
)
def test_the_exit_code_says_whether_a_person_is_needed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    peer: PeerStatus,
    code: int,
) -> None:
    region = replace(FINE, peers=(peer,))
    found = Status("now", (region,), attention_of([region]))

    async def asked(_: object) -> Status:
        return found

    monkeypatch.setattr("aidmesh.status.status_of", asked)
    monkeypatch.setattr("aidmesh.meshfile.read_mesh", lambda _: None)
    for options in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            build()(["status", "--data", str(tmp_path), *options])
        assert (ended.value.code or 0) == code
    lines, _, told = capsys.readouterr().out.partition("{")
    assert ("! kyiv: lviv" in lines) == bool(code)
    shown = json.loads("{" + told)["regions"][0]["peers"][0]
    assert (shown["link"], shown["since"]) == (peer.link, "noon")
    assert (shown["lag_events"], shown["lag_s"]) == (peer.lag_events, peer.lag_s)


def test_a_folder_without_a_mesh_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        build()(["status", "--data", str(tmp_path)])
    assert ended.value.code == 2
    assert "holds no mesh" in capsys.readouterr().err
