"""The files of a region's keys folder, which is not in the data folder.

Mode 0600 in a folder of 0700:

    master.key                      32 bytes; wraps the keys of people (held by intake)
    intake.key        .pub          X25519; referrals of other regions are sealed to it
    inventory.key     .pub          Ed25519; signs manifests of shipments
    notification.key  .pub          X25519; contacts are sealed to it
    payments.key      .pub          X25519; payee details are sealed to it
    tokens.key        .pub          Ed25519; signs what staff sign in with (held by the console)
    <name>.<id>.key   .pub          former ones: they open what was sealed before
    <name>.next.key   .pub          there only while one is replaced (see key_rotation)
"""

import hashlib
import os
import struct
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.pwhash import argon2id

from aidmesh_chassis.crypto import (
    KEY_BYTES,
    DecryptionFailed,
    PrivateKey,
    SecretKey,
    decrypt,
    encrypt,
)

MASTER: Final = "master"
INTAKE: Final = "intake"
INVENTORY: Final = "inventory"
NOTIFICATION: Final = "notification"
PAYMENTS: Final = "payments"
TOKENS: Final = "tokens"
SECRETS: Final = (MASTER, INTAKE, INVENTORY, NOTIFICATION, PAYMENTS, TOKENS)
PUBLICS: Final = (INTAKE, INVENTORY, NOTIFICATION, PAYMENTS, TOKENS)
SIGNING: Final = (INVENTORY, TOKENS)
NEXT: Final = "next"

PASSPHRASE_CHARS_MIN: Final = 12
_FILE_BYTES_MAX: Final = 1024
_MAGIC: Final = b"aidmesh-key-1\n"
_COST: Final = struct.Struct("!II")
# What a tampered file may make us spend: 1 GiB, 10 passes.
_MEMORY_BYTES_MAX: Final = 1 << 30
_PASSES_MAX: Final = 10


class KeyFileError(Exception):
    """A key file is missing, damaged, or open to others; names the file, never its content."""


class WrongPassphrase(Exception):
    """The passphrase does not open the key file, or none was given for a protected one."""


def key_id(public: bytes) -> str:
    """What a key is called in names of files, from its public half."""
    return hashlib.sha256(b"aidmesh key" + public).hexdigest()[:12]


def secret_files(folder: Path, name: str) -> tuple[Path, ...]:
    """The files of a secret key: the one in use, the next one and the former ones."""
    return (folder / f"{name}.key", *sorted(folder.glob(f"{name}.*.key")))


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
            write_new(secret, SecretKey.random().reveal())
            written.append(secret)
        if name in PUBLICS and not public.exists():
            raw = read_secret(secret, None)
            write_new(public, public_of(name, raw))
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
    _check_length(passphrase)
    raw = read_raw(path)
    if len(raw) != KEY_BYTES:
        raise KeyFileError(f"{path.name} is not a plain key.")
    replace_file(path, under_passphrase(raw, passphrase, passes=passes, memory_bytes=memory_bytes))


def change_passphrase(path: Path, current: str, new: str | None) -> None:
    """Put another passphrase on a protected key file in place, or take it off.

    Args:
        path: of the key.
        current: opens it.
        new: None to take it off.

    Raises:
        ValueError: the new one has fewer than 12 characters.
        WrongPassphrase: the current one does not open the file.
        KeyFileError: it is damaged, or cannot be read.
    """
    _check_length(new)
    raw = read_secret(path, current)
    replace_file(path, raw if new is None else under_passphrase(raw, new))


def under_passphrase(
    raw: bytes,
    passphrase: str,
    *,
    passes: int = argon2id.OPSLIMIT_MODERATE,
    memory_bytes: int = argon2id.MEMLIMIT_MODERATE,
) -> bytes:
    """What the file of a key under a passphrase holds."""
    salt = os.urandom(argon2id.SALTBYTES)
    key = _derived(passphrase, salt, passes, memory_bytes)
    head = _MAGIC + salt + _COST.pack(passes, memory_bytes)
    return head + encrypt(key, raw, head)


def _check_length(passphrase: str | None) -> None:
    if passphrase is not None and len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise ValueError(f"A passphrase has at least {PASSPHRASE_CHARS_MIN} characters.")


def open_to_others(folder: Path) -> tuple[str, ...]:
    """The secret files in a keys folder that other accounts can read: something to warn of.

    No error, because orchestrators mount secrets so, inside containers with one account.
    """
    paths = (path for name in SECRETS for path in secret_files(folder, name))
    return tuple(each.name for each in paths if each.exists() and each.stat().st_mode & 0o077)


def is_protected(path: Path) -> bool:
    """Whether a key file needs a passphrase. Raises `KeyFileError` if it cannot be read."""
    return read_raw(path).startswith(_MAGIC)


def opens(path: Path, passphrase: str) -> bool:
    """Whether a passphrase opens a protected key file; takes about a second and much memory.

    Raises `KeyFileError` if the file cannot be read or is damaged.
    """
    try:
        read_secret(path, passphrase)
    except WrongPassphrase:
        return False
    return True


def _derived(passphrase: str, salt: bytes, passes: int, memory_bytes: int) -> SecretKey:
    return SecretKey(
        argon2id.kdf(KEY_BYTES, passphrase.encode(), salt, opslimit=passes, memlimit=memory_bytes)
    )


def read_secret(path: Path, passphrase: str | None) -> bytes:
    """A secret key. Raises `KeyFileError` or `WrongPassphrase`."""
    data = read_raw(path)
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


def public_of(name: str, raw: bytes) -> bytes:
    """The public half of a secret key."""
    if name in SIGNING:
        return Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    return PrivateKey(raw).public.raw


def read_public(path: Path) -> bytes:
    """A public key. Raises `KeyFileError`."""
    raw = read_raw(path)
    if len(raw) != KEY_BYTES:
        raise KeyFileError(f"{path.name} is not a public key of {KEY_BYTES} bytes.")
    return raw


def read_raw(path: Path) -> bytes:
    """What a key file holds, as it is. Raises `KeyFileError`."""
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES_MAX)
    except OSError as error:
        raise KeyFileError(f"{path.name} cannot be read: {error.strerror}.") from None


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there, readable by its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file at once and whole, readable by its owner only, over what is there."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    write_new(part, data)
    part.replace(path)
