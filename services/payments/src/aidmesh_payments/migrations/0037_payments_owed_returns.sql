-- What a restored region gave back and can't give back again is owed, as after a fence: epoch 0.
-- depends: 0036_payments_how_payouts_go

-- migrate: apply

ALTER TABLE taken_back DROP CONSTRAINT taken_back_epoch_check,
    ADD CHECK (epoch >= 0);

-- migrate: rollback

DELETE FROM taken_back WHERE epoch = 0;
ALTER TABLE taken_back DROP CONSTRAINT taken_back_epoch_check,
    ADD CHECK (epoch > 0);
