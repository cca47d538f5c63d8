"""One lot: where it goes, what the donor of its goods allows, and what they are worth."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console.clients.inventory_views import LotTerms, Restriction
from aidmesh_console.clients.link import ClientError
from aidmesh_console.forms import Form, amount_text, as_text, filled
from aidmesh_console.pages.common import (
    CURRENCIES,
    LOT_REASONS,
    MOVE_REASONS,
    PRICE_REASONS,
    names_of,
)
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Keeper = Annotated[Visit, Depends(visitor(Act.CHANGE_STOCK))]

AREA_MEANS: Final = ("service", "stay", "origin")
TICKS: Final = ("programme", "kind", "area", "cost_category")


@routes.get("/stock/lots/{lot_id}")
async def show(lot_id: UUID, visit: Keeper) -> Response:
    """A lot, to be moved, and its donor's terms or, of what was bought, its price to correct."""
    return await _page(visit, lot_id)


@routes.post("/stock/lots/{lot_id}")
async def correct(lot_id: UUID, form: Posted, visit: Keeper) -> Response:
    """The donor allows something else than was entered, or the goods are worth something else."""
    is_bought = form.text("bought") is not None
    body = price_of(form) if is_bought else terms_of(form)
    if form.faults:
        return await _page(visit, lot_id, 422, form=form, key=form.key)
    try:
        await visit.inventory.correct_lot(lot_id, body, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, lot_id, status, visit.problem(error), form, key)
    said = "lot_revalued" if is_bought else "lot_corrected"
    return visit.go(f"/stock/lots/{lot_id}", said=said)


@routes.post("/stock/lots/{lot_id}/move")
async def move(lot_id: UUID, form: Posted, visit: Keeper) -> Response:
    """Pieces of a lot went to another site."""
    body = filled(
        {
            "quantity": form.whole("quantity", needed=True),
            "to_site_id": as_text(form.uuid("to_site_id", needed=True)),
            "moved_on": as_text(form.day("moved_on")),
            "reason": form.text("reason"),
        }
    )
    if body.get("reason", MOVE_REASONS[0]) not in MOVE_REASONS:
        form.faults["reason"] = "choice"
    if form.faults:
        return await _page(visit, lot_id, 422, moving=form, key=form.key)
    try:
        await visit.inventory.move_lot(lot_id, body, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, lot_id, status, visit.problem(error), moving=form, key=key)
    return visit.go("/stock", said="lot_moved", site=form.uuid("site"))


def terms_of(form: Form) -> Mapping[str, object]:
    """The body of `POST /v1/lots/{id}:correct`; what makes no sense is in `form.faults`."""
    first, last = form.day("valid_from"), form.day("valid_to")
    if first is not None and last is not None and last < first:
        form.faults["valid_to"] = "order"
    currency = form.choice("currency", (*CURRENCIES, form.text("lot_currency") or "UAH")) or "UAH"
    limits = {
        "programmes": form.many("programme"),
        "kinds": form.many("kind"),
        "areas": form.many("area"),
        "cost_categories": form.many("cost_category"),
        "valid_from": first.isoformat() if first else None,
        "valid_to": last.isoformat() if last else None,
    }
    restriction = {name: value for name, value in limits.items() if value}
    means = form.choice("area_means", AREA_MEANS)
    return {
        "version": form.whole("version", needed=True),
        "reason": form.choice("reason", LOT_REASONS),
        "restriction": {**restriction, "area_means": means} if restriction else None,
        "unit_value_minor": form.money_or_none("value", currency),
        "currency": currency,
    }


def price_of(form: Form) -> Mapping[str, object]:
    """The same of goods that were bought, whose other terms are those of their purchase."""
    return {
        "version": form.whole("version", needed=True),
        "reason": form.choice("reason", PRICE_REASONS),
        "unit_value_minor": form.money_or_none("value", form.text("lot_currency") or "UAH"),
    }


async def _page(
    visit: Visit,
    lot_id: UUID,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
    moving: Form | None = None,
) -> Response:
    """A lot with its forms; `form` of its terms or `moving` is shown again with `key`."""
    lot = await visit.inventory.lot(lot_id)
    names = await names_of(visit, kinds=True)
    now = lot.restriction or Restriction()
    return visit.page(
        "lot",
        status,
        lot=lot,
        names=names,
        # What the lists don't have, such as a district, stays as it is unless it is unticked.
        programmes=_options(names.programmes, now.programmes),
        kinds=_options(names.offered, now.kinds),
        areas=_options((code for code, _ in names.areas), now.areas),
        area_means=AREA_MEANS,
        reasons=PRICE_REASONS if lot.is_bought else LOT_REASONS,
        to_sites=[each for each in names.open_sites if each[0] != lot.site_id],
        move_reasons=MOVE_REASONS,
        move_values=moving.values if moving else {},
        move_faults=moving.faults if moving else {},
        move_key=(key if moving else None) or uuid4(),
        currencies=_options(CURRENCIES, (lot.currency,)),
        ticked={name: form.many(name) for name in TICKS} if form else _ticked(now),
        values=form.values if form else _written(lot, now),
        faults=form.faults if form else {},
        wrong=wrong,
        # What was refused is tried again on top of what others have corrected since.
        version=form.text("version") if form and key else lot.version,
        key=(key if form else None) or uuid4(),
    )


def _options(usual: Iterable[str], now: Iterable[str] | None) -> Sequence[str]:
    return tuple(dict.fromkeys((*usual, *(now or ()))))


def _ticked(now: Restriction) -> Mapping[str, Sequence[str]]:
    return {
        "programme": now.programmes or (),
        "kind": now.kinds or (),
        "area": now.areas or (),
        "cost_category": now.cost_categories or (),
    }


def _written(lot: LotTerms, now: Restriction) -> Mapping[str, str]:
    return {
        "area_means": now.area_means,
        "valid_from": str(now.valid_from or ""),
        "valid_to": str(now.valid_to or ""),
        "value": amount_text(lot.unit_value_minor, lot.currency) if lot.unit_value_minor else "",
        "currency": lot.currency,
    }
