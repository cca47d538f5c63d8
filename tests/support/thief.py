"""Somebody with a stolen key: clients that try, and servers that keep to no rule of ours."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import nats.errors
from nats.aio.client import Client

from aidmesh.credentials import FOLDER
from aidmesh.embedded.nats import NatsServer
from aidmesh.embedded.ports import free_ports
from support.servers import NatsRegion
from support.waiting import eventually

HEARD_S = 0.3
"""How long somebody listens for an answer that should not come; others take a millisecond."""


class Tries:
    """A client with a service's key, and what the server refused it."""

    def __init__(self) -> None:
        self.client = Client()
        self.refusals: list[str] = []

    async def connect(self, url: str, seed_file: Path, inbox: str) -> None:
        """Connect with a stolen key."""
        await self.client.connect(
            url, nkeys_seed=str(seed_file), inbox_prefix=inbox.encode(), error_cb=self._refused
        )

    async def publish(self, subject: str) -> None:
        """Try to say something."""
        await self.client.publish(subject, b"{}")
        await self.client.flush()

    async def listen(self, subject: str) -> None:
        """Try to hear something."""
        await self.client.subscribe(subject)
        await self.client.flush()

    def said(self, subjects: Sequence[str]) -> list[str]:
        """Those of the subjects whose publishing was not refused, so far."""
        return [each for each in subjects if not self._was_refused("publish", each)]

    def heard(self, subjects: Sequence[str]) -> list[str]:
        """Those of the subjects where listening was not refused, so far."""
        return [each for each in subjects if not self._was_refused("subscription", each)]

    def _was_refused(self, verb: str, subject: str) -> bool:
        text = f'{verb} to "{subject.lower()}"'
        return any(text in refusal for refusal in self.refusals)

    async def _refused(self, error: Exception) -> None:
        self.refusals.append(str(error).lower())


class RogueServer:
    """A server of the thief's own, in whose account everything is allowed.

    Args:
        folder: where it keeps what is its own.
        stolen: the folder of keys that were stolen: it comes with these.
        dial: `host:port` of the region that it dials as the region it robbed.
        port: where it listens for those who believe it to be the region it robbed.
        expected: nkeys of those.
        certificates: another folder whose `tls.pem` it uses.
        seed: another nkey that it comes with.
    """

    def __init__(
        self,
        folder: Path,
        stolen: Path,
        *,
        dial: str | None = None,
        port: int | None = None,
        expected: Sequence[str] = (),
        certificates: Path | None = None,
        seed: str | None = None,
    ) -> None:
        client_port, monitor_port = free_ports(2)
        self.url = f"nats://127.0.0.1:{client_port}"
        at = (stolen / FOLDER).resolve()
        pem = ((certificates or stolen) / FOLDER).resolve() / "tls.pem"
        seed = seed or (at / "link.conf").read_text().split('"')[1]
        tls = f'cert_file: "{pem}", key_file: "{pem}", timeout: 10'
        remotes = listen = ""
        if dial is not None:
            remotes = (
                f'remotes: [{{urls: ["nats-leaf://{dial}"], account: AID, nkey: "{seed}", '
                f"tls {{{tls}, insecure: true}}}}]"
            )
        if port is not None:
            listen = f'listen: "127.0.0.1:{port}"\n  tls {{{tls}}}'
        users = ", ".join(f"{{nkey: {public}}}" for public in expected)
        self.server = NatsServer(
            folder,
            f"""
            server_name: rogue
            listen: "127.0.0.1:{client_port}"
            http: "127.0.0.1:{monitor_port}"
            accounts {{ AID {{ users: [{{user: thief, password: thief}}, {users}] }} }}
            log_file: "{folder}/log"
            leafnodes {{ {listen}
              reconnect: "1s"
              {remotes} }}
            """,
            (client_port, monitor_port),
            monitor_port,
        )

    @asynccontextmanager
    async def running(self, robbed: str) -> AsyncIterator[Client]:
        """A client that may do everything there, hears others only, and has the inbox of whom he
        robbed."""
        self.server.folder.mkdir(parents=True)
        await asyncio.to_thread(self.server.start)
        inbox = f"_INBOX_handoff_{robbed}"
        try:
            client = await nats.connect(
                self.url, user="thief", password="thief", inbox_prefix=inbox, no_echo=True
            )
            yield client
            await client.close()
        finally:
            await asyncio.to_thread(self.server.stop)


async def answered(client: Client, subject: str, payload: bytes = b"{}") -> bool:
    """Whether anybody answers."""
    try:
        await client.request(subject, payload, timeout=HEARD_S)
    except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
        return False
    return True


async def messages_in(region: NatsRegion) -> dict[str, tuple[int, int]]:
    """Last sequence and number of consumers of every stream of a region."""
    admin = await region.admin()
    try:
        infos = await admin.jsm().streams_info()
        return {
            str(info.config.name): (info.state.last_seq, info.state.consumer_count)
            for info in infos
        }
    finally:
        await admin.close()


async def links_of(region: NatsRegion, names: set[str]) -> None:
    """Wait until a region's server has links with exactly these."""
    await eventually(lambda: region.warden.watcher.linked == names, 60)
