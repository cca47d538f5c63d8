"""Regions come to know each other: on one machine, and from one machine to another by files."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from nats.aio.client import Client

from aidmesh import joining
from aidmesh.commands import joining as commands
from aidmesh.commands import retiring
from aidmesh.commands.common import EXIT_REFUSED
from aidmesh.credentials import create_keys, hosts_of, missing, publics_of, seed_file
from aidmesh.mesh import Mesh, running_mesh
from aidmesh.meshfile import WITH_DATABASE, MeshError, MeshFile, read_mesh
from aidmesh.preparing import prepare_mesh
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import SUPERVISOR
from support.waiting import eventually

WAIT_S = 60.0


async def test_machines_are_joined_and_parted_by_commands_while_both_run(tmp_path: Path) -> None:
    """Kyiv was alone, so its server has to start anew for its first link; nobody notices."""
    here, there = tmp_path / "here", tmp_path / "there"

    def keys_of(region: str) -> Path:
        create_keys(tmp_path / region / region)
        return tmp_path / region / region

    async def let_in(name: str) -> int:
        asked, join = tmp_path / f"{name}.ask", tmp_path / f"{name}.join"
        assert await _run(commands.ask, data=there, file=asked) == 0
        invited = await _run(commands.invite, asked, data=here, file=join, at=["kyiv=localhost"])
        return invited or await _run(commands.join, data=there, file=join)

    async with (
        running_mesh(here, ("kyiv",), keys_of, services=()) as kyiv,
        running_mesh(there, ("odesa",), keys_of, services=()) as odesa,
    ):
        await _tell(kyiv, "kyiv", "before")
        assert await let_in("first") == 0
        await eventually(lambda: _heard(odesa, "odesa") == {"kyiv"}, WAIT_S)
        await eventually(lambda: kyiv.regions["kyiv"].warden.gate.is_open, WAIT_S)
        await _tell(odesa, "odesa", "after")
        await eventually(lambda: _world(odesa, "odesa", ["before"]), WAIT_S)
        await eventually(lambda: _world(kyiv, "kyiv", ["after"]), WAIT_S)
        await eventually(lambda: _heard(kyiv, "kyiv") == {"odesa"}, WAIT_S)  # seen, not only there

        # Whoever is let in no longer is cut off at once, though its server still dials.
        assert await _run(retiring.unlink, "odesa", data=here) == EXIT_REFUSED, "nobody lost it"
        await _stands(kyiv, "kyiv", "odesa", "lost")
        assert await _run(retiring.unlink, "odesa", data=here) == 0
        await _is_shut_out(kyiv)
        again = {"data": there, "file": tmp_path / "first.join"}
        assert await _run(commands.join, **again, wait=False) == 0, "it waited for a link"
        assert await _run(retiring.unlink, "odesa", data=here) == EXIT_REFUSED, "it is not linked"
        assert await _run(retiring.unlink, "kyiv", data=here) == EXIT_REFUSED, "it is here"

        assert await let_in("again") == 0
        await eventually(lambda: _heard(kyiv, "kyiv") == {"odesa"}, WAIT_S)
        assert await _run(retiring.retire, "odesa", data=here) == EXIT_REFUSED, "it has not"
        await _stands(kyiv, "kyiv", "odesa", "retired")
        assert await _run(retiring.retire, "odesa", data=here, dry_run=True) == 0
        assert _heard(kyiv, "kyiv") == {"odesa"}
        assert await _run(retiring.retire, "odesa", data=here) == 0
        assert set(read_mesh(here).retired) == {"odesa"}
        assert await let_in("too late") == EXIT_REFUSED


def test_a_newcomer_gets_what_it_needs_and_nothing_that_is_secret(tmp_path: Path) -> None:
    mesh = _folder(tmp_path / "a", "kyiv", "lviv")
    newcomer = _folder(tmp_path / "b", "odesa")
    asked = joining.ask(newcomer)
    invitation = joining.invite(mesh, asked, {"kyiv": "10.0.0.1", "lviv": "lviv.example:7422"})
    assert set(invitation.hosts) == {"kyiv", "lviv"}
    assert invitation.hosts["kyiv"].address == f"10.0.0.1:{mesh.regions['kyiv'].nats.leaf_port}"
    assert invitation.hosts["lviv"].address == "lviv.example:7422"
    assert "10.0.0.1" in hosts_of(mesh.regions["kyiv"].keys / "nats")
    assert {"lviv.example", "lviv"} <= hosts_of(mesh.regions["lviv"].keys / "nats")
    sent = (asked.model_dump_json() + invitation.model_dump_json()).encode()
    for folder in (tmp_path / "a", tmp_path / "b"):
        for path in (folder / "keys").rglob("*"):
            if path.suffix in (".nk", ".key", ".conf"):
                for word in path.read_bytes().split():
                    assert len(word) < 20 or word.strip(b'"') not in sent
    assert mesh.peers("kyiv") == ["lviv", "odesa"]
    assert mesh.dial("kyiv", "odesa") is None
    assert publics_of(mesh.keys_of("lviv", "odesa"), "link") == asked.proof.publics

    joining.accept(newcomer, invitation)
    assert newcomer.peers("odesa") == ["kyiv", "lviv"]
    assert newcomer.dial("odesa", "lviv") == "lviv.example:7422"
    kept = newcomer.keys_of("odesa", "kyiv") / "nats" / "ca.pem"
    assert kept.read_text() == (mesh.regions["kyiv"].keys / "nats" / "ca.pem").read_text()


@pytest.mark.parametrize(
    ("region", "addresses", "why"),
    [
        ("kyiv", {"kyiv": "h"}, "is a region of this data folder"),
        ("Odesa!", {"kyiv": "h"}, "is no region"),
        ("odesa", {}, "say where kyiv can be dialed"),
        ("odesa", {"kyiv": "h", "lviv": "h"}, "lviv is no region"),
    ],
)
def test_what_is_no_invitation(
    tmp_path: Path, region: str, addresses: dict[str, str], why: str
) -> None:
    mesh = _folder(tmp_path, "kyiv")
    asked = joining.ask(mesh).model_copy(update={"newcomer": region})
    with pytest.raises(MeshError, match=why):
        joining.invite(mesh, asked, addresses)


def test_what_is_not_accepted(tmp_path: Path) -> None:
    kyiv, odesa = _folder(tmp_path / "a", "kyiv"), _folder(tmp_path / "b", "odesa")
    asked = joining.ask(odesa)
    for proof, why in (
        ({"publics": ("x;",)}, "no nkey"),
        ({"publics": ("U" + "A" * 55,)}, "no nkey"),
        ({"publics": ()}, "no nkey"),
        ({"authority": "-"}, "no certificate"),
    ):
        forged = asked.model_copy(update={"proof": asked.proof.model_copy(update=proof)})
        with pytest.raises(MeshError, match=why):
            joining.invite(kyiv, forged, {"kyiv": "h"})
    invitation = joining.invite(kyiv, asked, {"kyiv": "h"})
    with pytest.raises(MeshError, match="not for the region"):
        joining.accept(kyiv, invitation)
    joining.invite(odesa, joining.ask(_folder(tmp_path / "d", "kyiv")), {"odesa": "h"})
    with pytest.raises(MeshError, match="one of two dials"):
        joining.accept(odesa, invitation)
    with pytest.raises(MeshError, match="several regions"):
        joining.ask(_folder(tmp_path / "c", "odesa", "poltava"))
    broken = tmp_path / "broken"
    broken.write_text(json.dumps({**invitation.model_dump(), "hosts": {"kyiv": "?"}}))
    with pytest.raises(MeshError, match="no join file"):
        joining.read_invitation(broken)


def test_a_region_is_added_with_ports_and_keys_of_its_own(tmp_path: Path) -> None:
    mesh = _folder(tmp_path, "kyiv", "lviv")
    old = {region: entry.ports for region, entry in mesh.regions.items()}
    joining.add_here(mesh, "odesa", None)
    assert mesh.regions["odesa"].keys == tmp_path / "keys" / "odesa"
    assert not missing(tmp_path / "keys" / "odesa")
    new = mesh.regions["odesa"].ports
    assert not set(new) & {port for ports in old.values() for port in ports}
    assert mesh.peers("odesa") == ["kyiv", "lviv"]
    with pytest.raises(MeshError, match="already"):
        joining.add_here(mesh, "odesa", None)


def _folder(data: Path, *regions: str) -> MeshFile:
    data.mkdir(parents=True, exist_ok=True)
    keys = {region: data / "keys" / region for region in regions}
    for folder in keys.values():
        create_keys(folder)
    mesh, _ = prepare_mesh(data, regions, keys)
    return mesh


async def _run(command: Callable[..., None], *arguments: object, **options: object) -> int:
    """Run what an operator would; its exit code."""

    def run() -> int:
        try:
            command(*arguments, **options)
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    return await asyncio.to_thread(run)


async def _stands(mesh: Mesh, region: str, other: str, standing: str) -> None:
    """All services of a region have heard how another one stands."""
    entry = read_mesh(mesh.data).regions[region]
    for service in WITH_DATABASE:
        conn = await asyncpg.connect(entry.admin_dsn(service))
        try:
            await conn.execute("DELETE FROM region_standing WHERE region = $1", other)
            await conn.execute(
                "INSERT INTO region_standing VALUES ($1, $2, 1, now(), $1)", other, standing
            )
        finally:
            await conn.close()


async def _is_shut_out(kyiv: Mesh) -> None:
    """Nobody has a link with it, and none comes about."""
    warden = kyiv.regions["kyiv"].warden
    await eventually(lambda: warden.watcher.linked == set(), WAIT_S)
    looks = warden.watcher.look_count
    await eventually(lambda: warden.watcher.look_count > looks + 5, WAIT_S)
    assert warden.watcher.linked == set()
    await eventually(lambda: warden.gate.is_open, WAIT_S)


def _heard(mesh: Mesh, region: str) -> frozenset[str]:
    return mesh.regions[region].warden.watcher.linked


async def _admin(mesh: Mesh, region: str) -> Client:
    entry = read_mesh(mesh.data).regions[region]
    return await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))


async def _tell(mesh: Mesh, region: str, what: str) -> None:
    client = await _admin(mesh, region)
    subject = f"aid.{region}.payments.grant.changed.v1"
    await client.jetstream().publish(subject, b"{}", headers={"Nats-Msg-Id": what})
    await client.close()


async def _world(mesh: Mesh, region: str, wanted: list[str]) -> bool:
    client = await _admin(mesh, region)
    try:
        context = client.jetstream()
        state = (await context.stream_info("WORLD")).state
        if state.messages < len(wanted):
            return False
        found = [
            ((await context.get_msg("WORLD", seq)).headers or {})["Nats-Msg-Id"]
            for seq in range(state.first_seq, state.last_seq + 1)
        ]
    finally:
        await client.close()
    return found == wanted
