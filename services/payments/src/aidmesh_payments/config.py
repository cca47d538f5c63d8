"""Settings of payments."""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import Field

from aidmesh_chassis.settings import ServiceSettings, settings_config

FLOAT_LIMITS = MappingProxyType({"UAH": 1_000_000, "EUR": 20_000, "USD": 20_000})


class Settings(ServiceSettings):
    """Read from `AIDMESH_PAYMENTS_…`.

    Attributes:
        float_limits_minor: by currency, up to which amount one person may pay alone and a
            second reviews it later; JSON such as `{"UAH": 1000000}`.
        payment_purpose: what payees and their banks read; it says nothing about anyone.
    """

    model_config = settings_config("payments")

    float_limits_minor: Mapping[str, int] = Field(default_factory=lambda: dict(FLOAT_LIMITS))
    payment_purpose: str = Field(default="Support payment", min_length=1, max_length=140)
