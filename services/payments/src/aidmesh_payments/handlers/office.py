"""What every handler has to know about the region it works for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aidmesh_payments.problems import problem


@dataclass(frozen=True, slots=True)
class Office:
    """A region's payments office.

    Attributes:
        region: whose money this is.
        float_limits_minor: by currency, up to which amount one person may pay alone.
        regions: the own region and its peers, whom money may be allotted to and who may pay;
            None while nobody has told.
        is_restoring: what is free of recalled allotments stays until it is known what of it went
            back before.
    """

    region: str
    float_limits_minor: Mapping[str, int]
    regions: Callable[[], frozenset[str] | None]
    is_restoring: bool = False

    def float_limit_minor(self, currency: str) -> int:
        """The limit of a currency; without one, paying always takes two."""
        return self.float_limits_minor.get(currency, 0)


def check_region(office: Office, region: str) -> None:
    """Refuse a region that nobody answers for: what is sent there would never come back.

    Raises:
        Problem: it is neither the own one nor a peer, or that is not known.
    """
    if region == office.region:
        return
    known = office.regions()
    if known is None:
        raise problem("regions-not-known-yet")
    if region not in known:
        raise problem("region-unknown")
