"""Writes what is asked for in the year, and what becomes of it, as the files that users send."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from random import Random

from aidmesh.demo import facts
from aidmesh.demo.csvfiles import Row, write_rows
from aidmesh.demo.facts import week_of
from aidmesh.demo.needs import Ending, Need
from aidmesh.demo.people import Person
from aidmesh.demo.supply import center_of
from aidmesh.demo.year import Year
from aidmesh_intake.domain.asks import approves_itself, ask_of
from aidmesh_intake.domain.kinds import Kind

REQUEST_COLUMNS = (
    "row_id", "client_code", "chosen_name", "legal_name", "birth_year", "contact_channel",
    "contact_address", "contact_hours", "contact_wording", "contact_safe", "consents", "languages",
    "area", "origin_area", "household_code", "for_household", "for_site", "kind", "quantity",
    "asked_on", "planned_on", "place_area", "site_code", "from_on", "to_on", "payee_mechanism",
    "payee_name", "payee_iban", "headcount", "given", "served_on",
)  # fmt: skip

ACT_FILES: Mapping[Ending, str] = {
    "handover": "handovers",
    "check_in": "checkins",
    "attendance": "attendance",
    "payout": "payouts",
    "serve": "services",
}


BEGUN_AFTER = timedelta(days=5)
"""So long after the appointment the caseworker hears that it has begun."""


def write_needs(
    weeks: Path,
    rng: Random,
    kinds: Mapping[str, Kind],
    year: Year,
    served_by: Mapping[str, str],
) -> None:
    """Write requests, and what becomes of each, by week and region.

    Args:
        served_by: the region of each area.
    """
    introduced: set[str] = set()
    files: dict[tuple[int, str, str], list[Row]] = {}

    def add(week: int, region: str, name: str, row: Row) -> None:
        files.setdefault((min(week, facts.WEEKS), region, name), []).append(row)

    for need in year.needs:
        region = served_by[need.home_area]
        add(need.week, region, "requests", _request(need, kinds, introduced))
        if need.ending != "fact":
            kind = kinds[need.kind]
            ask = ask_of(kind, need.quantity, need.asked_on, from_on=need.from_on, to_on=need.to_on)
            if need.override or not approves_itself(kind, need.quantity, ask):
                approval = {"row_id": need.row_id, "override_reason": need.override}
                add(need.week, region, "approvals", approval)
            _write_course(need, kind, region, rng, add)
    for merge in year.merges:
        codes = {"code": merge.code, "into_code": merge.into_code}
        add(merge.week, served_by[merge.area], "merges", codes)
    for (week, region, name), rows in sorted(files.items()):
        columns = REQUEST_COLUMNS if name == "requests" else tuple(rows[0])
        write_rows(weeks / f"{week:02d}" / region / f"{name}.csv", columns, rows)


def _write_course(
    need: Need, kind: Kind, region: str, rng: Random, add: Callable[[int, str, str, Row], None]
) -> None:
    """What happens to a need after it was asked for."""
    if need.sent_on_to is not None:
        add(need.week, region, "moves", {"row_id": need.row_id, "place_area": need.sent_on_to})
    if need.fate == "cancelled":
        cancelled = {"row_id": need.row_id, "reason": "not_needed_any_more"}
        add(need.act_week, region, "cancellations", cancelled)
    if need.fate in ("waits", "cancelled"):
        return
    act_on = need.act_on or _day_of(need, rng)
    act: dict[str, object] = {"row_id": need.row_id, "served_on": act_on}
    if need.ending == "attendance":
        act["missed"] = need.missed
    if need.ending == "handover":
        act["prescription"] = need.kind in facts.ON_PRESCRIPTION
    if need.ending == "payout":
        act["bank_reference"] = f"B24-{need.row_id}"
    add(need.act_week, region, ACT_FILES[need.ending], act)
    if kind.confirmed_start and need.ending == "attendance":
        began = {"row_id": need.row_id, "served_on": min(act_on + BEGUN_AFTER, facts.LAST_DAY)}
        add(need.act_week + 1, region, "confirmations", began)
    if need.left_on is not None:
        left = {"row_id": need.row_id, "left_on": need.left_on}
        add(week_of(need.left_on), region, "checkouts", left)
    if need.undone_week is not None:
        again = need.fate == "served"
        reason = "entered_by_mistake" if again else "wrong_person"
        undone = {"row_id": need.row_id, "reason": reason, "again": again}
        add(need.undone_week, region, "undos", undone)


def _day_of(need: Need, rng: Random) -> date:
    """A weekday of the week in which it is planned, not before it is asked for."""
    monday = facts.FIRST_DAY + timedelta(weeks=need.act_week - 1)
    day = monday + timedelta(days=rng.randrange(5))
    return min(max(day, need.asked_on), facts.LAST_DAY)


def _request(need: Need, kinds: Mapping[str, Kind], introduced: set[str]) -> Row:
    row: dict[str, object] = {
        "row_id": need.row_id,
        "kind": need.kind,
        "quantity": need.quantity,
        "asked_on": need.asked_on,
        "planned_on": need.asked_on,
        "place_area": need.place_area,
        "from_on": need.from_on,
        "to_on": need.to_on,
        "headcount": need.headcount,
    }
    if need.kind in facts.EVENT_KINDS:
        row["planned_on"] = facts.EVENT_DAY
    if need.kind in facts.CENTER_KINDS:
        row |= {"site_code": center_of(need.place_area), "for_site": True}
    if need.ending == "fact":
        row |= {"given": True, "served_on": need.act_on}
    if need.person is not None:
        row |= _person_fields(need.person, need.alias, introduced)
        if need.for_household:
            row |= {"household_code": need.person.household, "for_household": True}
        money = kinds[need.kind].money
        if money is not None and money.by == "payout":
            row |= {
                "payee_mechanism": "iban",
                "payee_name": need.person.legal_name,
                "payee_iban": need.person.iban,
            }
    return row


def _person_fields(person: Person, alias: str, introduced: set[str]) -> Row:
    """Details the first time someone comes, afterwards the code alone."""
    code = alias or person.code
    if code in introduced:
        return {"client_code": code}
    introduced.add(code)
    row: dict[str, object] = {
        "client_code": code,
        "area": person.area,
        "origin_area": person.origin_area,
        "birth_year": person.birth_year,
        "languages": person.language,
        "household_code": "" if alias else person.household,
    }
    if alias or not person.with_details:
        return row
    row |= {"chosen_name": person.chosen_name, "legal_name": person.legal_name}
    if person.address:
        row |= {
            "contact_channel": person.channel,
            "contact_address": person.address,
            "contact_hours": "09:00-20:00",
            "contact_wording": "neutral",
            "contact_safe": person.safe,
            "consents": "contact" if person.safe else "",
        }
    return row
