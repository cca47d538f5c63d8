"""Every command ends with a code that means the same everywhere, and starts at once."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import httpx
import pytest

from aidmesh.__main__ import EPILOGUE, build
from aidmesh.command_list import listed
from aidmesh.commands.common import EXIT_CODES, EXIT_FAILED, EXIT_REFUSED, run
from aidmesh.credentials import create_keys
from aidmesh.preparing import prepare_mesh

NEW = "FOLDER/new"
WHY = ("--reason", "mended", "--by", "olena")
NEED = "7f9f0e3e-6a51-4a43-8a3e-6b0a2f5f0a11"
OF_A_FOLDER: dict[tuple[str, ...], Sequence[str]] = {
    ("import",): ("FILE", "--source", "test"),
    ("verify",): (),
    ("status",): (),
    ("doctor",): (),
    ("logs",): (),
    ("trace",): (NEED,),
    ("backup",): ("kyiv", "--to", "FILE", "--out", NEW),
    ("replay",): ("kyiv", "payments-local", *WHY),
    ("rebuild",): ("kyiv",),
    ("dead", "list"): (),
    ("dead", "show"): ("kyiv/intake/1",),
    ("dead", "retry"): ("kyiv/intake/1", *WHY),
    ("dead", "drop"): ("kyiv/intake/1", *WHY),
    ("dead", "retry-all"): ("--dry-run",),
    ("topology", "plan"): (),
    ("topology", "apply"): (),
    ("topology", "check"): (),
    ("topology", "recover"): (),
    ("topology", "ask"): ("--file", NEW),
    ("topology", "invite"): ("FILE", "--at", "kyiv=host", "--file", NEW),
    ("topology", "join"): ("odesa",),
    ("topology", "rejoin"): ("kyiv",),
    ("topology", "retire"): ("kyiv",),
    ("topology", "unlink"): ("odesa",),
    ("keys", "rotate"): (),
    ("keys", "show"): (),
    ("keys", "protect"): (),
    ("keys", "passphrase"): (),
    ("lock",): (),
    ("unlock",): (),
    ("staff", "list"): (),
    ("staff", "add"): ("olena", "--roles", "lead", "--generate"),
    ("staff", "disable"): ("olena",),
    ("staff", "enable"): ("olena",),
    ("staff", "roles"): ("olena", "lead"),
    ("staff", "password"): ("olena", "--generate"),
    ("staff", "token"): ("olena",),
}
"""What a command needs besides `--data`."""

OTHERS = {
    ("up",), ("demo",), ("keys", "init"), ("bench", "needs"), ("bench", "import"), ("chaos",),
    ("topology", "render"), ("topology", "keep"), ("keys", "backup"), ("restore",),
    ("provision",), ("supervise",), ("try-mail",),
}  # fmt: skip
"""Those that make their folder, have none or another one, or the volumes of containers."""

ASK_SERVERS = (
    ("dead", "retry-all"), ("trace",), ("topology", "plan"),
    ("topology", "apply"), ("topology", "check"), ("topology", "recover"), ("status",), ("doctor",),
    ("rebuild",),
)  # fmt: skip
ANSWER_BY_CODE = (
    ("dead", "list"), ("dead", "show"), ("dead", "retry"), ("dead", "drop"), ("verify",),
    ("replay",),
)  # fmt: skip
"""Of these 1 is an answer: who can't be asked has not given it."""


def code_of(*arguments: str) -> int:
    """Run a command here; its exit code."""
    with pytest.raises(SystemExit) as ended:
        build()(list(arguments))
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return code or 0


def arguments_of(words: tuple[str, ...], folder: Path) -> list[str]:
    (folder / "file.csv").write_text("row_id\n")
    given = [
        each.replace("FILE", str(folder / "file.csv")).replace("FOLDER", str(folder))
        for each in OF_A_FOLDER[words]
    ]
    return [*words, *given, "--data", str(folder / "data")]


def test_no_command_is_left_out_here() -> None:
    assert {each.words for each in listed(build())} == {*OF_A_FOLDER, *OTHERS}


