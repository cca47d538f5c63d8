-- What people have to look at is found among all needs: most of them are over.
-- depends: 0030_intake_ended_offers

-- migrate: apply

CREATE INDEX need_attention ON need (id) WHERE attention IS NOT NULL;

-- migrate: rollback

DROP INDEX need_attention;
