"""Error codes of the ledger, of the registers built from it, and of reading both."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, MalformedCode, RefusedCode, UnavailableCode, UnverifiedCode

EVIDENCE_ARCHIVE = MalformedCode("evidence.archive", "the archive cannot be taken: …")
EVIDENCE_DISCLOSURE = MalformedCode("evidence.disclosure", "a disclosure is not canonical base64url")
EVIDENCE_ENTRIES = MalformedCode("evidence.entries", "a bundle has 1 to … entries in order, got …")
EVIDENCE_INVALID = MalformedCode("evidence.invalid", "the evidence bundle is invalid: …")
EVIDENCE_KEYS = MalformedCode("evidence.keys", "the keys of the log are not whole lines")
EVIDENCE_LEAF = MalformedCode("evidence.leaf", "the leaf of entry … is too long")
EVIDENCE_MANIFEST = MalformedCode(
    "evidence.manifest", "the manifest does not fit the members, or there are others"
)
EVIDENCE_MEMBER = MalformedCode("evidence.member", "the bundle lacks …")
EVIDENCE_NOTHING = MalformedCode("evidence.nothing", "no ledger entry belongs to the selection")
EVIDENCE_REVEAL = MalformedCode("evidence.reveal", "expected at most … fields to reveal")
EVIDENCE_UNSIGNED = MalformedCode(
    "evidence.unsigned", "no checkpoint covers entry … yet: run `answerable ledger seal` and try again"
)

LEDGER_BATCH_OPEN = BrokenCode("ledger.batch_open", "the batch of this entry is not durable yet")
LEDGER_BUSY = UnavailableCode("ledger.busy", "the log is busy: try again", port="ledger")
LEDGER_CHAIN = UnverifiedCode("ledger.chain", "entry does not follow the one before it", step="frame.chain")
LEDGER_CLOSED = UnavailableCode("ledger.closed", "the log is closed", port="ledger")
LEDGER_CORRUPT = BrokenCode(
    "ledger.corrupt", "the segment that holds entry … is missing: the first one there starts at …"
)
LEDGER_COSIGNED_OTHER = UnverifiedCode(
    "ledger.cosigned_other", "not a checkpoint of this log: …", step="checkpoint.root"
)
LEDGER_DISCLOSURE = MalformedCode("ledger.disclosure", "the fields do not end where they should")
LEDGER_ENTRIES_MISSING = BrokenCode("ledger.entries_missing", "the segment that starts at entry … is missing")
LEDGER_ENTRY_UNKNOWN = RefusedCode("ledger.entry.unknown", "there is no entry …: the ledger has …")
LEDGER_ENVELOPE = MalformedCode("ledger.envelope", "the sections do not end where they should")
LEDGER_ENVELOPE_UNVERIFIED = UnverifiedCode(
    LEDGER_ENVELOPE.id, "the attachment is another subject's", step="payload"
)
LEDGER_FRAME_CRC = UnverifiedCode("ledger.frame_crc", "entry header fails its checksum", step="frame.header")
LEDGER_FRAME_CUT = MalformedCode("ledger.frame_cut", "entry of … bytes, the segment has …")
LEDGER_FRAME_MARK = MalformedCode("ledger.frame_mark", "no entry starts here")
LEDGER_FRAME_UNKNOWN = MalformedCode(
    "ledger.frame_unknown", "entry with flags … and a leaf of … bytes cannot be read"
)
LEDGER_FULL = UnavailableCode(
    "ledger.full", "no space for an entry of … bytes: … bytes are left", port="ledger"
)
LEDGER_HEAD = MalformedCode("ledger.head", "the head cannot be read")
LEDGER_HEADER_CRC = UnverifiedCode("ledger.header_crc", "segment header is damaged", step="segment.header")
LEDGER_HEADER_CUT = MalformedCode("ledger.header_cut", "segment of … bytes has no header")
LEDGER_HEADER_MAGIC = MalformedCode("ledger.header_magic", "not a ledger segment")
LEDGER_HEADER_VERSION = MalformedCode("ledger.header_version", "segment of version … cannot be read")
LEDGER_KEY_GONE = UnverifiedCode(
    "ledger.key_gone", "entry … cannot be decrypted: the key of its data subject was erased", step="payload"
)
LEDGER_KEY_MISMATCH = BrokenCode(
    "ledger.key_mismatch",
    "the log in … is signed by …, and this server has the key of …: a log that was moved or copied needs `keys` and "
    "`ledger.origin` of where it came from",
)
LEDGER_LEAF_MALFORMED = BrokenCode("ledger.leaf_malformed", "entry … has a leaf that is not an object")
LEDGER_LEAF_MALFORMED_MALFORMED = MalformedCode(
    LEDGER_LEAF_MALFORMED.id, "the leaf is written in another way"
)
LEDGER_LEAF_TOO_LARGE = BrokenCode("ledger.leaf_too_large", "a leaf of … bytes cannot be stored")
LEDGER_LOCKED = UnavailableCode("ledger.locked", "the log in … is open in another process…", port="ledger")
LEDGER_NO_COPY = MalformedCode(
    "ledger.no_copy", "there is no ledger in …: it is a directory with a `checkpoint` in it"
)
LEDGER_NO_ENTRY = MalformedCode("ledger.no_entry", "there is no entry …: the log holds …")
LEDGER_PAYLOAD_MISMATCH = UnverifiedCode(
    "ledger.payload_mismatch", "the payload is not the one its leaf commits to", step="payload"
)
LEDGER_POISONED = UnavailableCode("ledger.poisoned", "the sync failed", port="ledger")
LEDGER_RESERVED_MEMBER = BrokenCode("ledger.reserved_member", "members of an entry cannot set …")
LEDGER_ROLLED_BACK = BrokenCode("ledger.rolled_back", "the log of logs was rolled back or forked: …")
LEDGER_ROOT_MISMATCH = BrokenCode(
    "ledger.root_mismatch", "the first … entries do not hash to the root that was signed over them"
)
LEDGER_SHARD_UNREADABLE = UnavailableCode(
    "ledger.shard_unreadable",
    "the log of shard … cannot be read (…) and the registers have nothing of it: its holds and "
    "revocations would be missing; restore the log, or move its directory away",
    port="ledger",
)
LEDGER_SHARDED = MalformedCode(
    "ledger.sharded", "the ledger in … is kept in shards (…): select one with `ledger.shard` in the settings"
)
LEDGER_SUBJECT_KEY = MalformedCode(
    "ledger.subject_key", "a subject key has an id of 16 bytes and 32 secret bytes"
)
LEDGER_UNREADABLE = UnavailableCode(
    "ledger.unreadable", "the published log has no public key", port="published_log"
)
LEDGER_UNSEALED = BrokenCode("ledger.unsealed", "fields need the key of their subject")
LEDGER_UNSHARDED = MalformedCode(
    "ledger.unsharded",
    "the ledger in … is a single log: keep it, and set another `ledger.directory` for shards",
)
LEDGER_UNWITNESSED = RefusedCode(
    "ledger.unwitnessed",
    "no quorum of witnesses has cosigned the ledger for … seconds: `answerable status` says why",
)
LEDGER_UNWRITABLE = UnavailableCode("ledger.unwritable", "cannot …: …", port="ledger")

LOG_FILE_SIZE = MalformedCode("log.file_size", "the file is too large")

REGISTER_BEHIND = UnavailableCode(
    "register.behind",
    "the change is in force in this process, but could not be written to the registers: …",
    port="register",
)
REGISTER_BEYOND_LEDGER = BrokenCode(
    "register.beyond_ledger",
    "… rows of the registers are in no ledger entry: …; another program wrote them, or the "
    "ledger is another one: restore the registers that belong to it, or move `answerable.db` "
    "away, and it is rebuilt from the ledger",
)
REGISTER_BUSY = UnavailableCode(
    "register.busy", "too many lease changes are waiting to be written: try again", port="lease_register"
)
REGISTER_CHANGED_MEANWHILE = UnavailableCode(
    "register.changed_meanwhile",
    "another process applied documents at the same moment: compare and apply again",
    port="register",
)
REGISTER_CORRUPT = UnavailableCode(
    "register.corrupt",
    "… … in the register file cannot be read: `answerable doctor` says why",
    port="register",
)
REGISTER_CORRUPT_MALFORMED = MalformedCode(REGISTER_CORRUPT.id, "its outcome cannot be read")
REGISTER_DOCUMENTS = BrokenCode(
    "register.documents",
    "the registry documents differ from their last change in the ledger, and cannot be rebuilt "
    "from it: restore a copy of `answerable.db` with unedited documents",
)
REGISTER_EPOCH = UnavailableCode(
    "register.epoch", "the shared epoch of the register cannot be kept: …", port="register"
)
REGISTER_FOREIGN = UnavailableCode(
    "register.foreign", "`…` is a database of another program", port="register"
)
REGISTER_IN_USE = UnavailableCode(
    "register.in_use", "another broker uses these leases: stop it first", port="register"
)
REGISTER_NO_ROOM = RefusedCode(
    "register.no_room",
    "nothing was done: no action begins while the registers cannot be written, since a stop could not be "
    "stored (…)",
)
REGISTER_SCHEMA_NEWER = UnavailableCode(
    "register.schema_newer", "`…` has schema version …, expected at most …", port="register"
)
REGISTER_UNAVAILABLE = UnavailableCode(
    "register.unavailable", "cannot write the register file: …", port="register"
)
REGISTER_UNRECORDED = UnavailableCode(
    "register.unrecorded",
    "… in this server, at once and until it ends, and is on record nowhere: …",
    port="register",
)

REPLAY_LIMITS = MalformedCode(
    "replay.limits", "expected 1 to … replay partitions with 1 to … uses each, got … and …"
)
REPLAY_UNAVAILABLE = UnavailableCode(
    "replay.unavailable", "another process holds the replay table", port="replay"
)

SET_DIRECTORY = MalformedCode("set.directory", "… is not a directory")
SET_FAULTS = MalformedCode("set.faults", "…: `answerable policy check …` lists all")
SET_TESTS = MalformedCode("set.tests", "… tests of … fail: `answerable policy test …` lists all")

SHARD_ADDRESS = UnavailableCode(
    "shard.address", "cannot listen on the socket … between shards: …", port="shard_link"
)
SHARD_DIRECTORY = UnavailableCode(
    "shard.directory", "the logs of the other shards cannot be listed: …", port="shard_link"
)
SHARD_DOWN = UnavailableCode("shard.down", "shard …… is not running: try again when it is", port="shard_link")
SHARD_FAILED = UnavailableCode(
    "shard.failed", "the process of this mandate's shard failed", port="shard_link", effect="unknown"
)
SHARD_HEAD = MalformedCode("shard.head", "the entry of the log of logs is not the head of a shard")
SHARD_LATE = UnavailableCode("shard.late", "shard … gave no answer in … s", port="shard_link")
SHARD_LOST = UnavailableCode("shard.lost", "shard … answered about another log", port="shard_link")
SHARD_MESSAGE = MalformedCode("shard.message", "a result must be an object")
SHARD_NAME = MalformedCode(
    "shard.name", "… is not the name of a shard: 1 to … of a-z, 0-9 and inner hyphens, and neither of …"
)
SHARD_OTHER_CHECKPOINT = UnverifiedCode(
    "shard.other_checkpoint",
    "the proof in the shard is against another checkpoint than that of its head",
    step="shard.head",
)
SHARD_REFUSED = UnavailableCode("shard.refused", "… is not a shard of this deployment", port="shard_link")
SHARD_TOO_LONG = MalformedCode("shard.too_long", "the message has … bytes, expected at most …")

SIGNED_ALGORITHM = UnverifiedCode("signed.algorithm", "algorithm … is not accepted", step="signed")
SIGNED_KEY = UnverifiedCode("signed.key", "key … is not registered for …", step="signed")
SIGNED_MALFORMED = MalformedCode("signed.malformed", "token has … parts, expected 3")
SIGNED_SIGNATURE = UnverifiedCode("signed.signature", "the signature is invalid", step="signed")
SIGNED_TYPE = UnverifiedCode("signed.type", "expected a token of type …, got …", step="signed")

SUBJECT_KEYS_CORRUPT = UnavailableCode(
    "subject_keys.corrupt",
    "the subject keys cannot be opened: they were changed, or sealed with another root key",
    port="subject_keys",
)
SUBJECT_KEYS_LOST = UnavailableCode(
    "subject_keys.lost",
    "the newest entries of the ledger are sealed under keys that are not in the store of subject "
    "keys: put its backup back",
    port="subject_keys",
)

TIMELINE_EMPTY = MalformedCode("timeline.empty", "nothing has happened yet (complete up to entry …, …)")
TIMELINE_MANIFEST = MalformedCode(
    "timeline.manifest",
    "… is not the digest of a manifest: expected 64 lower-case hex digits, as `answerable "
    "agent manifest show` prints them",
)
TIMELINE_MANIFEST_UNKNOWN = RefusedCode("timeline.manifest_unknown", "no manifest in the ledger has ……")
TIMELINE_MODEL = MalformedCode(
    "timeline.model",
    "… is not a model: expected `NAME` or `NAME@VERSION`, such as `claude-sonnet-4-5@20250929`",
)
TIMELINE_NOTHING = MalformedCode("timeline.nothing", "say under which manifest, prompt or model")
TIMELINE_PROMPT = MalformedCode(
    "timeline.prompt", "… is not the digest of a prompt: expected `sha256:` and 64 lower-case hex digits"
)
TIMELINE_UNKNOWN = MalformedCode(
    "timeline.unknown", "the ledger has no entry about … (complete up to entry …, …)"
)

VERIFY_PROCESS = UnavailableCode(
    "verify.process",
    "a process that checks a part was ended from outside, perhaps for want of memory",
    port="verify",
)
