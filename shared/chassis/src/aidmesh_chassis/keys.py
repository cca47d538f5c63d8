"""The keys of a service, loaded from a keys folder that is not in the data folder.

Files of a region's keys folder (mode 0600 in a folder of 0700):

    master.key                      32 bytes; wraps the keys of people (held by intake)
    intake.key        .pub          X25519; referrals of other regions are sealed to it
    inventory.key     .pub          Ed25519; signs manifests of shipments
    notification.key  .pub          X25519; contacts are sealed to it
    payments.key      .pub          X25519; payee details are sealed to it
    tokens.key        .pub          Ed25519; signs what staff sign in with (held by the console)

A service asks for the secrets it needs. If one is not there, or protected by a passphrase that
nobody has given yet, the service is locked: it runs and does all that needs no personal data.
Python cannot promise to overwrite memory: `lock` lets go of the keys, and they are gone when
their memory is used again.
"""

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl.pwhash import argon2id

from aidmesh_chassis.crypto import (
    KEY_BYTES,
    DecryptionFailed,
    MasterKey,
    PrivateKey,
    PublicKey,
    SecretKey,
    decrypt,
    encrypt,
)
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.problems import LOCKED, Problem

log = get_logger()

MASTER: Final = "master"
INTAKE: Final = "intake"
INVENTORY: Final = "inventory"
NOTIFICATION: Final = "notification"
PAYMENTS: Final = "payments"
TOKENS: Final = "tokens"
SECRETS: Final = (MASTER, INTAKE, INVENTORY, NOTIFICATION, PAYMENTS, TOKENS)
PUBLICS: Final = (INTAKE, INVENTORY, NOTIFICATION, PAYMENTS, TOKENS)
_SIGNING: Final = (INVENTORY, TOKENS)

PASSPHRASE_CHARS_MIN: Final = 12
_FILE_BYTES_MAX: Final = 1024
_MAGIC: Final = b"aidmesh-key-1\n"
_COST: Final = struct.Struct("!II")
# What a tampered file may make us spend: 1 GiB, 10 passes.
_MEMORY_BYTES_MAX: Final = 1 << 30
_PASSES_MAX: Final = 10


class Locked(Problem):
    """A secret key is not loaded; the answer is 423 and says what to do."""

    def __init__(self, key: str) -> None:
        super().__init__(LOCKED, key=key)


class KeyFileError(Exception):
    """A key file is missing, damaged, or open to others; names the file, never its content."""


class WrongPassphrase(Exception):
    """The passphrase does not open the key file, or none was given for a protected one."""


class KeyRing:
    """The keys that one service needs.

    `secrets` are the names of the secret keys it works with; public keys are read on demand.
    Begins with whatever can be had without a passphrase.
    """

    def __init__(self, folder: Path, secrets: Iterable[str] = ()) -> None:
        self.folder = folder
        self._wanted = tuple(secrets)
        self._secrets: dict[str, bytes] = {}
        self._privates: dict[str, PrivateKey] = {}
        self._publics: dict[str, bytes] = {}
        for name in self._wanted:
            path = self._path(name, "key")
            if path.exists() and not is_protected(path):
                self._secrets[name] = _read_secret(path, None)
        self._tell()

    @property
    def missing(self) -> tuple[str, ...]:
        """The secret keys that are wanted and not loaded; empty when unlocked."""
        return tuple(name for name in self._wanted if name not in self._secrets)

    def lock(self) -> None:
        """Let go of every secret key, until `unlock`."""
        self._secrets.clear()
        self._privates.clear()
        self._tell()

    def unlock(self, passphrase: str | None = None) -> None:
        """Load every wanted secret key, all or none.

        Deriving a key takes about a second and much memory: call it in a thread.

        Raises `WrongPassphrase` or `KeyFileError`; what was loaded before stays.
        """
        found = {name: _read_secret(self._path(name, "key"), passphrase) for name in self._wanted}
        self._secrets.update(found)
        if found:
            log.info("keys.unlocked", keys=sorted(found))

    def master(self) -> MasterKey:
        """The key that wraps people's keys. Raises `Locked`."""
        return MasterKey(self._secret(MASTER))

    def private(self, name: str) -> PrivateKey:
        """The private key that opens what was sealed to `name`. Raises `Locked`."""
        found = self._privates.get(name)
        if found is None:
            found = self._privates[name] = PrivateKey(self._secret(name))
        return found

    def token_signer(self) -> Ed25519PrivateKey:
        """The key that signs tokens. Raises `Locked`."""
        return self.signer(TOKENS)

    def signer(self, name: str) -> Ed25519PrivateKey:
        """The key that signs for `name`. Raises `Locked`."""
        return Ed25519PrivateKey.from_private_bytes(self._secret(name))

    def public(self, name: str) -> PublicKey:
        """The public key of `name`: to seal to it, or to tell others. Raises `KeyFileError`."""
        return PublicKey(self._public(name))

    def token_verifier(self) -> Ed25519PublicKey:
        """The key that tokens are verified with. Raises `KeyFileError`."""
        return Ed25519PublicKey.from_public_bytes(self._public(TOKENS))

    def _tell(self) -> None:
        if self.missing:
            log.warning("keys.locked", keys=sorted(self.missing))

    def _secret(self, name: str) -> bytes:
        try:
            return self._secrets[name]
        except KeyError:
            raise Locked(name) from None

    def _public(self, name: str) -> bytes:
        if name not in self._publics:
            path = self._path(name, "pub")
            raw = _read(path)
            if len(raw) != KEY_BYTES:
                raise KeyFileError(f"{path.name} is not a public key of {KEY_BYTES} bytes.")
            self._publics[name] = raw
        return self._publics[name]

    def _path(self, name: str, ending: str) -> Path:
        if name not in SECRETS:
            raise ValueError(f"There is no key called {name}.")
        return self.folder / f"{name}.{ending}"


