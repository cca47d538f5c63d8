-- Allotments to be told of are found without reading all others: a sweep asks every second.
-- depends: 0039_payments_known_fences

-- migrate: apply

CREATE INDEX allotment_untold ON allotment (id) WHERE version > told_version;

-- migrate: rollback

DROP INDEX allotment_untold;
