-- Version 2: what waits for a person can be found without reading every case.
ALTER TABLE referral ADD COLUMN waiting_since INTEGER;
ALTER TABLE referral ADD COLUMN waiting_urgent INTEGER NOT NULL DEFAULT 0;
CREATE INDEX referral_waiting ON referral (number) WHERE waiting_since IS NOT NULL;