def create_region_keys(folder: Path) -> tuple[Path, ...]:
    """Write what is missing of a region's keys; returns the files written.

    Nothing is ever overwritten: a lost key is lost data. Secret keys are readable by the owner
    only. Raises `KeyFileError` if a public key has lost its secret one.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    written: list[Path] = []
    for name in SECRETS:
        secret, public = folder / f"{name}.key", folder / f"{name}.pub"
        if not secret.exists():
            if name in PUBLICS and public.exists():
                raise KeyFileError(f"{public.name} is there but {secret.name} is not.")
            _write_new(secret, SecretKey.random().reveal())
            written.append(secret)
        if name in PUBLICS and not public.exists():
            raw = _read_secret(secret, None)
            _write_new(public, _public_of(name, raw))
            written.append(public)
    return tuple(written)


def protect(
    path: Path,
    passphrase: str,
    *,
    passes: int = argon2id.OPSLIMIT_MODERATE,
    memory_bytes: int = argon2id.MEMLIMIT_MODERATE,
) -> None:
    """Encrypt a key file in place under a passphrase (Argon2id, RFC 9106).

    Raises ValueError for a passphrase of fewer than 12 characters, `KeyFileError` if the file is
    no plain key.
    """
    if len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise ValueError(f"A passphrase has at least {PASSPHRASE_CHARS_MIN} characters.")
    raw = _read(path)
    if len(raw) != KEY_BYTES:
        raise KeyFileError(f"{path.name} is not a plain key.")
    salt = os.urandom(argon2id.SALTBYTES)
    key = _derived(passphrase, salt, passes, memory_bytes)
    head = _MAGIC + salt + _COST.pack(passes, memory_bytes)
    _replace(path, head + encrypt(key, raw, head))


def open_to_others(folder: Path) -> tuple[str, ...]:
    """The secret files in a keys folder that other accounts can read: something to warn of.

    No error, because orchestrators mount secrets so, inside containers with one account.
    """
    paths = (folder / f"{name}.key" for name in SECRETS)
    return tuple(each.name for each in paths if each.exists() and each.stat().st_mode & 0o077)


def is_protected(path: Path) -> bool:
    """Whether a key file needs a passphrase. Raises `KeyFileError` if it cannot be read."""
    return _read(path).startswith(_MAGIC)


def opens(path: Path, passphrase: str) -> bool:
    """Whether a passphrase opens a protected key file; takes about a second and much memory.

    Raises `KeyFileError` if the file cannot be read or is damaged.
    """
    try:
        _read_secret(path, passphrase)
    except WrongPassphrase:
        return False
    return True


def _derived(passphrase: str, salt: bytes, passes: int, memory_bytes: int) -> SecretKey:
    return SecretKey(
        argon2id.kdf(KEY_BYTES, passphrase.encode(), salt, opslimit=passes, memlimit=memory_bytes)
    )


def _read_secret(path: Path, passphrase: str | None) -> bytes:
    data = _read(path)
    if not data.startswith(_MAGIC):
        if len(data) != KEY_BYTES:
            raise KeyFileError(f"{path.name} is not a key of {KEY_BYTES} bytes.")
        return data
    salt_ends = len(_MAGIC) + argon2id.SALTBYTES
    head_ends = salt_ends + _COST.size
    if len(data) <= head_ends:
        raise KeyFileError(f"{path.name} is damaged.")
    passes, memory_bytes = _COST.unpack(data[salt_ends:head_ends])
    if not (
        argon2id.OPSLIMIT_MIN <= passes <= _PASSES_MAX
        and argon2id.MEMLIMIT_MIN <= memory_bytes <= _MEMORY_BYTES_MAX
    ):
        raise KeyFileError(f"{path.name} is damaged.")
    if passphrase is None:
        raise WrongPassphrase(f"{path.name} needs its passphrase.")
    key = _derived(passphrase, data[len(_MAGIC) : salt_ends], passes, memory_bytes)
    try:
        return decrypt(key, data[head_ends:], data[:head_ends])
    except DecryptionFailed:
        raise WrongPassphrase(f"The passphrase does not open {path.name}.") from None


def _public_of(name: str, raw: bytes) -> bytes:
    if name in _SIGNING:
        return Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    return PrivateKey(raw).public.raw


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES_MAX)
    except OSError as error:
        raise KeyFileError(f"{path.name} cannot be read: {error.strerror}.") from None


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    _write_new(part, data)
    part.replace(path)
