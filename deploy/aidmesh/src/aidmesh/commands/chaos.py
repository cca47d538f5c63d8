"""`aidmesh chaos`: break a mesh in every way there is, and count what it lost."""

from pathlib import Path

from aidmesh.commands.common import EXIT_FAILED, refuse, run


def chaos(
    *,
    minutes: float = 10.0,
    seed: int = 1,
    json: Path | None = None,
    data: Path | None = None,
) -> None:
    """Break three regions under load, heal them, count; exit code 1 if something was lost.

    Args:
        minutes: of load and faults; starting, resting and comparing come on top.
        seed: the same one gives the same plan of faults.
        json: file for faults, operations, violations and recovery times.
        data: empty folder for the mesh, which is left for whoever wants to look; without it a
            folder is made and removed.
    """
    if data is not None:
        data = data.expanduser().resolve()
        if data.exists() and any(data.iterdir()):
            refuse(f"{data} is not empty; name another folder")
    if json is not None and not json.absolute().parent.is_dir():
        refuse(f"{json.absolute().parent} is no folder to write to")
    run(_chaos(minutes, seed, json, data))


async def _chaos(minutes: float, seed: int, json_file: Path | None, data: Path | None) -> int:
    import tempfile  # noqa: PLC0415
    from contextlib import ExitStack  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415

    from aidmesh.chaos.report import show  # noqa: PLC0415
    from aidmesh.chaos.run import playing  # noqa: PLC0415
    from aidmesh.mesh import cancelled_by_signals  # noqa: PLC0415

    console = Console()

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    holds = False
    with cancelled_by_signals(), ExitStack() as stack:
        folder = data
        if folder is None:
            scratch = tempfile.TemporaryDirectory(prefix="aidmesh-chaos-")
            folder = Path(stack.enter_context(scratch)) / "data"
        async with playing(folder, minutes * 60, seed, say=say) as played:
            report = await played.report()
        if json_file is not None:
            report.write(json_file)
        show(console, report)
        holds = not report.violations
    return 0 if holds else EXIT_FAILED
