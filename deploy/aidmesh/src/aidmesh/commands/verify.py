"""`aidmesh verify`: does everything promised hold?"""

from pathlib import Path

from aidmesh.commands.common import EXIT_FAILED, EXIT_REFUSED, run, say, tell

SCENARIO_CANARIES = Path("scenario") / "canaries.csv"
"""Where a demo's data folder has them."""


def verify(
    *,
    data: Path,
    json: bool = False,
    wait: float = 60.0,
    canaries: Path | None = None,
) -> None:
    """Recompute from databases and streams what the mesh promises; exit code 1 if it does not hold.

    Exit code 2 when a region's servers do not answer, or one of its databases not within ten
    minutes of a question: then nothing is known of it.

    Args:
        data: the data folder of a mesh that runs.
        json: print the outcome as JSON.
        wait: seconds to wait until nothing is on its way; then the outcome is "unsettled".
        canaries: CSV file with planted personal values in a column `value`; those of the
            scenario when the folder holds a demo.
    """
    run(_verify(data.expanduser().resolve(), json, wait, canaries), unreached=EXIT_REFUSED)


async def _verify(data: Path, as_json: bool, wait_s: float, canaries: Path | None) -> int:
    from aidmesh.demo.csvfiles import read_rows  # noqa: PLC0415
    from aidmesh.meshfile import read_mesh  # noqa: PLC0415
    from aidmesh.verification.run import verify as run_checks  # noqa: PLC0415

    mesh = read_mesh(data)
    values = [row["value"] for row in read_rows(canaries or data / SCENARIO_CANARIES)]
    if canaries is not None and not values:
        raise FileNotFoundError(f"{canaries} holds no values to search for")
    result = await run_checks(data, mesh, quiet_s_max=wait_s, canaries=values)
    if as_json:
        tell(result.as_json())
        return 0 if result.ok else EXIT_FAILED
    for check in result.checks:
        say(f"{'ok ' if check.ok else 'NO '} {check.name}: {check.detail}")
    if not result.settled:
        say(f"unsettled: {result.unsettled}")
    elif not result.canaries:
        say("not looked at: personal data; name a file of planted values with --canaries")
    good = sum(check.ok for check in result.checks)
    say(f"{good} of {len(result.checks)} checks hold")
    return 0 if result.ok else EXIT_FAILED
