"""Plays the year in one region, week by week, through the forms that its users have.

Everything a week's files ask for is sent when the mesh is quiet. What is not possible yet (the
need waits, goods are late, a payment is not committed) stays on the list and is tried again the
week after, as a desk would.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

from aidmesh.demo import facts
from aidmesh.demo.approvals import approve
from aidmesh.demo.csvfiles import read_rows
from aidmesh.demo.generator import SOURCE
from aidmesh.demo.office import Json, Office
from aidmesh.demo.requests_form import with_site_ids
from aidmesh.demo.setting_up import refuse_rejected
from aidmesh.demo.treasury import Buyer
from aidmesh_chassis.auth import Role

BULK = {
    "handovers": "/v1/handovers:bulk",
    "checkins": "/v1/checkins:bulk",
    "attendance": "/v1/attendance:bulk",
    "checkouts": "/v1/checkouts:bulk",
}
NOT_YET = frozenset(
    {"unknown-reservation", "not-confirmed", "reservation-over", "not-checked-in", "unknown-row",
     "wrong-state", "step-not-allowed", "order-not-vouched", "payee-not-here"}
)  # fmt: skip
"""Refusals after which it is worth trying again in a week."""

Rows = list[dict[str, str]]


@dataclass(slots=True)
class Act:
    """Something planned that is not done yet.

    Attributes:
        form: the file it comes from.
        times: how often a row of this need was taken in by this form.
    """

    form: str
    row_id: str
    fields: dict[str, str]
    times: int = 0

    @property
    def key(self) -> str:
        """The row id that the form gets: another one for each time."""
        return f"{self.row_id}-{self.times}" if self.times else self.row_id


@dataclass(slots=True)
class RegionPlay:
    """One region's year.

    Attributes:
        need_ids: of the rows imported so far.
        reservation_ids: of what was handed over, checked in or attended.
        done: services recorded so far, for the progress bar.
        bank: the office that the grants name to pay.
        approved_payouts: of rows whose payout was approved.
    """

    folder: Path
    office: Office
    site_ids: dict[str, UUID]
    buyer: Buyer
    bank: Office | None = None
    need_ids: dict[str, UUID] = field(default_factory=dict)
    reservation_ids: dict[str, UUID] = field(default_factory=dict)
    pending: list[Act] = field(default_factory=list)
    approved_payouts: dict[str, str] = field(default_factory=dict)
    center_needs: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    done: int = 0

    def rows(self, week: int, name: str) -> Rows:
        """A file of this week and region."""
        return read_rows(self.folder / "weeks" / f"{week:02d}" / self.office.region / f"{name}.csv")

    async def begin_week(self, week: int) -> None:
        """Open and close sites, take goods in, publish places, import requests, order goods."""
        for row in self.rows(week, "closures"):
            site_id = self.site_ids[row["site_code"]]
            path = f"/v1/sites/{site_id}:{row['action']}"
            await self.office.post("inventory", path, Role.LEAD, {"reason": row["reason"]})
        await asyncio.gather(self._receive(week), self._publish(week))
        await asyncio.gather(self._import(week), self.buyer.order(week))

    async def _publish(self, week: int) -> None:
        slots = [
            {
                "row_id": f"{row['professional']}/{row['starts_at'][:16]}",
                **{k: row[k] for k in ("site_code", "code", "professional", "starts_at")},
                "minutes": int(row["minutes"]),
                "seats": int(row["seats"]),
            }
            for row in self.rows(week, "slots")
        ]
        results = await self.office.rows(
            "inventory", "/v1/slots:bulk", Role.LOGISTICIAN, SOURCE, slots
        )
        refuse_rejected(self.office.region, "slots", results)

    async def _receive(self, week: int) -> None:
        rows = []
        for row in self.rows(week, "receipts"):
            fields: dict[str, object] = {
                "row_id": row["row_id"],
                "site_code": row["site_code"],
                "item": row["item"],
                "quantity": int(row["quantity"]),
                "received_on": row["received_on"],
            }
            if row["purchase"]:
                fields["purchase_id"] = str(self.buyer.of_item[row["purchase"], row["item"]])
            rows.append(fields)
        results = await self.office.rows(
            "inventory", "/v1/receipts:bulk", Role.LOGISTICIAN, SOURCE, rows
        )
        refuse_rejected(self.office.region, "receipts", results)

    async def _import(self, week: int) -> None:
        path = self.folder / "weeks" / f"{week:02d}" / self.office.region / "requests.csv"
        if not path.exists():
            return
        content, row_ids, centers = with_site_ids(path, self.site_ids)
        self.center_needs |= centers
        answer = await self.office.post(
            "intake",
            "/v1/requests:import",
            Role.CASEWORKER,
            content=content,
            content_type="text/csv; charset=utf-8",
            query={"source": SOURCE, "format": "csv"},
        )
        refuse_bad_import(self.office.region, answer.json())
        undecided = await self._find(row_ids)
        self.asked += len(row_ids)
        await approve(self.office, self.need_ids, self.rows(week, "approvals"), undecided)

    async def _find(self, row_ids: Sequence[str]) -> list[str]:
        """Remember the needs of imported rows; returns the rows that nobody has decided on."""
        answer = await self.office.post(
            "intake",
            "/v1/needs:lookup",
            Role.CASEWORKER,
            {"source": SOURCE, "row_ids": list(row_ids)},
        )
        undecided = []
        for row_id, found in zip(row_ids, answer.json()["rows"], strict=True):
            self.need_ids[row_id] = UUID(found["need_id"])
            if found["state"] == "fulfilled":
                self.done += 1
            elif found["state"] == "requested":
                undecided.append(row_id)
        return undecided

    async def end_week(self, week: int) -> None:
        """Hand over, check in and out, attend, pay, undo, cancel, send on, merge."""
        for form in (
            "moves", "checkins", "handovers", "attendance", "services", "payouts", "checkouts",
            "confirmations", "undos", "cancellations", "merges",
        ):  # fmt: skip
            for row in self.rows(week, form):
                self.pending.append(Act(form, row.get("row_id", ""), row))
        await self.work_off(week)
        await self.buyer.pay(week)

    async def work_off(self, week: int) -> None:
        """Try everything that is planned and not done."""
        todo, self.pending = self.pending, []
        by_form: dict[str, list[Act]] = {}
        for act in todo:
            by_form.setdefault(act.form, []).append(act)
        await asyncio.gather(
            self._houses(by_form, week),
            self._bulk("handovers", by_form.get("handovers", []), week),
            self._bulk("attendance", by_form.get("attendance", []), week),
            self._payouts(by_form.get("payouts", []), week),
        )
        self.done += await self._serve(by_form.get("services", []), week)
        await asyncio.gather(
            self._serve(by_form.get("confirmations", []), week),
            self._undo(by_form.get("undos", [])),
            *(
                self._need_step(act, "cancel", {"reason": act.fields["reason"]})
                for act in by_form.get("cancellations", [])
            ),
            *(self._merge(act) for act in by_form.get("merges", [])),
        )

    async def _houses(self, by_form: dict[str, list[Act]], week: int) -> None:
        """Send guests on, check guests in, then out."""
        for act in by_form.get("moves", []):
            await self._need_step(act, "move", {"place_area": act.fields["place_area"]})
        await self._bulk("checkins", by_form.get("checkins", []), week)
        await self._bulk("checkouts", by_form.get("checkouts", []), week)

    def _day(self, act: Act, week: int) -> str:
        """The day planned, or one of this week when that was missed."""
        monday = facts.FIRST_DAY + timedelta(weeks=week - 1)
        planned = date.fromisoformat(act.fields["served_on"])
        if planned < monday and act.form not in ("checkins", "checkouts"):
            planned = monday + timedelta(days=planned.weekday())
        return min(planned, facts.LAST_DAY).isoformat()

    async def _bulk(self, form: str, acts: list[Act], week: int) -> None:
        results = await self.office.rows(
            "inventory",
            BULK[form],
            Role.CASEWORKER,
            SOURCE,
            [self._bulk_row(act, week) for act in acts],
        )
        for act, result in zip(acts, results, strict=True):
            if result["status"] == "rejected":
                self._later(act, result)
            elif act.fields.get("missed", "0") != "0":
                # Did not come this time; another place is taken as soon as there is one.
                act.fields["missed"] = str(int(act.fields["missed"]) - 1)
                act.times += 1
                self.pending.append(act)
            elif form != "checkouts":
                self.reservation_ids[act.row_id] = UUID(str(result["id"]))
                self.done += 1

    def _bulk_row(self, act: Act, week: int) -> dict[str, object]:
        row: dict[str, object] = {
            "row_id": act.key,
            "need_id": str(self.need_ids[act.row_id]),
        }
        if act.form == "checkouts":
            return row | {"left_on": act.fields["left_on"]}
        row["served_on"] = self._day(act, week)
        if act.form == "attendance":
            row["attended"] = act.fields["missed"] == "0"
        if act.fields.get("prescription"):
            row["prescription_seen_on"] = row["served_on"]
        center = self.center_needs.get(act.row_id)
        if center is not None:
            row |= {"to_site_id": center, "serials": [f"sn-{act.row_id}"]}
        return row

    def _later(self, act: Act, result: Json) -> None:
        if result["problem"] not in NOT_YET:
            refuse_rejected(self.office.region, act.form, [result])
        self.pending.append(act)

    async def _payouts(self, acts: list[Act], week: int) -> None:
        """Approve what is drawn up; a second person enters what the bank paid."""
        new = [act for act in acts if act.row_id not in self.approved_payouts]
        rows: list[dict[str, object]] = [
            {"row_id": act.row_id, "need_id": str(self.need_ids[act.row_id])} for act in new
        ]
        results = await self.office.rows(
            "payments", "/v1/payouts:approve", Role.APPROVER, SOURCE, rows
        )
        for act, result in zip(new, results, strict=True):
            if result["status"] == "rejected":
                self._later(act, result)
            else:
                self.approved_payouts[act.row_id] = str(result["id"])
        paid = [act for act in acts if act.row_id in self.approved_payouts]
        rows = [
            {
                "row_id": act.row_id,
                "need_id": str(self.need_ids[act.row_id]),
                "bank_reference": act.fields["bank_reference"],
                "served_on": self._day(act, week),
            }
            for act in paid
        ]
        results = await self.office.rows(
            "payments", "/v1/payouts:settle", Role.FINANCE, SOURCE, rows
        )
        elsewhere: list[Act] = []
        for act, result in zip(paid, results, strict=True):
            if result["problem"] == "paid-elsewhere":
                elsewhere.append(act)
            elif result["status"] == "rejected":
                self._later(act, result)
            else:
                self.done += 1
        await self._pay_elsewhere(elsewhere, week)

    async def _pay_elsewhere(self, acts: list[Act], week: int) -> None:
        """What was handed to the paying office is settled there, once it has come."""
        if not acts or self.bank is None:
            return
        rows = [
            {
                "row_id": act.row_id,
                "payout_id": self.approved_payouts[act.row_id],
                "bank_reference": act.fields["bank_reference"],
                "served_on": self._day(act, week),
            }
            for act in acts
        ]
        source = f"{SOURCE}/{self.office.region}"
        results = await self.bank.rows(
            "payments", "/v1/paying-orders:settle", Role.FINANCE, source, rows
        )
        for act, result in zip(acts, results, strict=True):
            if result["status"] == "rejected":
                self._later(act, result)
            else:
                self.done += 1

    async def _undo(self, acts: list[Act]) -> None:
        """Undo handovers; most are done again at once, the others cancelled when that is told."""
        for act in acts:
            reservation_id = self.reservation_ids.pop(act.row_id, None)
            if reservation_id is None:
                self.pending.append(act)
                continue
            path = f"/v1/reservations/{reservation_id}:undo"
            await self.office.post(
                "inventory", path, Role.CASEWORKER, {"reason": act.fields["reason"]}
            )
            self.done -= 1
            if act.fields["again"]:
                again = {"row_id": act.row_id, "served_on": facts.FIRST_DAY.isoformat()}
                self.pending.append(Act("handovers", act.row_id, again, times=1))
            else:
                over = {"row_id": act.row_id, "reason": act.fields["reason"]}
                self.pending.append(Act("cancellations", act.row_id, over))

    async def _serve(self, acts: list[Act], week: int) -> int:
        """Record services and confirm starts; returns how many there were."""
        results = await self.office.rows(
            "intake",
            "/v1/needs:serve",
            Role.CASEWORKER,
            SOURCE,
            [
                {
                    "row_id": f"{act.form}/{act.key}",
                    "need_id": str(self.need_ids[act.row_id]),
                    "served_on": self._day(act, week),
                }
                for act in acts
            ],
        )
        for act, result in zip(acts, results, strict=True):
            if result["status"] == "rejected":
                self._later(act, result)
        return sum(result["status"] != "rejected" for result in results)

    async def _need_step(self, act: Act, step: str, body: Json) -> bool:
        """One step with one need; put off when its state does not allow it yet."""
        path = f"/v1/needs/{self.need_ids[act.row_id]}:{step}"
        answer = await self.office.post(
            "intake", path, Role.CASEWORKER, body, accept=frozenset({409})
        )
        if answer.is_success:
            return True
        self._later(act, {"status": "rejected", "problem": answer.json()["type"].split(":")[-1]})
        return False

    async def _merge(self, act: Act) -> None:
        ids = []
        for name in ("code", "into_code"):
            found = await self.office.post(
                "intake", "/v1/persons:find", Role.CASEWORKER, {"client_code": act.fields[name]}
            )
            ids.append(found.json()["person_id"])
        path, body = f"/v1/persons/{ids[0]}:merge", {"into_person_id": ids[1]}
        proposed = await self.office.post("intake", path, Role.CASEWORKER, body)
        path = f"/v1/merges/{proposed.json()['merge_id']}:confirm"
        await self.office.post("intake", path, Role.LEAD)


def refuse_bad_import(region: str, answer: Json) -> None:
    """Raise unless every row of an import was taken in, now or before.

    Raises:
        RefusedError: rows were rejected.
    """
    rejected = answer.get("rejected")
    if rejected:
        refuse_rejected(region, "requests", [{"status": "rejected", "answer": answer}])
