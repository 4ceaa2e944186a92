-- Version 3: what a recipient was sent can be found without reading every delivery.
CREATE INDEX delivery_of_recipient ON delivery (recipient, referral);
