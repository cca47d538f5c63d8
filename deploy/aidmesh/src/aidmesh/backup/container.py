"""The file a backup is: records, encrypted as they are written, readable by one secret key only.

A fresh key is sealed to the backup's public key (X25519 sealed box) and stands first; under it the
records follow as one libsodium secretstream (XChaCha20-Poly1305), a piece at a time, so that
neither side ever holds more than a piece. Nothing can be changed, left out, exchanged or cut off
without being noticed: the last piece says that it is the last.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_ABYTES,
    crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    crypto_secretstream_xchacha20poly1305_init_pull,
    crypto_secretstream_xchacha20poly1305_init_push,
    crypto_secretstream_xchacha20poly1305_keygen,
    crypto_secretstream_xchacha20poly1305_pull,
    crypto_secretstream_xchacha20poly1305_push,
    crypto_secretstream_xchacha20poly1305_state,
    crypto_secretstream_xchacha20poly1305_TAG_FINAL,
    crypto_secretstream_xchacha20poly1305_TAG_MESSAGE,
)

from aidmesh_chassis.crypto import DecryptionFailed, PrivateKey, PublicKey, seal, unseal

MAGIC: Final = b"aidmesh-backup-1\n"
PIECE_BYTES_MAX: Final = 256 * 1024
_LENGTH_BYTES: Final = 4
_FRAME_BYTES_MAX: Final = PIECE_BYTES_MAX + 1 + crypto_secretstream_xchacha20poly1305_ABYTES


class ContainerError(Exception):
    """The file is no backup, is damaged or cut off, or the key is another one."""


class Writer:
    """Writes records to a file; `finish` makes it whole."""

    def __init__(self, file: BinaryIO, public: PublicKey) -> None:
        """Begin a file that the owner of `public`'s secret half can read."""
        key = crypto_secretstream_xchacha20poly1305_keygen()
        self._file = file
        self._state = crypto_secretstream_xchacha20poly1305_state()
        header = crypto_secretstream_xchacha20poly1305_init_push(self._state, key)
        sealed = seal(public, key)
        file.write(MAGIC + len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed + header)

    def write(self, kind: bytes, content: bytes) -> None:
        """Write a record: one letter that says what it is, and at most `PIECE_BYTES_MAX`."""
        self._push(kind, content, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE)

    def finish(self, content: bytes) -> None:
        """Write the last record, which says that nothing is missing."""
        self._push(b"F", content, crypto_secretstream_xchacha20poly1305_TAG_FINAL)

    def _push(self, kind: bytes, content: bytes, tag: int) -> None:
        assert len(kind) == 1  # noqa: S101 - callers name their records
        assert len(content) <= PIECE_BYTES_MAX  # noqa: S101 - what is read back is bounded
        frame = crypto_secretstream_xchacha20poly1305_push(self._state, kind + content, None, tag)
        self._file.write(len(frame).to_bytes(_LENGTH_BYTES, "big") + frame)


class Reader:
    """Reads the records of a file, each once, in order."""

    def __init__(self, file: BinaryIO, secret: PrivateKey) -> None:
        """Raises ContainerError when it is no backup, or one for another key."""
        self._file = file
        if file.read(len(MAGIC)) != MAGIC:
            raise ContainerError("this is no backup of aidmesh")
        try:
            key = unseal(secret, self._exactly(self._length()))
        except DecryptionFailed:
            raise ContainerError("this backup is sealed to another key") from None
        header = self._exactly(crypto_secretstream_xchacha20poly1305_HEADERBYTES)
        self._state = crypto_secretstream_xchacha20poly1305_state()
        crypto_secretstream_xchacha20poly1305_init_pull(self._state, header, key)

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """Kind and content of each record, the last one (`F`) included.

        Raises ContainerError at the first that was changed, or when the end is missing.
        """
        while True:
            frame = self._exactly(self._length())
            try:
                content, tag = crypto_secretstream_xchacha20poly1305_pull(self._state, frame, None)
            except RuntimeError:
                raise ContainerError("the backup is damaged") from None
            yield content[:1], content[1:]
            if tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL:
                if self._file.read(1):
                    raise ContainerError("the backup is damaged: something follows its end")
                return

    def _length(self) -> int:
        length = int.from_bytes(self._exactly(_LENGTH_BYTES), "big")
        if length > _FRAME_BYTES_MAX:
            raise ContainerError("the backup is damaged")
        return length

    def _exactly(self, count: int) -> bytes:
        found = self._file.read(count)
        if len(found) != count:
            raise ContainerError("the backup is cut off")
        return found
