-- Needs that somebody chose to be served from elsewhere without a person, and rules for these alone.
-- depends: 0019_intake_offer_clock

-- migrate: apply

CREATE TABLE chosen_need (
    need_id uuid PRIMARY KEY REFERENCES need,
    chosen_by uuid NOT NULL,
    chosen_at timestamptz NOT NULL
);

ALTER TABLE refer_rule ADD COLUMN chosen_only boolean NOT NULL DEFAULT false;
ALTER TABLE waiting_told ADD COLUMN chosen boolean NOT NULL DEFAULT false;

-- migrate: rollback

ALTER TABLE waiting_told DROP COLUMN chosen;
ALTER TABLE refer_rule DROP COLUMN chosen_only;
DROP TABLE chosen_need;
