"""The changes of one transaction to stock, saved at once; other regions are told by a sweep."""

from dataclasses import dataclass, field
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.inventory import StockChangedV1
from aidmesh_inventory.store import stock
from aidmesh_inventory.store.stock import Key, LotChange, MovementRow

TOLD_MAX = 500


@dataclass(slots=True)
class StockChanges:
    """Collects what happens to lots; `save` writes it set-based.

    The mutexes of all items and sites concerned are held by the caller.
    """

    _lots: dict[UUID, tuple[int, int]] = field(default_factory=dict)
    _states: dict[Key, tuple[int, int]] = field(default_factory=dict)
    _movements: list[MovementRow] = field(default_factory=list)

    def lot(
        self, lot_id: UUID, key: Key, *, on_hand: int = 0, held: int = 0, counts: bool = True
    ) -> None:
        """Change a lot; `counts` says whether its free pieces may be given out."""
        before = self._lots.get(lot_id, (0, 0))
        self._lots[lot_id] = (before[0] + on_hand, before[1] + held)
        self.state(key, on_hand=on_hand, free=on_hand - held if counts else 0)

    def state(self, key: Key, *, on_hand: int = 0, free: int = 0) -> None:
        """Change what there is of an item at a site."""
        old = self._states.get(key, (0, 0))
        self._states[key] = (old[0] + on_hand, old[1] + free)

    def movement(self, row: MovementRow) -> None:
        """Record pieces that came or went."""
        self._movements.append(row)

    async def save(self, tx: Tx) -> None:
        """Write everything."""
        await stock.change_lots(
            tx.conn,
            [
                LotChange(lot_id, on_hand, held)
                for lot_id, (on_hand, held) in sorted(self._lots.items())
                if on_hand or held
            ],
        )
        await stock.insert_movements(tx.conn, self._movements)
        changed = {key: change for key, change in sorted(self._states.items()) if any(change)}
        await stock.change_states(tx.conn, changed)


async def tell_stock(tx: Tx) -> int:
    """Publish the state of items at sites that changed since it was published last. A sweep.

    Nobody elsewhere acts on a single piece, and what is told piece by piece tells when somebody
    came for it.
    """
    states = await stock.take_untold(tx.conn, TOLD_MAX)
    for state in states:
        tx.emit(
            StockChangedV1(
                stock_key=f"{state.site_id}/{state.item}",
                site_id=SiteId(state.site_id),
                area=state.area,
                item=state.item,
                on_hand=state.on_hand,
                free=state.free,
                version=state.version,
                as_of=tx.now,
            ),
            version=state.version,
        )
    return len(states)
