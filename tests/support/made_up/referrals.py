"""Made-up referrals between regions."""

from support.made_up.basics import at, number

REFERRED: list[dict[str, object]] = [
    {
        "referral_id": str(number("referred")),
        "need_id": str(number("parcel")),
        "kind": "food_parcel",
        "to_region": "lviv",
        "status": "offered",
        "reason": None,
        "lapses_at": at(60),
        "offered_at": at(-40),
        "changed_at": at(-40),
    }
]
REFER_RULES: list[dict[str, object]] = [
    {
        "rule_id": str(number("rule beds")), "kind": "shelter_night", "regions": ["lviv"],
        "open_max": 5, "hours": 24, "set_at": at(-600), "set_by": str(number("me")),
    }
]  # fmt: skip
PLACES: list[dict[str, object]] = [
    {
        "resource": "bed", "code": "shelter", "sensitive": False, "to_region": "lviv",
        "waiting": 21, "as_of": at(-8), "link": {"state": "up", "since": at(-300)},
        "fits": [
            {
                "need_id": str(number(name)), "kind": "shelter_night", "asked_on": "2024-05-01",
                "area": "UA46", "site_id": str(number("lviv shelter")),
            }
            for name in ("bed", "other bed")
        ],
    }
]  # fmt: skip
_OFFER: dict[str, object] = {
    "from_region": "lviv",
    "reason": None,
    "lapses_at": at(60),
    "received_at": at(-40),
    "changed_at": at(-40),
}
REFERRALS: list[dict[str, object]] = [
    {
        **_OFFER,
        "referral_id": str(number("offer")),
        "status": "offered",
        "need_id": None,
        "wanted": {
            "kind": "shelter_night",
            "quantity": 1,
            "band": "urgent",
            "asked_on": "2024-05-01",
            "from_on": "2024-05-06",
            "to_on": None,
            "needed_by": None,
            "place_area": "UA80",
            "site_id": None,
            "languages": ["uk"],
        },
    },
    {
        **_OFFER,
        "referral_id": str(number("taken offer")),
        "status": "accepted",
        "need_id": str(number("parcel")),
        "wanted": None,
    },
]
