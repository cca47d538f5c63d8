"""How a passphrase comes to a service that runs: nobody on the way can read it.

A service makes a pair of keys in memory and says what to seal to, signed with its nkey: only it
and whoever has the region's folder of keys can. Whoever is asked for the passphrase has that
folder, looks whose the signature is, and seals the passphrase (the sealed box of `crypto`).

A pair opens one passphrase, and none once the keys were locked or the process has ended: what was
recorded on the line is worth nothing afterwards, also to a thief of the nkey.
"""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

from nacl.bindings import sodium_pad, sodium_unpad
from nacl.exceptions import CryptoError
from pydantic import BaseModel, StringConstraints

from aidmesh_chassis.crypto import DecryptionFailed, PrivateKey, PublicKey, seal, unseal
from aidmesh_chassis.nkey import is_signed, read_nkey
from aidmesh_chassis.privacy import Hidden

_CONTEXT: Final = b"\xffaidmesh: seal the passphrase to"
"""Begins what is signed, with a byte that no text does: a server of NATS has the same key sign
texts of its choice, and one that is an impostor could else have it sign this."""
_PADDED_BYTES: Final = 1024
"""All passphrases that people type are of one length on the line."""


class Passphrase(Hidden[str]):
    """A passphrase, kept to the letter."""

    __slots__ = ()


class Sealed(Hidden[str]):
    """A passphrase that is sealed to a service, in base64."""

    __slots__ = ()
    inner = Annotated[str, StringConstraints(min_length=1, max_length=8192)]


class SealTo(BaseModel):
    """An X25519 key, and the signature of the service's nkey for it; both in base64."""

    public: str
    signature: str


class NotGenuine(Exception):
    """What a service says to seal to is not signed by that service of that region."""


class Receiver:
    """The side of the service: tells what to seal to, and opens it.

    Args:
        region: whose service it is.
        service: its name.
        seed_file: of its nkey; without one nothing can be sealed to it.
    """

    def __init__(self, region: str, service: str, seed_file: Path | None) -> None:
        self._region = region
        self._service = service
        self._seed_file = seed_file
        self._key = PrivateKey.random()

    def seal_to(self) -> SealTo | None:
        """What a passphrase is to be sealed to now. Raises `SeedError`."""
        if self._seed_file is None:
            return None
        public = self._key.public
        nkey = read_nkey(self._seed_file)
        signature = nkey.sign(_statement(self._region, self._service, public))
        return SealTo(public=_encoded(public.raw), signature=_encoded(signature))

    def open(self, sealed: Sealed) -> Passphrase:
        """The passphrase; the next one has to be sealed anew.

        Raises `DecryptionFailed` unless it was sealed to what `seal_to` says now.
        """
        try:
            padded = unseal(self._key, base64.b64decode(sealed.reveal(), validate=True))
            passphrase = sodium_unpad(padded, _PADDED_BYTES).decode()
        except (ValueError, CryptoError):  # no base64, not padded, or no text
            raise DecryptionFailed from None
        self.renew()
        return Passphrase(passphrase)

    def renew(self) -> None:
        """Open nothing that was sealed until now."""
        self._key = PrivateKey.random()


def seal_passphrase(
    passphrase: Passphrase,
    to: SealTo,
    region: str,
    service: str,
    nkeys: Iterable[str],
) -> Sealed:
    """Seal it to a service that runs.

    Args:
        passphrase: which nobody else is to know.
        to: what the service says.
        region: the region meant.
        service: the service meant.
        nkeys: the public ones that are accepted of this service.

    Raises `NotGenuine`.
    """
    try:
        public = PublicKey(base64.b64decode(to.public, validate=True))
        signature = base64.b64decode(to.signature, validate=True)
    except ValueError:
        raise NotGenuine from None
    statement = _statement(region, service, public)
    if not any(is_signed(statement, signature, nkey) for nkey in nkeys):
        raise NotGenuine
    padded = sodium_pad(passphrase.reveal().encode(), _PADDED_BYTES)
    return Sealed(_encoded(seal(public, padded)))


def _statement(region: str, service: str, public: PublicKey) -> bytes:
    return b"\0".join((_CONTEXT, region.encode(), service.encode(), public.raw))


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
