"""Needs that a person approves: as planned, and those whose earlier one was served late."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from aidmesh.demo.office import Json, Office, RefusedError
from aidmesh.demo.setting_up import refuse_rejected
from aidmesh_chassis.auth import Role

AGAINST_A_LIMIT: Final = "needs-a-decision"
CAME_LATE: Final = "came_late"
"""Why somebody gets something again so soon: what they had asked for before came weeks after."""


async def approve(
    office: Office,
    need_ids: Mapping[str, UUID],
    planned: Sequence[Mapping[str, str]],
    undecided: Collection[str],
) -> None:
    """Approve what the rule leaves to a person; against a limit only a lead does, with why.

    Args:
        need_ids: of the rows imported so far.
        planned: rows with `row_id` and `override_reason`, empty unless a limit is in the way.
        undecided: rows just imported that the rule did not approve. Limits count the days on which
            aid was served, and the files do not know how long somebody waited.

    Raises:
        RefusedError: an approval was refused that should not be.
    """
    results = await _approve(office, need_ids, Role.CASEWORKER, [row["row_id"] for row in planned])
    against: dict[str, list[str]] = {}
    for row, result in zip(planned, results, strict=True):
        reason = row["override_reason"]
        if reason and result["problem"] == AGAINST_A_LIMIT:
            against.setdefault(reason, []).append(row["row_id"])
        elif reason or result["status"] != "done":
            raise RefusedError(f"{office.region}: approval {row['row_id']}: {result}")
    late = sorted(set(undecided) - {row["row_id"] for row in planned})
    if late:
        against[CAME_LATE] = late
    for reason, hindered in against.items():
        results = await _approve(office, need_ids, Role.LEAD, hindered, reason)
        refuse_rejected(office.region, "approvals", results)


async def _approve(
    office: Office,
    need_ids: Mapping[str, UUID],
    role: Role,
    row_ids: Sequence[str],
    override_reason: str | None = None,
) -> list[Json]:
    if not row_ids:
        return []
    body: Json = {"rows": [{"row_id": row, "need_id": str(need_ids[row])} for row in row_ids]}
    if override_reason is not None:
        body["override_reason"] = override_reason
    answer = await office.post("intake", "/v1/needs:approve", role, body)
    found: list[Json] = answer.json()["rows"]
    return found
