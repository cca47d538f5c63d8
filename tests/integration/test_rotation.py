"""Keys of NATS are replaced while everything runs, and nothing is lost."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from aidmesh import passwords, rotation
from aidmesh.credentials import (
    LINK,
    USERS,
    CredentialsError,
    create_keys,
    missing,
    new_certificate,
    publics_of,
    seed_file,
)
from aidmesh.joining import accept, ask, invite
from aidmesh.mesh import Mesh, running_mesh
from aidmesh.meshfile import (
    WITH_DATABASE,
    Elsewhere,
    MeshFile,
    RegionEntry,
    changing_mesh,
    read_mesh,
)
from aidmesh.preparing import prepare_mesh
from aidmesh.rotation import (
    finish,
    finish_authority,
    prepare,
    prepare_authority,
    rotate_passwords,
    rotate_running,
    rotate_stopped,
    switch,
)
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import READER, SUPERVISOR
from aidmesh.topology.watcher import linked_peers, links_of
from aidmesh_chassis import outbox
from aidmesh_chassis.broker import Broker
from aidmesh_chassis.db import Database
from aidmesh_chassis.nkey import read_nkey
from aidmesh_chassis.relay import Relay
from aidmesh_chassis.settings import ServiceSettings
from aidmesh_contracts.payments import KeyChangedV1
from support.servers import keys_in
from support.waiting import eventually


def test_both_keys_are_accepted_until_it_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "kyiv"
    create_keys(folder)
    before = {user: publics_of(folder, user) for user in (*USERS, LINK)}
    fresh = prepare(folder)
    assert prepare(folder) == fresh  # taken up where it was cut short
    for user, public in fresh.items():
        assert publics_of(folder, user) == (*before[user], public)
        assert public not in before[user]
    for user in USERS:  # nobody comes with the new one yet
        assert read_nkey(seed_file(folder, user)).public == before[user][0]
    switch(folder)
    finish(folder, fresh)
    for user, public in fresh.items():
        assert publics_of(folder, user) == (public,)
    for user in USERS:
        assert read_nkey(seed_file(folder, user)).public == fresh[user]
    assert missing(folder) == ()
    assert list((folder / "nats").glob("*.next.nk")) == []
    assert create_keys(folder) == ()


def test_both_authorities_are_trusted_until_it_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "kyiv"
    create_keys(folder)
    at = folder / "nats"
    key, before = (at / "ca.key").read_bytes(), (at / "ca.pem").read_text()
    fresh = prepare_authority(folder)
    assert prepare_authority(folder) == fresh  # taken up where it was cut short
    assert (at / "ca.pem").read_text() == before + fresh
    assert (at / "ca.key").read_bytes() == key, "it signs nothing yet"
    prepare(folder)
    switch(folder, authority=True)
    assert is_signed_by(at / "tls.pem", fresh)
    assert not is_signed_by(at / "tls.pem", before)
    assert is_trusted(at / "tls.pem", at / "ca.pem"), "by OpenSSL, whichever comes first"
    # Cut short here, it is begun again with the same one.
    assert prepare_authority(folder) == fresh
    finish_authority(folder)
    assert is_trusted(at / "tls.pem", at / "ca.pem")
    assert (at / "ca.pem").read_text() == fresh
    assert list(at.glob("ca.next.*")) == []
    assert (missing(folder), create_keys(folder)) == ((), ())
    prepare(folder)
    switch(folder)
    assert is_signed_by(at / "tls.pem", fresh), "without a next one the present one signs"
    (at / "ca.pem").write_text(before)
    with pytest.raises(CredentialsError, match=r"no certificate of ca\.key"):
        switch(folder)


def is_trusted(certificate: Path, authorities: Path) -> bool:
    """Whether a client of OpenSSL trusts a server with that certificate."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate)
    ours = ssl.create_default_context(cafile=authorities)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(down, up, server_hostname="localhost")
    server = theirs.wrap_bio(up, down, server_side=True)
    for side in (client, server):  # hello, and what it is answered with
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    try:
        client.do_handshake()
    except ssl.SSLCertVerificationError:
        return False
    return True


def is_signed_by(certificate: Path, authority: str) -> bool:
    issuer = x509.load_pem_x509_certificate(authority.encode())
    try:
        x509.load_pem_x509_certificate(certificate.read_bytes()).verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError):  # another key, or another name
        return False
    return True


def folder_of(tmp_path: Path, region: str) -> tuple[Path, MeshFile]:
    """A data folder of one region on a machine of its own."""
    keys = tmp_path / region / "keys" / region
    create_keys(keys)
    data = tmp_path / region / "data"
    data.mkdir()
    return data, prepare_mesh(data, (region,), {region: keys})[0]


def authority_of(mesh: MeshFile, peer: str) -> str:
    """What the one region of a folder trusts of another one, elsewhere."""
    [entry] = mesh.regions.values()
    return (entry.keys / "peers" / peer / "nats" / "ca.pem").read_text(encoding="ascii")


def certificate_of(mesh: MeshFile, region: str) -> Path:
    return mesh.regions[region].keys / "nats" / "tls.pem"


