-- Goods go from one site of the region to another: out of a lot here, into a lot there.
-- depends: 0028_inventory_lots_to_come

-- migrate: apply

ALTER TABLE movement ADD COLUMN move_id uuid, DROP CONSTRAINT movement_kind_check,
    ADD CONSTRAINT movement_kind_check CHECK (kind IN (
        'receipt', 'issue', 'reversal', 'count', 'loss', 'fact', 'dispatch', 'move')),
    ADD CONSTRAINT movement_of_a_move CHECK ((kind = 'move') = (move_id IS NOT NULL));
COMMENT ON COLUMN movement.move_id IS 'What the two movements of one move have in common.';
CREATE UNIQUE INDEX movement_move ON movement (move_id, (quantity > 0))
    WHERE move_id IS NOT NULL;
CREATE INDEX movement_moved_lately ON movement (recorded_at) WHERE kind = 'move';

-- migrate: rollback

DROP INDEX movement_moved_lately, movement_move;
ALTER TABLE movement DROP CONSTRAINT movement_of_a_move;
-- The pieces are where they are: each lot is as it was counted.
UPDATE movement SET kind = 'count', reason = COALESCE(reason, 'moved') WHERE kind = 'move';
ALTER TABLE movement DROP COLUMN move_id, DROP CONSTRAINT movement_kind_check,
    ADD CONSTRAINT movement_kind_check CHECK (kind IN (
        'receipt', 'issue', 'reversal', 'count', 'loss', 'fact', 'dispatch'));
