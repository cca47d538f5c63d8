"""What a region's NATS server and its users prove themselves with.

Files of `<keys>/<region>/nats`, secret ones readable by their owner only:

    <user>.nk   <user>.pub   an nkey of each service, the supervisor, the reader and the system
    link.conf   link.pub     the nkey that the region comes with when it dials a peer
    tls.pem                  the certificate of its end of links, with the key of it
    ca.key      ca.pem       what signs that certificate; peers need `ca.pem` and `link.pub` only
    store.conf               the key of a JetStream store that is encrypted

A `.pub` has one key a line, all of which are accepted, `ca.pem` certificates that are all trusted:
two while one replaces the other. A `<user>.next.nk`, a `ca.next.key` and its `ca.next.pem` are
there only while that is done.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aidmesh.meshfile import WITH_DATABASE, MeshError
from aidmesh.topology.config import LINK_SEED, STORE_KEY
from aidmesh.topology.rights import READER, SUPERVISOR, SYSTEM
from aidmesh_chassis.keys import create_region_keys
from aidmesh_chassis.nkey import nkey_of

FOLDER: Final = "nats"
LINK: Final = "link"
STORE: Final = "store.conf"
USERS: Final = (*WITH_DATABASE, SUPERVISOR, READER, SYSTEM)
PUBLIC_BYTES: Final = 1 + 32 + 2
CA_DAYS: Final = 20 * 365
CERTIFICATE_DAYS: Final = 10 * 365
"""A certificate that ends cuts a link, at an hour when perhaps nobody can mend it. What takes a
stolen one its use is that its nkey is no longer accepted."""
CLOCK_SKEW: Final = timedelta(days=1)


class CredentialsError(MeshError):
    """A region's folder of keys lacks what its server needs; the message says what to do."""


def create_keys(folder: Path) -> tuple[Path, ...]:
    """Write whatever is missing of a region's keys, those of its server too; returns what.

    Nothing is ever overwritten. Raises KeyFileError or OSError.

    Args:
        folder: of the region, whose name it has.
    """
    return (*create_region_keys(folder), *create_credentials(folder))


def create_credentials(folder: Path) -> tuple[Path, ...]:
    """As `create_keys`, for the region's server alone."""
    at = folder / FOLDER
    at.mkdir(mode=0o700, parents=True, exist_ok=True)
    written: list[Path] = []

    def write(name: str, text: str) -> None:
        write_file(at / name, text)
        written.append(at / name)

    for user in USERS:
        if not (at / f"{user}.nk").exists():
            seed = new_seed()
            write(f"{user}.pub", nkey_of(seed).public + "\n")
            write(f"{user}.nk", seed + "\n")
        elif not (at / f"{user}.pub").exists():
            write(f"{user}.pub", nkey_of((at / f"{user}.nk").read_text()).public + "\n")
    if not (at / f"{LINK}.conf").exists():
        seed = new_seed()
        write(f"{LINK}.pub", nkey_of(seed).public + "\n")
        write(f"{LINK}.conf", setting(LINK_SEED, seed))
    if not (at / STORE).exists():
        write(STORE, setting(STORE_KEY, os.urandom(32).hex()))
    if not (at / "ca.key").exists():
        key, certificate = new_authority(folder.name)
        write("ca.pem", certificate)
        write("ca.key", key)
    if not (at / "tls.pem").exists():
        write("tls.pem", new_certificate(at, folder.name))
    return tuple(written)


def missing(folder: Path) -> tuple[str, ...]:
    """The files that a region's server needs and does not find; empty when all are there."""
    names = [f"{user}.{ending}" for user in USERS for ending in ("nk", "pub")]
    names += [f"{LINK}.conf", f"{LINK}.pub", STORE, "ca.pem", "tls.pem"]
    return tuple(name for name in names if not (folder / FOLDER / name).is_file())


def seed_file(folder: Path, user: str) -> Path:
    """Where the seed of a user's nkey lies, in a region's folder of keys."""
    return folder / FOLDER / f"{user}.nk"


def publics_of(folder: Path, user: str) -> tuple[str, ...]:
    """The nkeys that are accepted of a user (or of the region as a link's).

    Raises CredentialsError when there is none.
    """
    path = folder / FOLDER / f"{user}.pub"
    try:
        publics = tuple(path.read_text(encoding="ascii").split())
    except OSError as error:
        raise CredentialsError(f"{path} cannot be read: {error.strerror}") from None
    if not publics:
        raise CredentialsError(f"{path} is empty")
    return publics