def link_seed(mesh: MeshFile, region: str) -> str:
    return (mesh.regions[region].keys / "nats" / "link.conf").read_text(encoding="ascii")


def test_the_key_of_a_link_stays_until_whoever_is_dialed_elsewhere_knows_the_next(
    tmp_path: Path,
) -> None:
    _, lviv = folder_of(tmp_path, "lviv")
    _, kyiv = folder_of(tmp_path, "kyiv")
    accept(lviv, invite(kyiv, ask(lviv), {"kyiv": "127.0.0.1"}))
    known = kyiv.regions["kyiv"].keys / "peers" / "lviv"
    before, first = link_seed(lviv, "lviv"), publics_of(known, LINK)

    for _ in range(2):  # who is dialed comes with no key, but its certificate has to be trusted
        trusted = authority_of(lviv, "kyiv")
        assert rotate_stopped("kyiv", kyiv).untold == ("lviv",)
        assert is_signed_by(certificate_of(kyiv, "kyiv"), trusted)
    for _ in range(2):  # however often: the next key stays the same
        done = rotate_stopped("lviv", lviv)
        assert done.untold == ("kyiv",)
        assert link_seed(lviv, "lviv") == before
    own = publics_of(lviv.regions["lviv"].keys, LINK)
    assert own[0:1] == first
    assert len(own) == 2
    assert is_signed_by(certificate_of(lviv, "lviv"), authority_of(kyiv, "lviv"))
    # A new ask names both, and both are let in.
    accept(lviv, invite(kyiv, ask(lviv), {"kyiv": "127.0.0.1"}))
    assert publics_of(known, LINK) == own
    for here, name, there in ((kyiv, "kyiv", lviv), (lviv, "lviv", kyiv)):
        mine = (here.regions[name].keys / "nats" / "ca.pem").read_text()
        assert authority_of(there, name) == mine
        assert mine.count("BEGIN CERTIFICATE") == 2
    assert rotate_stopped("kyiv", kyiv, ["lviv"]).untold == ()
    next_one = authority_of(lviv, "kyiv").partition("-----END CERTIFICATE-----\n")[2]
    assert is_signed_by(certificate_of(kyiv, "kyiv"), next_one), "it is trusted there by now"
    assert rotate_stopped("lviv", lviv, ["kyiv"]).untold == ()
    assert link_seed(lviv, "lviv") != before
    assert publics_of(lviv.regions["lviv"].keys, LINK) == own[1:]
    accept(lviv, invite(kyiv, ask(lviv), {"kyiv": "127.0.0.1"}))
    assert publics_of(known, LINK) == own[1:], "the old one is let in no more"
    for here, there, name in ((lviv, kyiv, "kyiv"), (kyiv, lviv, "lviv")):
        assert authority_of(here, name).count("BEGIN CERTIFICATE") == 1
        assert is_signed_by(certificate_of(there, name), authority_of(here, name))


@asynccontextmanager
async def service(entry: RegionEntry, folder: Path, relays: list[Relay]) -> AsyncIterator[Database]:
    """Payments of kyiv as it publishes: its database, its relay, its own key and password."""

    async def broke() -> None:
        for relay in relays:
            relay.close_gate()

    async def came_back() -> None:
        return

    database = Database(
        entry.dsn("payments"),
        outbox.Origin("kyiv", "payments"),
        password_file=passwords.file_of(folder, "payments"),
    )
    await database.open()
    settings = ServiceSettings(
        region="kyiv", nats_url=entry.nats.url, nats_seed_file=seed_file(entry.keys, "payments")
    )
    broker = Broker(settings, "payments", broke, came_back)
    relay = Relay(database, await broker.connect())
    relays.append(relay)
    database.on_commit(relay.wake)
    task = asyncio.create_task(relay.run())
    try:
        yield database
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await broker.stop()
        await database.close()


async def told(database: Database, number: int) -> None:
    async with database.transaction() as tx:
        event = KeyChangedV1(purpose="seal", public="x" * 44, version=number)
        tx.emit(event, version=number)


async def in_world(mesh: Mesh, region: str) -> int:
    entry = mesh.file.regions[region]
    reader = await connect_as(entry.nats.url, seed_file(entry.keys, READER))
    try:
        return (await reader.jetstream().stream_info("WORLD")).state.messages
    finally:
        await reader.close()


def links_at(entry: RegionEntry) -> set[int]:
    """The connections of the links that a region's server has."""
    return {connection_id for _, connection_id in links_of(entry.nats.monitor_port)[1]}


def fails_once(promote: Callable[..., MeshFile]) -> Callable[..., MeshFile]:
    """As if the disk was full the first time: the roles have new passwords that nobody noted."""
    tries = iter([OSError()])

    def first(*given: object) -> MeshFile:
        for error in tries:
            raise error
        return promote(*given)

    return first


async def refused(former: Mapping[str, str]) -> None:
    """Nobody is let in with any of these."""
    for dsn in former.values():
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(dsn)


