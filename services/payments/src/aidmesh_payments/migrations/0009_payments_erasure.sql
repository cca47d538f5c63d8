-- Needs whose people were erased.
-- depends: 0008_payments_pickup

-- migrate: apply

-- A tombstone: payee details of these needs that come later are not kept. Those that money was
-- paid to are a payment record and stay until the legal date.
CREATE TABLE erased_need (
    need_id uuid PRIMARY KEY,
    payee_ref uuid,
    erased_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erased_need_payee ON erased_need (payee_ref) WHERE payee_ref IS NOT NULL;

-- migrate: rollback

DROP TABLE erased_need;
