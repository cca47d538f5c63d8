"""A donor's restriction: where, when and for what its money and goods may be used."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, GetPydanticSchema
from pydantic_core.core_schema import no_info_after_validator_function

from aidmesh_contracts.days import EnteredDay
from aidmesh_contracts.values import Area, Code, Value


class AreaMeans(StrEnum):
    """Which of a person's areas a grant's restriction speaks of."""

    SERVICE = "service"
    STAY = "stay"
    ORIGIN = "origin"


class Misfit(StrEnum):
    """Why a use does not fit; the first that applies, in this order."""

    PROGRAMME = "programme"
    KIND = "kind"
    AREA = "area"
    PERIOD = "period"
    COST_CATEGORY = "cost_category"


class Use(Value):
    """One use of restricted goods or money.

    Attributes:
        on: the day it counts for: `served_on`, else `planned_on`.
        cost_category: None for goods that were charged when they were bought.
    """

    programme: Code
    kind: Code
    on: date
    service_area: Area
    stay_area: Area | None = None
    origin_area: Area | None = None
    cost_category: Code | None = None


class Restriction(Value):
    """What a grant allows. None means: not restricted in this respect.

    Attributes:
        areas: P-codes; an area inside one of them (a longer code that begins with it) fits.
        valid_from, valid_to: first and last day, both included.
    """

    programmes: tuple[Code, ...] | None = None
    kinds: tuple[Code, ...] | None = None
    areas: tuple[Area, ...] | None = None
    area_means: AreaMeans = AreaMeans.SERVICE
    valid_from: date | None = None
    valid_to: date | None = None
    cost_categories: tuple[Code, ...] | None = Field(default=None)

    def misfit(self, use: Use) -> Misfit | None:
        """Return the first reason why `use` is not allowed, or None when it fits.

        An area the restriction asks about but the use does not know is a misfit: what cannot
        be shown to be allowed is not charged to a restricted grant.
        """
        if self.programmes is not None and use.programme not in self.programmes:
            return Misfit.PROGRAMME
        if self.kinds is not None and use.kind not in self.kinds:
            return Misfit.KIND
        if self.areas is not None and not self._covers_area(use):
            return Misfit.AREA
        if not self.covers(use.on):
            return Misfit.PERIOD
        if (
            self.cost_categories is not None
            and use.cost_category is not None
            and use.cost_category not in self.cost_categories
        ):
            return Misfit.COST_CATEGORY
        return None

    def fits(self, use: Use) -> bool:
        """Whether `use` is allowed."""
        return self.misfit(use) is None

    def covers(self, day: date) -> bool:
        """Whether a day is within the period."""
        return (self.valid_from or date.min) <= day <= (self.valid_to or date.max)

    def _covers_area(self, use: Use) -> bool:
        where = {
            AreaMeans.SERVICE: use.service_area,
            AreaMeans.STAY: use.stay_area,
            AreaMeans.ORIGIN: use.origin_area,
        }[self.area_means]
        return where is not None and any(where.startswith(area) for area in self.areas or ())


UNRESTRICTED = Restriction()


class _Entered(Restriction):
    model_config = ConfigDict(extra="forbid")

    valid_from: EnteredDay | None = None
    valid_to: EnteredDay | None = None


def _plain(entered: _Entered) -> Restriction:
    return Restriction(**dict(entered))


EnteredRestriction = Annotated[
    Restriction,
    GetPydanticSchema(
        lambda _, handler: no_info_after_validator_function(_plain, handler(_Entered))
    ),
]
"""A restriction as a person enters it: unknown fields are errors, days are possible ones.

Events may say more than their reader knows; but whoever misspells what a donor restricts would
have a grant that may be spent on anything.
"""
