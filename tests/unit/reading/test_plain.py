"""Lines that are no JSON are not lost to filters: they have a level, and somebody wrote them."""

import io
import json
from pathlib import Path

import pytest

from aidmesh.reading.choose import admitted, filters
from aidmesh.reading.lines import Sources, dumped, parse
from aidmesh.reading.sources import Growing, as_it_comes, lines_of, whole

NEED = "7f9f0e3e-6a51-4a43-8a3e-6b0a2f5f0a11"
OURS = json.dumps(
    {"ts": "2026-03-01T08:00:00.123Z", "level": "warning", "event": "message.dead",
     "service": "intake", "region": "kyiv", "need_id": NEED, "duration_ms": 12.5}
)  # fmt: skip
JSON = '{"ts":"2026-03-01T08:00:01.000Z","event":"x","level":"info"}'
HEADS = (
    "",
    "other-1  | ",
    "\x1b[36mother-1  |\x1b[0m ",
    "[pod/other-5d9/other] 2026-03-01T08:00:00.9Z ",
    "Mar 01 08:00:00 host aidmesh[12]: ",
)


PLAIN = [
    ("2026-03-01 10:00:00.123 UTC [57] FATAL:  password authentication failed", "error"),
    ("2026-03-01 10:00:00.123 UTC [57] PANIC:  could not write", "critical"),
    ("2026-03-01 10:00:00.123 UTC [57] ERROR:  deadlock detected", "error"),
    ("2026-03-01 10:00:00.123 UTC [57] WARNING:  out of tune", "warning"),
    ("2026-03-01 10:00:00.123 UTC [57] LOG:  could not: fatal error: no", "info"),
    ("[1] 2026/03/01 10:00:00.123456 [ERR] no such link", "error"),
    ("[1] 2026/03/01 10:00:00.123456 [FTL] address in use", "critical"),
    ("[1] 2026/03/01 10:00:00.123456 [WRN] slow consumer", "warning"),
    ("[1] 2026/03/01 10:00:00.123456 [INF] error: none", "info"),
    ("Traceback (most recent call last):", "error"),
    ("  + Exception Group Traceback (most recent call last):", "error"),
    ("Fatal Python error: init_fs_encoding", "critical"),
    ("panic: runtime error", "critical"),
    ("pg_dump: error: connection refused", "error"),
    ('{"ts":"2026-03-01T10:00:00.123Z","level":"warning","event":"x","rea', "warning"),
    ("what is said of an error, or of ValueError: nothing", ""),
    ("PostgreSQL init process complete", ""),
]


@pytest.mark.parametrize(("text", "level"), PLAIN)
@pytest.mark.parametrize("head", HEADS)
def test_what_is_no_json_is_chosen_by_the_level_it_says(text: str, level: str, head: str) -> None:
    line = parse(head + text)
    assert line.fields == {}
    assert line.level_of_text == level
    assert admitted(line, filters(["level>=warning"])) is (level not in {"", "info"})
    assert admitted(line, filters(["level!=error"])) is (level != "error")
    assert json.loads(dumped(line))["text"] == head + text


def test_a_line_that_was_cut_off_is_chosen_by_what_is_left_of_it() -> None:
    head = "intake-1  | "
    for end in range(OURS.index("region"), len(OURS)):
        line = parse(head + OURS[:end])
        assert line.at == "2026-03-01T08:00:00.123Z"
        assert admitted(line, filters(["level>=warning", "service=intake", "event=message.*"]))
    assert admitted(parse(OURS[: OURS.index("duration")]), filters([f"need={NEED}"]))
    # What a line that is none tells of others' fields is nothing of its own.
    quoted = '2026-03-01 10:00:00 UTC [57] STATEMENT:  SELECT \'{"level":"error"}\''
    assert parse(quoted).level_of_text == ""


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("intake-1  | Traceback", "intake"),
        ("\x1b[36maidmesh-postgres-1  |\x1b[0m Traceback", "postgres"),
        ("[pod/notification-5d9/notification] Traceback", "notification"),
        ("2026-03-01T10:00:00+0200 console nats-server[12]: Traceback", "nats"),
        ("Mar 01 08:00:00 intake python3[12]: Traceback", None),
        ("Traceback", None),
    ],
)
def test_whose_a_line_is_shows_by_who_passed_it_on(text: str, service: str | None) -> None:
    assert parse(text).derived.get("service") == service
    assert admitted(parse(text), filters([f"service={service}"])) is (service is not None)


def test_an_entry_of_the_journal_that_is_no_json_is_chosen_too() -> None:
    entry = {"__REALTIME_TIMESTAMP": "1772352000123456", "_SYSTEMD_UNIT": "nats.service",
             "_PID": "7", "MESSAGE": "[7] 2026/03/01 10:00:00.1 [ERR] no"}  # fmt: skip
    assert admitted(parse(json.dumps(entry)), filters(["level=error", "service=nats"]))


def test_what_goes_on_from_a_line_has_its_level_and_a_json_line_ends_that() -> None:
    sources = Sources()
    come = [
        ("a-1  | Traceback (most recent call last):", "error"),
        ("b-1  | 2026-03-01 10:00:00 UTC [57] FATAL:  no such role", "error"),
        ('a-1  |   File "a.py", line 1', "error"),
        ("b-1  | 2026-03-01 10:00:00 UTC [57] DETAIL:  it is gone", "error"),
        ("a-1  | ValueError: no", "error"),
        ("b-1  | 2026-03-01 10:00:00 UTC [57] LOG:  ready", "info"),
        (f"a-1  | {JSON}", ""),
        ("a-1  | a word", ""),
        ("b-1  | \tand more", "info"),
    ]
    for text, level in come:
        assert sources.read(text).level_of_text == level, text


def test_the_watch_command_shows_what_is_no_json(tmp_path: Path) -> None:
    come = [
        f"intake-1  | {JSON}",
        "intake-1  | Traceback (most recent call last):",
        "intake-1  | ValueError: no",
        "postgres-1  | 2026-03-01 08:00:02 UTC [57] FATAL:  no such role",
        "postgres-1  | 2026-03-01 08:00:03 UTC [57] LOG:  ready",
        "nats-1  | [1] 2026/03/01 08:00:04.500000 [ERR] no such link",
    ]
    wanted = filters(["level>=warning"])
    bad = [come[number] for number in (1, 2, 3, 5)]
    stream = "\n".join(come) + "\n"
    for read in (
        as_it_comes(io.StringIO(stream)),
        whole(io.StringIO(stream)),
        whole(io.StringIO(stream), tmp_path, chars_max=1),
    ):
        assert [line.text for line in read if admitted(line, wanted)] == bad


def test_what_is_no_json_in_a_file_is_of_the_process_that_writes_it(tmp_path: Path) -> None:
    folder = tmp_path / "kyiv" / "log"
    folder.mkdir(parents=True)
    path = folder / "intake-2.log"
    path.write_text("")
    growing = Growing(path)
    path.write_text("Traceback (most recent call last):\nValueError: no\n")
    wanted = filters(["level>=error", "service=intake", "region=kyiv"])
    for lines in (growing.added(), lines_of([path])):
        assert [admitted(line, wanted) for line in lines] == [True, True]
    (tmp_path / "mesh.log").write_text("Traceback (most recent call last):\n")
    (line,) = lines_of([tmp_path / "mesh.log"])
    assert line.derived == {"service": "mesh", "level": "error"}
