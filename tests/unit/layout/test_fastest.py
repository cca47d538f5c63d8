"""Which Python `make setup` takes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FASTEST = Path(__file__).parents[3] / "requirements/fastest.py"


def a_python(folder: Path, name: str, version: str, seconds: str) -> str:
    """A command that says it is a Python, and how fast."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{version}|{seconds}'\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("version", "seconds", "is_taken"),
    [
        ("(3, 11)", "0.60", True),
        ("(3, 11)", "0.95", False),
        ("(3, 12)", "0.10", False),
        ("Python", "soon", False),
    ],
    ids=["clearly faster", "hardly faster", "another version", "not one"],
)
def test_another_build_is_taken_only_if_it_is_the_same_and_clearly_faster(
    tmp_path: Path, version: str, seconds: str, *, is_taken: bool
) -> None:
    own = a_python(tmp_path, "own", "(3, 11)", "1.00")
    other = a_python(tmp_path, "other", version, seconds)
    assert answer(f"fastest({own!r}, [{other!r}])") == (other if is_taken else own)


def test_a_build_that_was_held_up_once_is_still_found(tmp_path: Path) -> None:
    own = a_python(tmp_path, "own", "(3, 11)", "1.00")
    other = tmp_path / "other"
    once = tmp_path / "once"
    other.write_text(
        f"#!/bin/sh\n[ -e {once} ] && echo '(3, 11)|0.60' && exit\n"
        f"touch {once}; echo '(3, 11)|5.00'\n",
        encoding="utf-8",
    )
    other.chmod(0o755)
    assert answer(f"fastest({own!r}, [{str(other)!r}])") == str(other)


def test_this_python_can_do_the_work() -> None:
    version, seconds = ast.literal_eval(answer("measured(sys.executable)"))

    assert version == str(sys.version_info[:2])
    assert 0 < seconds < 60


def answer(asked: str) -> str:
    """What the module says; it is a script that belongs to no package."""
    told = f"import sys; sys.path.insert(0, {str(FASTEST.parent)!r}); from fastest import *"
    done = subprocess.run(
        [sys.executable, "-c", f"{told}; print({asked})"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
