"""Tests that a machine can't run are left out aloud, and where they must run they are not."""

import stat
from pathlib import Path

import pytest

from support import browser, leftout, ordinary

TREE = Path(__file__).parents[3]


def test_what_must_run_is_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordinary, "ordinary", lambda: None)
    monkeypatch.setattr(leftout, "chromium", lambda: None)
    for marker, switch in (("ordinary", ordinary.REQUIRE), ("browser", browser.REQUIRE)):
        lacks, words = leftout.LACKING[marker]
        monkeypatch.delenv(switch, raising=False)
        assert lacks()
        assert f"{switch}=1" in words
        monkeypatch.setenv(switch, "1")
        assert not lacks()
        assert f"export {switch}=1" in (TREE / ".ci" / "run").read_text()


def test_what_is_closed_to_others_is_lent_to_them(tmp_path: Path) -> None:
    source, target = tmp_path / "closed", tmp_path / "lent"
    (source / "below" / "playwright").mkdir(mode=0o700, parents=True)
    for name, mode in (("text", 0o600), ("program", 0o700), ("open", 0o644)):
        path = source / "below" / name
        path.write_text(name)
        path.chmod(mode)
    source.chmod(0o700)
    (source / "gone").symlink_to(tmp_path / "nowhere")
    ordinary._lend_all(source, target)
    below = target / "below"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in below.iterdir()}
    assert modes == {"text": 0o644, "program": 0o755, "open": 0o644}
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(below.stat().st_mode) == 0o755
    assert (below / "open").samefile(source / "below" / "open")  # no second copy of it
    assert stat.S_IMODE((source / "below" / "text").stat().st_mode) == 0o600


def test_what_was_lent_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lent").mkdir()
    monkeypatch.setattr(ordinary, "_lent", [tmp_path / "lent"])
    ordinary.give_back()
    assert list(tmp_path.iterdir()) == []
