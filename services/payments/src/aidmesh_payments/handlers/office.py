"""What every handler has to know about the region it works for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Office:
    """A region's payments office.

    Attributes:
        region: whose money this is.
        float_limits_minor: by currency, up to which amount one person may pay alone.
        regions: the own region and its peers, whom money may be allotted to; None while nobody
            has told.
    """

    region: str
    float_limits_minor: Mapping[str, int]
    regions: Callable[[], frozenset[str] | None]

    def float_limit_minor(self, currency: str) -> int:
        """The limit of a currency; without one, paying always takes two."""
        return self.float_limits_minor.get(currency, 0)
