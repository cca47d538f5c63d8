"""`aidmesh bench`: what this machine can do."""

from pathlib import Path

from aidmesh.commands.common import run, say


def needs(
    *, count: int = 20_000, rounds: int = 3, apart: bool = False, json: Path | None = None
) -> None:
    """Needs a second in one region, from an import's first byte to the last message queued.

    Args:
        count: needs per round.
        rounds: the median of these counts.
        apart: one process per service instead of one for all.
        json: file for the figures and what they are made of.
    """
    run(_needs(count, rounds, apart, json))


async def _needs(count: int, rounds: int, apart: bool, json_file: Path | None) -> int:
    import json  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    from aidmesh.bench import bench_needs  # noqa: PLC0415
    from aidmesh.mesh import cancelled_by_signals  # noqa: PLC0415

    with cancelled_by_signals(), tempfile.TemporaryDirectory(prefix="aidmesh-bench-") as folder:
        result = await bench_needs(Path(folder) / "data", count, rounds, apart=apart, say=say)
        text = json.dumps(result, indent=1)
        if json_file is not None:
            json_file.write_text(text + "\n", encoding="utf-8")  # noqa: ASYNC240 - at the end
        say(text)
    return 0
