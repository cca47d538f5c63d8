"""Who a process is to its region's NATS server: an nkey, whose seed lies in a file.

The server knows the public key only and has a nonce signed, so the seed never crosses a wire. The
file is read at every connection: a key that was replaced by `aidmesh keys rotate` is used from the
next one on.
"""

import base64
import ssl
from dataclasses import dataclass
from pathlib import Path

import nkeys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nats.aio.client import Client


class SeedError(ConnectionError):
    """A seed file is missing or damaged; names the file, never its content."""


@dataclass(frozen=True, slots=True)
class Nkey:
    """A user's key pair, in the form NATS knows."""

    pair: nkeys.KeyPair

    @property
    def public(self) -> str:
        """What the server knows it by."""
        return str(self.pair.public_key.decode())

    def signature(self, nonce: str) -> bytes:
        """The signature that the server asks for, in base64."""
        return base64.b64encode(self.sign(nonce.encode()))

    def sign(self, message: bytes) -> bytes:
        """The signature of what is no nonce; it has to begin as no text does, to be told apart."""
        return bytes(self.pair.sign(message))


def nkey_of(seed: str) -> Nkey:
    """The key pair of a seed. Raises ValueError if it is none."""
    try:
        return Nkey(nkeys.from_seed(bytearray(seed.strip().encode())))
    except (nkeys.NkeysError, ValueError):
        raise ValueError("this is no seed of an nkey") from None


def read_nkey(seed_file: Path) -> Nkey:
    """The key pair that a file holds now. Raises `SeedError`."""
    try:
        return nkey_of(seed_file.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise SeedError(f"{seed_file} holds no usable key: {type(error).__name__}") from None


def is_signed(message: bytes, signature: bytes, public: str) -> bool:
    """Whether a message was signed with the nkey of which this is the public one."""
    try:
        raw = base64.b32decode(public)[1:-2]  # between what kind it is and a checksum
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except (ValueError, InvalidSignature):
        return False
    return True


def tls_of(ca_file: Path | None) -> ssl.SSLContext | None:
    """How connections are encrypted where servers are on other machines; None where they are not.

    Args:
        ca_file: what vouches for the servers' certificates, and nothing else does.
    """
    return None if ca_file is None else ssl.create_default_context(cafile=ca_file)


def follow(client: Client, seed_file: Path | None) -> None:
    """Have a connected client sign with whatever key the file holds at its next connection.

    The client library reads the file anew, but keeps the public key of the first time; a server
    that gets the signature of one key for another refuses, and the library then gives up for good.

    Args:
        client: connected by `connect(nkeys_seed=seed_file)`.
        seed_file: the same file; None for a server without accounts.
    """
    if seed_file is None:
        return

    def sign(nonce: str) -> bytes:
        nkey = read_nkey(seed_file)
        client._public_nkey = nkey.public  # noqa: SLF001  # it has no option for this
        return nkey.signature(nonce)

    client._signature_cb = sign  # noqa: SLF001
