"""The one holder of administrative rights on a region's streams.

At every connection to the region's server it closes the gate, brings streams and durables to the
plan, compares the logs with the outboxes and recovers what was lost, and only then opens the gate
to the relays. All the time it watches the links to the peers, and tells them what has arrived.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from pathlib import Path

import nats.errors

from aidmesh.topology.api import JetStreamApi, Json, section
from aidmesh.topology.connections import CONNECT_SECONDS_MAX, OUTAGES, connect_as, tell_server
from aidmesh.topology.durables import Key, Place, look, remove
from aidmesh.topology.gate import Gate
from aidmesh.topology.plan import plan_of
from aidmesh.topology.progress import Progress, nobody
from aidmesh.topology.provision import TopologyError, apply
from aidmesh.topology.recover import check, recover
from aidmesh.topology.redial import Redialer
from aidmesh.topology.reporter import Reporter
from aidmesh.topology.watcher import UNREACHABLE, LinkWatcher, Monitor, clients_of, links_of
from aidmesh_chassis import ending
from aidmesh_chassis.client import Client
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.nkey import follow, tls_of
from aidmesh_contracts.streams import PREFIXES

log = get_logger()

RECONNECT_WAIT_S = 0.2
RETRY_S_MIN = 0.2
RETRY_S_MAX = 3.0
"""A region stands still until then, so it looks often; a look costs a moment."""
STOP_SECONDS_MAX = 5.0
LOGS_LOOK_S = 2.0
DURABLES_LOOK_S = 5.0


class CutOffError(Exception):
    """The connection to the server broke while something was done over it."""


class Warden:
    """Runs beside one region's server, or the cluster of its servers.

    `url` is the server's, or those of several separated by commas; `seed_file` has the nkey of its
    supervisor, `outbox_dsns` are those of the region's databases with an outbox (as a role that may
    read and update them all). `monitors` has the monitor of each server, with what can be done for
    links that this server has given up, if anything. `system_seed_file` has the nkey of who may cut
    connections; `ca_file` what vouches for servers on other machines. `announce` gets lines for a
    person while a log is put back.
    """

    def __init__(
        self,
        *,
        region: str,
        peers: Sequence[str],
        url: str,
        seed_file: Path,
        monitors: Mapping[Monitor, Redialer | None],
        epoch: int = 1,
        outbox_dsns: Sequence[str] = (),
        system_seed_file: Path | None = None,
        ca_file: Path | None = None,
        announce: Callable[[str], None] = nobody,
    ) -> None:
        """Nothing happens before `run`."""
        self._plan = plan_of(region, peers, replicas=len(monitors))
        self._url = url
        self._seed_file = seed_file
        self._outbox_dsns = outbox_dsns
        self._system_seed_file = system_seed_file
        self._ca_file = ca_file
        self._region = region
        self._client = Client()
        self._api = JetStreamApi(self._client)
        self._connected = asyncio.Event()
        self._relinked = asyncio.Event()
        self._cut_off = asyncio.Event()
        self._breaks = 0
        self.progress = Progress(region, announce)
        self._trouble: str | None = None
        self.gate = Gate(self._client, region, epoch)
        self._monitors = monitors
        self.watcher = LinkWatcher(self._api, monitors)
        self._reporter = Reporter(self._client, self._api, region)

    async def run(self) -> None:
        """Connect, and keep the region in order until cancelled.

        While a person has to decide something the gate stays closed; `waits_for` says what.
        """
        try:
            await self._connect()
            await self.gate.start()
            ending.check()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ending.lasting(self._open_at_every_connection()))
                tasks.create_task(ending.lasting(self._follow_links()))
                tasks.create_task(ending.lasting(self._watch_logs()))
                tasks.create_task(ending.lasting(self._watch_durables()))
                tasks.create_task(ending.lasting(self.watcher.run()))
                tasks.create_task(ending.lasting(self._reporter.run()))
        finally:
            self.gate.close()
            try:
                async with asyncio.timeout(STOP_SECONDS_MAX):
                    await ending.close(self._client)
            except (OSError, TimeoutError, nats.errors.Error):
                log.debug("warden.close_failed", region=self._region)

    @property
    def waits_for(self) -> str:
        """What it is at while the gate is closed, and what it met at the last try."""
        met = "" if self._trouble is None else f" (at the last try: {self._trouble})"
        return f"{self.progress.doing}{met}"

    def link_with(self, peers: Sequence[str]) -> None:
        """Exchange events with these peers from now on; WORLD follows at once if it can."""
        self._plan = plan_of(self._region, peers, replicas=len(self._monitors))
        self._relinked.set()

    async def unlink(self, peers: Collection[str]) -> None:
        """End the links that stand to peers whose rights were taken away.

        A server lets a link that it has let in stand until it breaks.

        Raises OSError, TimeoutError or nats.errors.Error when the server does not answer.
        """
        if peers:
            await self._cut(links_of, lambda peer: peer in peers)

    async def _cut(
        self,
        look: Callable[[int, str], tuple[str, list[tuple[str, int]]]],
        is_meant: Callable[[str], bool],
    ) -> None:
        """Cut those connections of every server that answers that are meant, by their names."""
        if self._system_seed_file is None:
            return
        client = await connect_as(self._url, self._system_seed_file, self._ca_file)
        try:
            for host, port in self._monitors:
                try:
                    server_id, connections = await asyncio.to_thread(look, port, host)
                except UNREACHABLE:
                    continue  # who is away has no connections
                for name, connection_id in connections:
                    if is_meant(name):
                        body = json.dumps({"cid": connection_id}).encode()
                        await tell_server(client, server_id, "KICK", body)
        finally:
            await ending.close(client)

    async def _watch_logs(self) -> None:
        """Look after a log that was lost while the connection stayed, until cancelled.

        Of a cluster other servers than ours may have lost their disks. What can be lost, is lost
        when a log is made anew or gets another leader; and between the gate's opening and the first
        look, so that one checks as well.
        """
        seen: dict[str, object] = {}
        while goes_on():
            await asyncio.sleep(LOGS_LOOK_S)
            try:
                found = {
                    each.value: _led(await self._api.stream_info(each.value)) for each in PREFIXES
                }
                if not self.gate.is_open:
                    seen = {}
                    continue
                if found == seen:
                    continue
                lost = set(await check(self._api, self._outbox_dsns))
                lost |= {name for name, led in found.items() if led is None}
                seen = found
                if lost:
                    log.error("stream.lost", region=self._region, streams=sorted(lost))
                    await self.close_for_all()
            except OUTAGES:
                log.debug("warden.looks_again", region=self._region)

    async def _watch_durables(self) -> None:
        """Put right what somebody else did to durables, or was done by half; until cancelled."""
        seen: Mapping[Key, Place] = {}
        breaks = self._breaks
        while goes_on():
            await asyncio.sleep(DURABLES_LOOK_S)
            if breaks != self._breaks or not self.gate.is_open:
                seen, breaks = {}, self._breaks  # a server that was killed may count from before
                continue
            try:
                seen = await self._look_after_durables(seen)
            except (*OUTAGES, TopologyError) as error:
                log.debug("warden.looks_again", region=self._region, reason=type(error).__name__)

    async def _look_after_durables(self, before: Mapping[Key, Place]) -> Mapping[Key, Place]:
        async with self.watcher.world:  # between two updates of its own a source is out
            found = await look(self._api, self._plan, before)
        if not found.changes and not found.sources:
            return found.places
        if found.sources:
            log.warning("sources.differed", region=self._region, changes=found.sources)
        if found.changes:
            log.error("durables.changed", region=self._region, changes=found.changes)
        await remove(self._api, found.moved)
        await self._apply()
        return {}

    def use_databases(self, outbox_dsns: Sequence[str]) -> None:
        """Look into the outboxes by these from now on."""
        self._outbox_dsns = outbox_dsns

    async def close_for_all(self) -> None:
        """Close the gate, and have every relay ask there anew: an answer holds for a connection."""
        self.gate.close()
        ours = f"aidmesh-{self._region}-"
        while goes_on():
            try:
                await self._cut(clients_of, lambda name: name.startswith(ours))
            except OUTAGES as error:
                log.warning("gate.stays_closed", region=self._region, reason=type(error).__name__)
                await asyncio.sleep(RETRY_S_MAX)
            else:
                break
        self._connected.set()

    async def _follow_links(self) -> None:
        pause_s = RETRY_S_MIN
        while goes_on():
            await self._relinked.wait()
            self._relinked.clear()
            try:
                if self.gate.is_open:  # else it is done before the gate opens
                    await self._apply()
            except (*OUTAGES, TopologyError) as error:
                log.warning("links.wait", region=self._region, reason=type(error).__name__)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_S_MAX)
                self._relinked.set()
            else:
                pause_s = RETRY_S_MIN

    async def _connect(self) -> None:
        self.progress.doing = f"NATS does not answer at {self._url}"
        pause_s = RETRY_S_MIN
        while goes_on():
            try:
                async with asyncio.timeout(CONNECT_SECONDS_MAX):  # it can hang on a dead server
                    await self._client.connect(
                        self._url.split(","),
                        nkeys_seed=str(self._seed_file),
                        tls=tls_of(self._ca_file),
                        name=f"aidmesh-warden-{self._region}",
                        connect_timeout=CONNECT_SECONDS_MAX,
                        max_reconnect_attempts=-1,
                        # Annotated as whole seconds, used as a plain sleep.
                        reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]
                        disconnected_cb=self._disconnected,
                        reconnected_cb=self._reconnected,
                        error_cb=_ignore,
                    )
            except OUTAGES as error:
                self._trouble = type(error).__name__
                log.info("warden.waits", region=self._region, reason=self._trouble)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_S_MAX)
            else:
                self._trouble = None
                follow(self._client, self._seed_file)
                self._connected.set()
                return

    async def _open_at_every_connection(self) -> None:
        pause_s = RETRY_S_MIN
        while goes_on():
            await self._connected.wait()
            self._connected.clear()
            try:
                await self._over_this_connection(self._put_in_order)
            except CutOffError:
                self._trouble = "the connection to NATS broke"
                continue  # it is begun anew with the next one
            except (*OUTAGES, TopologyError) as error:
                self._trouble = str(error) or type(error).__name__
                log.warning("gate.stays_closed", region=self._region, reason=self._trouble)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_S_MAX)
                self._connected.set()
            else:
                pause_s = RETRY_S_MIN

    async def _over_this_connection(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Work until the connection breaks: what was asked for over it is never answered.

        Raises `CutOffError` when it does, and what the work raises.
        """
        self._cut_off.clear()
        if not self._client.is_connected:
            raise CutOffError
        working = asyncio.create_task(work())
        cut_off = asyncio.create_task(self._cut_off.wait())
        try:
            await asyncio.wait((working, cut_off), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise CutOffError
            working.result()
        finally:
            for task in (working, cut_off):
                task.cancel()
            await asyncio.gather(working, cut_off, return_exceptions=True)

    async def _put_in_order(self) -> None:
        breaks = self._breaks
        self.progress.doing = "streams and durables are brought to the plan"
        await self._apply()
        self.progress.doing = "the logs are compared with the outboxes"
        await recover(self._client, self._plan, self._outbox_dsns, self.progress)
        await self.gate.open()
        if self._breaks != breaks:  # the server went away meanwhile; it is looked at once more
            self.gate.close()
            return
        self._trouble = None
        log.info("gate.opened", region=self._region)

    async def _apply(self) -> None:
        async with self.watcher.world:  # it writes WORLD's sources as it read them
            for difference in await apply(self._api, self._plan):
                log.info("topology.applied", region=self._region, change=str(difference))

    async def _disconnected(self) -> None:
        self._breaks += 1
        self._cut_off.set()
        self.gate.close()

    async def _reconnected(self) -> None:
        self._connected.set()


def _led(info: Json | None) -> object:
    """Which log it is, and since when who leads it."""
    if info is None:
        return None
    cluster = section(info, "cluster")
    return info.get("created"), cluster.get("leader"), cluster.get("leader_since")


async def _ignore(error: Exception) -> None:
    log.debug("nats.client_error", reason=type(error).__name__)
