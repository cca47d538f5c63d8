"""What operators look up is what the code says, and all of it."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType
from typing import TypeVar

import pytest

from aidmesh import reference
from aidmesh.outside.places import Places
from aidmesh.outside.provision import provision
from aidmesh_chassis.metrics import Measured, MetricSpec
from aidmesh_chassis.problems import ProblemType
from aidmesh_chassis.running import Running
from aidmesh_intake.catalogue import packaged

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PACKAGES = (
    "aidmesh",
    "aidmesh_chassis",
    "aidmesh_intake",
    "aidmesh_inventory",
    "aidmesh_payments",
    "aidmesh_notification",
    "aidmesh_reporting",
    "aidmesh_console",
)


def modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        root = import_module(package)
        yield root
        for found in walk_packages(root.__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                yield import_module(found.name)


def of_class(wanted: type[T]) -> set[T]:
    """Every object of a class that a module holds, by itself or in a tuple or a mapping."""
    found: set[T] = set()
    for module in modules():
        for value in vars(module).values():
            held = value.values() if isinstance(value, dict) else value
            many = held if isinstance(value, dict | tuple | list) else (value,)
            found |= {each for each in many if isinstance(each, wanted)}
    return found


def test_generated_pages_are_what_the_code_says() -> None:
    stale = [name for name, text in reference.documents().items() if written(ROOT / name) != text]
    assert stale == [], "run `make documents`"


def written(path: Path) -> str:
    """What is there, if anything."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_every_problem_type_is_in_the_reference() -> None:
    kinds = {kind for kinds in reference.problem_types().values() for kind in kinds}
    assert of_class(ProblemType) == kinds
    for own in reference.problem_types().values():
        assert len({kind.slug for kind in own}) == len(own)


def test_a_name_means_one_status() -> None:
    statuses: dict[str, set[int]] = {}
    for kinds in reference.problem_types().values():
        for kind in kinds:
            statuses.setdefault(kind.slug, set()).add(kind.status)
    assert {slug: found for slug, found in statuses.items() if len(found) > 1} == {}


def test_every_metric_is_in_the_reference() -> None:
    listed = [spec for specs in reference.metric_specs().values() for spec in specs]
    assert of_class(MetricSpec) | {each.spec for each in of_class(Measured)} == set(listed)
    assert len({spec.name for spec in listed}) == len(listed)


@pytest.mark.parametrize("name", reference.SERVICES)
def test_a_service_answers_with_what_is_listed_for_it_and_nothing_else(
    name: str, tmp_path: Path
) -> None:
    places = Places(*(tmp_path / each for each in ("data", "keys", "out", "store")))
    for folder in (places.data, places.keys, places.nats, places.store):
        folder.mkdir(parents=True)
    provision("kyiv", places)
    folder = places.out / name
    settings = import_module(f"aidmesh_{name}.config").Settings(_secrets_dir=folder)
    changed = {"keys_dir": folder, "nats_seed_file": folder / "nats" / f"{name}.nk"}
    service = import_module(f"aidmesh_{name}.app").build(settings.model_copy(update=changed))
    Running(service)
    measured = {
        family.name
        for family in service.app.state.metrics.registry.collect()
        if family.name.startswith("aidmesh_")
    }
    specs = reference.metric_specs()
    headings = ["Every service", name.capitalize()]
    if service.database is not None:
        headings.append("Every service with a database")
    with_keys = "intake, inventory, payments and\nnotification"
    assert f"keys for personal data have {with_keys}" in reference.METRICS_HEAD
    if name in with_keys:
        headings.append("Every service with keys for personal data")
    listed = {each.name for heading in headings for each in specs.get(heading, ())}
    assert measured == {each.removesuffix("_total") for each in listed}


def test_labels_take_few_values() -> None:
    """None tells of single people, needs, events or addresses, of which there is no end."""
    bounded = {
        "service", "region", "method", "route", "status", "durable", "event_type", "peer", "state",
        "resource", "currency", "part", "channel",
    }  # fmt: skip
    used = {label for many in reference.metric_specs().values() for each in many
            for label in each.labels}  # fmt: skip
    assert used <= bounded


def test_every_vocabulary_is_in_the_reference() -> None:
    files = set(ROOT.glob("*/*/src/**/log_events.py"))
    listed = {Path(str(import_module(m).__file__)) for m in reference.LOG_MODULES.values()}
    assert listed == files


def test_the_guide_names_the_items_that_kinds_of_need_take() -> None:
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    told = guide.partition("kinds of need name, one of")[2].partition("for those that")[0]
    taken = {take.item for kind in packaged() for take in kind.stock}
    assert set(re.findall(r"`([a-z_]+)`", told)) == taken
