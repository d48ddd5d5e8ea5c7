-- The first schema. Never edited once released; later steps are files of their own.

-- What came in. A row exists before the platform is acknowledged; it is 'done' in the transaction that holds
-- everything that followed from it.
CREATE TABLE inbox (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  conversation TEXT NOT NULL,
  kind         TEXT NOT NULL,
  ref          TEXT NOT NULL DEFAULT '',           -- platform:channel:message id, for messages, edits, deletions
  payload      TEXT NOT NULL,
  occurred_at  REAL NOT NULL,
  received_at  REAL NOT NULL,
  state        TEXT NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done', 'dead')),
  attempts     INTEGER NOT NULL DEFAULT 0,
  error        TEXT NOT NULL DEFAULT ''
);
CREATE INDEX inbox_new ON inbox (conversation, seq) WHERE state = 'new';
CREATE INDEX inbox_ref ON inbox (ref) WHERE ref != '';

-- Every dedup key that was ever recorded (delivery keys and logical keys), pruned after a while.
CREATE TABLE seen (key TEXT PRIMARY KEY, seq INTEGER NOT NULL, at REAL NOT NULL) WITHOUT ROWID;

-- One conversation: one customer in one thread or DM. `state` is the whole Case as JSON.
CREATE TABLE cases (
  id           TEXT PRIMARY KEY,
  conversation TEXT NOT NULL UNIQUE,
  platform     TEXT NOT NULL,
  tenant       TEXT NOT NULL,
  channel      TEXT NOT NULL,
  customer     TEXT NOT NULL,
  epoch        INTEGER NOT NULL,
  version      INTEGER NOT NULL,
  phase        TEXT NOT NULL,
  state        TEXT NOT NULL,
  updated_at   REAL NOT NULL
);
CREATE INDEX cases_customer ON cases (platform, tenant, customer);

-- Tickets as columns, for lists, exports and reports; written from the case in the same transaction.
CREATE TABLE tickets (
  number            INTEGER PRIMARY KEY,
  case_id           TEXT NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
  platform          TEXT NOT NULL,
  tenant            TEXT NOT NULL,
  customer          TEXT NOT NULL,
  customer_name     TEXT NOT NULL,
  state             TEXT NOT NULL CHECK (state IN ('new', 'open', 'pending', 'escalated', 'solved', 'closed')),
  category          TEXT NOT NULL,
  leaf              TEXT NOT NULL,
  priority          TEXT NOT NULL CHECK (priority IN ('P0', 'P1', 'P2', 'P3')),
  route             TEXT NOT NULL,
  subject           TEXT NOT NULL,
  assignee          TEXT NOT NULL,
  assignee_name     TEXT NOT NULL,
  trigger           TEXT NOT NULL,
  escalated_ever    INTEGER NOT NULL,
  reopened          INTEGER NOT NULL,
  opened_at         REAL NOT NULL,
  claimed_at        REAL,
  first_response_at REAL,
  first_response_due REAL,
  resolution_due    REAL,
  solved_at         REAL,
  closed_at         REAL,
  resolution_type   TEXT NOT NULL,
  root_cause        TEXT NOT NULL,
  csat              INTEGER,
  data              TEXT NOT NULL
);
CREATE INDEX tickets_state ON tickets (state, priority, opened_at);
CREATE INDEX tickets_customer ON tickets (platform, tenant, customer);
CREATE UNIQUE INDEX tickets_one_open ON tickets (case_id) WHERE state NOT IN ('solved', 'closed');

-- What goes out. A row is promised in the transaction that decided it; lanes are delivered strictly in order.
CREATE TABLE outbox (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  case_id      TEXT NOT NULL,
  platform     TEXT NOT NULL,
  lane         TEXT NOT NULL,
  payload      TEXT NOT NULL,
  key          TEXT NOT NULL UNIQUE,
  audience     TEXT NOT NULL CHECK (audience IN ('customer', 'staff', 'person', 'self')),
  voice        TEXT NOT NULL CHECK (voice IN ('bot', 'notice', 'agent')),
  epoch        INTEGER NOT NULL,
  anchor       TEXT NOT NULL DEFAULT '',
  state        TEXT NOT NULL DEFAULT 'pending' CHECK (state IN
               ('pending', 'sending', 'ambiguous', 'sent', 'failed', 'superseded', 'withdrawn')),
  not_before   REAL NOT NULL,
  first_try_at REAL,
  attempts     INTEGER NOT NULL DEFAULT 0,
  parts_done   INTEGER NOT NULL DEFAULT 0,
  error        TEXT NOT NULL DEFAULT '',
  created_at   REAL NOT NULL,
  sent_at      REAL
);
CREATE INDEX outbox_waiting ON outbox (lane, id) WHERE state IN ('pending', 'sending', 'ambiguous');
CREATE INDEX outbox_anchor ON outbox (anchor) WHERE anchor != '';

-- Which message on a platform an anchor ("T-1042/card") names.
CREATE TABLE anchors (
  name     TEXT PRIMARY KEY,
  case_id  TEXT NOT NULL,
  platform TEXT NOT NULL,
  channel  TEXT NOT NULL,
  message  TEXT NOT NULL,
  ref      TEXT NOT NULL,
  at       REAL NOT NULL
);
CREATE INDEX anchors_message ON anchors (platform, channel, message);

-- Business time is a row, never a sleep.
CREATE TABLE timers (
  case_id TEXT NOT NULL,
  timer   TEXT NOT NULL,
  at      REAL NOT NULL,
  arg     TEXT NOT NULL,
  why     TEXT NOT NULL,
  PRIMARY KEY (case_id, timer)
);
CREATE INDEX timers_at ON timers (at);

-- Append-only history, chained by hashes. `content` (event, facts) may be erased; its hash stays.
CREATE TABLE journal (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  at           REAL NOT NULL,
  case_id      TEXT NOT NULL,
  event        TEXT NOT NULL,
  event_key    TEXT NOT NULL,
  decision     TEXT NOT NULL,
  why          TEXT NOT NULL,
  phase        TEXT NOT NULL,
  ticket       INTEGER,
  ms           REAL NOT NULL,
  content      TEXT,
  content_hash TEXT NOT NULL,
  previous     TEXT NOT NULL,
  hash         TEXT NOT NULL
);
CREATE INDEX journal_case ON journal (case_id, seq);

-- Rows for reports: receipt, feedback, gap, proposal, draft_outcome, capture, csat …
CREATE TABLE records (
  kind    TEXT NOT NULL,
  key     TEXT NOT NULL,
  case_id TEXT NOT NULL,
  at      REAL NOT NULL,
  data    TEXT NOT NULL,
  PRIMARY KEY (kind, key)
);
CREATE INDEX records_at ON records (kind, at);

-- The last message known of each place, for catching up.
CREATE TABLE marks (
  platform TEXT NOT NULL,
  place    TEXT NOT NULL,
  data     TEXT NOT NULL,
  last     TEXT NOT NULL,
  at       REAL NOT NULL,
  PRIMARY KEY (platform, place)
);

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
