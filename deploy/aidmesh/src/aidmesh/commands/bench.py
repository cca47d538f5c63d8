"""`aidmesh bench`: what this machine can do."""

from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

from aidmesh.commands.common import run, say

Result = dict[str, object]

BESIDE = Path("data")
"""Where `make demo` has its data folder; that of a measurement is made beside it."""

NOT_ON_DISK = (
    "NOT ON A DISK: this file system is in memory, flushes cost nothing, and the figures are too "
    "good; name a folder on a disk with --data"
)


def needs(
    *,
    count: int = 20_000,
    rounds: int = 3,
    apart: bool = False,
    nodes: int = 1,
    replicas: int = 1,
    data: Path = BESIDE,
    json: Path | None = None,
) -> None:
    """Needs a second in one region, from an import's first byte to the last message queued.

    What is flushed counts on a disk only: says on which file system it was measured.

    Args:
        count: needs per round.
        rounds: the median of these counts.
        apart: one process per service instead of one for all.
        nodes: NATS servers, 3 or 5 for a cluster.
        replicas: copies of each service.
        data: folder, on the disk that is meant, to make the region's own in; that one is deleted
            at the end.
        json: file for the figures and what they are made of.
    """
    from aidmesh.bench import bench_needs  # noqa: PLC0415

    bench = partial(
        bench_needs,
        needs=count,
        rounds=rounds,
        apart=apart,
        nodes=nodes,
        replicas=replicas,
        say=say,
    )
    run(_measure(bench, _made(data), json))


def rows(
    *, count: int = 20_000, rounds: int = 3, data: Path = BESIDE, json: Path | None = None
) -> None:
    """Rows a second that an import takes in by itself, details encrypted, nothing approved.

    Args:
        count: rows per file.
        rounds: the median of these counts.
        data: as for `bench needs`.
        json: file for the figures.
    """
    from aidmesh.bench import bench_import  # noqa: PLC0415

    run(_measure(partial(bench_import, rows=count, rounds=rounds, say=say), _made(data), json))


def _made(folder: Path) -> Path:
    beside = folder.expanduser().resolve()
    beside.mkdir(parents=True, exist_ok=True)
    return beside


async def _measure(
    bench: Callable[[Path], Coroutine[None, None, Result]], beside: Path, json_file: Path | None
) -> int:
    import json  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    from aidmesh.file_system import file_system_of, is_memory  # noqa: PLC0415
    from aidmesh.mesh import cancelled_by_signals  # noqa: PLC0415

    kind = file_system_of(beside)
    with (
        cancelled_by_signals(),
        tempfile.TemporaryDirectory(prefix="bench-", dir=beside) as folder,
    ):
        say(f"in {folder}, on {kind}")
        if is_memory(kind):
            say(NOT_ON_DISK)
        figures = await bench(Path(folder) / "data")
        text = json.dumps(
            {**figures, "file_system": kind, "on_disk": not is_memory(kind)}, indent=1
        )
        if json_file is not None:
            json_file.write_text(text + "\n", encoding="utf-8")  # noqa: ASYNC240 - at the end
        say(text)
        if is_memory(kind):
            say(NOT_ON_DISK)
    return 0