@pytest.mark.parametrize("words", OF_A_FOLDER, ids=" ".join)
def test_a_folder_without_a_mesh_is_refused_and_left_as_it_is(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("aidmesh.commands.lock.ask", lambda *_: "secret")
    (tmp_path / "data").mkdir()
    assert code_of(*arguments_of(words, tmp_path)) == EXIT_REFUSED
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("aidmesh: ")
    assert not list((tmp_path / "data").iterdir())
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *((each, EXIT_FAILED) for each in ASK_SERVERS),
        *((each, EXIT_REFUSED) for each in ANSWER_BY_CODE),
    ],
)
def test_a_mesh_that_does_not_run_is_a_failure_and_no_answer(
    words: tuple[str, ...], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    create_keys(keys)
    (tmp_path / "data").mkdir()
    prepare_mesh(tmp_path / "data", ("kyiv",), {"kyiv": keys})
    assert code_of(*arguments_of(words, tmp_path)) == code
    out, err = capsys.readouterr()
    assert out or err.startswith("aidmesh: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [["dead", "retry-all", "--data", "x"],
     ["dead", "retry-all", "--data", "x", "--by", "o", "--reason", " "],
     ["nonsense"], ["status"], ["status", "--data", "x", "--bogus"], ["up", "--data", "x"],
     ["demo", "--scale", "0"], ["chaos", "--json", "/nowhere/at/all.json"]],
)  # fmt: skip
def test_what_was_not_understood_is_refused(arguments: list[str]) -> None:
    assert code_of(*arguments) == EXIT_REFUSED


def test_the_codes_are_told_where_one_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    for code, meaning in EXIT_CODES.items():
        assert f"{code}: {meaning}" in shown
        assert f"{code}: {meaning}" in EPILOGUE


def test_what_machines_read_comes_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--keys", str(tmp_path), "--region", "kyiv")
    create_keys(tmp_path / "kyiv")
    assert code_of("staff", "add", "olena", "--roles", "lead,oncall", "--generate", *at) == 0
    capsys.readouterr()
    assert code_of("staff", "list", "--json", *at) == 0
    (olena,) = json.loads(capsys.readouterr().out)
    assert (olena["login"], olena["roles"], olena["disabled"]) == (
        "olena", ["lead", "oncall"], False,
    )  # fmt: skip
    assert code_of("keys", "show", "--json", *at) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["region"] == "kyiv"
    assert all(each["current"] and each["former"] == [] for each in found["keys"].values())


def test_every_command_that_ends_says_as_json_what_it_did() -> None:
    until_stopped = {("up",), ("supervise",), ("topology", "keep")}
    assert {each.words for each in listed(build()) if not each.json} == until_stopped


def test_what_was_done_comes_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def done(*arguments: str) -> dict[str, object]:
        assert code_of(*arguments, "--json") == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    keys, data = tmp_path / "keys", tmp_path / "data"
    made = done("keys", "init", "--keys", str(keys), "--regions", "kyiv")
    assert str(keys / "kyiv" / "master.key") in str(made["kyiv"])
    at = ("--keys", str(keys), "--region", "kyiv")
    added = done("staff", "add", "olena", "--roles", "lead", "--generate", *at)
    assert (added["login"], added["roles"], len(str(added["password"]))) == ("olena", ["lead"], 24)
    assert done("staff", "roles", "olena", "oncall", *at)["roles"] == ["oncall"]
    assert done("staff", "disable", "olena", *at)["disabled"] is True
    assert done("staff", "enable", "olena", *at)["disabled"] is False
    assert "password" in done("staff", "password", "olena", "--generate", *at)
    assert done("staff", "token", "olena", *at)["minutes"] == 60
    far = done("keys", "backup", "--out", str(tmp_path / "far"))
    assert (Path(str(far["seals"])).name, Path(str(far["opens"])).name) == (
        "backup.pub", "backup.key",
    )  # fmt: skip
    data.mkdir()
    prepare_mesh(data, ("kyiv",), {"kyiv": keys / "kyiv"})
    of_data = ("--data", str(data))
    asked = done("topology", "ask", "--file", str(tmp_path / "ask"), *of_data)
    assert asked == {"region": "kyiv", "file": str(tmp_path / "ask")}
    create_keys(tmp_path / "far" / "lviv")
    (tmp_path / "lviv").mkdir()
    prepare_mesh(tmp_path / "lviv", ("lviv",), {"lviv": tmp_path / "far" / "lviv"})
    invited = done(
        "topology", "invite", str(tmp_path / "ask"), "--at", "lviv=there:7422",
        "--file", str(tmp_path / "join"), "--data", str(tmp_path / "lviv"),
    )  # fmt: skip
    assert invited["at"] == {"lviv": "there:7422"}
    joined = done("topology", "join", "--file", str(tmp_path / "join"), *of_data)
    desk = joined.pop("desk")
    assert str(desk).startswith("http://127.0.0.1:")
    assert joined == {"region": "kyiv", "peers": ["lviv"], "linked": []}
    rotated = done("keys", "rotate", *of_data)
    assert rotated == {"kyiv": {"connections": 0, "untold": ["lviv"]}}
    rendered = done(
        "topology", "render", *at, "--hosts", "a,b,c", "--to", str(tmp_path / "to"), "--at", "/x"
    )
    assert len(list(Path(str(tmp_path / "to")).iterdir())) == 3
    assert rendered["nats_url"] == "tls://a:4222,tls://b:4222,tls://c:4222"


