"""The money of the year: instalments, allotments and the cut at the grantor; purchases where
the money is."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

from aidmesh.demo.csvfiles import read_rows
from aidmesh.demo.facts import FIRST_DAY, LAST_DAY
from aidmesh.demo.generator import SOURCE
from aidmesh.demo.office import Office
from aidmesh.demo.setting_up import GOODS_CATEGORY, GOODS_LINE, refuse_rejected
from aidmesh_chassis.auth import Role

PAID_AFTER_WEEKS = 3
"""A purchase is billed and paid so many weeks after it was ordered."""


def weeks_with_money(folder: Path) -> list[int]:
    """The weeks of a scenario in which something happens to its grants."""
    weeks = sorted((folder / "weeks").iterdir())
    return [
        int(week.name)
        for week in weeks
        if any((week / f"{name}.csv").exists() for name in ("instalments", "allotments", "recalls"))
    ]


@dataclass(slots=True)
class Treasury:
    """The grantor's part of the year."""

    folder: Path
    office: Office
    grant_ids: dict[str, UUID]
    currencies: dict[str, str]
    allotment_ids: dict[tuple[str, str, str], UUID] = field(default_factory=dict)
    """By grant, budget line and region."""

    async def play_week(self, week: int) -> bool:
        """Take in instalments, allot, recall; returns whether anything happened."""
        folder = self.folder / "weeks" / f"{week:02d}"
        instalments = read_rows(folder / "instalments.csv")
        if instalments:
            rows = [
                {
                    "row_id": f"{row['grant']}-{week:02d}",
                    "grant": row["grant"],
                    "amount_minor": int(row["amount_minor"]),
                    "received_on": row["received_on"],
                    "bank_reference": f"IN-{row['grant']}-{week:02d}",
                }
                for row in instalments
            ]
            results = await self.office.rows(
                "payments", "/v1/instalments:bulk", Role.FINANCE, SOURCE, rows
            )
            refuse_rejected(self.office.region, "instalments", results)
        allotments = read_rows(folder / "allotments.csv")
        for row in allotments:
            await self._allot(row, week)
        recalls = read_rows(folder / "recalls.csv")
        for row in recalls:
            for (grant, _, _), allotment_id in self.allotment_ids.items():
                if grant == row["grant"]:
                    await self.office.post(
                        "payments",
                        f"/v1/allotments/{allotment_id}:recall",
                        Role.LEAD,
                        {"reason": row["reason"]},
                    )
        return bool(instalments or allotments or recalls)

    async def _allot(self, row: dict[str, str], week: int) -> None:
        rate: dict[str, object] = {}
        if self.currencies[row["grant"]] != "UAH":
            rate = {
                "rate": row["rate"],
                "rate_on": (FIRST_DAY + timedelta(weeks=week - 1)).isoformat(),
                "rate_source": "synthetic",
            }
        key = (row["grant"], row["budget_line"], row["region"])
        amount = int(row["amount_minor"])
        known = self.allotment_ids.get(key)
        if known is not None:
            path = f"/v1/allotments/{known}:raise"
            await self.office.post("payments", path, Role.FINANCE, {"amount_minor": amount, **rate})
            return
        body = {
            "grant_id": str(self.grant_ids[row["grant"]]),
            "budget_line": row["budget_line"],
            "to_region": row["region"],
            "amount_minor": amount,
            "currency": "UAH",
            **rate,
        }
        answer = await self.office.post("payments", "/v1/allotments", Role.FINANCE, body)
        self.allotment_ids[key] = UUID(answer.json()["allotment_id"])


@dataclass(slots=True)
class Buyer:
    """The purchases of one region."""

    folder: Path
    office: Office
    area: str
    treasury: Treasury
    of_item: dict[tuple[str, str], UUID] = field(default_factory=dict)
    """Purchase ids by the code that receipts name, and item."""
    unpaid: list[tuple[int, UUID, int]] = field(default_factory=list)

    async def order(self, week: int) -> None:
        """Draw up and order what is bought this week: two people, as above the float limit."""
        rows = read_rows(
            self.folder / "weeks" / f"{week:02d}" / self.office.region / "purchases.csv"
        )
        orders: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            orders[row["code"], row["grant"]].append(row)
        for (code, grant), lines in orders.items():
            body = {
                "allotment_id": str(
                    self.treasury.allotment_ids[grant, GOODS_LINE, self.office.region]
                ),
                "supplier": "Supplier (synthetic)",
                "cost_category": GOODS_CATEGORY,
                "programme": lines[0]["programme"],
                "area": self.area,
                "planned_on": _day(week).isoformat(),
                "lines": [
                    {
                        "item": line["item"],
                        "description": line["item"],
                        "quantity": int(line["quantity"]),
                        "unit_value_minor": int(line["unit_value_minor"]),
                    }
                    for line in lines
                ],
            }
            answer = await self.office.post("payments", "/v1/purchases", Role.FINANCE, body)
            purchase_id = UUID(answer.json()["purchase_id"])
            await self.office.post(
                "payments", f"/v1/purchases/{purchase_id}:order", Role.APPROVER, {}
            )
            total = sum(int(line["quantity"]) * int(line["unit_value_minor"]) for line in lines)
            self.unpaid.append((week + PAID_AFTER_WEEKS, purchase_id, total))
            for line in lines:
                self.of_item[code, line["item"]] = purchase_id

    async def pay(self, week: int) -> None:
        """Enter bills that came, and pay them."""
        due = [entry for entry in self.unpaid if entry[0] <= week]
        self.unpaid = [entry for entry in self.unpaid if entry[0] > week]
        for since, purchase_id, amount in due:
            path = f"/v1/purchases/{purchase_id}"
            bill = {"amount_minor": amount, "reference": f"bill-{purchase_id}"}
            await self.office.post("payments", f"{path}:invoice", Role.FINANCE, bill)
            payment = {"bank_reference": f"OUT-{purchase_id}", "paid_on": _day(since).isoformat()}
            await self.office.post("payments", f"{path}:pay", Role.APPROVER, payment)


def _day(week: int) -> date:
    return min(FIRST_DAY + timedelta(weeks=week - 1, days=2), LAST_DAY)
