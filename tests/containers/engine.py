"""A container engine and one compose project on it, by the `docker` command."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

TREE: Final = Path(__file__).parents[2]
UP_S_MAX: Final = 600
RUN_S_MAX: Final = 1800
POLL_S: Final = 0.2


class Failed(Exception):
    """A command of the engine did not do what it should."""


def engine() -> str | None:
    """The version of the engine that answers; None without one."""
    try:
        done = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def docker(*arguments: str, **options: object) -> str:
    """Run a command; its output. Raises Failed."""
    return _run(["docker", *arguments], os.environ)


@dataclass(slots=True)
class Project:
    """A compose project: its environment goes over the process's own, its options come first."""

    name: str
    environment: dict[str, str]
    options: tuple[str, ...] = ()
    _compose: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.environment = {**self.environment, "COMPOSE_PROJECT_NAME": self.name}
        self._compose = ["docker", "compose", *self.options]

    def compose(self, *arguments: str, given: str | None = None) -> str:
        """Run a command of compose; its output. Raises Failed."""
        return _run([*self._compose, *arguments], {**os.environ, **self.environment}, given)

    def shell(self, script: str, folder: Path) -> str:
        """Run lines as an operator types them in `folder`; their output. Raises Failed."""
        where = {"COMPOSE_FILE": str(TREE / "compose.yaml")}
        environment = {**os.environ, **self.environment, **where}
        return _run(["sh", "-euc", script], environment, folder=folder)

    def value(self, database: str, query: str) -> str:
        """What a query answers, in one line."""
        return self.run_in(
            "postgres", "psql", "-U", "postgres", "-d", database, "-Atc", query
        ).strip()

    def build(self) -> None:
        """Build the images."""
        self.compose("--progress", "plain", "build")

    def up(self) -> float:
        """Start all that does not run, and wait; seconds taken."""
        began = time.monotonic()
        self.compose("up", "-d", "--wait", "--wait-timeout", str(UP_S_MAX))
        return time.monotonic() - began

    def upgrade(self) -> None:
        """Replace one container after the other, as docs/containers.md says."""
        script = TREE / "deploy" / "containers" / "upgrade.sh"
        _run(["sh", str(script), *self.options], {**os.environ, **self.environment})

    def down(self, *, forget: bool = False) -> None:
        """Stop all and remove the containers, and with `forget` the volumes."""
        self.compose("down", "--timeout", "30", *(("-v", "--remove-orphans") if forget else ()))

    def run_in(self, service: str, *command: str, given: str | None = None) -> str:
        """Run a command in a container; its output. Raises Failed."""
        return self.compose("exec", "-T", service, *command, given=given)

    def aidmesh(self, *arguments: str, given: str | None = None) -> str:
        """Run a command of the operators in the supervisor's container. Raises Failed."""
        return self.run_in("supervisor", "aidmesh", *arguments, given=given)

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "-aq", service).strip()

    def state(self, service: str) -> Mapping[str, object]:
        """What the engine says of a container."""
        (found,) = json.loads(docker("inspect", self.container(service)))
        return cast("Mapping[str, object]", found["State"])

    def started_at(self, service: str) -> str:
        """When a container was started last."""
        return str(self.state(service)["StartedAt"])

    def crash(self, service: str) -> str:
        """Kill a container's process with SIGKILL; returns how.

        The engine takes `docker kill` for an operator's wish and does not start it again, so where
        its processes can be seen they are killed as the kernel would.
        """
        container = self.container(service)
        pid = int(str(self.state(service)["Pid"]))
        if _runs_in(pid, container):
            os.kill(pid, signal.SIGKILL)
            return "SIGKILL"
        docker("kill", container)
        docker("start", container)
        return "docker kill, docker start"

    def log(self) -> str:
        """What all containers have said, as it is."""
        return self.compose("logs", "--no-log-prefix", "--no-color")


def image_bytes(image: str) -> int:
    """The size of an image."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


def layers(image: str) -> list[str]:
    """The layers of an image, the lowest first."""
    return cast(
        "list[str]",
        json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image)),
    )


def _runs_in(pid: int, container: str) -> bool:
    """Whether a process of this machine is that of a container, and ours to kill.

    The engine may run on another machine, where the number is somebody else's.
    """
    try:
        said = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return pid > 1 and f"HOSTNAME={container[:12]}".encode() in said


def _run(
    command: list[str],
    environment: Mapping[str, str],
    given: str | None = None,
    folder: Path = TREE,
) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    if done.returncode != 0:
        shown = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise Failed(f"{' '.join(command)} ended with {done.returncode}:\n{shown}")
    return done.stdout
