"""What NATS stores can be encrypted, and another key than the right one is noticed at the start."""

from pathlib import Path

import pytest

from aidmesh.credentials import FOLDER, STORE, seed_file, setting, write_file
from aidmesh.mesh import Mesh, running_mesh
from aidmesh.meshfile import MeshError
from aidmesh.topology.config import STORE_KEY
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import SUPERVISOR
from support.servers import keys_in

CANARY = b"canary-of-a-sealed-contact"


async def say(mesh: Mesh, kind: str) -> None:
    entry = mesh.file.regions["kyiv"]
    client = await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))
    await client.jetstream().publish(f"{kind}.kyiv.intake.x.v1", CANARY)
    await client.close()


async def heard(mesh: Mesh, stream: str) -> bytes | None:
    entry = mesh.file.regions["kyiv"]
    client = await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))
    message = await client.jetstream().get_msg(stream, 1)
    await client.close()
    return message.data


def found(data: Path) -> set[str]:
    return {
        str(path.relative_to(data))
        for path in (data / "kyiv" / "nats").rglob("*")
        if path.is_file() and CANARY in path.read_bytes()
    }


async def test_no_plaintext_is_on_the_disk_and_a_wrong_key_is_refused(tmp_path: Path) -> None:
    data, keys = tmp_path / "data", keys_in(tmp_path / "keys")
    async with running_mesh(data, ("kyiv",), keys, services=()) as mesh:
        await say(mesh, "private")
    assert found(data)  # the canary would be found
    async with running_mesh(data, None, keys, services=(), encrypt=True) as mesh:
        await say(mesh, "local")
        assert await heard(mesh, "PRIVATE") == CANARY
        assert await heard(mesh, "LOCAL") == CANARY
        assert found(data) == set()
        config = (data / "kyiv" / "nats" / "nats.conf").read_text()
    store = tmp_path / "keys" / "kyiv" / FOLDER / STORE
    right = store.read_text()
    secret = right.split('"')[1]
    assert secret not in config + (data / "mesh.json").read_text()
    write_file(store, setting(STORE_KEY, "0" * 64))
    with pytest.raises(MeshError, match="encrypted with another key"):
        async with running_mesh(data, None, keys, services=()):
            pass
    write_file(store, right)
    async with running_mesh(data, None, keys, services=()) as mesh:  # it stays encrypted
        assert await heard(mesh, "PRIVATE") == CANARY
        assert await heard(mesh, "LOCAL") == CANARY
        assert found(data) == set()
