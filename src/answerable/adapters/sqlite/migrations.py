"""Define the schema of the registers, one migration for each version."""

from __future__ import annotations

from typing import Final, TypeAlias

from answerable.adapters.sqlite.authority_changes import AUTHORITY_CHANGES
from answerable.adapters.sqlite.noted_writes import PROJECTED, RECALLED, RECALLED_TOO, REST, noted_writes

Migrations: TypeAlias = "tuple[tuple[str, ...], ...]"

MIGRATIONS: Final[Migrations] = (
    (
        "CREATE TABLE documents (key TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT",
        """CREATE TABLE mandates (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, claims BLOB NOT NULL,
            token TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('open', 'closed'))
        ) STRICT""",
        """CREATE TABLE approvals (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'used')),
            expires_at INTEGER NOT NULL, body BLOB NOT NULL
        ) STRICT""",
    ),
    (
        """CREATE TABLE calls_used (
            origin TEXT NOT NULL, mandate TEXT NOT NULL, calls INTEGER NOT NULL, PRIMARY KEY (origin, mandate)
        ) STRICT""",
        "CREATE TABLE calls_counted (origin TEXT PRIMARY KEY, entries INTEGER NOT NULL) STRICT",
    ),
    (
        """CREATE TABLE mandates_issued (
            mandate TEXT PRIMARY KEY, origin TEXT NOT NULL, entry INTEGER NOT NULL, leaf TEXT NOT NULL
        ) STRICT""",
    ),
    (
        """CREATE TABLE instances (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key TEXT UNIQUE,
            process TEXT UNIQUE, parent TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('live', 'ended')),
            because TEXT NOT NULL, expires_at INTEGER NOT NULL, body BLOB, change INTEGER NOT NULL,
            ended_process TEXT, recorded INTEGER NOT NULL CHECK (recorded IN (0, 1)), told TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX instances_change ON instances (change)",
        "CREATE INDEX instances_unrecorded ON instances (number) WHERE state = 'ended' AND recorded = 0",
        """CREATE INDEX instances_old ON instances (expires_at)
            WHERE state = 'ended' AND recorded = 1 AND body IS NOT NULL""",
        "CREATE INDEX instances_parent ON instances (parent) WHERE parent <> ''",
        """CREATE TABLE sightings (
            kind TEXT NOT NULL CHECK (kind IN ('agent', 'server', 'tool')), name TEXT NOT NULL,
            first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (kind, name)
        ) STRICT""",
        "CREATE INDEX sightings_last ON sightings (last)",
    ),
    (
        """CREATE TABLE join_tokens (
            number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
            agent TEXT NOT NULL, selectors BLOB NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
            used_at INTEGER
        ) STRICT""",
    ),
    (
        """CREATE TABLE manifests (
            number INTEGER PRIMARY KEY AUTOINCREMENT, agent TEXT NOT NULL, digest TEXT NOT NULL,
            signed_at INTEGER NOT NULL, token TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX manifests_agent ON manifests (agent, number)",
    ),
    (
        """CREATE TABLE trust_domain (
            one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL, revision INTEGER NOT NULL,
            beginning TEXT NOT NULL
        ) STRICT""",
        """CREATE TABLE authorities (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
            state TEXT NOT NULL CHECK (state IN ('prepared', 'active', 'old', 'removed')), certificate BLOB NOT NULL,
            jwt_kid TEXT NOT NULL, jwt_jwk TEXT NOT NULL, wit_kid TEXT NOT NULL, wit_jwk TEXT NOT NULL,
            not_before INTEGER NOT NULL, not_after INTEGER NOT NULL, prepared_at INTEGER NOT NULL,
            since INTEGER NOT NULL
        ) STRICT""",
        "CREATE UNIQUE INDEX authorities_one_active ON authorities (state) WHERE state = 'active'",
        "CREATE TABLE federated (domain TEXT PRIMARY KEY, document BLOB NOT NULL) STRICT",
    ),
    (
        """CREATE TABLE budgets_used (
            origin TEXT NOT NULL, account TEXT NOT NULL, budget TEXT NOT NULL, amount INTEGER NOT NULL,
            PRIMARY KEY (origin, account, budget)
        ) STRICT""",
        """INSERT INTO budgets_used (origin, account, budget, amount)
            SELECT origin, mandate, 'calls', calls FROM calls_used""",
        "DROP TABLE calls_used",
    ),
    (
        """CREATE TABLE revocations (
            number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
            made_by TEXT NOT NULL, reason TEXT NOT NULL, recorded INTEGER NOT NULL CHECK (recorded IN (0, 1)),
            UNIQUE (kind, name)
        ) STRICT""",
        "CREATE INDEX revocations_unrecorded ON revocations (number) WHERE recorded = 0",
        "CREATE INDEX mandates_closed ON mandates (id) WHERE state = 'closed'",
        """CREATE TABLE status_lists (
            number INTEGER PRIMARY KEY, decoys BLOB NOT NULL, taken BLOB NOT NULL, given INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE tokens (
            number INTEGER PRIMARY KEY AUTOINCREMENT, jti TEXT NOT NULL UNIQUE, parent INTEGER, par_hash TEXT NOT NULL,
            mandate TEXT NOT NULL, agent TEXT NOT NULL, key TEXT NOT NULL, manifest TEXT NOT NULL,
            trust_domain TEXT NOT NULL, expires_at INTEGER NOT NULL, list INTEGER NOT NULL, place INTEGER NOT NULL,
            ended INTEGER NOT NULL CHECK (ended IN (0, 1)), UNIQUE (list, place)
        ) STRICT""",
        "CREATE INDEX tokens_parent ON tokens (parent) WHERE parent IS NOT NULL",
        "CREATE INDEX tokens_hop ON tokens (par_hash) WHERE par_hash <> ''",
        "CREATE INDEX tokens_mandate ON tokens (mandate)",
        "CREATE INDEX tokens_expiry ON tokens (expires_at)",
        "CREATE INDEX tokens_ended ON tokens (list, place) WHERE ended = 1",
    ),
    (
        """CREATE TABLE receivers (
            mandate TEXT NOT NULL, giver TEXT NOT NULL, receiver TEXT NOT NULL, PRIMARY KEY (mandate, giver, receiver)
        ) STRICT, WITHOUT ROWID""",
    ),
    (
        "ALTER TABLE tokens ADD COLUMN instance TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX tokens_instance ON tokens (instance) WHERE instance <> ''",
        """CREATE TABLE token_names (
            kind TEXT NOT NULL, name TEXT NOT NULL, token INTEGER NOT NULL, PRIMARY KEY (kind, name, token)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX token_names_token ON token_names (token)",
    ),
    (
        """CREATE TABLE uses_read (
            log TEXT PRIMARY KEY, read_to INTEGER NOT NULL, days_back INTEGER NOT NULL, told INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE TABLE agent_uses (agent TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE use_days (day INTEGER PRIMARY KEY) STRICT",
    ),
    (
        """CREATE TABLE inventory (
            kind TEXT NOT NULL CHECK (kind IN ('agent', 'server', 'tool')), name TEXT NOT NULL, source TEXT NOT NULL,
            grade TEXT NOT NULL CHECK (grade IN ('kernel', 'sidecar', 'gateway', 'claimed')), how TEXT NOT NULL,
            direct INTEGER NOT NULL CHECK (direct IN (0, 1)), first INTEGER NOT NULL, last INTEGER NOT NULL,
            count INTEGER NOT NULL, PRIMARY KEY (kind, name, source)
        ) STRICT""",
        "CREATE INDEX inventory_source ON inventory (source, last)",
        """INSERT INTO inventory (kind, name, source, grade, how, direct, first, last, count)
            SELECT kind, name, 'earlier', 'claimed', '', 0, first, last, count FROM sightings""",
        "DROP TABLE sightings",
    ),
    (
        """CREATE TABLE citations (
            origin TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, entry INTEGER NOT NULL, leaf TEXT NOT NULL,
            PRIMARY KEY (origin, kind, name)
        ) STRICT, WITHOUT ROWID""",
        "CREATE TABLE citations_kept (origin TEXT PRIMARY KEY, entries INTEGER NOT NULL) STRICT",
    ),
    (
        """CREATE TABLE history (
            origin TEXT NOT NULL, tracker TEXT NOT NULL, owner TEXT NOT NULL, resource TEXT NOT NULL,
            state BLOB NOT NULL, PRIMARY KEY (origin, tracker, owner, resource)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE history_kept (
            origin TEXT NOT NULL, tracker TEXT NOT NULL, entries INTEGER NOT NULL, PRIMARY KEY (origin, tracker)
        ) STRICT, WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE tool_pins (
            number INTEGER PRIMARY KEY AUTOINCREMENT, server TEXT NOT NULL, tool TEXT NOT NULL,
            definition TEXT NOT NULL, text BLOB NOT NULL, at INTEGER NOT NULL, signed_by TEXT NOT NULL,
            key TEXT NOT NULL, token TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX tool_pins_tool ON tool_pins (server, tool, number)",
    ),
    (
        """CREATE TABLE policy_records (
            number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL,
            body BLOB NOT NULL, UNIQUE (kind, id)
        ) STRICT""",
    ),
    (
        """CREATE TABLE holds (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
            at INTEGER NOT NULL, made_by TEXT NOT NULL, reason TEXT NOT NULL, expires_at INTEGER NOT NULL,
            source TEXT NOT NULL, rule TEXT NOT NULL, agreed BLOB NOT NULL, lifted_at INTEGER NOT NULL,
            change INTEGER NOT NULL, recorded INTEGER NOT NULL CHECK (recorded IN (0, 1))
        ) STRICT""",
        "CREATE INDEX holds_change ON holds (change)",
        "CREATE INDEX holds_name ON holds (kind, name) WHERE lifted_at = 0",
        "CREATE INDEX holds_unrecorded ON holds (number) WHERE recorded = 0",
    ),
    (
        "ALTER TABLE holds ADD COLUMN reported INTEGER NOT NULL DEFAULT 0 CHECK (reported IN (0, 1))",
        "CREATE INDEX holds_unreported ON holds (number) WHERE reported = 0",
    ),
    (
        """CREATE TABLE event_streams (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL,
            revision INTEGER NOT NULL, left_out INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
            next_at INTEGER NOT NULL DEFAULT 0, busy_until INTEGER NOT NULL DEFAULT 0
        ) STRICT""",
        """CREATE TABLE events_waiting (
            number INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL,
            body BLOB NOT NULL, shown INTEGER NOT NULL CHECK (shown IN (0, 1)), UNIQUE (stream, id)
        ) STRICT""",
        "CREATE INDEX events_waiting_order ON events_waiting (stream, number)",
        "CREATE TABLE events_read (origin TEXT PRIMARY KEY, entries INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ),
    (
        """CREATE TABLE figures (
            origin TEXT NOT NULL, name TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (origin, name)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE figures_kept (
            origin TEXT PRIMARY KEY, entries INTEGER NOT NULL, form INTEGER NOT NULL, at INTEGER NOT NULL,
            beside BLOB NOT NULL
        ) STRICT, WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE drills (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, what TEXT NOT NULL,
            name TEXT NOT NULL, definition TEXT NOT NULL, shadow TEXT NOT NULL, at INTEGER NOT NULL,
            made_by TEXT NOT NULL, actions INTEGER NOT NULL, came_of_it BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX drills_what ON drills (what, name)",
    ),
    (
        # Approvals from before objects were shown cannot be answered: they become void, and must be requested again.
        """CREATE TABLE approvals_shown (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'used', 'void')),
            expires_at INTEGER NOT NULL, body BLOB NOT NULL, change INTEGER NOT NULL
        ) STRICT""",
        """INSERT INTO approvals_shown (number, id, state, expires_at, body, change)
            SELECT number, id, CASE WHEN state IN ('pending', 'approved') THEN 'void' ELSE state END, expires_at, body,
            number FROM approvals ORDER BY number""",
        "DROP TABLE approvals",
        "ALTER TABLE approvals_shown RENAME TO approvals",
        "CREATE INDEX approvals_change ON approvals (change)",
    ),
    (
        """CREATE TABLE passkeys (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, person TEXT NOT NULL, body BLOB NOT NULL,
            sign_count INTEGER NOT NULL, removed_at INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE invitations (
            number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, person TEXT NOT NULL,
            made_by TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER
        ) STRICT""",
    ),
    (
        """CREATE TABLE prepared (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, agent TEXT NOT NULL,
            digest TEXT NOT NULL, expires_at INTEGER NOT NULL, used_by TEXT NOT NULL, body BLOB NOT NULL,
            content BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX prepared_of_agent ON prepared (agent, digest)",
        "CREATE INDEX prepared_expiry ON prepared (expires_at)",
    ),
    (
        """CREATE TABLE duty_marks (
            number INTEGER PRIMARY KEY AUTOINCREMENT, approval TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('view', 'told')), who TEXT NOT NULL, step INTEGER NOT NULL,
            at INTEGER NOT NULL, UNIQUE (approval, kind, who, step)
        ) STRICT""",
        """CREATE TABLE duty_delegations (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL,
            until INTEGER NOT NULL, ended_at INTEGER NOT NULL
        ) STRICT""",
    ),
    (
        """CREATE TABLE channels (
            name TEXT PRIMARY KEY, since INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
            next_at INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '', sent INTEGER NOT NULL DEFAULT 0,
            missed INTEGER NOT NULL DEFAULT 0, left_out INTEGER NOT NULL DEFAULT 0,
            busy_until INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE deliveries (
            number INTEGER PRIMARY KEY AUTOINCREMENT, about TEXT NOT NULL, channel TEXT NOT NULL,
            receiver TEXT NOT NULL, made_at INTEGER NOT NULL, told TEXT NOT NULL, at INTEGER NOT NULL,
            attempts INTEGER NOT NULL, next_at INTEGER NOT NULL, handle TEXT NOT NULL,
            missed INTEGER NOT NULL CHECK (missed IN (0, 1)), error TEXT NOT NULL, body TEXT NOT NULL,
            UNIQUE (about, channel, receiver)
        ) STRICT""",
        "CREATE INDEX deliveries_channel ON deliveries (channel, max(made_at, at))",
    ),
    (
        """CREATE TABLE push_devices (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, person TEXT NOT NULL,
            endpoint TEXT NOT NULL, key BLOB NOT NULL, secret BLOB NOT NULL, label TEXT NOT NULL,
            made_at INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX push_devices_person ON push_devices (person, number)",
    ),
    (
        # Nonces by digest, who opened what since when, and people's recent answers.
        """CREATE TABLE nonces (
            number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, about TEXT NOT NULL,
            who TEXT NOT NULL, at INTEGER NOT NULL, ends_at INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX nonces_about ON nonces (about, who)",
        "CREATE INDEX nonces_end ON nonces (ends_at)",
        """CREATE TABLE looks (
            number INTEGER PRIMARY KEY AUTOINCREMENT, about TEXT NOT NULL, person TEXT NOT NULL, at INTEGER NOT NULL,
            UNIQUE (about, person)
        ) STRICT""",
        "CREATE INDEX looks_at ON looks (at)",
        """CREATE TABLE said (
            person TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('approve', 'break_glass')), what TEXT NOT NULL,
            at INTEGER NOT NULL, holders INTEGER NOT NULL, PRIMARY KEY (person, kind, what)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX said_at ON said (kind, at)",
    ),
    (
        # The nonces of a person are limited, so each issue counts them.
        "CREATE INDEX nonces_who ON nonces (who, number)",
    ),
    (
        # The log position up to which a register matches the ledger, and the registers that other programs have written
        # to.
        """CREATE TABLE projections (
            name TEXT NOT NULL, log TEXT NOT NULL, entries INTEGER NOT NULL, leaf TEXT NOT NULL, last INTEGER NOT NULL,
            PRIMARY KEY (name, log)
        ) STRICT, WITHOUT ROWID""",
        "CREATE TABLE touched (name TEXT PRIMARY KEY, by_others INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        *noted_writes(PROJECTED),
    ),
    noted_writes(RECALLED),
    AUTHORITY_CHANGES,
    noted_writes(RECALLED_TOO),
    noted_writes(REST),
)
"""One tuple of statements for each schema version, from 1 on. Never edited, only appended to."""
