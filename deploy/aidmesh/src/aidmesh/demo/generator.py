"""Writes the year as a folder of CSV files, marked as synthetic. Same arguments, same bytes.

README.txt  expected.json  canaries.csv
setup/      sites, beds, items, grants, budget lines
weeks/01/   instalments, allotments, recalls
weeks/01/kyiv/  purchases, receipts, slots, closures, requests, approvals, handovers,
            checkins, checkouts, attendance, services, payouts, confirmations, undos,
            cancellations, moves, merges
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

from aidmesh.demo import facts
from aidmesh.demo.csvfiles import Row, write_rows
from aidmesh.demo.facts import region_of, week_of
from aidmesh.demo.money import BRIDGE, CUT_GRANT, GRANTS, Money, kind_of_item, plan_money
from aidmesh.demo.needs import Ending, Need
from aidmesh.demo.people import Person, canaries_of
from aidmesh.demo.supply import (
    Bed,
    Receipt,
    Site,
    Slot,
    center_of,
    plan_beds,
    plan_receipts,
    plan_sites,
    plan_slots,
)
from aidmesh.demo.year import Year, plan_year
from aidmesh_intake.domain.asks import approves_itself, ask_of
from aidmesh_intake.domain.kinds import Kind

SOURCE = "year-2024"
SCALE_MIN, SCALE_MAX = 0.01, 20.0

NOTICE = """\
synthetic, fitted to public totals

No one in these files exists. The totals of people and services follow what ALLIANCE.GLOBAL
published for 2024; how they split by kind, area and week is made up, and so are all grants.
Names, codes and accounts in canaries.csv must never appear outside encrypted fields.
"""

REQUEST_COLUMNS = (
    "row_id", "client_code", "chosen_name", "legal_name", "birth_year", "contact_channel",
    "contact_address", "contact_hours", "contact_wording", "contact_safe", "languages", "area",
    "origin_area", "household_code", "for_household", "for_site", "kind", "quantity", "asked_on",
    "planned_on", "place_area", "site_code", "from_on", "to_on", "payee_mechanism", "payee_name",
    "payee_iban", "headcount", "given", "served_on",
)  # fmt: skip

SUPPLY_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "purchases": ("code", "grant", "programme", "item", "quantity", "unit_value_minor"),
    "receipts": ("row_id", "site_code", "item", "quantity", "received_on", "purchase"),
    "slots": ("site_code", "code", "professional", "starts_at", "minutes", "seats"),
}

ACT_FILES: Mapping[Ending, str] = {
    "handover": "handovers",
    "check_in": "checkins",
    "attendance": "attendance",
    "payout": "payouts",
    "serve": "services",
}


BEGUN_AFTER = timedelta(days=5)
"""So long after the appointment the caseworker hears that it has begun."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the year comes to once it is played."""

    people: int
    services: int
    contacts: int
    waitlisted: int
    cancelled: int
    services_by_kind: dict[str, int]


