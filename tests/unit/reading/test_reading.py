"""The logs are read again: whoever passes them on, in order of time, chosen by filters."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, cast

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh.commands import logs
from aidmesh.reading.choose import LEVELS, admitted, filters
from aidmesh.reading.lines import FilterError, Line, Sources, dumped, moment, parse, source_of
from aidmesh.reading.show import Shown
from aidmesh.reading.sources import (
    FILES_MAX,
    Growing,
    as_it_comes,
    lines_of,
    log_files,
    of_regions,
    whole,
)
from aidmesh_chassis.vocabulary import LogEvent

NEED = "7f9f0e3e-6a51-4a43-8a3e-6b0a2f5f0a11"
OURS = json.dumps(
    {"ts": "2026-03-01T08:00:00.123Z", "level": "warning", "event": "message.dead",
     "service": "intake", "region": "kyiv", "need_id": NEED, "duration_ms": 12.5,
     "exception": {"type": "Poison", "message": "no such lot", "at": ["a.py:1 f"]}}
)  # fmt: skip
HEADS = (
    "",
    "intake-1  | ",
    "\x1b[36mintake-1  |\x1b[0m ",
    "[pod/intake-5d9/intake] 2026-03-01T08:00:00.9Z ",
    "Mar 01 08:00:00 host aidmesh[12]: ",
)


@pytest.mark.parametrize("head", HEADS)
def test_a_line_is_read_behind_what_others_put_before_it(head: str) -> None:
    line = parse(head + OURS)
    assert line.at == "2026-03-01T08:00:00.123Z"
    assert line.fields["event"] == "message.dead"
    assert json.loads(dumped(line)) == json.loads(OURS)


def test_an_entry_of_the_journal_holds_a_line() -> None:
    entry = json.dumps({"__REALTIME_TIMESTAMP": "1", "MESSAGE": OURS})
    assert parse(entry).fields == json.loads(OURS)


@given(st.text(st.characters(exclude_characters="\n")))
def test_any_text_is_a_line_and_has_the_time_of_the_one_before(text: str) -> None:
    line = parse(text, "2026-03-01T08:00:00.000Z")
    assert line.text == text
    assert line.at == "2026-03-01T08:00:00.000Z"
    json.loads(dumped(line))
    assert all("\x1b" not in each for each in Shown(colors=False).text(line))


def test_moments_are_typed_as_an_age_or_a_date() -> None:
    now = datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert moment("90s", now) == "2026-03-01T07:58:30.000Z"
    assert moment("2d", now) == "2026-02-27T08:00:00.000Z"
    assert moment("2026-03-01T10:00+02:00") == moment("2026-03-01T08:00")
    with pytest.raises(FilterError):
        moment("yesterday")


@pytest.mark.parametrize(
    ("word", "fits"),
    [
        (f"need={NEED}", True), (f"need_id={NEED.upper()}", True), (f"need!={NEED}", False),
        ("request=x", False), ("request!=x", True),
        ("event=message.*", True), ("event=http.*", False), ("event=http.*,message.dead", True),
        ("event!=http.*,message.dead", False), ("service=intake", True),
        ("duration_ms>12", True), ("duration_ms>12.5", False), ("duration_ms>=12.5", True),
        ("duration_ms<3", False),
        ("need>1", False), ("exception.type=Poison", True), ("exception.message~LOT", True),
        ("level=warning", True), ("no such lot", True), ("no such bed", False),
    ],
)  # fmt: skip
def test_filters(word: str, fits: bool) -> None:
    assert admitted(parse(OURS), filters([word])) is fits
    assert admitted(parse(OURS), filters(["event=message.dead", word])) is fits


@given(st.sampled_from(LEVELS), st.sampled_from(LEVELS))
def test_levels_compare_by_how_severe_they_are(has: str, wanted: str) -> None:
    line = parse(json.dumps({"event": "x", "level": has}))
    assert admitted(line, filters([f"level>={wanted}"])) is (
        LEVELS.index(has) >= LEVELS.index(wanted)
    )
    assert admitted(line, filters([f"level<{wanted}"])) is (
        LEVELS.index(has) < LEVELS.index(wanted)
    )


@pytest.mark.parametrize("word", ["level>=bad", "level=warn", "duration_ms>much"])
def test_filters_that_compare_with_nothing_are_refused(word: str) -> None:
    with pytest.raises(FilterError, match=r"compare|no level"):
        filters([word])


def written(at: int, word: str) -> str:
    ts = f"2026-03-01T08:{at // 60:02}:{at % 60:02}.000Z"
    return json.dumps({"ts": ts, "event": word, "level": "info"})


@given(st.lists(st.lists(st.integers(0, 3599)), max_size=4))
def test_files_are_merged_by_time_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, times: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    files = []
    for number, each in enumerate(times):
        path = folder / f"{number}.log"
        path.write_text("".join(written(at, str(number)) + "\n" for at in sorted(each)))
        files.append(path)
    lines = list(lines_of(files))
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert len(lines) == sum(len(each) for each in times)


def test_what_the_mesh_says_itself_is_read_too_of_the_regions_asked_for(tmp_path: Path) -> None:
    def line(region: str, event: str) -> str:
        return json.dumps({"event": event, "region": region}) + "\n"

    for region in ("kyiv", "lviv"):
        folder = tmp_path / region / "log"
        folder.mkdir(parents=True)
        (folder / "intake.log").write_text(line(region, f"need.woken.{region}"))
        for name in ("nats.log", "nats-2.log", "nats.log.2026.11.26.10.00.00"):
            (folder / name).write_text("a server's own words\n")
    (tmp_path / "mesh.log").write_text(
        "".join(line(region, f"gate.{region}") for region in ("kyiv", "lviv", "all")) + "words\n"
    )
    (tmp_path / "mesh.log.1").write_text(line("kyiv", "put.aside"))
    found = list(of_regions(lines_of(log_files(tmp_path, ["kyiv"])), ["kyiv"]))
    assert [each.text for each in found if not each.fields] == ["words"]
    assert {each.fields.get("event") for each in found} == {
        "need.woken.kyiv", "gate.kyiv", "gate.all", "put.aside", None,
    }  # fmt: skip


@given(st.lists(st.integers(1, 60), max_size=12), st.integers(0, 400))
def test_a_growing_file_is_read_in_whole_lines_from_where_it_was(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], before: int
) -> None:
    path = tmp_path_factory.mktemp("logs") / "host.log"
    text = "".join(written(at, "é" * (at % 5)) + "\n" for at in range(9)).encode()
    path.write_bytes(text[:before])
    growing = Growing(path)
    history = list(lines_of([path], {path: growing.at}))
    added: list[Line] = []
    at = before
    for size in [*sizes, len(text)]:
        with path.open("ab") as file:
            file.write(text[at : at + size])
        at += size
        added += growing.added()
    assert [line.text for line in (*history, *added)] == text.decode().splitlines()


def test_a_shortened_or_replaced_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    path.write_text(f"{written(1, 'old')}\n" * 3)
    growing = Growing(path)
    os.truncate(path, 0)
    path.write_text(f"{written(2, 'shortened')}\n")
    assert [line.fields["event"] for line in growing.added()] == ["shortened"]
    other = tmp_path / "other"
    other.write_text(f"{written(3, 'replaced')}\n" * 5)
    other.replace(path)
    assert [line.fields["event"] for line in growing.added()] == ["replaced"] * 5
    path.unlink()
    assert growing.added() == []


def test_what_is_piped_in_is_put_in_order_and_shown_before_it_ends() -> None:
    reading, writing = os.pipe()
    arrived: list[str] = []
    both = threading.Event()

    def read() -> None:
        with os.fdopen(reading, encoding="utf-8") as stream:
            for line in as_it_comes(stream):
                arrived.append(str(line.fields["event"]))
                if len(arrived) == 2:
                    both.set()

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(writing, "w", encoding="utf-8") as pipe:
        pipe.write(f"a | {written(2, 'later')}\nb | {written(1, 'earlier')}\n")
        pipe.flush()
        assert both.wait(120), "nothing was shown while the pipe was open"
        pipe.write(f"a | {written(3, 'last')}\n")
    reader.join(30)
    assert arrived == ["earlier", "later", "last"]


def test_what_ends_is_shown_to_its_end() -> None:
    text = "".join(f"{written(at, str(at))}\n" for at in (2, 1, 3)) + "no end of line"
    for read in (as_it_comes, whole):
        assert [line.text for line in read(io.StringIO(text))][-1] == "no end of line"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3599)), max_size=60),
    st.sampled_from([1, 90, 2000, 10**6]),
)
def test_a_pipe_that_ends_is_sorted_as_a_whole_however_little_fits_into_memory(
    come: list[tuple[str, int]], chars_max: int
) -> None:
    text = "".join(
        f"{who}-1  | {written(at, f'{number}')}\n" for number, (who, at) in enumerate(come)
    )
    lines = list(whole(io.StringIO(text), chars_max=chars_max))
    order = [int(str(line.fields["event"])) for line in lines]
    assert order == sorted(range(len(come)), key=lambda number: (come[number][1], number))
    assert sorted(line.text for line in lines) == sorted(text.splitlines())


def test_a_long_pipe_opens_few_files(tmp_path: Path) -> None:
    def come() -> Iterator[str]:
        for number in range(6 * FILES_MAX):
            opened.append(psutil.Process().num_fds())
            yield f"{written(3599 - number, str(number))}\n"

    opened: list[int] = []
    stream = cast("TextIO", come())
    events = [line.fields["event"] for line in whole(stream, tmp_path, chars_max=1)]
    assert events == [str(number) for number in reversed(range(6 * FILES_MAX))]
    assert max(opened) - opened[0] <= FILES_MAX
    assert not list(tmp_path.iterdir()), "what was set aside has no name"


OWN_TIMES = [
    ("2026-03-01 10:00:00.123 UTC [57] LOG:  checkpoint starting", "2026-03-01T10:00:00.123Z"),
    ("2026-03-01 10:00:00 GMT [57] LOG:  ready", "2026-03-01T10:00:00.000Z"),
    ("2026-03-01 10:00:00.123 +02 [57] LOG:  ready", "2026-03-01T08:00:00.123Z"),
    ("[1] 2026/03/01 10:00:00.123456 [INF] Server is ready", "2026-03-01T10:00:00.123Z"),
    ("2026-03-01T10:00:00.123456789Z started", "2026-03-01T10:00:00.123Z"),
    ("2026-03-01 10:00:00.123 EET [57] LOG:  whose hour that is nobody says", ""),
    ("2026-13-41 10:00:00 UTC no such day", ""),
    ("Traceback (most recent call last):", ""),
]


@pytest.mark.parametrize(("text", "at"), OWN_TIMES)
@pytest.mark.parametrize("head", HEADS[:3])
def test_what_is_no_json_goes_by_the_time_it_begins_with(text: str, at: str, head: str) -> None:
    assert parse(head + text, "").at == at
    before = "2026-02-01T00:00:00.000Z"
    assert parse(head + text, before).at == at or before


def test_the_journal_says_when_it_took_a_line_in() -> None:
    entry = {"__REALTIME_TIMESTAMP": "1772352000123456", "_SYSTEMD_UNIT": "nats.service",
             "_PID": "7", "MESSAGE": "no JSON"}  # fmt: skip
    line = parse(json.dumps(entry))
    assert (line.at, line.fields) == ("2026-03-01T08:00:00.123Z", {})
    assert source_of(json.dumps(entry)) == "nats.service 7"
    short = "2026-03-01T10:00:00+0200 host nats-server[12]: no JSON"
    assert source_of(short) == "host nats-server[12]"
    assert parse(short).at == "2026-03-01T08:00:00.000Z"


def test_what_has_no_time_goes_by_the_line_before_of_the_same_writer() -> None:
    sources = Sources()
    come = [
        ("a-1  | no time yet", ""),
        (f"a-1  | {written(1, 'x')}", "08:00:01"),
        (f"\x1b[36mb-1  | \x1b[0m{written(9, 'y')}", "08:00:09"),
        ("a-1  | Traceback", "08:00:01"),
        ("\x1b[36mb-1  | \x1b[0m  File", "08:00:09"),
        ("c-1  | no time yet", ""),
        (f"[pod/d/d] {written(5, 'z')}", "08:00:05"),
        ("[pod/d/d] Traceback", "08:00:05"),
        ("Mar 01 08:00:00 host aidmesh[12]: no year, no time", ""),
        (f"Mar 01 08:00:00 host aidmesh[12]: {written(7, 'w')}", "08:00:07"),
        ("Mar 01 08:00:00 host aidmesh[12]: Traceback", "08:00:07"),
    ]
    for text, at in come:
        assert sources.read(text).at[11:19] == at, text


def test_a_warning_is_explained_once_and_an_exception_is_shown() -> None:
    shown = Shown(colors=False, words={"message.dead": LogEvent("error", "Set aside.", "Look.")})
    first, second = list(shown.text(parse(OURS))), list(shown.text(parse(OURS)))
    assert first[0] == "-- 2026-03-01 (UTC)"
    assert first[1].startswith("08:00:00.123 kyiv intake")
    assert first[-1].strip() == "Set aside. Look."
    assert second == first[1:-1]
    assert "    Poison: no such lot" in second


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for service, times in (("intake", (1, 4)), ("payments", (2, 3))):
        path = tmp_path / "kyiv" / "log" / f"{service}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{written(at, f'{service}.{at}')}\n" for at in times))
    return tmp_path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "aidmesh", "logs", *words]


def test_the_command_merges_filters_and_says_by_its_exit_code_whether_it_found(
    folder: Path,
) -> None:
    given = ("--data", str(folder), "--regions", "kyiv", "--json")
    done = subprocess.run(
        command(*given, "event!=intake.4"), capture_output=True, text=True, timeout=60, check=True
    )
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events == ["intake.1", "payments.2", "payments.3"]
    for words, code in ((("event=none",), 1), (("level>much",), 2), (("--since", "soon"), 2)):
        done = subprocess.run(
            command(*given, *words), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code
        assert not done.stdout


def test_what_is_piped_in_container_by_container_is_chosen_by_time() -> None:
    come = [f"intake-1  | {written(at, f'intake.{at}')}" for at in range(0, 3000, 3)]
    come.insert(1, "intake-1  | a traceback of long ago")
    come += [f"postgres-1  | 2026-03-01 08:49:5{at}.000 UTC [57] LOG:  {at}" for at in (7, 8)]
    come += ["postgres-1  |  of the same", "nats-1  | [1] 2026/03/01 08:49:58.500000 [INF] up"]
    text = "\n".join(come) + "\n"

    def typed(*words: str) -> list[str]:
        done = subprocess.run(
            command("-", *words), input=text, capture_output=True, text=True, timeout=60, check=True
        )
        return [line.rpartition(" ")[2] for line in done.stdout.splitlines()[1:]]

    since = ("--since", "2026-03-01T08:49:55")
    assert typed(*since) == ["intake.2997", "7", "8", "same", "up"]
    assert typed("--lines", "3") == ["8", "same", "up"]
    assert typed("--lines", "2", "event=intake.*") == ["intake.2994", "intake.2997"]


def test_who_waits_for_the_end_of_a_pipe_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr(logs, "PATIENCE_S", 0.01)
    monkeypatch.setattr(logs, "_say_what_is_waited_for", told.set)

    def silent() -> Iterator[Line]:
        assert told.wait(240)
        yield parse(OURS)

    assert len(list(logs._patiently(silent()))) == 1


def test_a_pipe_that_is_followed_has_no_last_lines() -> None:
    done = subprocess.run(
        command("-", "-f", "--lines", "3"), input="", capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert (done.returncode, "--tail" in done.stderr) == (2, True)


def lines_from(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    yield from process.stdout


def test_the_command_follows(folder: Path) -> None:
    words = ("--data", str(folder), "--regions", "kyiv", "--json", "-f", "--lines", "1")
    with subprocess.Popen(command(*words), stdout=subprocess.PIPE, text=True) as process:
        lines = lines_from(process)
        assert json.loads(next(lines))["event"] == "intake.4"
        with (folder / "kyiv" / "log" / "payments.log").open("a") as log:
            log.write(f"{written(5, 'payments.5')}\n")
        started = time.monotonic()
        assert json.loads(next(lines))["event"] == "payments.5"
        assert time.monotonic() - started < 30
        process.terminate()
