"""Error codes of the transparency log: proofs, tiles, checkpoints, notes, witnesses."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, MalformedCode, RefusedCode, UnavailableCode, UnverifiedCode

BATCH_HEAD_LINE = MalformedCode("batch_head.line", "not a batch head: …")
BATCH_HEAD_ORIGIN_MISMATCH = UnverifiedCode(
    "batch_head.origin_mismatch", "batch head of …, expected …", step="batch_head.origin"
)
BATCH_HEAD_SIZE = MalformedCode("batch_head.size", "batch head of … bytes, expected at most …")

CHECKPOINT_EXTENSIONS_UNSIGNED = UnverifiedCode(
    "checkpoint.extensions_unsigned",
    "extension lines under a signature that does not cover them",
    step="checkpoint.extensions",
)
CHECKPOINT_LINE = MalformedCode("checkpoint.line", "… extension lines, expected at most …")
CHECKPOINT_ORIGIN_MISMATCH = UnverifiedCode(
    "checkpoint.origin_mismatch", "checkpoint of …, expected …", step="checkpoint.origin"
)
CHECKPOINT_QUORUM_UNMET = UnverifiedCode(
    "checkpoint.quorum_unmet",
    "the witnesses that cosigned are fewer than the policy wants: …",
    step="checkpoint.quorum",
)
CHECKPOINT_ROOT = MalformedCode("checkpoint.root", "root of … bytes, expected …")
CHECKPOINT_SIZE = MalformedCode("checkpoint.size", "tree size … out of range")

COSIGNATURE_NAME_LENGTH = MalformedCode("cosignature.name_length", "name of … bytes, expected 1 to …: …")
COSIGNATURE_SUBTREE = MalformedCode("cosignature.subtree", "no subtree of leaves … to … to sign at time …")
COSIGNATURE_TIMESTAMP = MalformedCode("cosignature.timestamp", "cosignature time … out of range")

NOTE_CONTROL = MalformedCode("note.control", "control character in note: at byte …")
NOTE_KEY = MalformedCode("note.key", "verifier key without a type and public bytes")
NOTE_KEY_AMBIGUOUS = MalformedCode("note.key_ambiguous", "two keys called … share an id")
NOTE_KEY_ID = MalformedCode("note.key_id", "key id of … bytes, expected 4")
NOTE_KEY_NAME = MalformedCode("note.key_name", "second key of …, expected …")
NOTE_KEY_TYPE = MalformedCode("note.key_type", "key of … is no ml-dsa-44 key")
NOTE_KEY_UNSOUND = MalformedCode("note.key_unsound", "not a sound ed25519 public key")
NOTE_NEWLINE = MalformedCode("note.newline", "note text does not end in a newline")
NOTE_SIGNATURE_BAD = UnverifiedCode("note.signature_bad", "bad signature by …", step="note.signature")
NOTE_SIGNATURE_COUNT = MalformedCode("note.signature_count", "note with … signatures, expected 1 to …")
NOTE_SIGNATURE_LENGTH = MalformedCode("note.signature_length", "signature of … bytes, expected …")
NOTE_SIGNATURE_LINE = MalformedCode("note.signature_line", "not a signature line: …")
NOTE_SIGNATURE_UNSUPPORTED = UnverifiedCode(
    "note.signature_unsupported",
    "signature by … cannot be checked: this build of cryptography lacks its algorithm",
    step="note.signature",
)
NOTE_SIZE = MalformedCode("note.size", "note of … bytes, expected at most …")
NOTE_UNSIGNED = UnverifiedCode("note.unsigned", "note is signed by no known key", step="note.signer")
NOTE_UTF8 = MalformedCode("note.utf8", "note is not utf-8: at byte …")

PROOF_AUTHORITY = UnverifiedCode(
    "proof.authority", "the signature was made for another server", step="authority"
)
PROOF_CHANNEL = UnverifiedCode("proof.channel", "no registered agent has this SPIFFE ID", step="channel")
PROOF_CREDENTIAL = UnverifiedCode(
    "proof.credential", "bearer credentials are not accepted: prove possession of a key", step="credential"
)
PROOF_DIGEST = UnverifiedCode("proof.digest", "Content-Digest does not match the body", step="digest")
PROOF_EPOCH = UnverifiedCode(
    "proof.epoch",
    "the signature was made for another epoch of this server: use the current one",
    step="epoch",
)
PROOF_EXTRA = MalformedCode("proof.extra", "extra of … bytes, expected 1 to …")
PROOF_HASH_LENGTH = MalformedCode("proof.hash_length", "hash of … bytes, expected …")
PROOF_HASH_LENGTH_UNVERIFIED = UnverifiedCode(
    PROOF_HASH_LENGTH.id, "hash of … bytes, expected …", step="proof"
)
PROOF_HEADER = MalformedCode("proof.header", "not a proof file: …")
PROOF_INDEX_RANGE = MalformedCode("proof.index_range", "no checkpoint covers any entry yet")
PROOF_INDEX_RANGE_UNVERIFIED = UnverifiedCode(
    PROOF_INDEX_RANGE.id, "no leaf … in a tree of … leaves", step="inclusion.index"
)
PROOF_KEY = UnverifiedCode("proof.key", "no agent has key …: …", step="key")
PROOF_LENGTH = MalformedCode("proof.length", "proof of … hashes, expected at most …")
PROOF_LENGTH_UNVERIFIED = UnverifiedCode(
    PROOF_LENGTH.id, "proof of … hashes, expected …", step="consistency.length"
)
PROOF_LIMITS = MalformedCode("proof.limits", "a session lives 1 to … s, got …")
PROOF_LINE = MalformedCode("proof.line", "proof without an index line")
PROOF_MALFORMED = UnverifiedCode(
    "proof.malformed", "the Host field is missing or not in lower case", step="proof"
)
PROOF_OTHER_MESSAGE = UnverifiedCode(
    "proof.other_message", "the proof was made for another message", step="proof"
)
PROOF_QUOTA = UnverifiedCode(
    "proof.quota", "too many signed messages in a short time: open a session", step="quota"
)
PROOF_REPLAY = UnverifiedCode("proof.replay", "the nonce was used before", step="replay")
PROOF_ROOT_MISMATCH = UnverifiedCode(
    "proof.root_mismatch", "proof does not lead to the root", step="consistency.new_root"
)
PROOF_SESSION = UnverifiedCode("proof.session", "the session is not known or has ended", step="session")
PROOF_SIGNATURE = UnverifiedCode(
    "proof.signature", "the signature does not fit key and message", step="signature"
)
PROOF_SIZE = MalformedCode("proof.size", "proof of … bytes, expected at most …")
PROOF_SIZE_RANGE = MalformedCode(
    "proof.size_range", "no proof from size … to size …: the newest checkpoint covers … entries"
)
PROOF_SIZE_RANGE_UNVERIFIED = UnverifiedCode(
    PROOF_SIZE_RANGE.id, "nothing links size … to size …", step="consistency.size"
)
PROOF_SVID = UnverifiedCode("proof.svid", "the SVID does not check: …", step="svid")
PROOF_TIME = UnverifiedCode("proof.time", "`created` is more than … s from this server's clock", step="time")

TILE_BUNDLE = MalformedCode("tile.bundle", "… bytes after the … entries of a bundle")
TILE_ENTRY_SIZE = MalformedCode("tile.entry_size", "entry of … bytes, expected at most …")
TILE_HASH_MISMATCH = UnverifiedCode("tile.hash_mismatch", "… does not lead to the root", step="tile.hash")
TILE_LENGTH = MalformedCode("tile.length", "tile of … bytes, expected … hashes of …")
TILE_NAME = MalformedCode("tile.name", "no tile at level …, index …, width …")
TILE_RANGE = MalformedCode("tile.range", "no complete subtree … of level … in a tree of … leaves")
TILE_ROOT_MISMATCH = UnverifiedCode("tile.root_mismatch", "tiles do not lead to the root", step="tile.root")

TLOG_BASE64 = MalformedCode("tlog.base64", "… is not canonical base64: …")
TLOG_DECIMAL = MalformedCode("tlog.decimal", "no newline")
TLOG_HASH_LENGTH = MalformedCode("tlog.hash_length", "hash of … bytes, expected …")
TLOG_RANGE_LENGTH = MalformedCode("tlog.range_length", "compact range of size … has … hashes, expected …")
TLOG_SIZE_RANGE = MalformedCode("tlog.size_range", "tree size … out of range")

WITNESS_ANSWER = UnavailableCode(
    "witness.answer", "witness … answered with …, which the protocol does not allow", port="witness"
)
WITNESS_CLOCK_BACK = UnavailableCode(
    "witness.clock_back",
    "the clock is … seconds behind the last cosignature, and at most … are waited for: set the clock",
    port="witness",
)
WITNESS_COSIGNATURE = UnverifiedCode(
    "witness.cosignature",
    "the witness's answer contains no cosignature by its key",
    step="cosignature.signer",
)
WITNESS_DENIED = UnavailableCode("witness.denied", "the witness refused: …", port="witness")
WITNESS_FAILED = UnavailableCode("witness.failed", "witness … cannot cosign (status …): …", port="witness")
WITNESS_KEY_UNKNOWN = UnavailableCode(
    "witness.key_unknown", "the key of the local witness cannot be used: …", port="witness"
)
WITNESS_KEYS_COUNT = MalformedCode("witness.keys_count", "a log has at most … keys")
WITNESS_LIED = UnverifiedCode(
    "witness.lied", "the witness named size …, but its own copy has size …", step="witness.size"
)
WITNESS_LOCKED = UnavailableCode("witness.locked", "another witness uses …", port="witness")
WITNESS_LOG_UNKNOWN = RefusedCode("witness.log.unknown", "log … is not registered at this witness")
WITNESS_OLD_SIZE = MalformedCode("witness.old_size", "old size … out of range")
WITNESS_OTHER_KEY = RefusedCode(
    "witness.other_key",
    "log … is watched under another key: if you replaced the key, add the new one with "
    "`answerable witness add-log`",
)
WITNESS_OVERTAKEN = UnavailableCode(
    "witness.overtaken",
    "the witness has already cosigned a newer checkpoint of this log; it is asked again in the next round",
    port="witness",
)
WITNESS_POISONED = UnavailableCode(
    "witness.poisoned",
    "a write of this witness failed: restart it; until then it cosigns nothing",
    port="witness",
)
WITNESS_REQUEST = MalformedCode("witness.request", "request without an empty line before the checkpoint")
WITNESS_REQUEST_SIZE = MalformedCode("witness.request_size", "request of … bytes, expected at most …")
WITNESS_STATE_DAMAGED = BrokenCode(
    "witness.state_damaged",
    "the witness's state of log … was changed or damaged: …; restore it from a backup, never remove it",
)
WITNESS_STATE_LOST = BrokenCode(
    "witness.state_lost",
    "the ledger has a checkpoint of size … with the cosignature of … and the witness of this machine remembers …",
)
WITNESS_UNREACHABLE = UnavailableCode("witness.unreachable", "witness … was not reached: …", port="witness")
WITNESS_UNWRITABLE = UnavailableCode(
    "witness.unwritable", "the public keys of the witness cannot be written: …", port="witness"
)
WITNESS_WENT_BACK = UnverifiedCode(
    "witness.went_back",
    "the witness cosigned size … and now knows only size …: its state was rolled back",
    step="witness.size",
)
