"""Encryption for data at rest and in transit between services (libsodium through PyNaCl).

Two shapes, both starting with a version byte:

- `encrypt` / `decrypt`: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under a secret key, with a
  random nonce and additional authenticated data that ties a ciphertext to its place.
- `seal` / `unseal`: an X25519 sealed box to a service's public key; whoever seals cannot read
  it back.

A person's data is encrypted under a key of their own, which is kept only wrapped under the
master key: deleting the wrapped key makes everything under it unreadable, in backups too once
they have rolled over (crypto-shredding).
"""

import hashlib
import os
from dataclasses import dataclass
from typing import NoReturn, Self

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_box_keypair,
    crypto_box_seal,
    crypto_box_seal_open,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

KEY_BYTES = 32
_NONCE_BYTES = 24
_TAG_BYTES = 16
_SEAL_BYTES = 48
_VERSION = b"\x01"
_ENCRYPTED_BYTES_MIN = 1 + _NONCE_BYTES + _TAG_BYTES
_SEALED_BYTES_MIN = 1 + _SEAL_BYTES


class DecryptionFailed(Exception):
    """A ciphertext is damaged, belongs elsewhere, or the key is not the right one.

    Which of these it was cannot be told, and neither data nor key is part of the message.
    """

    def __init__(self) -> None:
        super().__init__("The data cannot be decrypted: wrong key, wrong place, or damaged.")


class SecretKey:
    """32 secret bytes that never show themselves; the classes below keep uses apart."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise ValueError(f"A key has {KEY_BYTES} bytes.")
        self._raw = bytes(raw)

    @classmethod
    def random(cls) -> Self:
        """A new key from the operating system's random source."""
        return cls(os.urandom(KEY_BYTES))

    def reveal(self) -> bytes:
        """The bytes themselves, for storing or sealing them."""
        return self._raw

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("Keys are not pickled.")


class MasterKey(SecretKey):
    """Wraps other keys; lives outside the data folder."""

    __slots__ = ()


class PersonKey(SecretKey):
    """Encrypts what belongs to one person (or one payee); stored only wrapped."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An X25519 public key: what others seal to."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise ValueError(f"A public key has {KEY_BYTES} bytes.")


class PrivateKey(SecretKey):
    """An X25519 private key: opens what was sealed to its `public` key."""

    __slots__ = ("public",)

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.public = PublicKey(crypto_scalarmult_base(self._raw))

    @classmethod
    def random(cls) -> Self:
        """A new key pair."""
        return cls(crypto_box_keypair()[1])


def encrypt(key: SecretKey, plaintext: bytes, aad: bytes) -> bytes:
    """Encrypt under `key`; `aad` (say, table and row id) must be the same when decrypting.

    Returns version (1 byte), nonce (24 bytes), ciphertext, tag (16 bytes).
    """
    nonce = os.urandom(_NONCE_BYTES)
    box = crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, _VERSION + aad, nonce, key.reveal())
    return _VERSION + nonce + box


def decrypt(key: SecretKey, data: bytes, aad: bytes) -> bytes:
    """Undo `encrypt`. Raises `DecryptionFailed`."""
    if len(data) < _ENCRYPTED_BYTES_MIN or data[:1] != _VERSION:
        raise DecryptionFailed
    nonce, box = data[1 : 1 + _NONCE_BYTES], data[1 + _NONCE_BYTES :]
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(box, _VERSION + aad, nonce, key.reveal())
    except CryptoError:
        raise DecryptionFailed from None


def wrap_key(master: MasterKey, key: PersonKey, aad: bytes) -> bytes:
    """Encrypt a person's key under the master key; `aad` names whose it is."""
    return encrypt(master, key.reveal(), b"key:" + aad)


def unwrap_key(master: MasterKey, wrapped: bytes, aad: bytes) -> PersonKey:
    """Undo `wrap_key`. Raises `DecryptionFailed`."""
    raw = decrypt(master, wrapped, b"key:" + aad)
    if len(raw) != KEY_BYTES:
        raise DecryptionFailed
    return PersonKey(raw)


def seal(public_key: PublicKey, plaintext: bytes) -> bytes:
    """Encrypt to the holder of a private key. The sender is not authenticated."""
    return _VERSION + crypto_box_seal(plaintext, public_key.raw)


def unseal(private_key: PrivateKey, data: bytes) -> bytes:
    """Undo `seal`. Raises `DecryptionFailed`."""
    if len(data) < _SEALED_BYTES_MIN or data[:1] != _VERSION:
        raise DecryptionFailed
    try:
        return crypto_box_seal_open(data[1:], private_key.public.raw, private_key.reveal())
    except CryptoError:
        raise DecryptionFailed from None


def keyed_hash(key: SecretKey, data: bytes, *, purpose: bytes = b"") -> bytes:
    """32 bytes of keyed BLAKE2b (RFC 7693): equal data can be found, not guessed without the key.

    `purpose` (at most 16 bytes) keeps hashes of different uses apart.
    """
    return hashlib.blake2b(data, digest_size=32, key=key.reveal(), person=purpose).digest()
