"""`aidmesh demo`: the year 2024, synthetic, played on real servers."""

from pathlib import Path

from aidmesh.commands.common import names, refuse, run, say

DEFAULT_DATA = Path("data") / "demo"
REGIONS = "kyiv,lviv,odesa"


def demo(
    *,
    data: Path | None = None,
    regions: str = REGIONS,
    scale: float = 1.0,
    seed: int = 2024,
    json: Path | None = None,
    exit: bool = False,  # noqa: A002 - the name of the option
    ports_from: int | None = None,
) -> None:
    """Start a mesh and play the year 2024 on it; exit code 1 if any invariant fails.

    Args:
        data: an empty folder for all state; ./data/demo, emptied for each run, when not given.
        regions: names separated by commas.
        scale: of people, services, goods and money; 0.05 for a quick look.
        seed: the same seed gives the same year.
        json: file to write the results to.
        exit: stop the mesh when the year is over.
        ports_from: look for free ports from this one on.
    """
    from aidmesh.demo.generator import SCALE_MAX, SCALE_MIN  # noqa: PLC0415

    wanted = names(regions)
    if not wanted:
        refuse("name at least one region")
    if not SCALE_MIN <= scale <= SCALE_MAX:
        refuse(f"the scale is from {SCALE_MIN} to {SCALE_MAX:.0f}")
    run(_demo(data, wanted, scale, seed, json, exit, ports_from))


async def _demo(
    data: Path | None,
    regions: tuple[str, ...],
    scale: float,
    seed: int,
    json: Path | None,
    leave: bool,
    ports_from: int | None,
) -> int:
    from aidmesh.demo.session import Demo, prepare_folder  # noqa: PLC0415
    from aidmesh.mesh import cancelled_by_signals  # noqa: PLC0415

    given = data is not None
    folder = (data or DEFAULT_DATA).expanduser().resolve()
    prepare_folder(folder, empty_it=not given)
    session = Demo(folder, regions, scale, seed, ports_from)
    with cancelled_by_signals():
        await session.run(json, leave=leave)
    if not session.over:
        say("Stopped.")
    return session.code
