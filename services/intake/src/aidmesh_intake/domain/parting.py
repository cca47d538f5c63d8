"""What it means for needs that two who were held for one person are parted again."""

from aidmesh_intake.domain.need import Decision, Need, State
from aidmesh_intake.domain.records import replace
from aidmesh_intake.domain.steps import CHANGED, PARTED, TOLD_TO_COME, moved, ready_event


def doubt(need: Need) -> Decision:
    """Have a person look whose an open need is: it was asked for while two were held for one.

    Whoever was told to come, or is about to be, may be the other one: a person tells them. That
    comes before telling whoever was told to come for what is gone: nobody knows who that is.
    """
    flagged = need
    if need.attention in {None, TOLD_TO_COME}:
        flagged = replace(need, attention=PARTED, settled=None)
    if need.state is not State.READY or need.attended is not None:
        return moved(need, flagged, PARTED)
    untold = replace(flagged, told_at=None, told_how=None, message=CHANGED)
    return moved(need, untold, PARTED, ready_event(untold, in_person=True))
