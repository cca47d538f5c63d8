"""Replaces the keys of a region's NATS server and its users while everything runs.

For a while both keys of a user are valid: the server is told of the new one, everybody comes with
it (a connection is cut, and the client signs with what the file holds now), and only when nobody is
left with the old one is that forgotten. A run that was cut short is taken up by the next one.
"""

import asyncio
import http.client
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, cast

import nats.errors

from aidmesh import passwords
from aidmesh.credentials import (
    FOLDER,
    LINK,
    USERS,
    hosts_of,
    new_authority,
    new_certificate,
    new_seed,
    publics_of,
    seed_file,
    setting,
    write_file,
)
from aidmesh.fetching import get_json
from aidmesh.meshfile import MeshError, MeshFile, NatsEntry, read_mesh
from aidmesh.tending import PATIENCE_S
from aidmesh.topology.api import Json
from aidmesh.topology.config import LINK_SEED, dials
from aidmesh.topology.configured import CONFIG
from aidmesh.topology.connections import connect_as, tell_server
from aidmesh.topology.rights import SYSTEM
from aidmesh.topology.serving import AUTHORITIES
from aidmesh.topology.watcher import linked_peers, links_of
from aidmesh_chassis.nkey import nkey_of

EVERYBODY: Final = (*USERS, LINK)
STEP_S_MAX: Final = 90.0
POLL_S: Final = 0.2
MONITOR_S_MAX: Final = 5.0


class RotationError(MeshError):
    """A step did not come to its end; both keys stay valid, and it can be begun again."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was replaced in one region: its users, and how many connections came anew.

    Attributes:
        untold: regions on other machines that do not know yet what it will prove itself with next
            on links. The authority of its certificates therefore stays, and the key of its links
            where it dials one of them.
    """

    users: tuple[str, ...]
    moved: int
    untold: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Waits:
    """Which regions elsewhere have to be told before what they know a region by is replaced."""

    for_link: tuple[str, ...]
    for_authority: tuple[str, ...]


def _untold(mesh: MeshFile, region: str, told: Collection[str]) -> _Waits:
    """Those that a region dials know the key of its link; all trust its authority.

    Args:
        told: regions whose operators have taken up the next ones.
    """
    rest = sorted(set(mesh.elsewhere) - set(told))
    dialed = [peer for peer in rest if mesh.dial(region, peer) is not None]
    return _Waits(tuple(dialed), tuple(rest))


def prepare(folder: Path) -> Mapping[str, str]:
    """Make the new seeds and let both keys be accepted; returns the new public keys, by user.

    Args:
        folder: the region's folder of keys.
    """
    at = folder / FOLDER
    fresh: dict[str, str] = {}
    for user in EVERYBODY:
        path = at / f"{user}.next.nk"
        if not path.exists():
            write_file(path, new_seed() + "\n")
        fresh[user] = nkey_of(path.read_text(encoding="ascii")).public
        known = publics_of(folder, user)
        if fresh[user] not in known:
            write_file(at / f"{user}.pub", "\n".join([*known, fresh[user]]) + "\n")
    return fresh


def prepare_authority(folder: Path) -> str:
    """Make the next authority of certificates, and have it trusted beside the present one.

    Returns its certificate.
    """
    at = folder / FOLDER
    if not (at / "ca.next.key").exists():
        key, certificate = new_authority(folder.name)
        write_file(at / "ca.next.pem", certificate)
        write_file(at / "ca.next.key", key)
    fresh = (at / "ca.next.pem").read_text(encoding="ascii")
    trusted = (at / "ca.pem").read_text(encoding="ascii")
    if fresh not in trusted:
        write_file(at / "ca.pem", trusted + fresh)
    return fresh


def switch(folder: Path, *, link: bool = True, authority: bool = False) -> None:
    """Have everybody come with the new seeds from the next connection on, and a new certificate.

    Args:
        folder: the region's folder of keys.
        link: whether its links do so, too.
        authority: whether the next authority signs it, from now on.
    """
    at = folder / FOLDER
    if authority:
        write_file(at / "ca.key", (at / "ca.next.key").read_text(encoding="ascii"))
    write_file(at / "tls.pem", new_certificate(at, folder.name, hosts_of(at)))
    if link:
        seed = (at / f"{LINK}.next.nk").read_text(encoding="ascii").strip()
        write_file(at / f"{LINK}.conf", setting(LINK_SEED, seed))
    for user in USERS:
        (at / f"{user}.next.nk").replace(at / f"{user}.nk")


