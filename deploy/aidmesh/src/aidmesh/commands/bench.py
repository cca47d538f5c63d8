"""`aidmesh bench`: what this machine can do."""

from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

from aidmesh.commands.common import run, say

Result = dict[str, object]


def needs(
    *,
    count: int = 20_000,
    rounds: int = 3,
    apart: bool = False,
    nodes: int = 1,
    replicas: int = 1,
    json: Path | None = None,
) -> None:
    """Needs a second in one region, from an import's first byte to the last message queued.

    Args:
        count: needs per round.
        rounds: the median of these counts.
        apart: one process per service instead of one for all.
        nodes: NATS servers, 3 or 5 for a cluster.
        replicas: copies of each service.
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
    run(_measure(bench, json))


def rows(*, count: int = 20_000, rounds: int = 3, json: Path | None = None) -> None:
    """Rows a second that an import takes in by itself, details encrypted, nothing approved.

    Args:
        count: rows per file.
        rounds: the median of these counts.
        json: file for the figures.
    """
    from aidmesh.bench import bench_import  # noqa: PLC0415

    run(_measure(partial(bench_import, rows=count, rounds=rounds, say=say), json))


async def _measure(
    bench: Callable[[Path], Coroutine[None, None, Result]], json_file: Path | None
) -> int:
    import json  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    from aidmesh.mesh import cancelled_by_signals  # noqa: PLC0415

    with cancelled_by_signals(), tempfile.TemporaryDirectory(prefix="aidmesh-bench-") as folder:
        text = json.dumps(await bench(Path(folder) / "data"), indent=1)
        if json_file is not None:
            json_file.write_text(text + "\n", encoding="utf-8")  # noqa: ASYNC240 - at the end
        say(text)
    return 0