def is_let_in(port: int, certificate: Path) -> bool:
    """Whether a server goes on with somebody who dials it with a certificate, to the next proof."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        assert plain.recv(65_536).startswith(b"INFO ")
        try:
            with context.wrap_socket(plain) as link:
                link.sendall(b"CONNECT {}\r\n")
                return link.recv(4096).startswith(b"-ERR 'Authorization")
        except OSError:
            return False


async def test_keys_are_replaced_under_load_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    regions = ("kyiv", "lviv")
    async with running_mesh(data, regions, keys_in(tmp_path / "keys"), services=()) as mesh:
        entry = mesh.file.regions["kyiv"]
        stolen = {}
        authority = tmp_path / "stolen" / "lviv"
        shutil.copytree(mesh.file.regions["lviv"].keys / "nats", authority)
        certificate = tmp_path / "stolen" / "tls.pem"
        certificate.write_text(new_certificate(authority, "lviv"))
        leaf_port = entry.nats.leaf_port
        assert await asyncio.to_thread(is_let_in, leaf_port, certificate)
        for user in ("payments", SUPERVISOR):
            stolen[user] = tmp_path / f"{user}.nk"
            stolen[user].write_bytes(seed_file(entry.keys, user).read_bytes())
        links = {name: publics_of(mesh.file.regions[name].keys, LINK) for name in regions}
        stop = asyncio.Event()
        count = 0

        async def load(database: Database) -> None:
            nonlocal count
            while not stop.is_set():
                await told(database, count + 1)
                count += 1
                await asyncio.sleep(0.005)

        former = {each: entry.dsn(each) for each in WITH_DATABASE}
        former["postgres"] = entry.admin_dsn("postgres")
        intruder = await asyncpg.connect(former["payments"])
        async with service(entry, data / "kyiv", []) as database:
            working = asyncio.create_task(load(database))
            standing: set[int] = set()

            def finish_and_note(folder: Path) -> None:
                finish_authority(folder)
                standing.clear()
                standing.update(links_at(entry))

            with monkeypatch.context() as noting:
                noting.setattr(rotation, "finish_authority", finish_and_note)
                for name in regions:  # the one that is dialed, and the one that dials
                    done = await rotate_running(name, mesh.file, data)
                    assert (done.moved > 0, done.untold) == (True, ())
            with monkeypatch.context() as cut_short:
                cut_short.setattr(passwords, "promote", fails_once(passwords.promote))
                await rotate_passwords("kyiv", data, running=True)
            assert standing
            # What was let in before has to come again, with what is accepted now.
            await eventually(lambda: standing.isdisjoint(links_at(entry)), 60)
            stop.set()
            await working
            assert count > 10

            async def sent() -> bool:
                async with database.connection() as conn:
                    return not await conn.fetchval(
                        "SELECT count(*) FROM outbox WHERE status = 'pending'"
                    )

            await eventually(sent, 60)

            async def arrived() -> bool:
                return await in_world(mesh, "lviv") == count

            await eventually(arrived, 60)
        assert not await asyncio.to_thread(is_let_in, leaf_port, certificate)
        own = mesh.file.regions["lviv"].keys / "nats" / "tls.pem"
        assert await asyncio.to_thread(is_let_in, leaf_port, own)
        assert not list(own.parent.glob("ca.next.*"))
        await eventually(intruder.is_closed, 60)
        await refused(former)
        assert passwords.to_come(read_mesh(data).regions["kyiv"]) == {}
        assert linked_peers(mesh.file.regions["lviv"].nats.monitor_port) == {"kyiv"}
        for name in regions:
            assert set(publics_of(mesh.file.regions[name].keys, LINK)).isdisjoint(links[name])
            await eventually(lambda name=name: mesh.regions[name].warden.gate.is_open, 60)
        for seed in stolen.values():
            with pytest.raises(ConnectionError):
                await connect_as(entry.nats.url, seed)
    for region in regions:  # and stopped as well
        rotate_stopped(region, read_mesh(data))
    stopped = read_mesh(data).regions["lviv"]
    await rotate_passwords("lviv", data, running=False)
    async with running_mesh(data, regions, keys_in(tmp_path / "keys"), services=()) as mesh:

        async def linked() -> bool:
            port = mesh.file.regions["lviv"].nats.monitor_port
            return await asyncio.to_thread(linked_peers, port) == {"kyiv"}

        await eventually(linked, 60)
        await refused({each: stopped.dsn(each) for each in WITH_DATABASE})
        assert await in_world(mesh, "lviv") == count
        # Somebody on another machine is dialed, who knows nothing of a next key.
        peer = mesh.file.regions["lviv"].keys / "peers" / "kharkiv"
        create_keys(peer)
        with changing_mesh(data) as file:
            file.elsewhere["kharkiv"] = Elsewhere(address="127.0.0.1:1")
        before = publics_of(mesh.file.regions["lviv"].keys, LINK)
        await eventually(lambda: "kharkiv" in mesh.file.elsewhere, 60)
        done = await rotate_running("lviv", read_mesh(data), data)
        assert (done.moved > 0, done.untold) == (True, ("kharkiv",))
        assert publics_of(mesh.file.regions["lviv"].keys, LINK)[: len(before)] == before
        await eventually(linked, 60)
