"""Keyed hashes by which rows of bulk forms are known again; neither ids nor contents are kept.

The key is a secret of the service's own, kept in its database (docs/decisions/0014), so that rows
are known while the service is locked, and after a restore. It is SHA-256 and not BLAKE2b because
PostgreSQL has it: a migration could key the rows that were there before.
"""

import hashlib

from aidmesh_chassis.crypto import SecretKey


def row_key(secret: SecretKey, form: str, source: str, row_id: str) -> bytes:
    """What a row of a form is found by, 32 bytes."""
    return _keyed(secret, form.encode(), source.encode(), row_id.encode())


def content_key(secret: SecretKey, row_id: str, content_digest: bytes) -> bytes:
    """What tells whether a row is the same as before, 32 bytes.

    The row's id is part of the key: without it a content cannot even be tried out.
    """
    return _keyed(secret, row_id.encode(), content_digest)


def _keyed(secret: SecretKey, *parts: bytes) -> bytes:
    # Every part has a fixed length, so nothing can be moved from one to the next or appended.
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(secret.reveal() + digests).digest()
