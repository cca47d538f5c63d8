"""`aidmesh verify`: does everything promised hold?"""

from pathlib import Path

from aidmesh.commands.common import EXIT_FAILED, run, say


def verify(
    *,
    data: Path,
    json: bool = False,
    wait: float = 60.0,
    canaries: Path | None = None,
) -> None:
    """Recompute from databases and streams what the mesh promises; exit code 1 if it does not hold.

    Args:
        data: the data folder of a mesh that runs.
        json: print the outcome as JSON.
        wait: seconds to wait until nothing is on its way; then the outcome is "unsettled".
        canaries: CSV file with planted personal values in a column `value`.
    """
    run(_verify(data.expanduser().resolve(), json, wait, canaries))


async def _verify(data: Path, as_json: bool, wait_s: float, canaries: Path | None) -> int:
    import csv  # noqa: PLC0415
    import json  # noqa: PLC0415

    from aidmesh.meshfile import read_mesh  # noqa: PLC0415
    from aidmesh.verification.run import verify as run_checks  # noqa: PLC0415

    values: list[str] = []
    if canaries is not None:
        with canaries.open(encoding="utf-8", newline="") as file:
            values = [row["value"] for row in csv.DictReader(file)]
    result = await run_checks(data, read_mesh(data), quiet_s_max=wait_s, canaries=values)
    if as_json:
        say(json.dumps(result.as_json(), indent=1))
    else:
        for check in result.checks:
            say(f"{'ok ' if check.ok else 'NO '} {check.name}: {check.detail}")
        if not result.settled:
            say(f"unsettled: {result.unsettled}")
        good = sum(check.ok for check in result.checks)
        say(f"{good} of {len(result.checks)} checks hold")
    return 0 if result.ok else EXIT_FAILED
