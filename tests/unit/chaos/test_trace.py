"""Every violation has the events about what it names, or says why it has none."""

from aidmesh.chaos.book import Op
from aidmesh.chaos.judge import of_outcome
from aidmesh.chaos.nemesis import Injected
from aidmesh.chaos.plan import Fault, Kind
from aidmesh.chaos.recovery import Recovery
from aidmesh.chaos.run import not_recovered
from aidmesh.chaos.trace import (
    ALL_NAMES_MAX,
    EVENTS_MAX,
    NAMES_MAX,
    NOTHING,
    TOO_MANY,
    UNNAMED,
    Told,
    names_of,
    with_events,
)
from aidmesh.chaos.violation import Violation
from aidmesh.verification.outcome import Outcome
from aidmesh_chassis.auth import Role

NEED, LOT = (f"00000000-0000-4000-8000-{number:012}" for number in (1, 2))


def broken(*about: str, note: str = "") -> Violation:
    return Violation("a promise", "kyiv", "it is broken", about, note=note)


def told(no: int, *about: str) -> Told:
    return Told(frozenset(about), {"event_id": no})


def shown(violation: Violation, *events: Told, silent: str = "") -> tuple[list[object], str]:
    names = names_of([violation])
    why = {silent: "TimeoutError"} if silent else {}
    [found] = with_events([violation], names, events, why)
    return [each["event_id"] for each in found.events], found.note


def test_events_are_those_about_what_is_named() -> None:
    events = [told(1, NEED), told(2, "other"), told(3, LOT), told(4, NEED, LOT)]

    assert shown(broken(NEED), *events) == ([1, 4], "")
    assert shown(broken(NEED, LOT), *events) == ([1, 3, 4], "")
    assert shown(broken(NEED, note="said before"), *events) == ([1, 4], "said before")


def test_without_events_it_is_said_why() -> None:
    assert shown(broken(NEED), told(1, LOT)) == ([], NOTHING)
    assert shown(broken()) == ([], UNNAMED)
    assert shown(broken(note="nothing waited")) == ([], "nothing waited")
    assert shown(broken(NEED), silent="lviv")[1] == (
        f"{NOTHING}; lviv does not answer (TimeoutError)"
    )


def test_only_the_first_events_are_shown_and_that_is_said() -> None:
    events, note = shown(broken(NEED), *(told(no, NEED) for no in range(EVENTS_MAX + 1)))

    assert events == list(range(EVENTS_MAX))
    assert note == f"the first {EVENTS_MAX} of {EVENTS_MAX + 1} events"


def test_no_violation_of_a_promise_is_left_out_because_others_came_before() -> None:
    many = [broken(f"need-{number}") for number in range(ALL_NAMES_MAX)]
    names = names_of([*many, broken("one more"), broken("need-0", "one more")])

    assert [len(each) for each in names] == [1] * ALL_NAMES_MAX + [0, 1]
    found = with_events([*many, broken("one more")], names[:-1], [told(1, "need-399")], {})
    assert [each["event_id"] for each in found[399].events] == [1]
    assert found[-1].note == TOO_MANY
    assert len(names_of([broken(*map(str, range(99)))])[0]) == NAMES_MAX


def test_a_finding_of_verify_is_about_the_ids_that_it_names() -> None:
    found = of_outcome(
        Outcome("kyiv.inventory.lots", ok=False, detail=f"lot {LOT}: 1; need {NEED}")
    )

    assert (found.region, found.about) == ("kyiv", (LOT, NEED))


def test_what_did_not_recover_is_about_what_waited_there() -> None:
    fault = Fault(7, 1.0, Kind.CUT, "kyiv", "lviv", 2.0)
    late = Recovery(None, {"sent": 240.0}, (NEED,))
    silent = Recovery(None, {}, (), "lviv did not answer")
    faults = [
        Injected(fault, 1.0, 3.0, Recovery(4.0, {})),
        Injected(fault, missed="TimeoutError"),
        Injected(fault, 1.0, 3.0, late),
        Injected(fault, 1.0, 3.0, silent),
    ]

    found = not_recovered(faults)

    assert [(each.about, each.note) for each in found] == [
        ((NEED,), ""),
        ((), "lviv did not answer"),
    ]


def test_an_operation_names_its_key_and_all_ids_it_speaks_of() -> None:
    op = Op(1, "cancel", "kyiv", "intake", f"/needs/{NEED}:cancel", Role.CASEWORKER, {}, {})
    op.hear(200, {"rows": [{"lot_id": LOT}]})

    assert op.named == (op.key, NEED, LOT)
