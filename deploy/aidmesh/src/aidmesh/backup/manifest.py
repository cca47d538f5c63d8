"""What a backup says of itself, and whether this version may restore it. Pure."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

FORMAT = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class DatabaseCut(_Part):
    """One service's database as of the cut.

    Attributes:
        migrations: all that had been applied.
        rows: of each table; a partitioned one counts once.
        sent: the highest sequence of each stream that its outbox knew to be acknowledged.
    """

    migrations: tuple[str, ...]
    rows: dict[str, int]
    sent: dict[str, int]


class Manifest(_Part):
    """Stands first in a backup.

    Attributes:
        epoch: the region's, when it was taken.
        taken_at: when its cut was, by the database's clock.
        postgres: the version of the server that it was read from.
        peers: the regions it was linked with, and where it dials those on other machines.
        leaf_host, leaf_port: where it is dialed.
    """

    format: int = FORMAT
    backup_id: UUID
    region: str
    epoch: int
    taken_at: AwareDatetime
    postgres: int
    peers: dict[str, str | None]
    leaf_host: str
    leaf_port: int
    databases: dict[str, DatabaseCut]


class Section(_Part):
    """Follows each database's dump: how long it was and its hash (BLAKE2b, 32 bytes, hex)."""

    service: str
    size: int
    digest: str


def reasons_against(
    manifest: Manifest, region: str, known: Mapping[str, Sequence[str]]
) -> list[str]:
    """Why a backup can't be restored as a region by this version; empty when it can.

    Args:
        manifest: of the backup.
        region: that is to be restored.
        known: the migrations of each database that this version has.
    """
    reasons = []
    if manifest.format > FORMAT:
        reasons.append("it was written by a newer version of aidmesh")
    if manifest.region != region:
        reasons.append(f"it is one of {manifest.region}, not of {region}")
    reasons += [
        f"it has no database of {service}"
        for service in sorted(set(known) - set(manifest.databases))
    ]
    for service, cut in sorted(manifest.databases.items()):
        newer = sorted(set(cut.migrations) - set(known.get(service, ())))
        if newer:
            reasons.append(
                f"its database of {service} was made by a newer version of aidmesh "
                f"({', '.join(newer)})"
            )
    return reasons


def differing_rows(cut: DatabaseCut, found: Mapping[str, int]) -> list[str]:
    """Tables that do not have as many rows as at the cut, a line each."""
    return [
        f"{table}: {found.get(table, 0)} rows of {count}"
        for table, count in sorted(cut.rows.items())
        if found.get(table, 0) != count
    ]
