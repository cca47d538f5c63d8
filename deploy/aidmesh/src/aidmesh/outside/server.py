"""A nats-server that somebody else runs: it is told by its own system account."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import nats.errors

from aidmesh.meshfile import NatsEntry
from aidmesh.topology.api import section
from aidmesh.topology.configured import loaded_at, monitored, write_config
from aidmesh.topology.connections import connect_as, tell_server
from aidmesh_chassis.logs import get_logger

log = get_logger()

RELOAD_SECONDS_MAX: Final = 10.0
POLL_S: Final = 0.05


@dataclass(slots=True)
class OutsideNats:
    """One server. Methods block; call them from a thread where a loop runs.

    `entry` says where it is, and where its configuration lies, which it shares with us; `config`
    and `files` are what is there. `seed_file` is of the system account's user.
    """

    region: str
    entry: NatsEntry
    folder: Path
    seed_file: Path
    config: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether it answers."""
        return self._loaded_at() is not None

    def reload(self, config: str, files: Mapping[str, str] | None = None) -> None:
        """Write another configuration, and have the server take it; done when it has.

        Raises TimeoutError when it does not, ConnectionError when it does not answer: it takes it
        when it is started again.
        """
        write_config(self.folder, config, self.files if files is None else files)
        before = self._loaded_at()
        if before is None:
            raise ConnectionError("the server does not answer")
        asyncio.run(self._tell_to_reload())
        deadline = time.monotonic() + RELOAD_SECONDS_MAX
        while self._loaded_at() in {before, None}:
            if time.monotonic() > deadline:
                raise TimeoutError("the server does not take its configuration")
            time.sleep(POLL_S)

    def restart(self) -> None:
        """Write what the next start takes, and tell a person: nobody here may start it anew."""
        write_config(self.folder, self.config, self.files)
        log.error("server.restart_needed", region=self.region)

    async def _tell_to_reload(self) -> None:
        found = monitored(self.entry.monitor_port, self.entry.host, "/varz") or {}
        client = await connect_as(self.entry.url, self.seed_file)
        try:
            answer = await tell_server(client, str(found.get("server_id")), "RELOAD", b"")
        except nats.errors.Error as error:
            raise ConnectionError(f"the server was not told: {type(error).__name__}") from error
        finally:
            await client.close()
        if refused := section(answer, "error"):
            raise OSError(f"the server refused: {refused.get('description')}")

    def _loaded_at(self) -> str | None:
        return loaded_at(self.entry.monitor_port, self.entry.host)
