-- The ledger: what is true now (things, datastreams) and how it came to be (changes).
-- Written in SQLite's words; on PostgreSQL INTEGER is BIGINT, BLOB is BYTEA, and STRICT and AUTOINCREMENT are left out.
-- Keys and ids are 64-bit hashes stored as signed integers. Times are Unix milliseconds in UTC.

CREATE TABLE ledger (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  id   TEXT    NOT NULL, -- 32 hexadecimal digits, made once; a follower sees by it that the ledger is another one
  made INTEGER NOT NULL
) STRICT;

-- AUTOINCREMENT: a number is never given twice, even if the newest rows were deleted by hand.
CREATE TABLE changes (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  at     INTEGER NOT NULL,
  kind   INTEGER NOT NULL CHECK (kind IN (1, 2)), -- 1 Thing, 2 Datastream
  doc    TEXT    NOT NULL                         -- the whole new state, JSON
) STRICT;

CREATE TABLE things (
  key    INTEGER PRIMARY KEY,
  id     TEXT    NOT NULL UNIQUE,
  owner  TEXT    NOT NULL,
  serial TEXT,             -- NULL: bears none, or retired
  change INTEGER NOT NULL REFERENCES changes (number)
) STRICT;

CREATE UNIQUE INDEX things_serial ON things (owner, serial) WHERE serial IS NOT NULL;

CREATE TABLE datastreams (
  id     INTEGER PRIMARY KEY,
  thing  INTEGER NOT NULL REFERENCES things (key),
  change INTEGER NOT NULL REFERENCES changes (number)
) STRICT;

-- MQTT credentials. Never in the change feed.
CREATE TABLE credentials (
  "user"  TEXT    PRIMARY KEY,
  scope   TEXT    NOT NULL,
  hash    BLOB    NOT NULL, -- SHA-256 of the password
  created INTEGER NOT NULL,
  rotated INTEGER,
  revoked INTEGER,
  version INTEGER NOT NULL UNIQUE -- rises with each write to this table
) STRICT;
