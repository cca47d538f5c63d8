"""Links follow what `mesh.json` says, whoever else took up what it holds."""

from collections.abc import Collection
from pathlib import Path
from typing import cast

import pytest

from aidmesh.credentials import create_keys
from aidmesh.meshfile import Elsewhere, MeshFile, changing_mesh, read_mesh
from aidmesh.preparing import prepare_mesh
from aidmesh.tending import Tender
from aidmesh.topology.serving import Served


class Still:
    """A server that has nothing to take up."""

    def redialer(self) -> None:
        return None

    def runs(self) -> bool:
        return True

    def renew(self) -> bool:
        return False


def linked_with_odesa(data: Path) -> MeshFile:
    create_keys(data / "keys" / "kyiv")
    prepare_mesh(data, ("kyiv",), {"kyiv": data / "keys" / "kyiv"})
    with changing_mesh(data) as mesh:
        mesh.elsewhere["odesa"] = Elsewhere()
    return read_mesh(data)


async def test_a_region_that_was_taken_out_is_cut_though_new_passwords_were_taken_up_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = linked_with_odesa(tmp_path)
    tender = Tender(
        "kyiv", mesh, tmp_path, lambda _: [cast("Served", Still())], lambda _: None
    )  # fmt: skip
    cut: list[str] = []

    async def unlink(peers: Collection[str]) -> None:
        cut.extend(peers)

    monkeypatch.setattr(tender.warden, "unlink", unlink)
    with changing_mesh(tmp_path) as changed:
        del changed.elsewhere["odesa"]
    tender._know(read_mesh(tmp_path))  # as after new passwords
    await tender.link_with_peers(read_mesh(tmp_path))
    assert cut == ["odesa"]
    await tender.link_with_peers(read_mesh(tmp_path))
    assert cut == ["odesa"], "nothing has changed since"
