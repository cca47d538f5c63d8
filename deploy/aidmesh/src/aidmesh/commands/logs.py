"""`aidmesh logs`: the services' logs, merged by time, what matters of them, in colors."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from aidmesh.commands.common import EXIT_FAILED, EXIT_INTERRUPTED, names, refuse, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from aidmesh.reading.lines import Line
    from aidmesh_chassis.vocabulary import LogEvent

PIPED = "-"
"""Stands for standard input."""

PATIENCE_S = 5.0
"""How long a pipe is read before somebody is told that its end is waited for."""

SHOWN_BEFORE = 50
"""Lines shown of what was before, where a log is followed."""


def logs(
    *wanted: Annotated[str, Parameter(allow_leading_hyphen=True)],
    data: Path | None = None,
    regions: str | None = None,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"])] = False,
    since: str | None = None,
    lines: int | None = None,
    explain: bool = False,
    json: bool = False,
) -> None:
    """Show the log lines of all services by time; from --data, or piped in.

    With - as a filter, and for containers, they are piped in: what docker compose
    logs, kubectl logs or journalctl write. That is read to its end and sorted; with
    -f it is shown as it comes. Leave the prefixes that name containers in: a line
    that is no JSON goes by its own time and level (FATAL, [ERR], a traceback), or
    those of the one before of the same container, whose service it is of.

    All filters have to hold (quote those with < or >):

      need=ID              or request=, event=, service=, staff=, any field
      level>=warning       debug, info, warning, error, critical
      event=message.*      * is anything; several by commas; != for all others
      duration_ms>500      numbers
      cause~timeout        within a field; a word alone: anywhere in the line

    Exit code 0 when a line was shown, 1 when none was, 2 when a filter can't be
    understood, or a region has no logs here.

    Args:
        wanted: filters.
        data: the data folder of a mesh on this machine.
        regions: of the data folder, such as kyiv,lviv; all when not given.
        follow: go on with what is added, until Ctrl-C; begins with the last 50 lines. Of a pipe:
            show lines as they come, in order of time within two seconds.
        since: only what came after: 30s, 15m, 2h, 1d, or a moment such as 2026-03-01T08:00.
        lines: only the last so many.
        explain: below each warning or error what it means and what to do, once each.
        json: the lines as JSON, for jq.
    """
    from itertools import chain  # noqa: PLC0415

    from aidmesh.meshfile import MeshError  # noqa: PLC0415
    from aidmesh.reading.choose import admitted, filters  # noqa: PLC0415
    from aidmesh.reading.lines import FilterError, moment  # noqa: PLC0415
    from aidmesh.reading.sources import as_it_comes, whole  # noqa: PLC0415

    try:
        unknown = [each for each in wanted if each.startswith("-") and each != PIPED]
        if unknown:
            refuse(f"there is no option {unknown[0]}; aidmesh logs --help")
        if lines is not None and lines < 0:
            refuse("--lines is how many of the last ones, 0 or more")
        conditions = filters([each for each in wanted if each != PIPED])
        start = "" if since is None else moment(since)
        folder = None if data is None or PIPED in wanted else _folder(data)
        if folder is not None:
            before, after = _of_folder(folder, regions, follow=follow)
        elif sys.stdin.isatty():
            refuse("name a data folder with --data, or pipe a log in: docker compose logs | …")
        elif follow:
            if lines is not None:
                refuse(
                    "what is piped in and followed has no last lines: docker compose logs --tail"
                )
            before, after = iter(()), as_it_comes(_piped())
        else:
            before, after = _patiently(whole(_piped(), _room(data))), iter(())
    except (FilterError, MeshError) as error:
        refuse(str(error))
    if follow and folder is not None and lines is None:
        lines = SHOWN_BEFORE

    def matching(source: "Iterator[Line]") -> "Iterator[Line]":
        return (line for line in source if line.at >= start and admitted(line, conditions))

    shown = False
    write = _writer(as_json=json, explain=explain)
    try:
        for line in chain(_last(matching(before), lines), matching(after)):
            shown = True
            write(line)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"aidmesh: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_FAILED)
    sys.exit(0 if shown else 1)


def _piped() -> "TextIO":
    """Standard input; bytes that are no text are no reason to stop."""
    from io import TextIOWrapper  # noqa: PLC0415

    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    return sys.stdin


def _room(data: Path | None) -> Path | None:
    """Where there is room for what does not fit into memory: in a container /tmp is memory, too."""
    folder = None if data is None else data.expanduser().resolve()
    return folder if folder is not None and os.access(folder, os.W_OK) else None


def _patiently(source: "Iterator[Line]") -> "Iterator[Line]":
    """Say after a while what is waited for, should the pipe not end."""
    from threading import Timer  # noqa: PLC0415

    hint = Timer(PATIENCE_S, _say_what_is_waited_for)
    hint.daemon = True
    hint.start()
    try:
        for line in source:
            hint.cancel()
            yield line
    finally:
        hint.cancel()


def _say_what_is_waited_for() -> None:
    print(  # noqa: T201
        "aidmesh: reading the pipe to its end, to sort it; -f shows lines as they come",
        file=sys.stderr,
    )


def _folder(data: Path) -> Path | None:
    """Where there are log files; None for containers and other machines, which have the logs."""
    from aidmesh.meshfile import MeshError, read_mesh  # noqa: PLC0415

    folder = data.expanduser().resolve()
    try:
        regions = read_mesh(folder).regions.values()
    except MeshError:
        return folder  # its logs may be read all the same, where regions are named
    theirs = any(each.nats.folder is not None or each.is_elsewhere for each in regions)
    return None if theirs else folder


def _of_folder(
    data: Path, regions: str | None, *, follow: bool
) -> "tuple[Iterator[Line], Iterator[Line]]":
    """What was written before, and what is added from now on."""
    from aidmesh.meshfile import read_mesh  # noqa: PLC0415
    from aidmesh.reading.sources import Growing, followed, lines_of, log_files, of_regions  # noqa: PLC0415

    chosen = names(regions) or tuple(read_mesh(data).regions)
    if unknown := [each for each in names(regions) or () if not (data / each / "log").is_dir()]:
        refuse(f"{data} has no logs of {', '.join(unknown)}")
    files = log_files(data, chosen)
    if not follow:
        return of_regions(lines_of(files), chosen), iter(())
    # Where they end is noted once, so that no line is shown twice or not at all.
    growing = [Growing(path) for path in files if path.suffix == ".log"]
    before = lines_of(files, {each.path: each.at for each in growing})
    return of_regions(before, chosen), of_regions(followed(growing), chosen)


def _last(source: "Iterator[Line]", lines: int | None) -> "Iterator[Line]":
    from collections import deque  # noqa: PLC0415

    return source if lines is None else iter(deque(source, maxlen=lines))


def _writer(*, as_json: bool, explain: bool) -> "Callable[[Line], None]":
    from aidmesh.reading.lines import dumped  # noqa: PLC0415
    from aidmesh.reading.show import Shown  # noqa: PLC0415

    if as_json:
        return lambda line: say(dumped(line))
    shown = Shown(colors=sys.stdout.isatty(), words=_words() if explain else None)

    def write(line: "Line") -> None:
        for text in shown.text(line):
            say(text)

    return write


def _words() -> "dict[str, LogEvent]":
    from aidmesh.reference import log_events  # noqa: PLC0415

    return {name: word for words in log_events().values() for name, word in words.items()}
