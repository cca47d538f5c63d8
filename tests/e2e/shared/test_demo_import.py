"""`aidmesh import` against a region that runs."""

import json
import subprocess
from pathlib import Path

from aidmesh_chassis.auth import Role
from support.commands import COMMANDS
from support.running import RunningMesh, Staff

HEADER = "row_id,Hilfe/art,Ort,Datum,Bemerkung\n"
GOOD = "1,pep_navigation,UA80,2024-05-01,x\n2,legal_advice,UA80,2024-05-02,x\n"
BAD = "3,no_such_kind,UA80,2024-05-03,x\n"
MAPPING = {
    "columns": {"Hilfe/art": "kind", "Ort": "place_area", "Datum": "asked_on"},
    "ignore": ["Bemerkung"],
}


def aidmesh_import(
    token: str, mesh: RunningMesh, file: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    words = ("import", str(file), "--data", str(mesh.data), "--region", "kyiv", *options)
    return COMMANDS.run(words, 240.0, environment={"AIDMESH_TOKEN": token})


async def test_a_file_is_tried_then_imported_once(
    mesh: RunningMesh, kyiv: Staff, tmp_path: Path
) -> None:
    token = kyiv.tokens[Role.CASEWORKER]
    file, mapping = tmp_path / "requests.csv", tmp_path / "mapping.json"
    mapping.write_text(json.dumps(MAPPING), encoding="utf-8")
    options = ("--source", "kobo-may", "--mapping", str(mapping))

    file.write_text(HEADER + GOOD + BAD, encoding="utf-8")
    tried = aidmesh_import(token, mesh, file, *options, "--dry-run")
    assert "2 would be accepted" in tried.stdout, tried.stdout + tried.stderr
    assert tried.returncode == 1

    first = aidmesh_import(token, mesh, file, *options)
    assert "2 accepted, 0 skipped, 1 rejected" in first.stdout
    assert "line 4" in first.stdout
    assert "no_such_kind" not in first.stdout
    assert first.returncode == 1

    file.write_text(HEADER + GOOD, encoding="utf-8")
    again = aidmesh_import(token, mesh, file, *options)
    assert "0 accepted, 2 skipped, 0 rejected" in again.stdout
    assert again.returncode == 0


async def test_columns_that_are_not_mapped_are_refused(
    mesh: RunningMesh, kyiv: Staff, tmp_path: Path
) -> None:
    file = tmp_path / "requests.csv"
    file.write_text(HEADER + GOOD, encoding="utf-8")

    done = aidmesh_import(kyiv.tokens[Role.CASEWORKER], mesh, file, "--source", "kobo-june")

    assert done.returncode == 1
    assert "Bemerkung" in done.stdout


async def test_without_a_token_it_says_what_to_do(mesh: RunningMesh, tmp_path: Path) -> None:
    file = tmp_path / "requests.csv"
    file.write_text(HEADER + GOOD, encoding="utf-8")

    done = aidmesh_import("", mesh, file, "--source", "kobo-july")

    assert done.returncode == 2
    assert "AIDMESH_TOKEN" in done.stderr
