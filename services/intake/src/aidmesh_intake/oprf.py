"""The oblivious pseudorandom function of RFC 9497: OPRF(ristretto255, SHA-512), base mode.

Who asks blinds an input, who holds the key evaluates without seeing what, and who asked undoes
the blinding and has the function's value. The group is libsodium's, through rbcl; hashing to it is
that of RFC 9380. The RFC's test vectors are part of the tests.
"""

import hashlib
import secrets
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final

ELEMENT_BYTES: Final = 32

_CONTEXT: Final = b"OPRFV1-\x00-ristretto255-SHA512"
_TO_GROUP: Final = b"HashToGroup-" + _CONTEXT
_HASH_BLOCK_BYTES: Final = 128
_UNIFORM_BYTES: Final = 64


class NoElement(ValueError):
    """What came from elsewhere is no element of the group, or the one that tells nothing."""


def random_scalar() -> bytes:
    """A new key, or a new blind; never zero."""
    scalar: bytes = _group().crypto_core_ristretto255_scalar_random()
    return scalar


def random_element() -> bytes:
    """What nobody can tell from a blinded input; it stands where there is none."""
    element: bytes = _group().crypto_core_ristretto255_from_hash(
        secrets.token_bytes(_UNIFORM_BYTES)
    )
    return element


def hash_to_group(data: bytes) -> bytes:
    """The element of an input (RFC 9380, expand_message_xmd with SHA-512)."""
    element: bytes = _group().crypto_core_ristretto255_from_hash(_expand(data))
    return element


def blind(data: bytes, blind_scalar: bytes) -> bytes:
    """An input as it is sent: a random element, whatever the input."""
    return _multiply(blind_scalar, hash_to_group(data))


def evaluate(key: bytes, blinded: bytes) -> bytes:
    """What the holder of the key answers.

    Raises:
        NoElement: `blinded` is none.
    """
    if len(blinded) != ELEMENT_BYTES or not _group().crypto_core_ristretto255_is_valid_point(
        blinded
    ):
        raise NoElement
    return _multiply(key, blinded)


def finalize(data: bytes, blind_scalar: bytes, evaluated: bytes) -> bytes:
    """The function's value, of the input and of what was answered to it.

    Raises:
        NoElement: `evaluated` is none.
    """
    inverse: bytes = _group().crypto_core_ristretto255_scalar_invert(blind_scalar)
    return _output(data, evaluate(inverse, evaluated))


def value_of(key: bytes, data: bytes) -> bytes:
    """The function's value, for who holds the key."""
    return _output(data, _multiply(key, hash_to_group(data)))


def _multiply(scalar: bytes, element: bytes) -> bytes:
    try:
        product: bytes = _group().crypto_scalarmult_ristretto255(scalar, element)
    except (RuntimeError, ValueError):
        # The identity: it would be the same whatever it is multiplied with.
        raise NoElement from None
    return product


def _output(data: bytes, element: bytes) -> bytes:
    parts = (
        len(data).to_bytes(2, "big"),
        data,
        len(element).to_bytes(2, "big"),
        element,
        b"Finalize",
    )
    return hashlib.sha512(b"".join(parts)).digest()


def _expand(data: bytes) -> bytes:
    """64 uniform bytes: of expand_message_xmd one block of SHA-512 is as many as it takes."""
    tag = _TO_GROUP + bytes([len(_TO_GROUP)])
    head = bytes(_HASH_BLOCK_BYTES) + data + _UNIFORM_BYTES.to_bytes(2, "big") + b"\x00" + tag
    first = hashlib.sha512(head).digest()
    return hashlib.sha512(first + b"\x01" + tag).digest()


@cache
def _group() -> ModuleType:
    """Load the library when it is first needed, since it unpacks itself into a temporary file.

    The file can go as soon as it is loaded.
    """
    import rbcl  # noqa: PLC0415

    Path(sys.modules["rbcl._sodium"].lib_path).unlink(missing_ok=True)
    return sys.modules[rbcl.__name__]
