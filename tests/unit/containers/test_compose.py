"""What compose.yaml promises of every container, and that it runs what the code knows."""

import os
import re
import subprocess
from importlib import import_module
from pathlib import Path
from typing import cast, get_args

import pytest
import yaml
from pydantic import SecretStr

from aidmesh.embedded.postgres import INITDB
from aidmesh.meshfile import SERVICES
from aidmesh.outside.handing import ENTERED, HELD, setting_file
from aidmesh.outside.places import HTTP_PORT, ROOT, SECRETS, Places
from aidmesh.topology.cluster import LEAF_PORT
from aidmesh_chassis.tracing import ENDPOINTS

Json = dict[str, object]

TREE = Path(__file__).parents[3]
SERVERS = ("postgres", "nats")
OURS = ("provision", "supervisor", *SERVICES)
SETTINGS = "deploy/containers/settings.env"
SECOND_ENV = "deploy/containers/second.env"
STEPS = ("provision", "ask", "invite", "join")
"""Containers that end; whoever needs them waits for it."""


def services_of(name: str) -> dict[str, Json]:
    return cast("dict[str, Json]", yaml.safe_load((TREE / name).read_text())["services"])


FIRST = services_of("compose.yaml")
SECOND = {name: each for name, each in services_of("compose.second.yaml").items() if name in STEPS}
EACH = [pytest.param(each, id=name) for name, each in (FIRST | SECOND).items()]


def test_every_service_of_the_code_is_run() -> None:
    assert set(FIRST) == {*OURS, *SERVERS}
    for name in SERVICES:
        args = cast("Json", cast("Json", FIRST[name]["build"])["args"])
        assert args["SERVICE"] == name
        assert str(FIRST[name]["image"]).startswith(f"aidmesh-{name}:")
        assert (TREE / "requirements" / f"{name}.lock").is_file()


@pytest.mark.parametrize("container", EACH)
def test_a_container_may_do_as_little_as_possible(container: Json) -> None:
    assert container["read_only"] is True
    uid, _, gid = str(container["user"]).partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert container["cap_drop"] == ["ALL"]
    assert "cap_add" not in container
    assert "privileged" not in container
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert all("docker.sock" not in str(each) for each in cast("list[str]", container["volumes"]))
    assert cast("int", container["pids_limit"]) > 0
    assert container["mem_limit"]
    assert container["cpus"]
    logging = cast("Json", container["logging"])
    assert set(cast("Json", logging["options"])) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", sorted(set(FIRST) - set(STEPS)))
def test_what_goes_on_is_looked_at_and_started_again(name: str) -> None:
    container = FIRST[name]
    assert container["restart"] == "unless-stopped"
    assert cast("Json", container["healthcheck"])["test"]
    depends = cast("dict[str, Json]", container["depends_on"])
    assert depends
    for other, how in depends.items():
        ends = other in STEPS
        assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")


def test_services_wait_for_a_supervisor_that_puts_back_a_log() -> None:
    """Who is unhealthy keeps services from being started, though it would be ready later."""
    health = cast("Json", FIRST["supervisor"]["healthcheck"])
    assert health["start_period"] == "1h"


@pytest.mark.parametrize("name", STEPS)
def test_what_ends_is_waited_for(name: str) -> None:
    container = (FIRST | SECOND)[name]
    assert container["restart"] == "no"
    assert any(
        name in cast("Json", each.get("depends_on", {}))
        for each in [*FIRST.values(), *services_of("compose.second.yaml").values()]
    )


@pytest.mark.parametrize("container", EACH)
def test_ports_are_on_this_machine_alone_unless_asked(container: Json) -> None:
    for port in cast("list[str]", container.get("ports", [])):
        assert port.startswith(("${AIDMESH_BIND:-127.0.0.1}:", "${AIDMESH_BIND_LINKS:-127.0.0.1}:"))
        assert port.endswith((f":{HTTP_PORT}", f":{LEAF_PORT}"))


def test_published_ports_differ() -> None:
    each = [cast("list[str]", container.get("ports", [])) for container in FIRST.values()]
    ports = [port.split(":-")[2] for of_one in each for port in of_one]
    assert len(set(ports)) == len(ports) == len(SERVICES) + 1


def test_nobody_sees_what_another_is_handed() -> None:
    erased = "${AIDMESH_VOLUME_ERASURES:-erasures}:/aidmesh/erasures"
    for name in SERVICES:
        more = [erased] if name == "intake" else []
        assert FIRST[name]["volumes"] == [f"for-{name}:{SECRETS}:ro", *more]
    handed = {f"for-{name}:{Places().out / name}" for name in (*SERVICES, *SERVERS)}
    assert handed <= set(cast("list[str]", FIRST["supervisor"]["volumes"]))
    assert f"for-nats:{Places().nats}:ro" in cast("list[str]", FIRST["nats"]["volumes"])
    assert f"for-postgres:{ROOT}:ro" in cast("list[str]", FIRST["postgres"]["volumes"])
    assert set(HELD) == set(SERVICES)


SECRET_SETTINGS = {
    f"AIDMESH_{service}_{name}".upper()
    for service in SERVICES
    for name, field in import_module(f"aidmesh_{service}.config").Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
}


def is_secret(variable: str) -> bool:
    """Whether a variable would hold a secret itself, not where one is."""
    if variable.endswith(("_FILE", "_DIR")):
        return False
    said = re.search("PASSWORD|SECRET|TOKEN|CREDENTIAL|_KEY|_SEED|_HEADERS|DATABASE_URL", variable)
    return said is not None or variable in SECRET_SETTINGS


