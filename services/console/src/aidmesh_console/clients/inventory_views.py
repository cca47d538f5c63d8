"""What inventory shows the desk: sites, stock, beds, slots and what is set aside."""

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

from aidmesh_console.clients.link import Page, View
from aidmesh_console.clients.peers import LinkState


class Site(View):
    """A place of this region."""

    site_id: UUID
    code: str
    name: str
    area: str
    site_type: str
    status: str = "open"
    status_reason: str | None = None
    version: int = 1


class Item(View):
    """A kind of goods."""

    code: str
    names: Mapping[str, str]
    unit: str = "piece"
    tracking: str = "lot"
    prescription: bool = False
    version: int = 1


class Stock(View):
    """One item at one site of this region; `expiry` is the soonest."""

    site_id: UUID
    item: str
    on_hand: int
    held: int = 0
    free: int
    expiry: date | None = None


class StockAway(View):
    """One item at one site of another region, as it was told at `as_of`."""

    region: str
    site_id: UUID
    area: str
    item: str
    free: int
    as_of: datetime
    link: LinkState | None = None


class AllStock(Page):
    """What there is, here and elsewhere."""

    own: tuple[Stock, ...] = ()
    others: tuple[StockAway, ...] = ()


class SiteSupply(View):
    """How many units of a kind a site could serve now."""

    site_id: UUID
    free: int


class RegionSupply(View):
    """How many units of a kind another region could serve, as it was told at `as_of`."""

    region: str
    free: int
    as_of: datetime
    link: LinkState | None = None


class Supply(View):
    """How many units of a kind of need could be served now; the sites that have the most."""

    code: str
    free: int
    sites: tuple[SiteSupply, ...] = ()
    elsewhere: tuple[RegionSupply, ...] = ()


class Asset(View):
    """A thing that was handed to a center, and what paid for it."""

    asset_id: UUID
    item: str
    serial: str | None = None
    grant_id: UUID | None = None
    unit_value_minor: int = 0
    currency: str = "UAH"
    site_id: UUID
    status: str
    status_reason: str | None = None
    since: date


class Assets(Page):
    """A page of the register of assets."""

    rows: tuple[Asset, ...]


class Capacity(View):
    """Free places of one kind at one site by day; `region` of None is this one."""

    region: str | None = None
    site_id: UUID
    area: str
    resource: str
    code: str
    first_on: date
    free_by_day: tuple[int, ...]
    total: int
    as_of: datetime | None = None
    link: LinkState | None = None


class Booking(View):
    """Who is in a bed, by reservation."""

    reservation_id: UUID
    need_id: UUID
    state: str
    from_on: date
    to_on: date | None = None
    left_on: date | None = None


class CheckOut(View):
    """A guest who has left, by the booking or as somebody said; `by_clock` if nobody did."""

    reservation_id: UUID
    need_id: UUID
    beds: tuple[str, ...] = ()
    from_on: date
    to_on: date
    by_clock: bool = False


class CheckOuts(Page):
    """A page of check-outs to look at."""

    rows: tuple[CheckOut, ...]


class Bed(View):
    """A bed, its nights (`free`, `held`, `confirmed` or `occupied`) and its bookings."""

    bed_id: UUID
    label: str
    room: str = ""
    code: str = ""
    features: tuple[str, ...] = ()
    outside: bool = False
    status: str = "active"
    nights: tuple[str, ...] = ()
    bookings: tuple[Booking, ...] = ()


class Slot(View):
    """Time with a professional; `taken` of sensitive help is in steps for who may not see it."""

    slot_id: UUID
    site_id: UUID
    code: str
    professional: str
    starts_at: datetime
    minutes: int
    seats: int
    taken: int
    status: str = "open"


class Slots(Page):
    """A page of slots, the earliest first."""

    rows: tuple[Slot, ...]


class Line(View):
    """Pieces of an item; `expiry` is the earliest of their last days."""

    item: str
    quantity: int
    expiry: date | None = None


class Place(View):
    """The bed or slot that is set aside."""

    resource: str
    code: str
    from_on: date | None = None
    to_on: date | None = None
    starts_at: datetime | None = None
    places: int = 1
    beds: tuple[str, ...] = ()
    left_on: date | None = None


class Reservation(View):
    """What is set aside for a need; `way` is how it is given, `to_site_id` the site it is for."""

    reservation_id: UUID
    need_id: UUID
    state: str
    way: str = "handover"
    site_id: UUID | None = None
    to_site_id: UUID | None = None
    allocations: tuple[Line, ...] = ()
    booking: Place | None = None
    collect_by: datetime | None = None
    served_on: date | None = None

    @property
    def lines(self) -> tuple[Line, ...]:
        """What to give, by item: pieces of several lots are one line."""
        pieces: dict[str, int] = {}
        expiry: dict[str, date] = {}
        for each in self.allocations:
            pieces[each.item] = pieces.get(each.item, 0) + each.quantity
            if each.expiry is not None:
                expiry[each.item] = min(each.expiry, expiry.get(each.item, each.expiry))
        return tuple(
            Line(item=item, quantity=count, expiry=expiry.get(item))
            for item, count in pieces.items()
        )

    @property
    def expiry(self) -> date | None:
        """The last day on which all of it may be given."""
        return min((each.expiry for each in self.allocations if each.expiry), default=None)


class Lot(View):
    """Pieces that came in together; counted and written off by themselves."""

    lot_id: UUID
    receipt_id: UUID | None = None
    item: str
    site_id: UUID
    on_hand: int
    batch: str | None = None
    expiry: date | None = None
    version: int = 1


class Lots(Page):
    """A page of lots."""

    rows: tuple[Lot, ...]


class Expected(View):
    """An item of a purchase of which not everything came in."""

    purchase_id: UUID
    grant_id: UUID
    item: str
    ordered: int
    received: int


class ExpectedLines(Page):
    """A page of what is still to come of purchases."""

    rows: tuple[Expected, ...]


class Restriction(View):
    """What a donor allows; None is not restricted in this respect."""

    programmes: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    areas: tuple[str, ...] | None = None
    area_means: str = "service"
    valid_from: date | None = None
    valid_to: date | None = None
    cost_categories: tuple[str, ...] | None = None


class LotTerms(Lot):
    """A lot with its donor's terms; those of goods that were bought are the purchase's.

    Attributes:
        held: what of it is set aside, for those who may see what is sensitive.
        purchase_id: of this region, by which it came.
    """

    held: int | None = None
    purchase_id: UUID | None = None
    restriction: Restriction | None = None
    unit_value_minor: int = 0
    currency: str = "UAH"
    is_bought: bool = False


class LotsBought(Page):
    """A page of the lots that came from a purchase."""

    rows: tuple[LotTerms, ...]


class Discrepancy(View):
    """A fact that does not fit the books; `quantity` is what does not fit."""

    discrepancy_id: UUID
    need_id: UUID | None = None
    site_id: UUID | None = None
    about: str
    code: str
    quantity: int
    why: str
    opened_at: datetime


class Discrepancies(Page):
    """A page of discrepancies."""

    rows: tuple[Discrepancy, ...]


class RowAnswer(View):
    """What became of one row of a bulk form."""

    row: int
    status: str
    problem: str | None = None


class Beds(Page):
    """A page of the beds of a site."""

    beds: tuple[Bed, ...]


class Reservations(Page):
    """A page of what is set aside."""

    rows: tuple[Reservation, ...]
