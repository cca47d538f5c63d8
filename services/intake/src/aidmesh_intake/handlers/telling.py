"""What the log tells of needs: counts by the batch, and the need itself where it was one.

Kinds, codes and reasons are left out: with a need's id they would tell what is sensitive about
somebody.
"""

import logging
from collections import Counter
from collections.abc import Sequence

from aidmesh_chassis.db import Tx
from aidmesh_chassis.logs import counted
from aidmesh_intake.domain.need import CLOSED, Need, State

Step = tuple[Need | None, Need, str]
"""A need before (None if it is new) and after, and the word of its timeline."""


def tell(tx: Tx, steps: Sequence[Step]) -> None:
    """Tell of steps that this transaction saves."""
    if tx.log.is_enabled_for(logging.DEBUG):
        for _, need, note in steps:
            tx.log.debug(
                "need.step",
                need_id=str(need.id),
                step=note,
                state=need.state.value,
                attempt_no=need.attempt_no,
            )
    waiting: list[Need] = []
    closed: list[Need] = []
    odd: list[Need] = []
    for before, after, _ in steps:
        was = None if before is None else before.state
        if after.state is not was:
            if after.state is State.WAITLISTED:
                waiting.append(after)
            elif after.state in CLOSED:
                closed.append(after)
        seen = None if before is None else before.attention
        if after.attention is not None and after.attention != seen:
            odd.append(after)
    if waiting:
        tx.log.info(
            "need.waitlisted",
            **counted("need", {need.id for need in waiting}),
            why=Counter(need.wait.value for need in waiting if need.wait is not None),
            resources=Counter(need.blocked_by.resource for need in waiting if need.blocked_by),
        )
    if closed:
        tx.log.info(
            "need.closed",
            **counted("need", {need.id for need in closed}),
            states=Counter(need.state.value for need in closed),
        )
    if odd:
        tx.log.warning(
            "need.conflict",
            **counted("need", {need.id for need in odd}),
            conflicts=Counter(need.attention for need in odd),
        )
