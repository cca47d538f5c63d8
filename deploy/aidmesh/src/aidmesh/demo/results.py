"""What the year came to, as the services report it: for the terminal and for `--json`."""

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Check(BaseModel):
    """One invariant that was recomputed."""

    name: str
    ok: bool
    detail: str = ""


class Verified(BaseModel):
    """The outcome of `verify`."""

    ok: bool
    checks: list[Check]


class GrantResult(BaseModel):
    """Money of one grant, in minor units.

    Attributes:
        spending: what its allotments hold, committed and spent, in `spending_currency`.
    """

    code: str
    donor: str
    currency: str
    amount_minor: int
    received_minor: int
    allotted_minor: int
    spending_currency: str
    received_by_holders_minor: int
    returned_minor: int
    held_minor: int
    committed_minor: int
    spent_minor: int


class RegionResult(BaseModel):
    """One region's part."""

    region: str
    people: int
    services: int
    contacts: int
    waitlisted: int
    console: str


class Latency(BaseModel):
    """From approval to ready, for needs that were served at their first attempt."""

    p50: float
    p95: float
    needs: int


class DemoResult(BaseModel):
    """What `aidmesh demo --json` writes."""

    model_config = ConfigDict(extra="forbid")

    scale: float
    seed: int
    people: int
    services: int
    contacts: int
    services_by_kind: dict[str, int]
    services_by_area: dict[str, int]
    people_by_area: dict[str, int]
    regions: list[RegionResult]
    grants: list[GrantResult]
    waitlisted: int
    waiting_for: dict[str, int]
    seconds: float = Field(description="from the first row to the last answer, start-up left out")
    needs: int
    needs_per_s: float
    latency_ms: Latency
    verify: Verified


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    kind: str | None = None
    area: str | None = None
    people: int = 0
    services: int = 0
    contacts: int = 0


_LINES = TypeAdapter(list[_Line])
_WAITING = """
SELECT blocked_by ->> 'resource' || '/' || (blocked_by ->> 'code') AS key, count(*) AS needs
FROM need WHERE state = 'waitlisted' GROUP BY 1
"""
