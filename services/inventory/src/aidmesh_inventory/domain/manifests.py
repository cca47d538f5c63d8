"""Manifests of shipments as text that fits into QR codes. No I/O, no keys.

A manifest is the event of the dispatch (JSON) with a signature before it, compressed. It is cut
into parts, each of which says what it is a part of, so that they can be read in any order.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, Literal, NamedTuple

SIGNATURE_BYTES: Final = 64
PART_CHARS_MAX: Final = 900
JSON_BYTES_MAX: Final = 1 << 20
PARTS_MAX: Final = 99
_PART: Final = re.compile(r"AIDMESH1:([0-9a-f]{8}):([1-9][0-9]?)/([1-9][0-9]?):([A-Za-z0-9_-]+)")
_PURPOSE: Final = b"aidmesh manifest 1\n"

Fault = Literal["manifest-damaged", "manifest-incomplete"]


class Manifest(NamedTuple):
    """What a manifest says, and the signature of whoever says so."""

    content: bytes
    signature: bytes


def signed_part(content: bytes) -> bytes:
    """What is signed of a manifest: nothing else that this key signs begins so."""
    return _PURPOSE + content


def write(manifest: Manifest) -> Sequence[str]:
    """The texts of a manifest's QR codes."""
    packed = zlib.compress(manifest.signature + manifest.content, 9)
    text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    chunks = [text[at : at + PART_CHARS_MAX] for at in range(0, len(text), PART_CHARS_MAX)]
    name = _name(text)
    return [
        f"AIDMESH1:{name}:{number}/{len(chunks)}:{chunk}" for number, chunk in enumerate(chunks, 1)
    ]


def read(texts: Iterable[str]) -> Manifest | Fault:
    """A manifest from the texts of its codes, in any order, also when some were read twice."""
    found: dict[int, str] = {}
    heads: set[tuple[str, int]] = set()
    for text in texts:
        part = _PART.fullmatch(text.strip())
        if part is None:
            return "manifest-damaged"
        heads.add((part[1], int(part[3])))
        if found.setdefault(int(part[2]), part[4]) != part[4]:
            return "manifest-damaged"
    if len(heads) != 1:
        return "manifest-damaged" if heads else "manifest-incomplete"
    name, count = heads.pop()
    if set(found) != set(range(1, count + 1)):
        return (
            "manifest-incomplete" if set(found) < set(range(1, count + 1)) else "manifest-damaged"
        )
    joined = "".join(found[number] for number in range(1, count + 1))
    if _name(joined) != name:
        return "manifest-damaged"
    return _unpacked(joined)


def _unpacked(text: str) -> Manifest | Fault:
    unpacker = zlib.decompressobj()
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        raw = unpacker.decompress(packed, JSON_BYTES_MAX)
    except (binascii.Error, zlib.error):
        return "manifest-damaged"
    if not unpacker.eof or len(raw) <= SIGNATURE_BYTES:
        return "manifest-damaged"
    return Manifest(raw[SIGNATURE_BYTES:], raw[:SIGNATURE_BYTES])


def _name(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]
