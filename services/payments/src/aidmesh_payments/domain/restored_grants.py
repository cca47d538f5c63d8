"""What a grant of a backup is to be by what others heard of it since. Pure.

Others heard its state as a whole (`GrantChangedV1`), and what was given to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from aidmesh_payments.domain.grants import OVERHEAD, Grant, GrantStatus, Line, overhead_minor

_ORDER: tuple[GrantStatus, ...] = ("pledged", "active", "suspended", "closed")
"""The later one lets less of a grant's money go, but for a pledge, which has none."""


def as_heard(grant: Grant, status: GrantStatus) -> Grant:
    """Give a grant of a backup the status that others heard of last, if it comes after its own.

    One that was resumed since stays suspended or closed: a lead resumes it again.
    """
    if _ORDER.index(status) <= _ORDER.index(grant.status):
        return grant
    return replace(grant, status=status, version=grant.version + 1)


def amended(
    grant: Grant, lines: Sequence[Line], amount_minor: int, overhead_bp: int
) -> tuple[Grant, tuple[Line, ...]]:
    """Have a donor's later promise: overhead keeps its rate, of other lines nobody was told.

    Args:
        lines: all of the grant.
        overhead_bp: hundredths of a percent of the amount.
    """
    overhead = overhead_minor(amount_minor, overhead_bp)
    changed = tuple(
        replace(line, amount_minor=overhead) if line.code == OVERHEAD and overhead else line
        for line in lines
    )
    return replace(grant, amount_minor=amount_minor, version=grant.version + 1), changed


def period_to(before: date, allowed_to: date | None, valid_to: date) -> date:
    """The last day of a grant's period by the day that its terms end.

    Args:
        before: as the backup has it.
        allowed_to: the last day that the donor named apart from the period; where terms end with
            it, the period may be longer than anybody was told.
    """
    if allowed_to is None or valid_to < allowed_to:
        return valid_to
    return max(before, allowed_to)


def lines(amount_minor: int, given: Mapping[str, int], rest: str) -> tuple[Line, ...]:
    """The budget lines of a grant that is not in the backup, by what was given from them.

    What came back and was given again counts twice in that: then each gets its share.

    Args:
        given: by line, in the grant's currency.
        rest: the line for what nobody was given.
    """
    total = sum(given.values())
    if total > amount_minor:
        more_minor = amount_minor - len(given)
        amounts = {code: 1 + minor * more_minor // total for code, minor in given.items()}
    else:
        amounts = dict(given)
        if total < amount_minor:
            amounts[rest] = amounts.get(rest, 0) + amount_minor - total
    return tuple(Line(code, minor, 0) for code, minor in amounts.items())


def lent_reason(epoch: int) -> str:
    """What the ledger says of money that a grant is lent until all is booked again."""
    return f"restore {epoch}"


def lend(grant: Grant, granted_minor: int) -> tuple[Grant, int]:
    """Have what was given before a restore, though the books have it not yet, or not any more.

    What was done since the backup is not booked in the order in which it was done, and some of it
    nobody knows. What lacks is a difference of the grant until all is booked; see `settle`.

    Returns:
        the grant, and how much lacked.
    """
    lacking_minor = max(0, granted_minor - grant.unallotted_minor)
    if not lacking_minor:
        return grant, 0
    changed = replace(
        grant,
        unallotted_minor=grant.unallotted_minor + lacking_minor,
        exchange_difference_minor=grant.exchange_difference_minor - lacking_minor,
        version=grant.version + 1,
    )
    return changed, lacking_minor


def settle(unallotted_minor: int, lent_minor: int, heard_minor: int | None) -> tuple[int, int]:
    """Have no more to give than others heard of last, once all that is known is booked.

    Args:
        unallotted_minor: as the books have it.
        lent_minor: of that, what was lent.
        heard_minor: what was unallotted by the last word; None where it said nothing of that.

    Returns:
        how much of what was lent is taken back; and what is demanded: what is lent still, which
        the next money that comes back serves, and what was gone by the last word, as money that
        went back to the donor is.
    """
    back_minor = min(lent_minor, unallotted_minor)
    free_minor = unallotted_minor - back_minor
    gone_minor = 0 if heard_minor is None else max(0, free_minor - heard_minor)
    return back_minor, lent_minor - back_minor + gone_minor