def generate(
    folder: Path,
    kinds: Mapping[str, Kind],
    *,
    seed: int,
    scale: float,
    regions: Sequence[str],
) -> Expected:
    """Write the scenario into an empty or missing folder.

    Args:
        kinds: the catalogue: what each kind takes.
        scale: of people, services, goods, beds and money; 1 is the year as it was.

    Raises:
        ValueError: a scale out of bounds, or no regions.
    """
    if not SCALE_MIN <= scale <= SCALE_MAX or not regions:
        raise ValueError(f"scale is {SCALE_MIN} to {SCALE_MAX}, and there is at least one region")
    rng = Random(seed)  # noqa: S311 - a scenario, not a secret
    served_by = {area.code: region_of(area, regions) for area in facts.AREAS}
    year = plan_year(rng, kinds, scale, regions)
    receipts = plan_receipts(rng, kinds, year.needs, served_by)
    slots = plan_slots(rng, kinds, year.needs, served_by)
    money = plan_money(kinds, year.needs, receipts, served_by)
    beds = plan_beds(kinds, year.needs, served_by, scale)
    expected = _expected(year)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.txt").write_text(NOTICE, encoding="utf-8")
    (folder / "expected.json").write_text(
        json.dumps(asdict(expected), indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
    canaries = [pair for person in year.people for pair in canaries_of(person)]
    write_rows(
        folder / "canaries.csv",
        ("field", "value"),
        [{"field": field, "value": value} for field, value in canaries],
    )
    _write_setup(folder / "setup", kinds, money, plan_sites(served_by), beds)
    _write_money(folder / "weeks", money)
    _write_supply(folder / "weeks", money, receipts, slots, served_by)
    _write_needs(folder / "weeks", rng, kinds, year, served_by)
    return expected


def _expected(year: Year) -> Expected:
    served = [need for need in year.needs if need.fate == "served"]
    return Expected(
        people=len({need.person.number for need in served if need.person is not None}),
        services=len(served),
        contacts=sum(need.headcount or 0 for need in served),
        waitlisted=sum(need.fate == "waits" for need in year.needs),
        cancelled=sum(need.fate in ("cancelled", "wrong") for need in year.needs),
        services_by_kind=dict(sorted(Counter(need.kind for need in served).items())),
    )


def _write_setup(
    folder: Path,
    kinds: Mapping[str, Kind],
    money: Money,
    sites: Sequence[Site],
    beds: Sequence[Bed],
) -> None:
    write_rows(
        folder / "sites.csv",
        ("region", "code", "name", "area", "site_type"),
        [asdict(site) for site in sites],
    )
    write_rows(
        folder / "beds.csv",
        ("region", "site_code", "label", "room", "code", "owner"),
        [asdict(bed) for bed in beds],
    )
    write_rows(
        folder / "items.csv",
        ("code", "uk", "en", "de", "unit", "tracking", "prescription"),
        [
            {
                "code": item,
                **_item_names(kinds[kind], item),
                "unit": "piece",
                "tracking": "serial" if kind in facts.CENTER_KINDS else "lot",
                "prescription": kind in facts.ON_PRESCRIPTION,
            }
            for item, kind in sorted(kind_of_item(kinds).items())
        ],
    )
    grantor = sites[0].region
    write_rows(
        folder / "grants.csv",
        (
            "region",
            "code",
            "donor",
            "currency",
            "amount_minor",
            "programmes",
            "kinds",
            "valid_from",
            "valid_to",
        ),
        [
            {
                "region": grantor,
                "code": terms.code,
                "donor": terms.donor,
                "currency": terms.currency,
                "amount_minor": money.amounts[terms.code],
                "programmes": " ".join(sorted({kinds[k].programme for k in terms.kinds or ()})),
                "kinds": " ".join(terms.kinds or ()),
                "valid_from": facts.FIRST_DAY,
                "valid_to": facts.LAST_DAY,
            }
            for terms in (*GRANTS, BRIDGE)
            if money.amounts.get(terms.code)
        ],
    )
    write_rows(
        folder / "budget_lines.csv",
        ("grant", "code", "amount_minor"),
        [
            {"grant": grant, "code": line, "amount_minor": amount}
            for (grant, line), amount in sorted(money.lines.items())
        ],
    )


def _item_names(kind: Kind, item: str) -> dict[str, str]:
    extra = "" if len(kind.stock) == 1 else f" ({item})"
    return {
        "uk": kind.names.uk + extra,
        "en": kind.names.en + extra,
        "de": kind.names.de + extra,
    }


def _write_money(weeks: Path, money: Money) -> None:
    for week in range(1, facts.WEEKS + 1):
        folder = weeks / f"{week:02d}"
        write_rows(
            folder / "instalments.csv",
            ("grant", "amount_minor", "currency", "received_on"),
            [asdict(i) for i in money.instalments if i.week == week],
        )
        write_rows(
            folder / "allotments.csv",
            ("grant", "budget_line", "region", "amount_minor", "rate", "granted_minor"),
            [asdict(a) for a in money.allotments if a.week == week],
        )
    write_rows(
        weeks / f"{facts.CUT_WEEK:02d}" / "recalls.csv",
        ("grant", "reason"),
        [{"grant": CUT_GRANT, "reason": "donor_cut"}],
    )


def _write_supply(
    weeks: Path,
    money: Money,
    receipts: Sequence[Receipt],
    slots: Sequence[Slot],
    served_by: Mapping[str, str],
) -> None:
    files: dict[tuple[int, str, str], list[Row]] = {}
    for line in money.purchases:
        files.setdefault((line.week, line.region, "purchases"), []).append(asdict(line))
    for receipt in receipts:
        row_id = f"{receipt.site_code}-{receipt.week:02d}-{receipt.item}"
        files.setdefault((receipt.week, receipt.region, "receipts"), []).append(
            {"row_id": row_id, **asdict(receipt)}
        )
    for slot in slots:
        starts_at = slot.starts_at.isoformat(timespec="minutes")
        files.setdefault((slot.week, slot.region, "slots"), []).append(
            {**asdict(slot), "starts_at": starts_at}
        )
    for (week, region, name), rows in sorted(files.items()):
        write_rows(weeks / f"{week:02d}" / region / f"{name}.csv", SUPPLY_COLUMNS[name], rows)
    region = served_by[facts.CLOSED_AREA]
    for week, action in (
        (facts.CLOSED_FIRST_WEEK, "close"),
        (facts.CLOSED_LAST_WEEK + 1, "reopen"),
    ):
        row = {"site_code": center_of(facts.CLOSED_AREA), "action": action, "reason": "strike"}
        write_rows(weeks / f"{week:02d}" / region / "closures.csv", tuple(row), [row])


def _write_needs(
    weeks: Path,
    rng: Random,
    kinds: Mapping[str, Kind],
    year: Year,
    served_by: Mapping[str, str],
) -> None:
    introduced: set[str] = set()
    files: dict[tuple[int, str, str], list[Row]] = {}

    def add(week: int, region: str, name: str, row: Row) -> None:
        files.setdefault((min(week, facts.WEEKS), region, name), []).append(row)

    for need in year.needs:
        region = served_by[need.home_area]
        add(need.week, region, "requests", _request(need, region, kinds, introduced))
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


def _request(need: Need, region: str, kinds: Mapping[str, Kind], introduced: set[str]) -> Row:
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
        }
    return row
