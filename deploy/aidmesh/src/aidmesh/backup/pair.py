"""The two files of the key pair that backups are sealed to and opened with.

Each says which half it is: a backup that is sealed to the bytes of a secret key can be opened by
nobody. Files of before hold nothing but the 32 bytes of their key, and are still read.
"""

from pathlib import Path
from typing import Final

from nacl.bindings import crypto_core_ed25519_is_valid_point

from aidmesh_chassis.crypto import KEY_BYTES, PrivateKey, PublicKey

PUBLIC: Final = "backup.pub"
SECRET: Final = "backup.key"  # noqa: S105 - the name of a file
_PUBLIC_MARK: Final = b"aidmesh-backup-public-1\n"
_SECRET_MARK: Final = b"aidmesh-backup-secret-1\n"
_FIELD: Final = 2**255 - 19


class PairError(ValueError):
    """A file is not the half that is wanted; the message goes on from the file's name."""


def public_file(key: PublicKey) -> bytes:
    """What the file of the half that seals holds."""
    return _PUBLIC_MARK + key.raw


def secret_file(key: PrivateKey) -> bytes:
    """What the file of the half that opens holds."""
    return _SECRET_MARK + key.reveal()


def public_of(path: Path, content: bytes) -> PublicKey:
    """The key that a file seals with. Raises PairError.

    Args:
        path: of the file: of an older one its name tells which half it is, as far as that goes.
        content: of the file.
    """
    if content.startswith(_SECRET_MARK) or _is_older_secret(path, content):
        raise PairError(f"is the secret half, and nobody could open the backup; name {PUBLIC}")
    raw = content.removeprefix(_PUBLIC_MARK)
    if len(raw) != KEY_BYTES:
        raise PairError("is no public key; aidmesh keys backup makes a pair of keys")
    return PublicKey(raw)


def secret_of(content: bytes) -> PrivateKey:
    """The key that opens backups. Raises PairError."""
    if content.startswith(_PUBLIC_MARK):
        raise PairError(f"is the public half, which opens nothing; name {SECRET}")
    raw = content.removeprefix(_SECRET_MARK)
    if len(raw) != KEY_BYTES:
        raise PairError("is no secret key of backups")
    return PrivateKey(raw)


def _is_older_secret(path: Path, content: bytes) -> bool:
    return len(content) == KEY_BYTES and (path.suffix == ".key" or not _is_public(content))


def _is_public(raw: bytes) -> bool:
    """Whether 32 bytes can be an X25519 public key at all: of random ones, one in 32 can.

    A public key is a multiple of the base point. This one is looked for on the same curve in its
    other form (RFC 7748, 4.1: y = (u - 1) / (u + 1)), for which libsodium has such a check.
    """
    u = int.from_bytes(raw, "little")
    if u >= _FIELD - 1:
        return False
    y = (u - 1) * pow(u + 1, -1, _FIELD) % _FIELD
    return bool(crypto_core_ed25519_is_valid_point(y.to_bytes(KEY_BYTES, "little")))
