"""What is shown and compared at the end of the year, and the folder it starts in."""

from pathlib import Path
from uuid import uuid4

import pytest

from aidmesh.demo.mark import MARK
from aidmesh.demo.requests_form import with_site_ids
from aidmesh.demo.results import DemoResult, Latency, Scenario, Verified, latency, scenario_checks
from aidmesh.demo.session import prepare_folder
from aidmesh.embedded.errors import FolderInUseError
from aidmesh.embedded.folder import FolderLock
from aidmesh.meshfile import MeshError


def result(**changes: object) -> DemoResult:
    fields: dict[str, object] = {
        "scale": 1.0, "seed": 1, "people": 5, "services": 7, "contacts": 3,
        "services_by_kind": {"food_parcel": 7}, "services_by_area": {"UA80": 7},
        "people_by_area": {"UA80": 5}, "regions": [], "grants": [], "waitlisted": 2,
        "waiting_for": {}, "seconds": 1.0, "needs": 9, "needs_per_s": 9.0,
        "latency_ms": Latency(p50=1.0, p95=2.0, needs=9),
        "verify": Verified(ok=True, checks=[]),
    }  # fmt: skip
    return DemoResult.model_validate(fields | changes)


SCENARIO = Scenario(
    people=5,
    services=7,
    contacts=3,
    waitlisted=2,
    cancelled=0,
    services_by_kind={"food_parcel": 7},
)


def test_results_are_compared_with_the_scenario() -> None:
    assert all(check.ok for check in scenario_checks(result(), SCENARIO))

    wrong = [c for c in scenario_checks(result(people=4), SCENARIO) if not c.ok]
    assert [(c.name, c.detail) for c in wrong] == [("scenario.people", "4, not 5")]

    other = result(services_by_kind={"food_parcel": 6, "travel": 1})
    names = {c.name for c in scenario_checks(other, SCENARIO) if not c.ok}
    assert names == {"scenario.food_parcel", "scenario.travel"}


def test_latency_of_few_and_many() -> None:
    assert latency([]).needs == 0
    assert latency([7.0]).p95 == 7.0
    many = latency([float(n) for n in range(101)])
    assert (many.p50, many.p95) == (50.0, 95.0)


def test_site_codes_become_ids(tmp_path: Path) -> None:
    site = uuid4()
    path = tmp_path / "requests.csv"
    path.write_text('row_id,site_code,kind\na,center-ua80,x\nb,,"y,z"\n', encoding="utf-8")

    content, row_ids, named = with_site_ids(path, {"center-ua80": site})

    assert content.decode() == f'row_id,site_id,kind\na,{site},x\nb,,"y,z"\n'
    assert row_ids == ["a", "b"]
    assert named == {"a": str(site)}


def test_only_a_folder_of_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    prepare_folder(folder, empty_it=True)
    (folder / "kyiv").mkdir()
    (folder / "mesh.json").write_text("{}", encoding="utf-8")

    with pytest.raises(MeshError, match="earlier demo"):
        prepare_folder(folder, empty_it=False)
    prepare_folder(folder, empty_it=True)

    assert not (folder / "kyiv").exists()
    assert not (folder / "mesh.json").exists()
    (folder / MARK).unlink()
    (folder / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(MeshError, match="no demo"):
        prepare_folder(folder, empty_it=True)
    assert (folder / "letter.txt").exists()


def test_a_folder_in_use_is_not_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    prepare_folder(folder, empty_it=True)
    (folder / "mesh.json").write_text("{}", encoding="utf-8")
    lock = FolderLock(folder)
    lock.acquire()
    try:
        with pytest.raises(FolderInUseError):
            prepare_folder(folder, empty_it=True)
    finally:
        lock.release()
    assert (folder / "mesh.json").exists()
