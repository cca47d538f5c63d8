"""What several pages share: choices, how things are called, and who may take a step."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from aidmesh_chassis.problems import FORBIDDEN, NOT_FOUND, Problem
from aidmesh_console.clients.catalogue_views import Catalogue, Kind
from aidmesh_console.clients.inventory_views import Item, Line, Site
from aidmesh_console.i18n import Speaker
from aidmesh_console.pages.registering import channels_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Visit

AREAS = (
    "UA01", "UA05", "UA07", "UA12", "UA14", "UA18", "UA21", "UA23", "UA26", "UA32", "UA35", "UA44",
    "UA46", "UA48", "UA51", "UA53", "UA56", "UA59", "UA61", "UA63", "UA65", "UA68", "UA71", "UA73",
    "UA74", "UA80", "UA85",
)  # fmt: skip
"""COD-AB P-codes of the oblasts and of the two cities with special status."""

CURRENCIES = ("UAH", "EUR", "USD")

BANK_REASONS = ("AC01", "AC04", "AC06", "AM04", "AM05")
"""ISO 20022: why a bank did not pay, or sent money back."""

LIST_MECHANISMS = ("iban", "card", "post")
"""What goes on payment lists of other regions; cash is paid where the person is."""

ALL = "all"
"""A filter that lets everything through, where none means what is open."""

CANCEL_REASONS = (
    "not_needed", "not_started", "not_reached", "helped_elsewhere", "moved_away", "entry_error",
)  # fmt: skip
DECLINE_REASONS = ("not_eligible", "not_offered", "duplicate")
OVERRIDE_REASONS = ("danger", "lost_or_stolen", "larger_household", "lead_decided")
UNDO_REASONS = ("entry_error", "wrong_person", "returned", "not_happened")
REVERSE_REASONS = ("wrong_item", "wrong_purchase", "entered_twice", "entry_error")
ADJUST_REASONS = ("counted", "damaged", "expired", "lost", "theft")
MONEY_REASONS = ("entry_error", "not_happened", "lead_decided")
PAID_BACK = "paid_back"
PAYMENT_REASONS = (PAID_BACK, *MONEY_REASONS)
LOT_REASONS = ("entry_error", "donor_changed")
PRICE_REASONS = ("other_bill", "entry_error")
MOVE_REASONS = ("needed_elsewhere", "evacuation", "damage", "moved_out", "entry_error")
SETTLE_REASONS = ("counted", "entered_later", "entry_error", "lead_decided")
CLOSE_REASONS = ("air_alert", "power_cut", "damage", "evacuation", "repairs", "moved_out")
ALERT_REASONS = ("air_alert", "power_cut", "damage", "evacuation")
ASSET_REASONS = ("needed_elsewhere", "broken", "worn_out", "theft", "lost", "entry_error")
PROGRAMMES = (
    "food", "hygiene", "cash", "shelter", "psychosocial", "medical", "legal", "prevention",
    "centers", "events",
)  # fmt: skip
"""Programmes that come with the product; a catalogue may have others."""
COST_CATEGORIES = (
    "accommodation", "cash", "event", "goods", "medical_services", "professional_fees", "rent",
    "travel",
)  # fmt: skip
"""What donors allow money to be spent on, as far as the desk has words for it."""
REOPEN_REASONS = ("alert_over", "power_back", "repaired", "safe_again", "entry_error")


def enter_at(item: str) -> str:
    """The form in which an item of this code is entered."""
    return f"/stock/sites?item={item}#new-items"


@dataclass(frozen=True, slots=True)
class Names:
    """What things are called in the language of a page; codes where nobody can say.

    Attributes:
        kinds: of need, by code, with those that have ended: older needs are of them.
        programmes: of the catalogue; what is bought belongs to one of them.
        takes: the items that kinds of need take, also of kinds that are not shown here.
        items_known: whether inventory has told its items.
    """

    say: Speaker
    sites: Mapping[UUID, Site]
    items: Mapping[str, Item]
    kinds: Mapping[str, Kind]
    programmes: Sequence[str] = PROGRAMMES
    takes: Sequence[str] = ()
    items_known: bool = True

    def site(self, site_id: UUID | None) -> str:
        """The name of a site of this region."""
        found = self.sites.get(site_id) if site_id else None
        return found.name if found else "–"

    def item(self, code: str) -> str:
        """The name of a kind of goods."""
        found = self.items.get(code)
        return self.say.name(found.names, code) if found else self.say.code("goods", code)

    def is_missing(self, resource: str, code: str) -> bool:
        """Whether it is an item that nobody has entered; not where nobody can say."""
        return resource == "stock" and self.items_known and code not in self.items

    def way_to(self, item: str, *, may_enter: bool) -> str:
        """Where one sees how much of an item there is, or enters one that nobody has entered."""
        if may_enter and self.is_missing("stock", item):
            return enter_at(item)
        return f"/stock?item={item}"

    @property
    def to_enter(self) -> Sequence[str]:
        """The items that kinds of need take and nobody has entered."""
        return [code for code in self.takes if self.is_missing("stock", code)]

    def numbered(self, lines: Iterable[Line]) -> int:
        """How many of these things carry serial numbers, so that a center receives them."""
        return sum(
            line.quantity
            for line in lines
            if (item := self.items.get(line.item)) is not None and item.tracking == "serial"
        )

    def on_prescription(self, codes: Iterable[str]) -> bool:
        """Whether any of these goods is handed over on prescription only, or nobody can say."""
        return any(code not in self.items or self.items[code].prescription for code in codes)

    def kind(self, code: str) -> str:
        """The name of a kind of need."""
        found = self.kinds.get(code)
        return self.say.name(found.names, code) if found else code.replace("_", " ")

    def kind_on_home(self, code: str) -> str:
        """The name of a kind where anybody may pass by: of sensitive help only that it is help."""
        found = self.kinds.get(code)
        sensitive = found is None or found.sensitivity != "none"
        return self.say("home.discreet") if sensitive else self.kind(code)

    def by_discretion(
        self, rows: Sequence[tuple[str, int, int]]
    ) -> tuple[Sequence[tuple[str, int, int]], Sequence[tuple[str, int, int]]]:
        """Rows of items, first those that anybody passing by may read, then the rest.

        An item is open if help that is not sensitive takes it. One that no kind shown here takes
        is not: kinds of sensitive help are not told to everybody.
        """
        plain = {
            take.item
            for kind in self.kinds.values()
            if kind.sensitivity == "none"
            for take in kind.stock
        }
        return (
            [row for row in rows if row[0] in plain],
            [row for row in rows if row[0] not in plain],
        )

    def area(self, code: str | None) -> str:
        """The name of an oblast or city."""
        return self.say.code("area", code) if code else "–"

    def of_resource(self, resource: str, code: str) -> str:
        """The name of what a need waits for."""
        if resource == "stock":
            return self.item(code)
        if resource == "money":
            programme, _, currency = code.partition("/")
            return f"{self.say.code('programme', programme)} · {currency}"
        return self.say.code("place", code)

    @property
    def offered(self) -> Mapping[str, Kind]:
        """The kinds of need that new requests may name, by code."""
        return {code: kind for code, kind in self.kinds.items() if kind.active}

    @property
    def open_sites(self) -> Sequence[tuple[UUID, str]]:
        """Sites to choose from, by name."""
        found = [(each.site_id, each.name) for each in self.sites.values() if each.status == "open"]
        return sorted(found, key=lambda each: self.say.order(each[1]))

    @property
    def every_site(self) -> Sequence[tuple[UUID, str]]:
        """Sites whose goods are looked at, by name: the open ones, then those that are closed."""
        closed = [
            (each.site_id, f"{each.name} · {self.say.code('site_state', each.status)}")
            for each in self.sites.values()
            if each.status != "open"
        ]
        return [*self.open_sites, *sorted(closed, key=lambda each: self.say.order(each[1]))]

    @property
    def centers(self) -> Sequence[tuple[UUID, str]]:
        """Sites that things are handed to: first the centers, then the rest, by name."""
        found = [each for each in self.sites.values() if each.status == "open"]
        found.sort(key=lambda each: (each.site_type != "center", self.say.order(each.name)))
        return [(each.site_id, each.name) for each in found]

    @property
    def own_areas(self) -> int:
        """In how many areas this region has sites: with one there is nothing to choose."""
        return len({site.area for site in self.sites.values()})

    @property
    def areas(self) -> Sequence[tuple[str, str]]:
        """Areas to choose from: first those that have a site, then the rest, by name."""
        ours = {site.area for site in self.sites.values()}
        named = [(code, self.area(code)) for code in AREAS]
        return sorted(named, key=lambda each: (each[0] not in ours, self.say.order(each[1])))


def said_after(visit: Visit, steps: Mapping[str, tuple[Act, str]], step: str) -> str:
    """What is said after a step that the one who is there may take.

    Args:
        steps: by step, who may take it, and what is said afterwards.

    Raises:
        Problem: there is no such step, or they may not take it.
    """
    if step not in steps:
        raise Problem(NOT_FOUND)
    who, said = steps[step]
    if not visit.may(who):
        raise Problem(FORBIDDEN)
    return said


async def channels_to_choose(visit: Visit) -> list[tuple[str, str]]:
    """The channels of a contact and what they are called, those first that messages go out by."""
    sent = await visit.hear(visit.notification.channels())
    return [
        (each, visit.say("channel.not_here", channel=called) if not goes_out else called)
        for each, goes_out in channels_of(sent.value)
        for called in [visit.say.code("channel", each)]
    ]


async def names_of(visit: Visit, *, kinds: bool = False) -> Names:
    """Look the names up; `kinds` of need and their programmes only where they are shown."""
    sites, items = await asyncio.gather(
        visit.hear(visit.inventory.sites()), visit.hear(visit.inventory.items())
    )
    heard = await visit.hear(visit.intake.catalogue()) if kinds else None
    known = (heard.value if heard else None) or Catalogue()
    seen = {take.item for kind in known.kinds if kind.active for take in kind.stock}
    return Names(
        visit.say,
        {each.site_id: each for each in sites.value or ()},
        {each.code: each for each in items.value or ()},
        {each.code: each for each in known.kinds},
        tuple(dict.fromkeys((*PROGRAMMES, *known.programmes))),
        tuple(sorted(seen.union(known.items))),
        items_known=items.value is not None,
    )
