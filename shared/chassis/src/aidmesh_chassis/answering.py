"""Answers: whoever handed something over is told that it arrived, whatever became of it here.

An answer is not answered. Nor is a region that is held for lost: it may never be back to take it
in. One that is back hands over again what has no answer, and is answered then. What was set aside
is not answered even so: it never counts, and its sender, once it has rejoined, hands over anew what
it has no answer to. One that has told that it retires is answered still: it ends no sooner than it
has all its answers.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from aidmesh_chassis import conflicts, standings
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_contracts.streams import event_type_of, origin_of

if TYPE_CHECKING:
    from aidmesh_chassis.db import Tx
    from aidmesh_chassis.inbox import Letter

Answer = Callable[[UUID], Event]
"""Makes the answer to a handoff of this id."""


async def answer_all(tx: "Tx", batch: Iterable[Received[Event]], answer: Answer) -> None:
    """Answer what was taken in, by a transaction that holds the fence's lock."""
    lost = await standings.lost(tx.conn)
    items = list(batch)
    aside = await conflicts.kept_aside(tx.conn, [item.event_id for item in items])
    for item in items:
        made = answer(item.event_id)
        if made.type != item.event.type and item.region not in lost and item.event_id not in aside:
            tx.hand_over(made, item.region, awaits_answer=False, cause=item)


async def answer_dropped(tx: "Tx", letter: "Letter", answer: Answer) -> None:
    """Answer a copy of what a person dropped, and that can't be read: it would come for ever."""
    await standings.lock_fence(tx.conn, exclusive=False)
    lost = await standings.lost(tx.conn)
    made, region = answer(letter.event_id), origin_of(letter.subject)
    if made.type != event_type_of(letter.subject) and region not in {*lost, tx.region}:
        tx.hand_over(made, region, awaits_answer=False)
