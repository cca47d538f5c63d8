"""How regions come to know each other: on one machine by `mesh.json`, else by two files.

What a region proves itself with on links is public in one half, so only that half travels: the
newcomer's operator asks with a file that names its nkey and its authority, and is answered with one
that names those of every region that lets it in, and where it dials them. Nothing in either is
secret, but both have to come from whom they seem to: who could put his own key into one would be
let in. The newcomer dials, so it needs no address of its own.
"""

from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from pydantic import BaseModel, ConfigDict, ValidationError

from aidmesh.credentials import (
    FOLDER,
    LINK,
    CredentialsError,
    create_keys,
    hosts_of,
    is_public,
    new_certificate,
    publics_of,
    write_file,
)
from aidmesh.embedded.ports import free_ports
from aidmesh.meshfile import (
    Elsewhere,
    MeshError,
    MeshFile,
    check_name,
    check_not_retired,
    check_ours,
)
from aidmesh.preparing import PORTS, add_region

ANY_HOST = "0.0.0.0"  # noqa: S104 - other machines dial it; nkey and certificate let them in


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Proof(_Part):
    """What others need of a region's keys to know it on a link.

    Attributes:
        publics: the nkeys that it comes with.
        authority: the certificate, as PEM, that vouches for its own; two while one replaces the
            other.
    """

    publics: tuple[str, ...]
    authority: str


class Ask(_Part):
    """A region that wants to be let in."""

    newcomer: str
    proof: Proof


class Host(_Part):
    """A region that lets the newcomer in, and `host:port` to dial."""

    address: str
    proof: Proof


class Invitation(_Part):
    """The answer to an ask: who lets the newcomer in."""

    newcomer: str
    hosts: dict[str, Host]


def add_here(mesh: MeshFile, region: str, keys: Path | None) -> None:
    """Have a further region in this data folder, linked with all others, and make its keys.

    Args:
        mesh: is changed.
        keys: folder of all regions' keys; that of the regions that are there if None.

    Raises:
        MeshError: the name is taken or is none, or others elsewhere know only the regions here.
        KeyFileError, OSError: its keys can't be made.
    """
    if keys is None:
        if not mesh.regions:
            raise MeshError("name the folder of keys with --keys")
        keys = next(iter(mesh.regions.values())).keys.parent
    if mesh.elsewhere:
        raise MeshError(
            f"{', '.join(sorted(mesh.elsewhere))}, on another machine, would not know {region}; "
            "have it in a folder of its own and let it ask"
        )
    taken = {port for entry in mesh.regions.values() for port in entry.ports}
    found = free_ports(PORTS + len(taken))  # those of regions that do not run now are free, too
    add_region(mesh, region, keys / region, iter([port for port in found if port not in taken]))
    create_keys(keys / region)


def ask(mesh: MeshFile) -> Ask:
    """Ask to be let in, for the one region of a folder.

    Raises:
        MeshError: there are several, or its keys can't be read.
        OSError: its keys can't be read.
    """
    check_ours(mesh)
    if len(mesh.regions) != 1:
        raise MeshError("a folder with several regions can let others in, but not ask")
    [(region, entry)] = mesh.regions.items()
    return Ask(newcomer=region, proof=_proof_of(entry.keys))


def invite(mesh: MeshFile, asked: Ask, addresses: Mapping[str, str]) -> Invitation:
    """Let a region on another machine dial every region of this one.

    Certificates are made anew where they do not name the host that it dials.

    Args:
        mesh: is changed.
        asked: by the newcomer.
        addresses: by region, `host` or `host:port` where the newcomer can dial it; a port where
            something in between forwards another one.

    Raises:
        MeshError: it is a region that is here, or dialed from here, or an address is missing.
        OSError: a key can't be read or written.
    """
    newcomer = asked.newcomer
    check_name(newcomer)
    check_not_retired(mesh, newcomer)
    if newcomer in mesh.regions:
        raise MeshError(f"{newcomer} is a region of this data folder")
    if mesh.elsewhere.get(newcomer, Elsewhere()).address is not None:
        raise MeshError(f"{newcomer} has let these regions in itself")
    if missing := sorted(set(mesh.regions) - set(addresses)):
        raise MeshError(f"say where {', '.join(missing)} can be dialed: --at REGION=HOST")
    if unknown := sorted(set(addresses) - set(mesh.regions)):
        raise MeshError(f"{', '.join(unknown)} is no region of this data folder")
    hosts = {}
    for region, entry in mesh.regions.items():
        host, _, port = addresses[region].partition(":")
        folder = entry.keys / FOLDER
        known = hosts_of(folder)
        if host not in known:
            write_file(folder / "tls.pem", new_certificate(folder, region, {*known, host}))
        entry.nats.leaf_host = ANY_HOST
        _keep(entry.keys, newcomer, asked.proof)
        hosts[region] = Host(
            address=f"{host}:{port or entry.nats.leaf_port}", proof=_proof_of(entry.keys)
        )
    mesh.elsewhere[newcomer] = Elsewhere()
    return Invitation(newcomer=newcomer, hosts=hosts)


