"""What is written down of a region on several machines, and what older files say still holds."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from aidmesh.__main__ import build
from aidmesh.commands.common import EXIT_REFUSED
from aidmesh.credentials import create_keys
from aidmesh.describing import Described, describe
from aidmesh.meshfile import (
    SERVICES,
    WITH_DATABASE,
    MeshError,
    MeshFile,
    changing_mesh,
    read_mesh,
    write_mesh,
)
from aidmesh.preparing import prepare_mesh, resize
from aidmesh.topology.cluster import Cluster

DSNS = {
    each: f"postgresql://{each}:secret@db{each[0]}.example:5432/{each}" for each in WITH_DATABASE
}
URLS = {each: [f"http://{each}.example:8000"] for each in SERVICES}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    for region in ("kyiv", "lviv"):
        create_keys(tmp_path / "keys" / region)
    return tmp_path / "keys"


def cluster(keys: Path, region: str = "kyiv", **peers: str | None) -> Cluster:
    hosts = tuple(f"n{number}.{region}.example" for number in (1, 2, 3))
    return Cluster(region, keys / region, hosts, peers)


def test_each_server_has_its_host_and_what_is_said_to_it_is_encrypted(
    keys: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    describe(data, Described(cluster(keys, lviv="lviv.example:7422"), DSNS, URLS))
    (data).rename(tmp_path / "carried")
    mesh = read_mesh(tmp_path / "carried")
    entry = mesh.regions["kyiv"]
    assert entry.nats.url == ",".join(f"tls://n{n}.kyiv.example:4222" for n in (1, 2, 3))
    assert entry.nats.monitors == [(f"n{n}.kyiv.example", 8222) for n in (1, 2, 3)]
    assert entry.nats.ca_file == tmp_path / "carried" / "keys" / "kyiv" / "nats" / "ca.pem"
    assert entry.nats.ca_file.read_text() == (keys / "kyiv" / "nats" / "ca.pem").read_text()
    assert [entry.dsn(each) for each in WITH_DATABASE] == list(DSNS.values())
    assert entry.outbox_dsns == list(DSNS.values()), "nobody has the superuser's password"
    assert [dsn.partition("@")[2] for dsn in entry.server_dsns] == [
        "dbi.example:5432/inventory", "dbp.example:5432/payments", "dbn.example:5432/notification",
        "dbr.example:5432/reporting",
    ], "a database on each server"  # fmt: skip
    assert {name: each.urls for name, each in entry.services.items()} == URLS
    assert mesh.peers("kyiv") == ["lviv"]
    assert mesh.elsewhere["lviv"].address == "lviv.example:7422"


def test_nobody_else_can_read_it_and_it_opens_no_personal_data(keys: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    describe(data, Described(cluster(keys), DSNS, URLS))
    found = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()}
    assert found == {
        "mesh.json", ".mesh.json.lock", "keys/kyiv/nats/reader.nk", "keys/kyiv/nats/ca.pem",
    }  # fmt: skip
    assert all((data / each).stat().st_mode & 0o077 == 0 for each in found if "lock" not in each)
    assert data.stat().st_mode & 0o077 == 0


def test_what_was_said_before_need_not_be_said_again(keys: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(MeshError, match="--service intake=HOST:PORT"):
        describe(data, Described(cluster(keys), DSNS, {}))
    with pytest.raises(MeshError, match="AIDMESH_INTAKE_DATABASE_URL"):
        describe(data, Described(cluster(keys), {}, URLS))
    describe(data, Described(cluster(keys), DSNS, URLS, 3))
    moved = {"intake": ["http://a:1", "http://b:1"]}
    describe(data, Described(cluster(keys, lviv=None), {"intake": "postgresql://new/i"}, moved))
    entry = read_mesh(data).regions["kyiv"]
    assert entry.epoch == 3
    assert (entry.services["intake"].urls, entry.dsn("intake")) == (
        moved["intake"], "postgresql://new/i",
    )  # fmt: skip
    assert (entry.services["payments"].urls, entry.dsn("payments")) == (
        URLS["payments"], DSNS["payments"],
    )  # fmt: skip
    assert read_mesh(data).peers("kyiv") == ["lviv"]
    describe(data, Described(cluster(keys), {}, {}))
    assert read_mesh(data).peers("kyiv") == [], "a peer that is not named is none any more"


def test_regions_that_are_linked_share_a_folder(keys: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    describe(data, Described(cluster(keys, lviv="lviv.example:7422"), DSNS, URLS))
    with pytest.raises(MeshError, match="--peer"):
        describe(data, Described(cluster(keys, "lviv"), DSNS, URLS))
    describe(data, Described(cluster(keys, "lviv", kyiv=None, odesa=None), DSNS, URLS))
    mesh = read_mesh(data)
    assert set(mesh.regions) == {"kyiv", "lviv"}
    assert set(mesh.elsewhere) == {"odesa"}
    for name, entry in mesh.regions.items():
        assert entry.keys == data / "keys" / name
        assert (entry.keys / "nats" / "reader.nk").is_file()
    raw = json.loads((data / "mesh.json").read_text())
    assert {each["keys"] for each in raw["regions"].values()} == {"keys/kyiv", "keys/lviv"}


def test_a_folder_is_of_regions_that_run_here_or_of_others(keys: Path, tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    ours.mkdir()
    prepare_mesh(ours, ("kyiv",), {"kyiv": keys / "kyiv"})
    before = (ours / "mesh.json").read_bytes()
    with pytest.raises(MeshError, match="kyiv runs"):
        describe(ours, Described(cluster(keys), DSNS, URLS))
    assert (ours / "mesh.json").read_bytes() == before

    describe(others, Described(cluster(keys), DSNS, URLS))
    with pytest.raises(MeshError, match="machines of their own"):
        prepare_mesh(others, None, {"kyiv": keys / "kyiv"})
    with pytest.raises(MeshError, match="machines of their own"), changing_mesh(others):
        pass


@pytest.mark.parametrize(
    "words",
    [("topology", "apply"), ("topology", "recover"), ("topology", "retire", "kyiv"),
     ("topology", "unlink", "lviv"), ("topology", "rejoin", "kyiv"), ("topology", "join", "odesa"),
     ("topology", "ask", "--file", "FOLDER/ask"), ("keys", "rotate"),
     ("up", "--keys", "FOLDER/keys")],
)  # fmt: skip
def test_from_elsewhere_a_region_is_neither_run_nor_set_up(
    words: tuple[str, ...], keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    describe(data, Described(cluster(keys, lviv=None), DSNS, URLS))
    before = (data / "mesh.json").read_bytes()
    typed = [word.replace("FOLDER", str(tmp_path)) for word in words]
    with pytest.raises(SystemExit) as ended:
        build()([*typed, "--data", str(data)])
    assert ended.value.code == EXIT_REFUSED
    assert "machines of their own" in capsys.readouterr().err
    assert (data / "mesh.json").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "urls"),
    [("intake=a:1,b:2", ["http://a:1", "http://b:2"]), ("intake=https://a:1/", ["https://a:1"]),
     ("intake", None), ("intake=", None), ("intake=a", None), ("nobody=a:1", None),
     ("intake=a:1,b:x", None), ("intake=ftp://a:1", None)],
)  # fmt: skip
def test_where_services_answer_is_typed(
    given: str, urls: list[str] | None, keys: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, dsn in DSNS.items():
        monkeypatch.setenv(f"AIDMESH_{name.upper()}_DATABASE_URL", dsn)
    data = tmp_path / "data"
    describe(data, Described(cluster(keys), DSNS, URLS))
    words = (
        "topology", "render", "--keys", str(keys), "--region", "kyiv", "--hosts", "a,b,c",
        "--to", str(tmp_path / "to"), "--at", "/at", "--data", str(data), "--service", given,
    )  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        build()(list(words))
    assert ended.value.code == (EXIT_REFUSED if urls is None else 0)
    assert read_mesh(data).regions["kyiv"].services["intake"].urls == (urls or URLS["intake"])


def test_who_keeps_the_servers_says_where_they_are(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[list[str], int]] = []

    async def run() -> None:
        return

    def warden_of(_: Cluster, dsns: list[str], epoch: int) -> SimpleNamespace:
        kept.append((dsns, epoch))
        return SimpleNamespace(run=run)

    monkeypatch.setattr("aidmesh.topology.cluster.warden_of", warden_of)
    data = tmp_path / "data"
    words = (
        "topology", "keep", "--keys", str(keys), "--region", "kyiv", "--hosts", "a,b,c",
        "--peer", "lviv=lviv.example:7422", "--epoch", "4", "--data", str(data),
        *(f"--service={name}=a:1" for name in SERVICES),
    )  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        build()(list(words))
    assert ended.value.code == EXIT_REFUSED, "no database is named"
    for name, dsn in DSNS.items():
        monkeypatch.setenv(f"AIDMESH_{name.upper()}_DATABASE_URL", dsn)
    with pytest.raises(SystemExit) as ended:
        build()(list(words))
    assert ended.value.code == 0
    assert kept == [(list(DSNS.values()), 4)]
    assert (read_mesh(data).regions["kyiv"].epoch, read_mesh(data).peers("kyiv")) == (4, ["lviv"])


def test_a_file_of_an_older_version_is_read(keys: Path, tmp_path: Path) -> None:
    mesh, _ = prepare_mesh(tmp_path, ("kyiv",), {"kyiv": keys / "kyiv"})
    resize(mesh, 3, 2)
    write_mesh(tmp_path, mesh)
    raw = json.loads((tmp_path / "mesh.json").read_text())
    entry = raw["regions"]["kyiv"]
    del entry["nats"]["ca_file"]
    for node in entry["nats"]["others"]:
        del node["host"]
    for service in entry["services"].values():
        del service["addresses"], service["database_url"]
    (tmp_path / "mesh.json").write_text(json.dumps(raw))
    assert read_mesh(tmp_path) == MeshFile.model_validate(mesh.model_dump())
    assert read_mesh(tmp_path).regions["kyiv"].nats.url.count("nats://127.0.0.1:") == 3
    container = json.loads(json.dumps(raw))
    container["regions"]["kyiv"]["nats"] |= {"host": "nats-kyiv", "others": []}
    (tmp_path / "mesh.json").write_text(json.dumps(container))
    assert read_mesh(tmp_path).regions["kyiv"].nats.monitors[0][0] == "nats-kyiv"
