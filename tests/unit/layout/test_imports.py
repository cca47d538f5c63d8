"""The rules about who may import whom speak of every service, also of one that comes later."""

import tomllib
from pathlib import Path
from typing import cast

import pytest

TREE = Path(__file__).parents[3]
SERVICES = {f"aidmesh_{path.name}" for path in (TREE / "services").iterdir() if path.is_dir()}
RULES = cast(
    "list[dict[str, object]]",
    tomllib.loads((TREE / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"],
)


def rule(words: str) -> dict[str, object]:
    (found,) = [each for each in RULES if words in str(each["name"])]
    return found


def test_every_module_of_every_service_is_kept_from_the_broker() -> None:
    kept = rule("knows the broker")
    assert set(cast("list[str]", kept["source_modules"])) == SERVICES  # whole, with all below
    assert {"faststream", "nats"} <= set(cast("list[str]", kept["forbidden_modules"]))
    assert "as_packages" not in kept
    assert kept["ignore_imports"] == ["aidmesh_reporting.rebuild -> nats"]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_service_knows_another(service: str) -> None:
    layers = cast("list[str]", rule("one direction")["layers"])
    (together,) = [each for each in layers if "|" in each]
    assert service in together.split(" | ")
