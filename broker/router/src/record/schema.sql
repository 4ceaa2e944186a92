-- The ledger's tables, version 1. Times are microseconds since 1970; identifiers are 16 bytes.

-- The cases. No personal data.
CREATE TABLE referral (
    number  INTEGER PRIMARY KEY,
    id      BLOB NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    owner   TEXT NOT NULL,
    state   BLOB NOT NULL,
    wake    INTEGER,
    open    INTEGER NOT NULL
) STRICT;
CREATE INDEX referral_of_owner ON referral (owner, number);
CREATE INDEX referral_to_wake ON referral (wake, number) WHERE wake IS NOT NULL;
CREATE INDEX referral_open ON referral (number) WHERE open = 1;

-- The log. `completed` holds the hashes of the subtrees the leaf completes, its own first.
CREATE TABLE leaf (
    position   INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    commitment BLOB NOT NULL,
    completed  BLOB NOT NULL
) STRICT;
CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;

-- These keep a slip of the hand out. Whoever means harm can drop them, and is found by the verifier.
CREATE TRIGGER leaf_is_not_altered BEFORE UPDATE ON leaf BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
CREATE TRIGGER leaf_is_not_removed BEFORE DELETE ON leaf BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
CREATE TRIGGER checkpoint_is_not_altered BEFORE UPDATE ON checkpoint BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
CREATE TRIGGER checkpoint_is_not_removed BEFORE DELETE ON checkpoint BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;

-- What leaves commit to, with the salts. Erased by deleting; an erasure's own record has no referral and stays.
CREATE TABLE record (
    leaf     INTEGER PRIMARY KEY REFERENCES leaf,
    referral BLOB,
    salt     BLOB NOT NULL,
    bytes    BLOB NOT NULL
) STRICT;
CREATE INDEX record_of_referral ON record (referral, leaf) WHERE referral IS NOT NULL;

-- Every delivery there ever was. Salt and digest go when the referral is erased.
CREATE TABLE delivery (
    leaf       INTEGER PRIMARY KEY REFERENCES leaf,
    id         BLOB NOT NULL UNIQUE,
    referral   BLOB NOT NULL,
    recipient  TEXT NOT NULL,
    kind       TEXT NOT NULL,
    salt       BLOB,
    digest     BLOB,
    settled_at INTEGER
) STRICT;
CREATE INDEX delivery_of_referral ON delivery (referral);
CREATE INDEX delivery_unsettled ON delivery (leaf) WHERE settled_at IS NULL;

-- What still has to be sent. A row goes when its delivery is settled, and the body with it.
CREATE TABLE owed (
    leaf         INTEGER PRIMARY KEY REFERENCES delivery,
    place        INTEGER NOT NULL,
    exchange     TEXT NOT NULL,
    content_type TEXT NOT NULL,
    headers      TEXT NOT NULL,
    body         BLOB NOT NULL
) STRICT;

-- Personal content, apart from the rest.
CREATE TABLE content (
    referral BLOB NOT NULL,
    id       BLOB NOT NULL,
    kind     TEXT NOT NULL,
    bytes    BLOB NOT NULL,
    UNIQUE (referral, id)
) STRICT;

-- What parties were told, each counted from 1 without gaps.
CREATE TABLE progress (
    party    TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    referral BLOB NOT NULL,
    at       INTEGER NOT NULL,
    body     BLOB NOT NULL,
    PRIMARY KEY (party, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX progress_of_referral ON progress (referral);

-- AUTOINCREMENT: a number is not given again after a release, or a page would skip a message.
CREATE TABLE quarantine (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    id      BLOB NOT NULL UNIQUE,
    queue   TEXT NOT NULL,
    reason  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    headers TEXT NOT NULL,
    bytes   BLOB NOT NULL
) STRICT;
