-- Allotments to be told of are found without reading all others: a sweep asks every second.
-- depends: 0038_payments_given_reviews

-- migrate: apply

CREATE INDEX allotment_untold ON allotment (id) WHERE version > told_version;

-- migrate: rollback

DROP INDEX allotment_untold;
