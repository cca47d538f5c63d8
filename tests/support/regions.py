"""Several regions linked as leaf nodes, with links that tests can cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError

from aidmesh.credentials import create_credentials
from aidmesh.embedded import free_ports
from aidmesh.topology.config import dials
from aidmesh.topology.serving import PeerEnd
from support.servers import NatsRegion


@dataclass(slots=True)
class Cable:
    """A TCP proxy between a dialer and a listener."""

    port: int
    target_port: int
    _server: asyncio.Server | None = None
    _flows: set[asyncio.Task[None]] = field(default_factory=set)

    async def connect(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Break what runs over it and refuse anything new."""
        if self._server is not None:
            self._server.close()
            self._server = None
        flows = list(self._flows)
        for flow in flows:
            flow.cancel()
        await asyncio.gather(*flows, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flow = asyncio.current_task()
        assert flow is not None
        self._flows.add(flow)
        try:
            there = await asyncio.open_connection("127.0.0.1", self.target_port)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, there[1]))
                pumps.create_task(_pump(there[0], writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._flows.discard(flow)
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.transport.abort()


@dataclass(slots=True)
class LinkedRegions:
    """Regions by name, and the cable between each two (keyed by the sorted pair)."""

    regions: Mapping[str, NatsRegion]
    cables: Mapping[tuple[str, str], Cable]

    def cable(self, one: str, other: str) -> Cable:
        """The cable between two regions."""
        first, second = sorted((one, other))
        return self.cables[first, second]


@asynccontextmanager
async def linked_regions(
    folder: Path,
    names: Sequence[str],
    outbox_dsns: Mapping[str, Sequence[str]] | None = None,
    *,
    durable: bool = False,
) -> AsyncIterator[LinkedRegions]:
    """A full mesh with open gates; everything is stopped at the end. `durable` as of NatsRegion."""
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    pairs = [(a, b) for i, a in enumerate(sorted(names)) for b in sorted(names)[i + 1 :]]
    proxies = free_ports(len(pairs)) if pairs else ()
    cables = {(a, b): Cable(proxy, ports[a]) for (a, b), proxy in zip(pairs, proxies, strict=True)}
    regions: dict[str, NatsRegion] = {}
    try:
        for cable in cables.values():
            await cable.connect()
        keys = {name: folder / name / "keys" for name in names}
        for each in keys.values():
            create_credentials(each)
        for name in names:
            peers = {
                peer: PeerEnd(
                    keys[peer],
                    f"127.0.0.1:{cables[peer, name].port}" if dials(name, peer) else None,
                )
                for peer in names
                if peer != name
            }
            regions[name] = NatsRegion(
                folder / name,
                name,
                peers=peers,
                leaf_port=ports[name],
                outbox_dsns=(outbox_dsns or {}).get(name, ()),
                keys=keys[name],
                durable=durable,
            )
            await asyncio.to_thread(regions[name].start)
        await asyncio.gather(*(region.open() for region in regions.values()))
        yield LinkedRegions(regions, cables)
    finally:
        for region in regions.values():
            with contextlib.suppress(OSError):
                await region.close()
        for cable in cables.values():
            await cable.cut()


async def ids_in(region: NatsRegion, stream: str, subject: str = ">") -> list[str]:
    """The ids of all messages of a stream, in its order.

    A server that is starting may leave a question unanswered; AssertionError says so.
    """
    client = await region.admin()
    try:
        return await _ids(client, stream, subject)
    except NatsTimeoutError as error:
        raise AssertionError(f"{stream} does not answer yet") from error
    finally:
        await client.close()


async def _ids(client: Client, stream: str, subject: str) -> list[str]:
    context = client.jetstream()
    state = (await context.stream_info(stream)).state
    messages = await asyncio.gather(
        *(
            context.get_msg(stream, seq, direct=True)
            for seq in range(max(state.first_seq, 1), state.last_seq + 1)
        )
    )
    return [
        (message.headers or {})["Nats-Msg-Id"]
        for message in messages
        if subject == ">" or (message.subject or "").startswith(subject)
    ]
