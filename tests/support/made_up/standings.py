"""Made-up regions that are gone, and what one of them said too late."""

from support.made_up.basics import at, number

STANDINGS = {
    "standings": [
        {"region": "odesa", "standing": "lost", "epoch": 1, "since": at(-600)},
        {"region": "sumy", "standing": "member", "epoch": 2, "since": at(-300)},
        {"region": "rivne", "standing": "retired", "epoch": 1, "since": at(-900)},
    ],
    "asked": [
        {"region": "kharkiv", "reason": "no_contact", "asked_by": str(number("other")),
         "asked_at": at(-30)},
    ],
    "reissued": [
        {"allotment_id": str(number("a")), "epoch": 1, "holder": "odesa", "amount_minor": 120_050,
         "currency": "UAH", "figures_as_of": at(-700), "booked_at": at(-600)},
    ],
    "owed": [
        {"allotment_id": str(number("b")), "grantor": "lviv", "owed_minor": 77_10,
         "currency": "EUR"},
    ],
}  # fmt: skip
CONFLICTS = {
    "conflicts": [
        {"event_id": str(number("late")), "region": "odesa", "epoch": 1,
         "event_type": "inventory.stock.changed.v1", "aggregate": "stock-1",
         "occurred_at": at(-500), "arrived_at": at(-20), "may_count": False},
        {"event_id": str(number("early")), "region": "odesa", "epoch": 2,
         "event_type": "inventory.site.changed.v1", "aggregate": "site-1",
         "occurred_at": at(-19), "arrived_at": at(-18), "may_count": True},
    ],
    "next": "c2",
}  # fmt: skip
