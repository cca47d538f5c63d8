"""One way to break what `aidmesh verify` promises."""

from dataclasses import dataclass

PLANTED = "Kanarka-Ґудзик-77"
SOME_READY = "(SELECT id FROM need WHERE state = 'ready' AND kind = 'food_parcel' LIMIT 1)"


@dataclass(frozen=True)
class Break:
    """SQL behind a service's back, undone afterwards, and the checks that must notice it.

    Attributes:
        sql: may name `{some_ready}` (a need), `{erased}` (a person) and `{planted}`.
    """

    fails: str
    service: str
    sql: str
    also: tuple[str, ...] = ()
    region: str = "kyiv"

    @property
    def name(self) -> str:
        return f"{self.fails}-{self.service}"
