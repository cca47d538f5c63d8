"""Public keys of services: each tells its own to the other regions and keeps theirs.

They travel as events of the service whose they are, so the links and the server's rights vouch for
them. A key that is replaced comes with a higher version; what was sealed to the old one is opened
by whoever keeps that, and what the old one signed counts for a while.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final, Protocol

import asyncpg

from aidmesh_chassis.crypto import KEY_BYTES, PublicKey
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import PEER_KEY_UNKNOWN, Problem
from aidmesh_contracts.base import Event

SEAL = "seal"
SIGN = "sign"
EPOCH_VERSIONS: Final = 2**20
"""Each epoch has so many versions of its own: a region that was restored from a backup does not
know how often it had replaced a key since, and others would take its next one for an old one."""
FORMER_KEPT: Final = timedelta(days=30)
"""How long what a key signed counts after a newer one was heard of: goods and papers travel."""


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
        SELECT purpose, $3::int + 1, public
        FROM unnest($1::text[], $2::bytea[]) AS n (purpose, public)
        ORDER BY purpose
        ON CONFLICT (purpose) DO UPDATE
        SET public = excluded.public, version = greatest(k.version, $3::int) + 1
        WHERE k.public <> excluded.public OR k.version <= $3::int
        RETURNING purpose, version
        """,
        list(wanted),
        list(wanted.values()),
        (tx.origin.epoch - 1) * EPOCH_VERSIONS,
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
    told_keys: dict[tuple[str, str, int], bytes] = {}
    for item in batch:
        told: KeyChanged = item.event  # type: ignore[assignment]  # each service has its own class
        try:
            raw = base64.b64decode(told.public, validate=True)
        except binascii.Error:
            raise Poison("no_public_key") from None
        if len(raw) != KEY_BYTES:
            raise Poison("no_public_key")
        told_keys[item.region, told.purpose, told.version] = raw
    ordered = sorted(told_keys)
    await tx.conn.execute(
        """
        WITH told AS (
            SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[])
                AS t (region, purpose, version, public)
        ), noted AS (
            INSERT INTO peer_key_told (region, purpose, version, public)
            SELECT * FROM told ORDER BY region, purpose, version
            ON CONFLICT (region, purpose, version) DO NOTHING
        )
        INSERT INTO peer_key AS k (region, purpose, version, public)
        SELECT DISTINCT ON (region, purpose) region, purpose, version, public FROM told
        ORDER BY region, purpose, version DESC
        ON CONFLICT (region, purpose) DO UPDATE
        SET version = excluded.version, public = excluded.public
        WHERE k.version < excluded.version
        """,
        [region for region, _, _ in ordered],
        [purpose for _, purpose, _ in ordered],
        [version for _, _, version in ordered],
        [told_keys[each] for each in ordered],
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


async def publics_of(conn: asyncpg.Connection, region: str, purpose: str) -> Sequence[bytes]:
    """What a region's signatures are verified with: its newest key and what it had until lately.

    Raises as `public_of`.
    """
    newest = await public_of(conn, region, purpose)
    rows = await conn.fetch(
        """
        SELECT public FROM (
            SELECT public, version, lead(told_at) OVER (ORDER BY version) AS replaced_at
            FROM peer_key_told WHERE region = $1 AND purpose = $2
        ) AS k
        WHERE public <> $3 AND replaced_at > now() - $4::interval
        ORDER BY version DESC
        """,
        region,
        purpose,
        newest,
        FORMER_KEPT,
    )
    return [newest, *(row["public"] for row in rows)]


async def sealing_key(conn: asyncpg.Connection, region: str) -> PublicKey:
    """What to seal to for the same service of another region. Raises as `public_of`."""
    return PublicKey(await public_of(conn, region, SEAL))
