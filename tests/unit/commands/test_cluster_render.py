"""What a region's servers run with when it has several, and what an operator is handed."""

import re
from pathlib import Path

import pytest

from aidmesh.credentials import CredentialsError, create_keys, hosts_of
from aidmesh.meshfile import MeshError, MeshFile
from aidmesh.preparing import add_region, resize
from aidmesh.topology.cluster import Cluster, lay_out
from aidmesh.topology.config import Link, Node, RegionServer, region_of, render
from aidmesh.topology.plan import Remedy, plan_of, stream_differences
from aidmesh.topology.serving import FILE_GIB_MAX, file_bytes_max

ROUTES = ("a:6222", "b:6222", "c:6222")


def server(number: int | None = None, dial: str | None = None) -> RegionServer:
    node = None
    if number is not None:
        node = Node(number, 6222, ROUTES, "/k/tls.pem", "/k/ca.pem")
    return RegionServer(
        region="kyiv",
        client_port=4222,
        monitor_port=8222,
        store_dir="/s",
        publics={"intake": ("U1",)},
        links=(Link("dnipro", ("UL",), "/p/ca.pem", dial),),
        node=node,
    )


def test_each_server_of_a_cluster_has_its_name_and_knows_the_others() -> None:
    texts = [render(server(number)) for number in (1, 2, 3)]
    names = [re.findall(r'^server_name: "(.+)"$', text, re.MULTILINE) for text in texts]
    assert names == [["kyiv-1"], ["kyiv-2"], ["kyiv-3"]]
    assert {region_of(name) for (name,) in names} == {"kyiv"}
    for text in texts:
        (block,) = re.findall(r"^cluster \{(.*?)^\}", text, re.MULTILINE | re.DOTALL)
        assert 'name: "kyiv"' in block
        assert all(f"nats-route://{route}" in block for route in ROUTES)
        assert "verify: true" in block  # of this region's authority, so nobody else joins
        assert 'ca_file: "/k/ca.pem"' in block
        assert "sync_interval: always" in text


def test_a_single_server_is_no_cluster() -> None:
    text = render(server())
    assert "cluster {" not in text
    assert 'server_name: "kyiv"' in text


def test_streams_are_kept_by_as_many_servers_as_there_are_and_can_grow() -> None:
    one, three = plan_of("kyiv", ["lviv"]), plan_of("kyiv", ["lviv"], replicas=3)
    assert {config["num_replicas"] for config in one.streams.values()} == {1}
    assert {config["num_replicas"] for config in three.streams.values()} == {3}
    (difference,) = stream_differences("EVENTS", one.streams["EVENTS"], three.streams["EVENTS"])
    assert difference.field == "num_replicas"
    assert difference.remedy is Remedy.UPDATE


def test_a_mesh_file_grows_and_shrinks_and_keeps_what_it_has(tmp_path: Path) -> None:
    mesh = MeshFile(regions={})
    add_region(mesh, "kyiv", tmp_path, iter(range(15_000, 15_100)))
    entry = mesh.regions["kyiv"]
    single = entry.nats.url
    resize(mesh, 3, 2)
    assert len(entry.nats.url.split(",")) == len(entry.nats.routes) == 3
    assert [len(each.urls) for each in entry.services.values()] == [2] * len(entry.services)
    assert len(set(entry.ports)) == len(entry.ports)
    before = mesh.model_dump_json()
    resize(mesh, 3, None)
    resize(mesh, None, 2)
    assert mesh.model_dump_json() == before
    assert MeshFile.model_validate_json(before) == mesh
    resize(mesh, 1, 1)
    assert entry.nats.url == single
    assert not entry.nats.others
    for nodes, replicas in ((2, None), (None, 0)):
        with pytest.raises(MeshError):
            resize(mesh, nodes, replicas)


def test_an_operator_is_handed_a_folder_for_each_server_and_no_seed(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    create_keys(keys / "kyiv")
    create_keys(keys / "lviv")
    peer = keys / "kyiv" / "peers" / "lviv" / "nats"
    peer.mkdir(parents=True)
    for name in ("ca.pem", "link.pub"):
        (peer / name).write_bytes((keys / "lviv" / "nats" / name).read_bytes())
    hosts = ("n1.kyiv.example", "n2.kyiv.example", "10.0.0.3")
    at = Path("/var/lib/aidmesh/nats")
    cluster = Cluster("kyiv", keys / "kyiv", hosts, {"lviv": None}, at)
    folders = lay_out(cluster, tmp_path / "out")
    assert [folder.name for folder in folders] == ["kyiv-1", "kyiv-2", "kyiv-3"]
    assert set(hosts) <= hosts_of(keys / "kyiv" / "nats")
    for folder in folders:
        text = (folder / "nats.conf").read_text()
        assert str(tmp_path) not in text
        assert text.count(str(at)) > 5
        assert "link-lviv" not in text
        handed = [path for path in folder.rglob("*") if path.is_file()]
        assert not [path for path in handed if path.suffix in {".nk", ".key"}]
        assert all(path.stat().st_mode & 0o077 == 0 for path in handed)
        assert (peer / "link.pub").read_text().strip() in text
    assert cluster.nats_url.startswith("tls://n1.kyiv.example:4222,tls://n2")
    lay_out(cluster, tmp_path / "out")  # as often as one likes


def test_how_much_streams_may_take_is_said_by_the_environment() -> None:
    assert file_bytes_max({}) == file_bytes_max({FILE_GIB_MAX: ""}) == 64 * 1024**3
    assert file_bytes_max({FILE_GIB_MAX: "200"}) == 200 * 1024**3


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "64G", "²", "x"])
def test_what_makes_no_sense_as_their_bound_is_refused(text: str) -> None:
    with pytest.raises(CredentialsError, match=FILE_GIB_MAX):
        file_bytes_max({FILE_GIB_MAX: text})
