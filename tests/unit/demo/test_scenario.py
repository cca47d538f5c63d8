"""The year 2024 as files: the same each time, and as much as was published."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest

from aidmesh.demo import facts
from aidmesh.demo.catalogue import load_kinds
from aidmesh.demo.generator import NOTICE, Expected, generate
from aidmesh.demo.people import iban

REGIONS = ("kyiv", "lviv", "odesa")
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Expected]:
    folder = tmp_path_factory.mktemp("year")
    return folder, generate(folder, load_kinds(), seed=2024, scale=1.0, regions=REGIONS)


def rows(path: Path) -> Rows:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def weekly(folder: Path, name: str) -> dict[tuple[int, str], Rows]:
    """Rows by week and region."""
    return {
        (int(path.parent.parent.name), path.parent.name): rows(path)
        for path in sorted(folder.glob(f"weeks/*/*/{name}.csv"))
    }


def contents(folder: Path) -> Mapping[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_same_seed_and_scale_give_the_same_bytes(tmp_path: Path) -> None:
    kinds = load_kinds()
    for name in ("one", "two"):
        generate(tmp_path / name, kinds, seed=7, scale=0.03, regions=REGIONS)
    generate(tmp_path / "other", kinds, seed=8, scale=0.03, regions=REGIONS)

    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_totals_are_those_of_2024(year: tuple[Path, Expected]) -> None:
    folder, expected = year
    assert expected.people == 14_385
    assert expected.services >= 22_000
    assert json.loads((folder / "expected.json").read_text())["people"] == 14_385
    assert (folder / "README.txt").read_text(encoding="utf-8") == NOTICE
    assert "synthetic, fitted to public totals" in NOTICE

    asked = [row for rows_ in weekly(folder, "requests").values() for row in rows_]
    areas = {row["place_area"] for row in asked if row["kind"] == "equipment_center"}
    assert areas == {area.code for area in facts.AREAS}
    cities = {row["place_area"] for row in asked if row["kind"] == "shelter_night"}
    assert cities == {"UA80", "UA46", "UA51", "UA63", "UA12"}


@pytest.mark.parametrize("scale", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("regions", [("kyiv",), ("kyiv", "lviv"), REGIONS])
def test_every_scale_and_choice_of_regions_works(
    tmp_path: Path, scale: float, regions: tuple[str, ...]
) -> None:
    expected = generate(tmp_path / "y", load_kinds(), seed=1, scale=scale, regions=regions)

    assert expected.people == round(14_385 * scale)
    assert expected.services >= 22_000 * scale
    places = {path.parent.name for path in (tmp_path / "y").glob("weeks/*/*/requests.csv")}
    assert places == set(regions)


def test_rows_are_unique_and_each_is_acted_on_once(year: tuple[Path, Expected]) -> None:
    folder, expected = year
    asked = Counter(row["row_id"] for part in weekly(folder, "requests").values() for row in part)
    assert max(asked.values()) == 1
    acted: Counter[str] = Counter()
    for name in ("handovers", "checkins", "attendance", "payouts", "services"):
        acted.update(row["row_id"] for part in weekly(folder, name).values() for row in part)
    assert max(acted.values()) == 1
    begun = Counter(
        row["row_id"] for part in weekly(folder, "confirmations").values() for row in part
    )
    kind_of = {row["row_id"]: row["kind"] for p in weekly(folder, "requests").values() for row in p}
    assert set(begun.values()) == {1}
    assert begun.keys() == {each for each in acted if kind_of[each] == "prep_navigation"}
    prescribed = {
        kind_of[row["row_id"]]
        for part in weekly(folder, "handovers").values()
        for row in part
        if row["prescription"]
    }
    assert prescribed == {"hormone_therapy", "medicine"}
    undone_for_good = sum(
        row["again"] == "" for part in weekly(folder, "undos").values() for row in part
    )
    outreach = sum(row["given"] == "true" for p in weekly(folder, "requests").values() for row in p)
    assert len(acted) + outreach == expected.services + undone_for_good


def test_no_shelter_has_more_guests_than_beds_and_kyiv_is_full_in_april(
    year: tuple[Path, Expected],
) -> None:
    folder, _ = year
    beds = Counter(
        row["site_code"].removeprefix("shelter-").upper()
        for row in rows(folder / "setup" / "beds.csv")
        if row["owner"] == "own"
    )
    assert beds["UA80"] == 14
    sent_on = {
        row["row_id"]: row["place_area"]
        for part in weekly(folder, "moves").values()
        for row in part
    }
    assert sent_on
    taken: Counter[tuple[str, date]] = Counter()
    for part in weekly(folder, "requests").values():
        for row in part:
            if row["kind"] != "shelter_night":
                continue
            first = date.fromisoformat(row["from_on"])
            until = date.fromisoformat(row["to_on"]) if row["to_on"] else facts.LAST_DAY
            area = sent_on.get(row["row_id"], row["place_area"])
            if row["row_id"] in sent_on:
                assert taken["UA80", first] == 14, "sent on although there was a bed"
            for day in range((until - first).days):
                taken[area, first + timedelta(days=day)] += 1
    april = [taken["UA80", date(2024, 4, day)] for day in range(1, 15)]
    assert april == [14] * 14


def test_goods_run_out_between_deliveries_and_suffice_in_the_end(
    year: tuple[Path, Expected],
) -> None:
    folder, expected = year
    came: dict[int, int] = defaultdict(int)
    for (week, _), part in weekly(folder, "receipts").items():
        came[week] += sum(int(r["quantity"]) for r in part if r["item"] == "food_voucher")
    asked: dict[int, int] = defaultdict(int)
    for (week, _), part in weekly(folder, "requests").items():
        asked[week] += sum(r["kind"] == "food_voucher" for r in part)
    assert sum(came.values()) == expected.services_by_kind["food_voucher"]
    short, stock = 0, 0
    for week in range(1, facts.WEEKS + 1):
        stock += came[week] - asked[week]
        short += stock < 0
    assert short > 2


def test_grants_in_three_currencies_are_allotted_only_as_received(
    year: tuple[Path, Expected],
) -> None:
    folder, _ = year
    grants = {row["code"]: row for row in rows(folder / "setup" / "grants.csv")}
    assert {row["currency"] for row in grants.values()} == {"EUR", "USD", "UAH"}
    received: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for week in range(1, facts.WEEKS + 1):
        part = folder / "weeks" / f"{week:02d}"
        for row in rows(part / "instalments.csv"):
            received[row["grant"]] += int(row["amount_minor"])
        for row in rows(part / "allotments.csv"):
            given[row["grant"]] += int(row["granted_minor"])
        assert all(given[code] <= received[code] for code in given)
    assert all(received[code] <= int(row["amount_minor"]) for code, row in grants.items())
    assert rows(folder / "weeks" / f"{facts.CUT_WEEK:02d}" / "recalls.csv")


def test_canaries_are_listed_and_used(year: tuple[Path, Expected]) -> None:
    folder, _ = year
    listed = rows(folder / "canaries.csv")
    fields = {row["field"] for row in listed}
    assert fields == {
        "client_code", "chosen_name", "legal_name", "contact_address", "payee_iban",
    }  # fmt: skip
    everything = "\n".join(
        path.read_text(encoding="utf-8") for path in folder.glob("weeks/*/*/requests.csv")
    )
    names = [row["value"] for row in listed if row["field"] == "chosen_name"]
    assert all(name in everything for name in names)


def test_ibans_have_right_check_digits() -> None:
    for account in range(50):
        text = iban(399_999, account * 7919)
        digits = "".join(str(int(char, 36)) for char in text[4:] + text[:4])
        assert len(text) == 29
        assert int(digits) % 97 == 1


def test_limits_of_the_catalogue_are_kept(year: tuple[Path, Expected]) -> None:
    folder, _ = year
    kinds = load_kinds()
    overridden = {row["row_id"] for row in approvals(folder) if row["override_reason"]}
    days: dict[tuple[str, str], list[date]] = defaultdict(list)
    for part in weekly(folder, "requests").values():
        for row in part:
            if row["client_code"] and row["row_id"] not in overridden:
                day = date.fromisoformat(row["planned_on"])
                days[row["client_code"], row["kind"]].append(day)
    for (_, code), dates in days.items():
        for limit in kinds[code].limits:
            if limit.kinds and limit.kinds != (code,):
                continue
            ordered = sorted(dates)
            for first, last in zip(ordered, ordered[limit.count :], strict=False):
                assert (last - first).days >= limit.days, code


def test_what_a_household_gets_is_asked_for_once(year: tuple[Path, Expected]) -> None:
    folder, _ = year
    asked = [row for part in weekly(folder, "requests").values() for row in part]
    home = {row["client_code"]: row["household_code"] for row in asked if row["household_code"]}
    limited = load_kinds()["rent_support"]
    assert [limit.per for limit in limited.limits] == ["household"]
    by_home: dict[tuple[str, str], Rows] = defaultdict(list)
    for row in asked:
        if row["client_code"] in home:
            by_home[home[row["client_code"]], row["kind"]].append(row)
    together = 0
    for (_, kind), theirs in by_home.items():
        for row in theirs:
            if not row["for_household"] and kind != "rent_support":
                continue
            together += 1
            day = date.fromisoformat(row["planned_on"])
            for other in theirs:
                if other is not row:
                    apart = abs((date.fromisoformat(other["planned_on"]) - day).days)
                    assert apart > 45, row["row_id"]
    assert together > 100


def approvals(folder: Path) -> Rows:
    return [row for part in weekly(folder, "approvals").values() for row in part]


def test_a_person_approves_what_the_rule_does_not_and_a_few_against_a_limit(
    year: tuple[Path, Expected],
) -> None:
    folder, _ = year
    kinds = load_kinds()
    asked = {row["row_id"]: row for part in weekly(folder, "requests").values() for row in part}
    by_row = {row["row_id"]: row["override_reason"] for row in approvals(folder)}
    left_to_a_person = {
        row_id
        for row_id, row in asked.items()
        if kinds[row["kind"]].auto_approve is None and not row["given"]
    }
    overridden = {row_id for row_id, reason in by_row.items() if reason}
    assert by_row.keys() == left_to_a_person | overridden
    assert 0 < len(overridden) < 20
    for row_id in overridden:
        row = asked[row_id]
        day = date.fromisoformat(row["planned_on"])
        near = [
            date.fromisoformat(other["planned_on"])
            for other in asked.values()
            if (other["client_code"], other["kind"]) == (row["client_code"], row["kind"])
            and other["row_id"] not in overridden
        ]
        (limit,) = kinds[row["kind"]].limits
        assert any(0 < (day - other).days < limit.days for other in near), row_id


def test_a_scale_out_of_bounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scale"):
        generate(tmp_path / "y", load_kinds(), seed=1, scale=0.0, regions=REGIONS)
