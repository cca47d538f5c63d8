"""Which pages and actions a role sees. The services decide; this only spares people refusals."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aidmesh_chassis.auth import Role

_CASE: Final = frozenset({Role.CASEWORKER, Role.LEAD})
_GOODS: Final = frozenset({Role.LOGISTICIAN, Role.LEAD})
_MONEY: Final = frozenset({Role.FINANCE, Role.APPROVER, Role.LEAD})
_ALL: Final = frozenset(Role)


class Act(StrEnum):
    """Something that only some may do."""

    REGISTER = "register"
    IMPORT = "import"
    PROPOSE_MERGE = "propose_merge"
    UNITE_OR_ERASE = "unite_or_erase"
    SEE_NEEDS = "see_needs"
    DECIDE_NEEDS = "decide_needs"
    TAKE_SERVICE_BACK = "take_service_back"
    HAND_OVER = "hand_over"
    SEE_STOCK = "see_stock"
    CHANGE_STOCK = "change_stock"
    SET_REFER_RULES = "set_refer_rules"
    CHANGE_CATALOGUE = "change_catalogue"
    SEE_BEDS = "see_beds"
    RUN_BEDS = "run_beds"
    SEE_MONEY = "see_money"
    APPROVE_PAYOUTS = "approve_payouts"
    SETTLE_PAYOUTS = "settle_payouts"
    REDO_PAYOUTS = "redo_payouts"
    ALLOT_AND_BUY = "allot_and_buy"
    BOOK_GRANTS = "book_grants"
    AMEND_GRANTS = "amend_grants"
    ORDER_AND_PAY = "order_and_pay"
    SETTLE_MONEY = "settle_money"
    SEE_ASSETS = "see_assets"
    SEE_RESULTS = "see_results"
    SEE_SMALL_NUMBERS = "see_small_numbers"
    CLOSE_MONTHS = "close_months"
    SEE_HEALTH = "see_health"
    RUN_ALERTS = "run_alerts"
    DECLARE_LOST = "declare_lost"


ALLOWED: Final = {
    Act.REGISTER: _CASE,
    Act.IMPORT: _CASE,
    Act.PROPOSE_MERGE: _CASE,
    Act.UNITE_OR_ERASE: frozenset({Role.LEAD}),
    Act.SEE_NEEDS: _CASE | _GOODS,
    Act.DECIDE_NEEDS: _CASE,
    Act.TAKE_SERVICE_BACK: frozenset({Role.LEAD}),
    Act.HAND_OVER: _CASE | _GOODS,
    Act.SEE_STOCK: _CASE | _GOODS,
    Act.CHANGE_STOCK: _GOODS,
    Act.SET_REFER_RULES: frozenset({Role.LEAD}),
    Act.CHANGE_CATALOGUE: frozenset({Role.LEAD}),
    Act.SEE_BEDS: _CASE | _GOODS,
    Act.RUN_BEDS: _CASE | _GOODS,
    Act.SEE_MONEY: _MONEY,
    Act.APPROVE_PAYOUTS: frozenset({Role.APPROVER, Role.LEAD}),
    Act.SETTLE_PAYOUTS: _MONEY,
    Act.REDO_PAYOUTS: frozenset({Role.FINANCE, Role.LEAD}),
    Act.ALLOT_AND_BUY: frozenset({Role.FINANCE, Role.LEAD}),
    Act.BOOK_GRANTS: frozenset({Role.FINANCE, Role.LEAD}),
    Act.AMEND_GRANTS: frozenset({Role.LEAD}),
    Act.ORDER_AND_PAY: _MONEY,
    Act.SETTLE_MONEY: frozenset({Role.APPROVER, Role.LEAD}),
    Act.SEE_ASSETS: _CASE | _GOODS | _MONEY,
    Act.SEE_RESULTS: _ALL,
    Act.SEE_SMALL_NUMBERS: _MONEY | {Role.ONCALL},
    Act.CLOSE_MONTHS: frozenset({Role.LEAD}),
    Act.SEE_HEALTH: frozenset({Role.ONCALL, Role.LEAD}),
    Act.RUN_ALERTS: frozenset({Role.ONCALL, Role.LEAD}),
    Act.DECLARE_LOST: frozenset({Role.LEAD}),
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the menu; `act` of None is for everybody."""

    name: str
    path: str
    act: Act | None


PAGES: Final = (
    Page("home", "/", None),
    Page("register", "/register", Act.REGISTER),
    Page("needs", "/needs", Act.SEE_NEEDS),
    Page("hand_over", "/hand-over", Act.HAND_OVER),
    Page("stock", "/stock", Act.SEE_STOCK),
    Page("beds", "/beds", Act.SEE_BEDS),
    Page("money", "/money", Act.SEE_MONEY),
    Page("results", "/results", Act.SEE_RESULTS),
)


def may(roles: Iterable[Role], act: Act) -> bool:
    """Whether someone with these roles may do it."""
    return not ALLOWED[act].isdisjoint(roles)


def menu(roles: Iterable[Role]) -> tuple[Page, ...]:
    """The pages that someone with these roles has a use for."""
    held = frozenset(roles)
    return tuple(page for page in PAGES if page.act is None or may(held, page.act))
