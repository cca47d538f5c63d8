"""Made-up needs and persons, as intake shows them."""

from collections.abc import Mapping

from support.made_up.basics import WAREHOUSE, at, iso, number


def need(name: str, kind: str, state: str, **more: object) -> dict[str, object]:
    """A need as intake's lists show it."""
    return {
        "need_id": str(number(name)),
        "request_id": str(number(f"request {name}")),
        "kind": kind,
        "state": state,
        "band": "normal",
        "quantity": 1,
        "place_area": "UA80",
        "site_id": None,
        "at_site_id": None,
        "asked_on": iso(-3),
        "needed_by": None,
        "told_at": None,
        "message": None,
        "attention": None,
        **more,
    }


NEEDS = [
    need(
        "pep",
        "pep_navigation",
        "ready",
        band="emergency",
        asked_on=iso(),
        message="failed",
        needed_by=iso(2),
        needed_until=f"{iso(2)}T06:30:00Z",
    ),
    need("bed", "shelter_night", "waitlisted", band="urgent", needed_by=iso(2)),
    need(
        "parcel",
        "food_parcel",
        "ready",
        quantity=2,
        at_site_id=str(WAREHOUSE),
        message="no_safe_contact",
    ),
    need("aid", "financial_aid", "requested", band="raised"),
    need("talk", "counseling", "fulfilled", asked_on=iso(-20)),
    need("kit", "hygiene_kit", "waitlisted", attention="served_by_two_attempts"),
    need(
        "prep",
        "prep_navigation",
        "ready",
        confirmed_start=True,
        attended_on=iso(-1),
        told_at=at(-900),
        needed_by=iso(1),
        ends_soon=True,
    ),
]


def _merge(
    name: str, into: str, state: str = "proposed", by: str = "colleague"
) -> dict[str, object]:
    return {
        "merge_id": str(number(f"merge {name}")),
        "person_id": str(number(name)),
        "into_person_id": str(number(into)),
        "state": state,
        "proposed_by": str(number(by)),
        "proposed_at": at(-500),
        "decided_by": None,
        "households_differ": False,
    }


MERGES = [
    _merge("other", "person"),
    _merge("twin", "person", by="me"),
    _merge("behind", "person", "merged"),
]


def whole(row: Mapping[str, object]) -> dict[str, object]:
    """A need as intake shows one."""
    waits = row["state"] == "waitlisted"
    return {
        **row,
        "request_id": str(number("request")),
        "person_id": str(number("person")),
        "headcount": None,
        "ask": {"stock": [{"item": "food_parcel", "quantity": 2}]}
        if row["kind"] == "food_parcel"
        else {"money": {"amount_minor": 300_000, "currency": "UAH", "by": "payout"}}
        if row["kind"] == "financial_aid"
        else {"capacity": {"resource": "bed", "code": "shelter"}}
        if row["kind"] == "shelter_night"
        else {},
        "blocked_by": {"resource": "bed", "code": "shelter"} if waits else None,
        "wait": "short" if waits else None,
        "ahead": 3 if waits else None,
        "served_on": iso(-1) if row["state"] == "fulfilled" else None,
        "given": False,
        "reason": None,
        "timeline": [
            {"at": at(-4000), "note": "requested", "detail": None},
            {
                "at": at(-3900),
                "note": "approved",
                "detail": None,
                "staff_id": str(number("colleague")),
                "overrode": "limit",
                "override_reason": "larger_household",
            },
            {"at": at(-3800), "note": "waitlisted", "detail": "stock:food_parcel"},
            {"at": at(-60), "note": "woken", "detail": None},
            {"at": at(-59), "note": "ready", "detail": None},
        ],
    }
