"""Several regions linked as leaf nodes, with links that tests can cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import NotFoundError

from aidmesh.chaos.road import Road
from aidmesh.credentials import create_credentials
from aidmesh.embedded.ports import free_ports
from aidmesh.topology.config import dials
from aidmesh.topology.serving import PeerEnd
from support.servers import NatsRegion


@dataclass(slots=True)
class LinkedRegions:
    """Regions by name, and the cable between each two (keyed by the sorted pair)."""

    regions: Mapping[str, NatsRegion]
    cables: Mapping[tuple[str, str], Road]

    def cable(self, one: str, other: str) -> Road:
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
    cables = {(a, b): Road(proxy, ports[a]) for (a, b), proxy in zip(pairs, proxies, strict=True)}
    regions: dict[str, NatsRegion] = {}
    try:
        for cable in cables.values():
            await cable.open()
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
            await cable.close()


async def ids_in(region: NatsRegion, stream: str, subject: str = ">") -> list[str]:
    """The ids of all messages of a stream, in its order.

    A server that is starting may leave a question unanswered, and a log that is made anew is away
    for a moment; AssertionError says so.
    """
    client = await region.admin()
    try:
        return await _ids(client, stream, subject)
    except (NatsTimeoutError, NotFoundError) as error:
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