def finish(folder: Path, fresh: Mapping[str, str]) -> None:
    """Accept the new keys only, of these users."""
    at = folder / FOLDER
    for user, public in fresh.items():
        write_file(at / f"{user}.pub", public + "\n")
    if LINK in fresh:
        (at / f"{LINK}.next.nk").unlink(missing_ok=True)


def finish_authority(folder: Path) -> None:
    """Have nobody trust the former authority any more."""
    at = folder / FOLDER
    write_file(at / "ca.pem", (at / "ca.next.pem").read_text(encoding="ascii"))
    (at / "ca.next.key").unlink()
    (at / "ca.next.pem").unlink()


def rotate_stopped(region: str, mesh: MeshFile, told: Collection[str] = ()) -> Replaced:
    """All of it at once, for a region whose servers don't run.

    Args:
        told: as for `rotate_running`.
    """
    folder, waits = mesh.regions[region].keys, _untold(mesh, region, told)
    fresh = _of_those(prepare(folder), waits.for_link)
    prepare_authority(folder)
    switch(folder, link=LINK in fresh, authority=not waits.for_authority)
    finish(folder, fresh)
    if not waits.for_authority:
        finish_authority(folder)
    return Replaced(USERS, 0, waits.for_authority)


def _of_those(fresh: Mapping[str, str], waits_for: Collection[str]) -> Mapping[str, str]:
    """Whose keys are replaced now: not the link's while somebody has to learn its next one."""
    return {user: public for user, public in fresh.items() if user != LINK or not waits_for}


async def rotate_running(
    region: str, mesh: MeshFile, data: Path, told: Collection[str] = ()
) -> Replaced:
    """All of it, one step after the other, for a region that runs on this machine.

    Args:
        told: regions elsewhere whose operators have taken up what it will come with next.

    Raises RotationError when a step does not end; FolderError as `prepare`.
    """
    entry = mesh.regions[region]
    folder, server = entry.keys, entry.nats
    waits = _untold(mesh, region, told)
    fresh = _of_those(prepare(folder), waits.for_link)
    vouches = prepare_authority(folder)
    former = (folder / FOLDER / "ca.pem").read_text(encoding="ascii").replace(vouches, "")
    old = {public for user in USERS for public in publics_of(folder, user)} - set(fresh.values())
    files = {name: config_file(name, mesh, data) for name in mesh.regions}
    servers = {name: mesh.regions[name].nats for name in mesh.regions}
    here = [peer for peer in mesh.regions if peer != region and dials(region, peer)]
    accepting = [] if waits.for_link else here
    trusting = [] if waits.for_authority else [region, *sorted(set(mesh.regions) - {region})]
    look = partial(linked_peers, server.monitor_port, host=server.host)
    linked = set(here) | (set(mesh.elsewhere) & look())
    own = [fresh[user] for user in USERS]

    def knows(name: str, publics: list[str]) -> bool:
        text = files[name].read_text(encoding="utf-8")
        return all(public in text for public in publics) and _loaded(files[name], servers[name])

    def forgot(name: str, publics: set[str]) -> bool:
        text = files[name].read_text(encoding="utf-8")
        return not any(public in text for public in publics) and _loaded(files[name], servers[name])

    def trusts(name: str, certificate: str, truly: bool) -> bool:
        text = (files[name].parent / AUTHORITIES).read_text(encoding="ascii")
        return (certificate in text) == truly and _loaded(files[name], servers[name])

    await _until(f"{region} accepts the new keys", lambda: knows(region, own))
    for name in trusting:
        await _until(f"{name} trusts the next authority", partial(trusts, name, vouches, True))
    for peer in accepting:
        await _until(f"{peer} accepts the new key", partial(knows, peer, [fresh[LINK]]))
    old_links = set(publics_of(folder, LINK)) - set(fresh.values())
    before = files[region].read_text(encoding="utf-8").splitlines()[0]
    switch(folder, link=not waits.for_link, authority=not waits.for_authority)

    def took_up() -> bool:
        generation = files[region].read_text(encoding="utf-8").splitlines()[0]
        return generation != before and _loaded(files[region], server)

    await _until(f"{region} comes with its new key and certificate", took_up)
    system, ports = seed_file(folder, SYSTEM), [port for _, port in server.monitors]
    moved = sum([await _move(region, server, system, port, old) for port in ports])
    await _dial_anew(region, server, system)
    await _until(f"{region} is linked", lambda: linked <= look())
    finish(folder, fresh)
    if trusting:
        finish_authority(folder)
    await _until(f"{region} forgets the old keys", lambda: forgot(region, old))
    for peer in accepting:
        await _until(f"{peer} forgets the old key", partial(forgot, peer, old_links))
    for name in trusting if former else ():
        await _until(
            f"{name} trusts the old authority no more", partial(trusts, name, former, False)
        )
    await _until(f"{region} is linked", lambda: linked <= look())
    return Replaced(USERS, moved, waits.for_authority)


