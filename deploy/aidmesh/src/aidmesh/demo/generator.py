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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from aidmesh.demo import facts
from aidmesh.demo.csvfiles import Row, write_rows
from aidmesh.demo.facts import region_of
from aidmesh.demo.money import BRIDGE, CUT_GRANT, GRANTS, Money, kind_of_item, plan_money
from aidmesh.demo.need_files import write_needs
from aidmesh.demo.people import canaries_of
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
from aidmesh_intake.domain.kinds import Kind

SOURCE = "year-2024"
SCALE_MIN, SCALE_MAX = 0.01, 20.0

NOTICE = """\
synthetic, fitted to public totals

No one in these files exists. The totals of people and services follow what ALLIANCE.GLOBAL
published for 2024; how they split by kind, area and week is made up, and so are all grants.
Names, codes and accounts in canaries.csv must never appear outside encrypted fields.
"""

SUPPLY_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "purchases": ("code", "grant", "programme", "item", "quantity", "unit_value_minor"),
    "receipts": ("row_id", "site_code", "item", "quantity", "received_on", "purchase"),
    "slots": ("site_code", "code", "professional", "starts_at", "minutes", "seats"),
}


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
    write_needs(folder / "weeks", rng, kinds, year, served_by)
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
