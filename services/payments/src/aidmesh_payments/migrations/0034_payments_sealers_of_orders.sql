-- Who said at the holder where an order goes: whoever did does not review it here.
-- depends: 0033_payments_told_figures

-- migrate: apply

ALTER TABLE paying_order ADD COLUMN sealed_by uuid;
COMMENT ON COLUMN paying_order.sealed_by IS
    'Who entered or last corrected at the holder where it goes.';

-- migrate: rollback

ALTER TABLE paying_order DROP COLUMN sealed_by;
