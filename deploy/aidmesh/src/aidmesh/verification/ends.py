"""Where something is known that went from one region to another."""

from collections.abc import Collection, Mapping


def strayed(
    name: str,
    ends: Collection[str],
    known_to: Collection[str],
    here: Collection[str],
    elsewhere: Mapping[str, Collection[str]],
) -> list[str]:
    """What is wrong with where it is known: both its ends know it, and nobody else.

    With an end on another machine it is looked at by that one's `verify`; but somebody has to be
    there.

    Args:
        name: what it is.
        known_to: regions on this machine.
        here: all regions on this machine.
        elsewhere: by region, its peers that do not run here.
    """
    if away := sorted(set(ends) - set(here)):
        return [
            f"{name}: {region} knows no region {end}"
            for region in known_to
            for end in away
            if end not in elsewhere[region]
        ]
    if set(known_to) != set(ends):
        return [f"{name} is known to {', '.join(sorted(known_to))} only"]
    return []
