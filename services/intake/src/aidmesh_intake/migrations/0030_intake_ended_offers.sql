-- What offers said of people whom another region will not serve is kept for it no longer.
-- depends: 0029_intake_closed_sites

-- migrate: apply

UPDATE handoff h SET payload = NULL,
    status = CASE h.status WHEN 'waiting' THEN 'withdrawn' ELSE h.status END
FROM referral_out r
WHERE r.status IN ('refused', 'lapsed', 'withdrawn') AND h.headers ->> 'ce-subject' = r.id::text
    AND h.headers ->> 'ce-type' = 'intake.referral.offered.v1' AND h.payload IS NOT NULL
    AND h.awaits_answer;

-- migrate: rollback

SELECT 1;
