"""A grant with money in it, made as finance and a program lead make one."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from aidmesh_contracts.days import day_of
from support.running import Json, Staff

TODAY = day_of(datetime.now(UTC))


async def fund(
    staff: Staff,
    amount_minor: int,
    *,
    to_region: str | None = None,
    area: str | None = None,
    allotted_minor: int | None = None,
) -> Json:
    """A grant in UAH with one instalment received, and an allotment of all of it, or of a part."""
    donor = await staff.post("finance", "payments", "/donors", {"name": f"Donor {uuid4().hex[:8]}"})
    code = f"g{uuid4().hex[:8]}"
    grant: Json = {
        "donor_id": donor["donor_id"],
        "code": code,
        "currency": "UAH",
        "amount_minor": amount_minor,
        "period_from": str(TODAY - timedelta(days=30)),
        "period_to": str(TODAY + timedelta(days=300)),
        "budget_lines": [{"code": "aid", "amount_minor": amount_minor}],
    }
    if area is not None:
        grant["restriction"] = {"areas": [area]}
    made = await staff.post("finance", "payments", "/grants", grant)
    await staff.post("lead", "payments", f"/grants/{made['grant_id']}:activate")
    row: Json = {
        "row_id": code,
        "grant": code,
        "amount_minor": amount_minor,
        "received_on": str(TODAY),
        "bank_reference": f"ref-{code}",
    }
    came = await staff.post(
        "finance", "payments", "/instalments:bulk", {"source": code, "rows": [row]}
    )
    assert [each["status"] for each in came["rows"]] == ["done"]
    allotment = {
        "grant_id": made["grant_id"],
        "budget_line": "aid",
        "to_region": to_region,
        "amount_minor": amount_minor if allotted_minor is None else allotted_minor,
        "currency": "UAH",
    }
    sent = await staff.post("finance", "payments", "/allotments", allotment)
    return {"grant_id": made["grant_id"], "allotment_id": sent["allotment_id"], "code": code}
