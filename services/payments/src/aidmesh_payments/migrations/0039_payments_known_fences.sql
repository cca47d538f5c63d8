-- What goes back says of which fences its holder had heard.
-- depends: 0038_payments_given_reviews

-- migrate: apply

-- NULL where that was not kept: those before its epoch.
ALTER TABLE transfer ADD COLUMN fences int[];
ALTER TABLE told_return ADD COLUMN fences int[];

-- migrate: rollback

ALTER TABLE told_return DROP COLUMN fences;
ALTER TABLE transfer DROP COLUMN fences;
