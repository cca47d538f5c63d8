"""Calendar months, as results go by them: `YYYY-MM` of the day a service was given."""

from calendar import monthrange
from collections.abc import Iterable
from datetime import date


def month_of(day: date) -> str:
    """Return the month of a day."""
    return f"{day.year:04d}-{day.month:02d}"


def first_day(month: str) -> date:
    """Return the first day of a month."""
    year, number = month.split("-")
    return date(int(year), int(number), 1)


def last_day(month: str) -> date:
    """Return the last day of a month."""
    first = first_day(month)
    return first.replace(day=monthrange(first.year, first.month)[1])


def months_between(from_on: date, to_on: date) -> list[str]:
    """Return the months that have a day in the period, both days included."""
    numbers = range(_number(from_on), _number(to_on) + 1)
    return [month_of(date(number // 12, number % 12 + 1, 1)) for number in numbers]


def _number(day: date) -> int:
    """Count the months up to a day's: no day after the last one is ever needed."""
    return day.year * 12 + day.month - 1


def months_so_far(month: str) -> list[str]:
    """Return the months of its year up to a month, itself included."""
    return months_between(first_day(month).replace(month=1), last_day(month))


def whole_months(from_on: date, to_on: date) -> list[str]:
    """Return the months that lie in the period with every day."""
    return [
        month
        for month in months_between(from_on, to_on)
        if first_day(month) >= from_on and last_day(month) <= to_on
    ]


def months_over(months: Iterable[str], today: date) -> list[str]:
    """Return the months that are over: nobody can watch their numbers grow."""
    return [month for month in months if last_day(month) < today]


def to_restate(dirty: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return the months whose published results may have changed.

    Every month tells the people of its year so far, so a change reaches the later months of
    its year that were published.
    """
    changed = set(dirty)
    first_by_year: dict[str, str] = {}
    for month in sorted(changed, reverse=True):
        first_by_year[month[:4]] = month
    changed.update(
        month for month in known if month[:4] in first_by_year and month > first_by_year[month[:4]]
    )
    return sorted(changed)