def variables_in(text: str) -> set[str]:
    """What a file of variables sets, or shows how to, in a line that only has to be uncommented."""
    return set(re.findall(r"(?m)^[# ]*([A-Z][A-Z0-9_]*)=", text))


def test_no_secret_is_in_the_environment() -> None:
    assert {
        "AIDMESH_NOTIFICATION_SMTP_PASSWORD",
        "AIDMESH_INTAKE_DATABASE_URL",
    } <= SECRET_SETTINGS
    assert all(is_secret(each) for each in SECRET_SETTINGS)
    for each in (FIRST | SECOND).values():
        names = set(cast("Json", each.get("environment", {})))
        for file in cast("list[str]", each.get("env_file", [])):
            assert file == SETTINGS  # which the engine puts into the environment of every service
            names |= variables_in((TREE / file).read_text())
        assert {name for name in names if is_secret(name)} == set()


def test_who_reads_the_settings_is_told_where_secrets_go() -> None:
    text = (TREE / SETTINGS).read_text()
    assert "AIDMESH_NOTIFICATION_SMTP_HOST" in variables_in(text)
    assert "docs/containers.md" in text
    page = (TREE / "docs" / "containers.md").read_text()
    for service, names in ENTERED.items():
        for name in names:
            assert f"/aidmesh/keys/kyiv/{setting_file(service, name)}" in page


def test_an_upgrade_replaces_one_after_the_other_and_hands_on_what_names_the_project(
    tmp_path: Path,
) -> None:
    said = tmp_path / "said"
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    docker.chmod(0o755)
    options = ["--env-file", ".env", "--env-file", "deploy/containers/second.env"]
    subprocess.run(
        ["sh", str(TREE / "deploy" / "containers" / "upgrade.sh"), *options],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
    )
    lines = [line.split() for line in said.read_text().splitlines()]
    assert [line[-1] for line in lines] == ["supervisor", *SERVICES]
    for line in lines:
        assert line[: len(options) + 3] == ["compose", *options, "up", "-d"]
        assert "--wait" in line


def test_a_second_region_reads_what_is_common_and_shares_nothing_that_is_one_regions_own() -> None:
    own = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", (TREE / SECOND_ENV).read_text()))
    text = (TREE / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(AIDMESH_\w+)", text + (TREE / "compose.second.yaml").read_text()))
    common = {
        "AIDMESH_BIND", "AIDMESH_BIND_LINKS", "AIDMESH_CPUS", "AIDMESH_ENCRYPT",
        "AIDMESH_LINKS_NETWORK", "AIDMESH_NATS_FILE_GIB_MAX", "AIDMESH_NATS_IMAGE",
        "AIDMESH_POSTGRES_IMAGE", "AIDMESH_PYTHON_IMAGE", "AIDMESH_VERSION",
    }  # fmt: skip
    assert asked - common <= set(own)
    assert not common & set(own)
    first = dict(re.findall(r"\$\{(AIDMESH_(?:PORT|REGION)\w*):-(\w+)\}", text))
    assert all(own[name] != value for name, value in first.items())


@pytest.mark.parametrize(
    "path", ["docs/containers.md", "compose.second.yaml", "deploy/containers/upgrade.sh"]
)
def test_who_names_the_second_region_is_told_to_name_env_before(path: str) -> None:
    """With --env-file compose reads no .env by itself, where version and images are."""
    text = (TREE / path).read_text()
    assert text.count(f"--env-file {SECOND_ENV}") > 0
    assert text.count(f"--env-file {SECOND_ENV}") == text.count(
        f"--env-file .env --env-file {SECOND_ENV}"
    )


def test_joining_again_waits_for_nothing_that_compose_has_stopped() -> None:
    """With each upgrade the steps run once more, between the end of a service and its start."""
    assert str(SECOND["join"]["command"]).split()[-1] == "--no-wait"


def test_erasures_are_written_down_where_a_restore_reads_them() -> None:
    said = [
        cast("Json", FIRST["intake"]["environment"])["AIDMESH_INTAKE_ERASURES_FILE"],
        cast("Json", FIRST["supervisor"]["environment"])["AIDMESH_ERASURES"],
    ]
    assert said == ["/aidmesh/erasures/erasures.log"] * 2
    for name in ("intake", "supervisor"):
        volumes = cast("list[str]", FIRST[name]["volumes"])
        assert "${AIDMESH_VOLUME_ERASURES:-erasures}:/aidmesh/erasures" in volumes


@pytest.mark.parametrize("name", SERVICES)
def test_traces_go_where_the_environment_says_and_else_nowhere(name: str) -> None:
    environment = cast("Json", FIRST[name]["environment"])
    assert ENDPOINTS[0] in environment
    assert {environment[each] for each in environment if each.startswith("OTEL_")} == {None}


def test_databases_are_made_as_the_embedded_ones_are() -> None:
    environment = cast("Json", FIRST["postgres"]["environment"])
    assert str(environment["POSTGRES_INITDB_ARGS"]).split() == list(INITDB)


def test_images_are_made_without_what_an_office_may_not_have() -> None:
    lines = (TREE / "deploy" / "Dockerfile").read_text().splitlines()
    assert not any(line.lower().startswith("# syntax=") for line in lines)
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert set(bases) == {"${PYTHON_IMAGE}"}
    assert not any("@sha256:" in line for line in lines)
    assert "USER 10001:10001" in lines
    for name in ("compose.yaml", "compose.second.yaml"):
        assert "@sha256:" not in (TREE / name).read_text()


def test_only_what_images_are_made_of_goes_to_the_engine() -> None:
    lines = (TREE / ".dockerignore").read_text().splitlines()
    assert next(line for line in lines if line and not line.startswith("#")) == "*"
