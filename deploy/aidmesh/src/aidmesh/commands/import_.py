"""`aidmesh import`: take a file of requests into a region that runs."""

from pathlib import Path
from typing import Literal

from aidmesh.commands.common import EXIT_FAILED, refuse, run, say, tell

TOKEN_VARIABLE = "AIDMESH_TOKEN"  # noqa: S105 - the name of a variable
TIMEOUT_S = 600.0
TRY_AGAIN = "try it again"
SEND_AGAIN = "what it took in stays: send the same file again, and it goes on where it was"
PROBLEMS_SHOWN_MAX = 50


def import_(
    file: Path,
    *,
    source: str,
    data: Path | None = None,
    region: str | None = None,
    url: str | None = None,
    mapping: Path | None = None,
    file_format: Literal["csv", "xlsx", "ndjson"] | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Import requests from a CSV, XLSX or NDJSON file; exit code 1 if a row is rejected.

    Good rows stay. Sent again after an interruption it goes on where it was; sent again whole,
    rows that were taken in are skipped and rejected ones are tried again. The token of a
    caseworker (aidmesh staff token) is read from AIDMESH_TOKEN, or, for a folder of aidmesh
    demo, from there.

    Args:
        file: the file.
        source: a code that says where the rows come from; with their row_id it names them.
        data: data folder of a mesh on this machine.
        region: which of its regions; not needed where there is only one.
        url: address of the region's intake, instead of a data folder.
        mapping: JSON file that maps columns to fields and lists those to ignore.
        file_format: when the file's ending does not say it.
        dry_run: only say what would be accepted and what rejected.
        json: the service's answer as it is.
    """
    if (url is None) == (data is None):
        refuse("name a data folder with --data, or an address with --url")
    run(_import(file, source, data, region, url, mapping, file_format, dry_run, json))


async def _import(
    file: Path,
    source: str,
    data: Path | None,
    region: str | None,
    url: str | None,
    mapping: Path | None,
    file_format: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    import asyncio  # noqa: PLC0415
    import uuid  # noqa: PLC0415

    import httpx  # noqa: PLC0415

    from aidmesh_chassis.authorities import vouching  # noqa: PLC0415

    address, token = _address_and_token(data, region, url)
    content = await asyncio.to_thread(file.read_bytes)
    fields: dict[str, str] = {}
    if mapping is not None:
        fields["mapping"] = await asyncio.to_thread(mapping.read_text, encoding="utf-8")
    query = {"source": source, "dry_run": str(dry_run).lower()}
    if file_format is not None:
        query["format"] = file_format
    try:
        async with httpx.AsyncClient(
            verify=vouching([address]), timeout=TIMEOUT_S, trust_env=False
        ) as client:
            answer = await client.post(
                f"{address}/v1/requests:import",
                params=query,
                headers={"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())},
                files={"file": (file.name, content, "application/octet-stream")},
                data=fields,
            )
    except httpx.TransportError as error:
        reason = type(error).__name__
        raise ConnectionError(
            f"{address} does not answer ({reason}); {TRY_AGAIN if dry_run else SEND_AGAIN}"
        ) from None
    try:
        body = answer.json()
    except ValueError:
        raise ConnectionError(
            f"{address} answered with status {answer.status_code}, as a proxy does and no intake; "
            f"{TRY_AGAIN if dry_run else SEND_AGAIN}"
        ) from None
    if as_json:
        tell(body)
        return EXIT_FAILED if not answer.is_success or body["rejected"] else 0
    return _told(body, answer.is_success, dry_run)


def _told(body: dict[str, object], success: bool, dry_run: bool) -> int:
    if not success:
        say(f"aidmesh: {body.get('title')}: {body.get('detail')}")
        for name in ("columns", "errors", "rule", "line"):
            if body.get(name):
                say(f"  {name}: {body[name]}")
        return EXIT_FAILED
    would = "would be " if dry_run else ""
    say(
        f"{body['rows_total']} rows: {body['accepted']} {would}accepted, "
        f"{body['skipped']} {would}skipped, {body['rejected']} {would}rejected"
    )
    problems = body["problems"]
    if isinstance(problems, list):
        for problem in problems[:PROBLEMS_SHOWN_MAX]:
            possible = (
                f", {problem['ge']} to {problem['le']} is possible" if "ge" in problem else ""
            )
            say(f"  line {problem['line']}, {problem['column']}: {problem['rule']}{possible}")
        if len(problems) > PROBLEMS_SHOWN_MAX:
            say(f"  and {len(problems) - PROBLEMS_SHOWN_MAX} more")
    return EXIT_FAILED if body["rejected"] else 0


def _address_and_token(data: Path | None, region: str | None, url: str | None) -> tuple[str, str]:
    import json  # noqa: PLC0415
    import os  # noqa: PLC0415

    from aidmesh.meshfile import MeshError, read_mesh  # noqa: PLC0415

    token = os.environ.get(TOKEN_VARIABLE, "")
    if data is None:
        if not token or url is None:
            raise MeshError(f"put the token of a caseworker into {TOKEN_VARIABLE}")
        return url.rstrip("/"), token
    folder = data.expanduser().resolve()
    mesh = read_mesh(folder)
    if region is None and len(mesh.regions) > 1:
        raise MeshError(f"name one of the regions with --region: {', '.join(mesh.regions)}")
    name = region or next(iter(mesh.regions))
    if name not in mesh.regions:
        raise MeshError(f"{folder} holds no region {name}, but {', '.join(mesh.regions)}")
    tokens = folder / "tokens.json"
    if not token and tokens.exists():
        token = json.loads(tokens.read_text(encoding="utf-8"))[name]["caseworker"]
    if not token:
        raise MeshError(f"put the token of a caseworker of {name} into {TOKEN_VARIABLE}")
    return mesh.regions[name].services["intake"].url, token
