"""What is there before the year begins: sites, beds, items, donors and grants."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

from aidmesh.demo.csvfiles import read_rows
from aidmesh.demo.generator import SOURCE
from aidmesh.demo.office import Office, RefusedError
from aidmesh_chassis.auth import Role
from aidmesh_intake.domain.kinds import Kind

GOODS_LINE = "goods"
GOODS_CATEGORY = "goods"
GIFTS = 50
GIFT_ITEMS = ("food_parcel", "hygiene_kit")


async def set_up_region(folder: Path, office: Office) -> dict[str, UUID]:
    """Enter a region's sites, items and beds; returns the ids of its sites by code."""
    site_ids: dict[str, UUID] = {}
    for row in read_rows(folder / "setup" / "sites.csv"):
        if row["region"] == office.region:
            body = {key: row[key] for key in ("code", "name", "area", "site_type")}
            answer = await office.post("inventory", "/v1/sites", Role.LOGISTICIAN, body)
            site_ids[row["code"]] = UUID(answer.json()["site_id"])
    for row in read_rows(folder / "setup" / "items.csv"):
        item: dict[str, object] = {
            "code": row["code"],
            "names": {language: row[language] for language in ("uk", "en", "de")},
            "unit": row["unit"],
            "tracking": row["tracking"],
            "prescription": bool(row["prescription"]),
        }
        await office.post("inventory", "/v1/items", Role.LOGISTICIAN, item)
    beds = [
        {
            "row_id": f"{row['site_code']}/{row['label']}",
            **{key: row[key] for key in ("site_code", "label", "room", "code", "owner")},
        }
        for row in read_rows(folder / "setup" / "beds.csv")
        if row["region"] == office.region
    ]
    results = await office.rows("inventory", "/v1/beds:bulk", Role.LOGISTICIAN, SOURCE, beds)
    refuse_rejected(office.region, "beds", results)
    return site_ids


async def lay_out_gifts(office: Office) -> None:
    """Put something at a region's centers for whoever tries the desk after the year is over.

    What was bought in the year may be handed out in the year only: its donors said so.
    """
    rows = await office.every("inventory", "/v1/sites", Role.LOGISTICIAN, "rows")
    for site in rows:
        if site["site_type"] == "center" and site["status"] == "open":
            lines = [{"item": item, "quantity": GIFTS} for item in GIFT_ITEMS]
            body = {"site_id": site["site_id"], "lines": lines}
            await office.post("inventory", "/v1/receipts", Role.LOGISTICIAN, body)


def refuse_rejected(region: str, what: str, results: Sequence[Mapping[str, object]]) -> None:
    """Raise for rows that must not fail.

    Raises:
        RefusedError: one was rejected.
    """
    bad = [row for row in results if row["status"] == "rejected"]
    if bad:
        raise RefusedError(f"{region}: {len(bad)} rows of {what} rejected, first: {bad[0]}")


async def set_up_grants(folder: Path, office: Office, kinds: Mapping[str, Kind]) -> dict[str, UUID]:
    """Enter donors and grants at their grantor; returns the ids of the grants by code."""
    aid = sorted({kind.money.cost_category for kind in kinds.values() if kind.money is not None})
    lines: dict[str, list[dict[str, object]]] = {}
    for row in read_rows(folder / "setup" / "budget_lines.csv"):
        categories = [GOODS_CATEGORY] if row["code"] == GOODS_LINE else aid
        lines.setdefault(row["grant"], []).append(
            {
                "code": row["code"],
                "amount_minor": int(row["amount_minor"]),
                "cost_categories": categories,
            }
        )
    grant_ids: dict[str, UUID] = {}
    for row in read_rows(folder / "setup" / "grants.csv"):
        donor = await office.post("payments", "/v1/donors", Role.FINANCE, {"name": row["donor"]})
        body = {
            "donor_id": donor.json()["donor_id"],
            "code": row["code"],
            "currency": row["currency"],
            "amount_minor": int(row["amount_minor"]),
            "period_from": row["valid_from"],
            "period_to": row["valid_to"],
            "restriction": {
                "programmes": row["programmes"].split() or None,
                "kinds": row["kinds"].split() or None,
            },
            "budget_lines": lines[row["code"]],
        }
        answer = await office.post("payments", "/v1/grants", Role.FINANCE, body)
        grant_ids[row["code"]] = UUID(answer.json()["grant_id"])
    return grant_ids