async def rotate_passwords(region: str, data: Path, *, running: bool) -> None:
    """New passwords for the roles of a region's databases.

    Whoever supervises the region gives them to the roles and the services; where nobody does, the
    next start does.

    Raises RotationError when a step does not end; MeshError when the folder holds no mesh.
    """
    passwords.begin(data, region)

    def is_over() -> bool:
        return passwords.is_over(read_mesh(data).regions[region])

    if running:
        what = f"{region}'s databases have new passwords and no session from before"
        await _until(what, is_over, PATIENCE_S + STEP_S_MAX)


def config_file(region: str, mesh: MeshFile, data: Path) -> Path:
    """Where the configuration of a region's (first) server lies."""
    return (mesh.regions[region].nats.folder or data / region / "nats") / CONFIG


def runs(server: NatsEntry) -> bool:
    """Whether it answers."""
    try:
        return bool(_ask(server, server.monitor_port, "/varz"))
    except OSError:
        return False


async def _move(region: str, server: NatsEntry, seed: Path, port: int, old: set[str]) -> int:
    """Cut every connection that was made with an old key, until there is none; returns how many."""
    client = await connect_as(server.url, seed)
    moved = 0
    try:
        server_id = str(_ask(server, port, "/varz")["server_id"])
        end = time.monotonic() + STEP_S_MAX
        while left := [
            each for each in _connections(server, port) if each.get("authorized_user") in old
        ]:
            if time.monotonic() > end:
                raise RotationError(f"{region}: {len(left)} connections stay with an old key")
            for each in left:
                body = json.dumps({"cid": each["cid"]}).encode()
                await tell_server(client, server_id, "KICK", body)
                moved += 1
            await asyncio.sleep(POLL_S)
    except (nats.errors.Error, TimeoutError) as error:
        raise RotationError(
            f"{region}: connections can't be cut: {type(error).__name__}"
        ) from error
    finally:
        await client.close()
    return moved


async def _dial_anew(region: str, server: NatsEntry, seed: Path) -> None:
    """Cut all links of a region's servers; whoever dials comes again, and proves itself anew."""
    client = await connect_as(server.url, seed)
    try:
        for host, port in server.monitors:
            server_id, links = await asyncio.to_thread(links_of, port, host)
            for _, connection_id in links:
                body = json.dumps({"cid": connection_id}).encode()
                await tell_server(client, server_id, "KICK", body)
            cut = frozenset(connection_id for _, connection_id in links)
            await _until(f"{region}'s links are cut", partial(_are_gone, host, port, cut))
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise RotationError(f"{region}: links can't be cut: {type(error).__name__}") from error
    finally:
        await client.close()


def _are_gone(host: str, port: int, cut: frozenset[int]) -> bool:
    return cut.isdisjoint(each for _, each in links_of(port, host)[1])


def _connections(server: NatsEntry, port: int) -> list[Json]:
    answer = _ask(server, port, "/connz?auth=1&limit=4096")
    return cast("list[Json]", answer.get("connections") or [])


def _loaded(config: Path, server: NatsEntry) -> bool:
    """Whether the server works with what its file holds."""
    loaded = datetime.fromisoformat(
        str(_ask(server, server.monitor_port, "/varz")["config_load_time"])
    )
    return loaded.timestamp() >= config.stat().st_mtime


async def _until(what: str, true: Callable[[], bool], s_max: float = STEP_S_MAX) -> None:
    end = time.monotonic() + s_max
    while True:
        try:
            if await asyncio.to_thread(true):
                return
        except (OSError, ValueError, http.client.HTTPException):
            pass  # the server starts again, or is being reloaded
        if time.monotonic() > end:
            raise RotationError(f"within {s_max:.0f} s it did not come true that {what}")
        await asyncio.sleep(POLL_S)


def _ask(server: NatsEntry, port: int, path: str) -> Json:
    return get_json(f"http://{server.host}:{port}{path}", MONITOR_S_MAX)