@pytest.mark.parametrize(("rejected", "code"), [(0, 0), (2, EXIT_FAILED)])
def test_the_answer_to_an_import_comes_as_it_is(
    rejected: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    far = {"line": 3, "column": "needed_by", "rule": "day_out_of_range"}
    possible = {"ge": "2000-01-01", "le": "2099-12-31"}
    body = {
        "rows_total": 3, "accepted": 3 - rejected, "skipped": 0, "rejected": rejected,
        "problems": [{**far, "line": 2, "rule": "missing"}, {**far, **possible}][:rejected],
    }  # fmt: skip
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    client = partial(httpx.AsyncClient, transport=answer)
    monkeypatch.setattr(httpx, "AsyncClient", client)
    monkeypatch.setenv("AIDMESH_TOKEN", "token")
    file = tmp_path / "rows.csv"
    file.write_text("row_id\n")
    arguments = ("import", str(file), "--source", "test", "--url", "http://here", "--json")
    assert code_of(*arguments) == code
    assert json.loads(capsys.readouterr().out) == body
    assert code_of(*arguments[:-1]) == code
    lines = [each for each in capsys.readouterr().out.splitlines() if "needed_by" in each]
    assert (
        lines
        == [
            "  line 2, needed_by: missing",
            "  line 3, needed_by: day_out_of_range, 2000-01-01 to 2099-12-31 is possible",
        ][:rejected]
    )


def test_help_imports_nothing_that_takes_time() -> None:
    """Under 0.3 s on a machine that has nothing else to do; here what would make it slow."""
    run = (
        "import sys\n"
        "from aidmesh.__main__ import build\n"
        "try:\n    build()(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('|'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)
    modules = set(done.stderr.strip().split("|"))
    heavy = {
        "asyncio", "asyncpg", "cryptography", "fastapi", "faststream", "httpx", "nacl", "nats",
        "opentelemetry", "psutil", "pydantic", "ssl", "structlog", "cyclopts.completion",
        "aidmesh.meshfile", "aidmesh_chassis", "aidmesh_contracts",
    }  # fmt: skip
    assert not modules & heavy
    assert len(modules) < 450


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_learn_all_commands(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "completion"
    assert code_of("--install-completion", "--shell", shell, "--output", str(script)) == 0
    assert str(script) in capsys.readouterr().out
    words = set(re.findall(r"[\w-]+", script.read_text(encoding="utf-8")))
    assert {word for each in listed(build()) for word in each.words} <= words


def test_bash_completes(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    script = tmp_path / "completion"
    code_of("--install-completion", "--shell", "bash", "--output", str(script))

    def completed(*typed: str) -> set[str]:
        line = " ".join(f"'{each}'" for each in typed)
        run = (
            f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(typed) - 1}; _aidmesh; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run([bash, "-c", run], capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    assert completed("aidmesh", "topo") == {"topology"}
    assert {"check", "retire"} <= completed("aidmesh", "topology", "")
    assert "--json" in completed("aidmesh", "status", "--")


def test_only_what_a_person_can_act_on_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def forget(stray: Exception) -> int:
        asyncio.get_running_loop().create_future().set_exception(stray)
        return 0

    for stray, told in ((ConnectionError("hung up"), False), (ValueError("a bug"), True)):
        caplog.clear()
        with pytest.raises(SystemExit) as ended:
            run(forget(stray))
        assert ended.value.code == 0
        assert ("a bug" in caplog.text) == told
        assert "hung up" not in caplog.text


def test_a_task_that_failed_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async def hang_up() -> None:
        raise ConnectionError("hung up")

    async def leave() -> int:
        task = asyncio.create_task(hang_up())
        await asyncio.wait([task])
        return 0

    with pytest.raises(SystemExit):
        run(leave())
    assert "hung up" in caplog.text
