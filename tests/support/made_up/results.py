"""Made-up results, as reporting shows them."""

from collections.abc import Mapping

from support.made_up.basics import at, number


def _line(people: int, services: int, contacts: int = 0,
          **more: object) -> dict[str, object]:  # fmt: skip
    return {"kind": None, "area": None, "month": None, "grant_id": None, "people": people,
            "people_exact": True, "services": services, "contacts": contacts, "quantities": {},
            "amounts": {}, **more}  # fmt: skip


RESULT_LINES = {
    "kind": [_line(4120, 6120, kind="food_parcel"), _line(2011, 3300, kind="hygiene_kit"),
             _line(169, 214, kind="shelter_night"), _line(1880, 3020, kind="counseling"),
             _line(0, 220, 5400, kind="condoms_lubricant")],
    "area": [_line(7020, 11_000, 3000, area="UA80"), _line(3120, 5200, 900, area="UA46")],
    "month": [_line(1200, 1800, 400, month="2024-01"), _line(1311, 1900, 420, month="2024-02")],
    "grant": [_line(5000, 7000, grant_id=str(number("qn"))), _line(1200, 1500)],
}  # fmt: skip


MONTHS = [
    {"month": "2024-01", "settled_at": at(-600), "version": 1, "published_at": at(-600)},
    {"month": "2024-02", "settled_at": None, "version": 1, "published_at": at(-300)},
]


TOGETHER = {"people": 61, "services": 84, "contacts": 0}


def results(by: str, apart: Mapping[str, object] | None = None) -> dict[str, object]:
    """Results of a period, for those who see everything or (`apart`) not all of it."""
    return {
        "whole": {
            "provisional": True,
            "regions": [{"region": "kyiv", "as_of": at(0)}, {"region": "lviv", "as_of": at(-25)}],
            "left_out": ["2024-03"],
            "lines": RESULT_LINES[by],
            "total": _line(14_385, 22_104, 5400) | {"people_exact": False},
            "apart": apart,
        },
    }


def public(by: str) -> dict[str, object]:
    """The same for everybody: counts only, of what is of many."""
    names = ("kind", "area", "month", "people", "services", "contacts")
    return {
        "provisional": False,
        "regions": [{"region": "kyiv", "as_of": at(0)}, {"region": "lviv", "as_of": at(-25)}],
        "lines": [{name: line.get(name) for name in names} for line in RESULT_LINES[by]],
        "apart": TOGETHER,
        "total": TOGETHER,
    }