def store_key_id(folder: Path) -> str:
    """Tells one key of a store from another, and nothing about it. Raises CredentialsError."""
    path = folder / FOLDER / STORE
    try:
        return hashlib.sha256(b"aidmesh store key" + path.read_bytes()).hexdigest()[:32]
    except OSError as error:
        raise CredentialsError(f"{path} cannot be read: {error.strerror}") from None


def is_encrypted(region: str, folder: Path, known: str | None) -> bool:
    """Whether a region's store is encrypted. Raises CredentialsError when with another key.

    nats-server would only warn, and begin with an empty store.

    Args:
        region: its name.
        folder: of its keys.
        known: the id of the key that it is encrypted with, None if it is not.
    """
    if known is not None and known != store_key_id(folder):
        raise CredentialsError(
            f"{region}: the messages are encrypted with another key than the one in "
            f"{folder / FOLDER / STORE}; put the right one back, nothing was changed"
        )
    return known is not None


def generation_of(paths: Iterable[Path]) -> str:
    """A text that is another one when what any of these files holds is."""
    found = hashlib.sha256()
    for path in paths:
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def new_seed() -> str:
    """The seed of a new nkey."""
    return str(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode())


def is_public(text: str) -> bool:
    """Whether it is the public nkey of a user: a server does not start with anything else."""
    try:
        raw = base64.b32decode(text, casefold=False)
    except ValueError:
        return False
    return (
        len(raw) == PUBLIC_BYTES
        and raw[0] == nkeys.PREFIX_BYTE_USER
        and nkeys.crc16(bytearray(raw[:-2])) == int.from_bytes(raw[-2:], "little")
    )


def setting(name: str, value: str) -> str:
    """A file that nats-server includes."""
    return f'{name}: "{value}"\n'


def new_authority(region: str) -> tuple[str, str]:
    """A key that signs a region's certificates, and its own certificate, as PEM.

    No two have one name: of those that are trusted, OpenSSL takes the first that has the issuer's.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{region} authority {os.urandom(4).hex()}")
    built = (
        _certificate(name, name, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pem(key), built.public_bytes(serialization.Encoding.PEM).decode()


def new_certificate(folder: Path, region: str, hosts: Iterable[str] = ()) -> str:
    """A certificate of a region's end of links and its key, as one PEM.

    Args:
        folder: with `ca.key` and `ca.pem`.
        region: its name.
        hosts: names or addresses under which other machines dial it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    authorities = x509.load_pem_x509_certificates((folder / "ca.pem").read_bytes())
    signer = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise CredentialsError(f"{folder / 'ca.key'} is no key of an authority")
    public = signer.public_key()
    authority = next((each for each in authorities if each.public_key() == public), None)
    if authority is None:
        raise CredentialsError(f"{folder / 'ca.pem'} has no certificate of ca.key")
    names = [
        x509.DNSName(region),
        x509.DNSName("localhost"),
        x509.IPAddress(ip_address("127.0.0.1")),
        *map(_general_name, sorted(set(hosts) - {region, "localhost", "127.0.0.1"})),
    ]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    built = (
        _certificate(_name(region), authority.subject, key.public_key(), CERTIFICATE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode() + _pem(key)


def write_file(path: Path, text: str) -> None:
    """Write a file at once and whole, readable by its owner only, replacing what is there."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    part.replace(path)


def check_folders(folders: Mapping[str, Path]) -> None:
    """Raise CredentialsError naming the regions whose folders lack what their servers need."""
    lacking = {region: missing(folder) for region, folder in folders.items()}
    short = {region: names for region, names in lacking.items() if names}
    if not short:
        return
    region, names = next(iter(short.items()))
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    raise CredentialsError(
        f"the keys of {', '.join(short)} lack what NATS servers and services prove themselves "
        f"with ({folders[region] / FOLDER}: {shown}); aidmesh keys init --keys "
        f"{folders[region].parent} --regions {','.join(short)} adds it and changes nothing else"
    )


def hosts_of(folder: Path) -> set[str]:
    """Under which names and addresses a region's certificate lets itself be dialed."""
    found = x509.load_pem_x509_certificate((folder / "tls.pem").read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    }


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    begins = datetime.now(UTC) - CLOCK_SKEW
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
