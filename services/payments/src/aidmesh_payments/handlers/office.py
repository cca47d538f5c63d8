"""What every handler has to know about the region it works for."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Office:
    """A region's payments office.

    Attributes:
        region: whose money this is.
        float_limits_minor: by currency, up to which amount one person may pay alone.
    """

    region: str
    float_limits_minor: Mapping[str, int]

    def float_limit_minor(self, currency: str) -> int:
        """The limit of a currency; without one, paying always takes two."""
        return self.float_limits_minor.get(currency, 0)
