"""Public keys of services: each tells its own to the other regions and keeps theirs.

They travel as events of the service whose they are, so the links and the server's rights vouch for
them. A key that is replaced comes with a higher version; what was sealed to the old one is opened
by whoever keeps that.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import asyncpg

from aidmesh_chassis.crypto import KEY_BYTES, PublicKey
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import PEER_KEY_UNKNOWN, Problem
from aidmesh_contracts.base import Event

SEAL = "seal"
SIGN = "sign"


class KeyChanged(Protocol):
    """What the contracts' classes of this name have in common."""

    @property
    def purpose(self) -> str: ...
    @property
    def public(self) -> str: ...
    @property
    def version(self) -> int: ...


async def tell(event: type[Event], publics: Callable[[], Mapping[str, bytes]], tx: Tx) -> int:
    """Tell the others of own keys that they do not know yet; a sweep. Returns how many.

    Args:
        event: the service's own class of `KeyChanged`.
        publics: the keys by purpose.
        tx: of the service whose keys they are.
    """
    wanted = publics()
    rows = await tx.conn.fetch(
        """
        INSERT INTO own_key AS k (purpose, version, public)
        SELECT purpose, 1, public FROM unnest($1::text[], $2::bytea[]) AS n (purpose, public)
        ORDER BY purpose
        ON CONFLICT (purpose) DO UPDATE SET public = excluded.public, version = k.version + 1
        WHERE k.public <> excluded.public
        RETURNING purpose, version
        """,
        list(wanted),
        list(wanted.values()),
    )
    for row in rows:
        told = {
            "purpose": row["purpose"],
            "public": base64.b64encode(wanted[row["purpose"]]).decode(),
            "version": row["version"],
        }
        tx.emit(event.model_validate(told), version=row["version"])
    return len(rows)


async def know(tx: Tx, batch: Sequence[Received[Event]]) -> None:
    """Keep what other regions tell; the highest version wins. A handler.

    Raises:
        Poison: what came is no key.
    """
    newest: dict[tuple[str, str], tuple[int, bytes]] = {}
    for item in batch:
        told: KeyChanged = item.event  # type: ignore[assignment]  # each service has its own class
        try:
            raw = base64.b64decode(told.public, validate=True)
        except binascii.Error:
            raise Poison("no_public_key") from None
        if len(raw) != KEY_BYTES:
            raise Poison("no_public_key")
        key = (item.region, told.purpose)
        if key not in newest or newest[key][0] < told.version:
            newest[key] = (told.version, raw)
    ordered = sorted(newest.items())
    await tx.conn.execute(
        """
        INSERT INTO peer_key AS k (region, purpose, version, public)
        SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[])
        ON CONFLICT (region, purpose) DO UPDATE
        SET version = excluded.version, public = excluded.public
        WHERE k.version < excluded.version
        """,
        [region for (region, _), _ in ordered],
        [purpose for (_, purpose), _ in ordered],
        [version for _, (version, _) in ordered],
        [public for _, (_, public) in ordered],
    )


async def public_of(conn: asyncpg.Connection, region: str, purpose: str) -> bytes:
    """The newest key of a region that this service knows.

    Raises:
        Problem: it has not come yet; it will with the region's events.
    """
    public: bytes | None = await conn.fetchval(
        "SELECT public FROM peer_key WHERE region = $1 AND purpose = $2", region, purpose
    )
    if public is None:
        raise Problem(PEER_KEY_UNKNOWN, region=region)
    return public


async def sealing_key(conn: asyncpg.Connection, region: str) -> PublicKey:
    """What to seal to for the same service of another region. Raises as `public_of`."""
    return PublicKey(await public_of(conn, region, SEAL))
