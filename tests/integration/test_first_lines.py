"""What a process of services writes from its first line on: all of it can be searched."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from nacl.pwhash import argon2id

from aidmesh.credentials import create_keys
from aidmesh.embedded.errors import StartError
from aidmesh.mesh import running_mesh
from aidmesh.preparing import prepare_mesh
from aidmesh.region_settings import service_environment
from aidmesh_chassis.keys import NOTIFICATION, PAYMENTS, protect
from aidmesh_chassis.starting import EXIT_REFUSED
from support.waiting import eventually

PASSPHRASE = "Kanarienvogel im Bergwerk"


class Started:
    """A process of services of a region whose servers are away, and what it writes."""

    def __init__(self, folder: Path) -> None:
        self.keys, self._log = folder / "keys", folder / "process.log"
        create_keys(self.keys)
        (folder / "data").mkdir()
        mesh, _ = prepare_mesh(folder / "data", ("kyiv",), {"kyiv": self.keys})
        self.environment = {**os.environ, **service_environment("kyiv", mesh.regions["kyiv"])}
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *module: str) -> None:
        """Start it."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module], env=self.environment, stdout=log, stderr=log
            )

    async def ended(self) -> int:
        """Its exit code."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, 60)

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """What it wrote so far, every line of it as JSON; only those of an event, if one is named.

        A line that is being written is not there yet.
        """
        whole = self._log.read_text(encoding="utf-8").rpartition("\n")[0]
        found = [json.loads(line) for line in whole.splitlines()]
        return [line for line in found if event in ("", line["event"])]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Nothing runs yet."""
    made = Started(tmp_path)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


@pytest.mark.parametrize(
    ("module", "services"),
    [
        (("aidmesh.host", "notification", "payments"), ("notification", "payments")),
        (("aidmesh_notification", "run"), ("notification",)),
    ],
)
async def test_services_that_start_locked_say_so_in_a_line_that_is_found(
    started: Started, module: Sequence[str], services: Sequence[str]
) -> None:
    for name in (NOTIFICATION, PAYMENTS):
        protect(
            started.keys / f"{name}.key",
            PASSPHRASE,
            passes=argon2id.OPSLIMIT_MIN,
            memory_bytes=argon2id.MEMLIMIT_MIN,
        )
    started.run(*module)
    await eventually(lambda: started.lines("database.waits"), 60.0)
    assert [
        (line["level"], line["service"], line["region"], line["keys"])
        for line in started.lines("keys.locked")
    ] == [("warning", service, "kyiv", [service]) for service in services]
    assert all(line["region"] == "kyiv" for line in started.lines())


MISTYPED = {
    "AIDMESH_NOTIFICATION_SMTP_PORT": PASSPHRASE,
    "AIDMESH_PAYMENTS_POOL_MAX": "1",
    "AIDMESH_PAYMENTS_POL_MAX": PASSPHRASE,
}


async def test_what_is_wrong_with_settings_is_told_in_lines_and_never_what_they_hold(
    started: Started,
) -> None:
    started.environment |= MISTYPED
    started.run("aidmesh.host", "intake", "notification", "payments")
    assert await started.ended() == EXIT_REFUSED
    refused = started.lines("settings.refused")
    assert [(each["service"], each["setting"], each["level"]) for each in refused] == [
        ("notification", "AIDMESH_NOTIFICATION_SMTP_PORT", "critical"),
        ("payments", "AIDMESH_PAYMENTS_POOL_MAX", "critical"),
    ]
    assert "valid integer" in refused[0]["reason"]
    (unknown,) = started.lines("settings.unknown")
    assert (unknown["service"], unknown["level"], unknown["setting"], unknown["closest"]) == (
        "payments", "warning", "AIDMESH_PAYMENTS_POL_MAX", "AIDMESH_PAYMENTS_POOL_MAX",
    )  # fmt: skip
    assert PASSPHRASE not in str(started.lines())


@pytest.mark.parametrize(
    ("module", "gone", "said"),
    [
        (("aidmesh_payments", "migrate"), "AIDMESH_PAYMENTS_DATABASE_URL", "settings.refused"),
        (("aidmesh_payments", "run"), "AIDMESH_PAYMENTS_REGION", "settings.refused"),
        (("aidmesh_payments", "run"), "AIDMESH_PAYMENTS_KEYS_DIR", "service.failed"),
    ],
)
async def test_a_service_that_can_not_be_built_says_why_in_a_line(
    started: Started, module: Sequence[str], gone: str, said: str
) -> None:
    del started.environment[gone]
    started.run(*module)
    assert await started.ended() == (EXIT_REFUSED if said == "settings.refused" else 1)
    (line,) = started.lines(said)
    assert (line["service"], line["level"]) == ("payments", "critical")
    assert line.get("setting", gone) == gone


async def test_a_mesh_says_at_once_which_setting_keeps_a_service_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_keys(tmp_path / "keys")
    monkeypatch.setenv("AIDMESH_NOTIFICATION_SMTP_PORT", PASSPHRASE)
    said = "kyiv: notification does not start: AIDMESH_NOTIFICATION_SMTP_PORT: .*valid integer"
    with pytest.raises(StartError, match=said) as failed:
        async with running_mesh(
            tmp_path / "data",
            ("kyiv",),
            lambda _: tmp_path / "keys",
            services=("intake", "notification"),
        ):
            pytest.fail("it has started")
    assert PASSPHRASE not in str(failed.value)
