"""When the terms of goods change that somebody was promised: who may have them all the same.

Of a promise only the planned day is kept, not the whole use that it was made for. So it stands
where the new terms allow all that the old ones did, but for the days, and that day. No I/O.
"""

from datetime import date

from aidmesh_contracts.restriction import Restriction


def includes(wide: Restriction, narrow: Restriction) -> bool:
    """Whether `wide` allows every use of goods that `narrow` allows.

    Goods were paid for when they were bought, so categories of cost don't matter.
    """
    return _includes_but_for_days(wide, narrow) and (
        (wide.valid_from or date.min) <= (narrow.valid_from or date.min)
        and (wide.valid_to or date.max) >= (narrow.valid_to or date.max)
    )


def still_allowed(before: Restriction, after: Restriction, planned_on: date) -> bool:
    """Whether what was promised for a day under other terms may be given on it."""
    return includes(after, before) or (
        after.covers(planned_on) and _includes_but_for_days(after, before)
    )


def _includes_but_for_days(wide: Restriction, narrow: Restriction) -> bool:
    return (
        _includes_codes(wide.programmes, narrow.programmes)
        and _includes_codes(wide.kinds, narrow.kinds)
        and _includes_areas(wide, narrow)
    )


def _includes_codes(wide: tuple[str, ...] | None, narrow: tuple[str, ...] | None) -> bool:
    return wide is None or (narrow is not None and set(narrow) <= set(wide))


def _includes_areas(wide: Restriction, narrow: Restriction) -> bool:
    if wide.areas is None:
        return True
    if narrow.areas is None or wide.area_means is not narrow.area_means:
        return False
    return all(any(inner.startswith(outer) for outer in wide.areas) for inner in narrow.areas)
