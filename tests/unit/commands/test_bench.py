"""What a measurement says of the disk that it was made on."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from aidmesh.__main__ import build
from aidmesh.file_system import UNKNOWN, is_memory, type_at

MOUNTED = [
    ("/", "ext4"), ("/memory", "tmpfs"), ("/srv", "autofs"), ("/srv", "xfs"), ("/srv/data", "zfs"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/home/a", "ext4"), ("/memory/a/b", "tmpfs"), ("/memory2", "ext4"), ("/srv/x", "xfs"),
     ("/srv/data", "zfs"), ("/", "ext4")],
)  # fmt: skip
def test_a_folder_is_on_what_is_mounted_next_above_it(folder: str, kind: str) -> None:
    assert type_at(Path(folder), MOUNTED) == kind
    assert type_at(Path(folder), reversed(MOUNTED[:2])) in {"ext4", "tmpfs"}
    assert type_at(Path(folder), []) == UNKNOWN


@pytest.mark.parametrize(("kind", "on_disk"), [("ext4", True), ("tmpfs", False)])
@pytest.mark.parametrize("what", ["needs", "import"])
def test_a_figure_says_whether_it_was_measured_on_a_disk(
    what: str, kind: str, on_disk: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: list[Path] = []

    async def measured(data: Path, *_: object, say: Callable[[str], None], **__: object) -> object:
        await asyncio.to_thread(data.mkdir)
        seen.append(data)
        return {"needs_per_s": 1.0}

    def mounts(**_: bool) -> list[SimpleNamespace]:
        return [SimpleNamespace(mountpoint="/", fstype=kind)]

    monkeypatch.setattr(f"aidmesh.bench.bench_{what}", measured)
    monkeypatch.setattr("psutil.disk_partitions", mounts)
    beside = tmp_path / "disk"
    with pytest.raises(SystemExit) as ended:
        build()(["bench", what, "--data", str(beside), "--json", str(tmp_path / "figures")])
    assert ended.value.code == 0
    assert seen[0].is_relative_to(beside)
    assert not list(beside.iterdir()), "what was made for it is deleted"
    found = json.loads((tmp_path / "figures").read_text())
    assert found == {"needs_per_s": 1.0, "file_system": kind, "on_disk": on_disk}
    shown = capsys.readouterr().out
    assert f"on {kind}" in shown
    assert ("NOT ON A DISK" in shown) is not on_disk
    assert is_memory(kind) is not on_disk
