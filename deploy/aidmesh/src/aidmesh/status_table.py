"""What `aidmesh status` found, for a terminal."""

from aidmesh.asking import Holds
from aidmesh.status import Status
from aidmesh.words import age, count


def table(status: Status) -> list[str]:
    """The lines for a terminal: a row for each service and each peer, then what to see to."""
    head = ("REGION", "PART", "STATE", "SINCE", "LAST EVENT", "LAG", "WAITING", "HOLDS", "DEAD")
    rows = [head]
    for region in status.regions:
        for each in region.services:
            lacks = f": {','.join(each.lacks)}" if each.lacks else ""
            lacks += ", locked" if each.missing_keys else ""
            if len(each.copies) > 1:
                ready = sum(copy.state == "ready" for copy in each.copies)
                lacks += f" ({ready} of {len(each.copies)})"
            rows.append(
                (
                    *(region.region, each.service, each.state + lacks, "", ""),
                    "" if each.untaken is None else count(each.untaken, "event"),
                    _count(each.unsent, "unsent", each.unsent_age_s),
                    _held(each.holds),
                    "" if each.dead is None else str(each.dead),
                )
            )
        rows += [
            (
                *(region.region, f"-> {peer.peer}", peer.standing or peer.link, peer.since or ""),
                ""
                if peer.last_event_seq is None
                else f"#{peer.last_event_seq} {peer.last_event_at or ''}".rstrip(),
                _count(peer.lag_events, "event", peer.lag_s),
                _count(peer.handoffs, "handoff", peer.handoffs_age_s),
                "",
                "",
            )
            for peer in region.peers
        ]
    rows += [
        (name, "", "retired", since, "", "", "", "", "")
        for name, since in sorted(status.retired.items())
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [*lines, *(f"! {line}" for line in status.attention)]


def _count(number: int | None, of_what: str, age_s: float | None) -> str:
    if number is None:
        return ""
    what = f"{number} unsent" if of_what == "unsent" else count(number, of_what)
    return what + (f", {age(age_s)}" if age_s else "")


def _held(holds: Holds | None) -> str:
    if holds is None:
        return ""
    if holds.next_ends_s is None:
        return "0"
    first = holds.next_ends_s
    when = f"first ends in {age(first)}" if first >= 0 else f"first is over for {age(-first)}"
    return f"{holds.held} ({holds.ending} end soon; {when})"