def accept(mesh: MeshFile, invitation: Invitation) -> None:
    """Dial the regions that let this one in.

    Raises:
        MeshError: it is for another region, or from one that is here or dials this one.
        OSError: what proves them can't be kept.
    """
    if list(mesh.regions) != [invitation.newcomer]:
        raise MeshError(f"it is for {invitation.newcomer}, not for the region of this data folder")
    for name, host in invitation.hosts.items():
        check_name(name)
        check_not_retired(mesh, name)
        if name in mesh.regions:
            raise MeshError(f"{name} is a region of this data folder")
        if name in mesh.elsewhere and mesh.elsewhere[name].address is None:
            raise MeshError(f"{name} was let in here; one of two dials, not both")
        _keep(mesh.regions[invitation.newcomer].keys, name, host.proof)
        mesh.elsewhere[name] = Elsewhere(address=host.address)


def write_ask(path: Path, asked: Ask) -> None:
    """Write what a newcomer asks with. Raises OSError, also if it is there."""
    _write(path, asked)


def write_invitation(path: Path, invitation: Invitation) -> None:
    """Write the answer. Raises OSError, also if it is there."""
    _write(path, invitation)


def read_ask(path: Path) -> Ask:
    """Read what a newcomer asks with. Raises MeshError when it is none, OSError when not there."""
    try:
        return Ask.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise MeshError(f"{path} is no ask of this version of aidmesh") from error


def read_invitation(path: Path) -> Invitation:
    """Read the answer. Raises MeshError when it is none, OSError when it is not there."""
    try:
        return Invitation.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise MeshError(f"{path} is no join file of this version of aidmesh") from error


def _proof_of(keys: Path) -> Proof:
    authority = (keys / FOLDER / "ca.pem").read_text(encoding="ascii")
    return Proof(publics=publics_of(keys, LINK), authority=authority)


def know(keys: Path, peer: str) -> None:
    """Have what proves a peer where the server of a region is given it from.

    Of one that ran in the same folder as the region it lies beside the region's own keys.

    Args:
        keys: the region's folder of keys.
        peer: that it is linked with, in no folder of this machine.

    Raises:
        MeshError: it is nowhere.
        OSError: it can't be kept.
    """
    folder = keys / "peers" / peer / FOLDER
    if (folder / "ca.pem").exists() and (folder / f"{LINK}.pub").exists():
        return
    beside = keys.parent / peer
    try:
        proof = _proof_of(beside)
    except (CredentialsError, OSError):
        raise MeshError(
            f"what proves {peer} on a link is missing: bring ca.pem and {LINK}.pub of its keys "
            f"to {beside / FOLDER}, or to {folder}"
        ) from None
    _keep(keys, peer, proof)


def _keep(keys: Path, peer: str, proof: Proof) -> None:
    """Write what proves a peer where a region's server is given it from."""
    try:
        x509.load_pem_x509_certificates(proof.authority.encode())
    except ValueError:
        raise MeshError(f"what is to vouch for {peer} is no certificate") from None
    if not proof.publics or not all(is_public(public) for public in proof.publics):
        raise MeshError(f"what {peer} is to come with is no nkey")
    folder = keys / "peers" / peer / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(folder / "ca.pem", proof.authority)
    write_file(folder / f"{LINK}.pub", "".join(f"{public}\n" for public in proof.publics))


def _write(path: Path, part: _Part) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(part.model_dump_json(indent=2))
