"""Error codes of holds, stop rules and drills."""

from __future__ import annotations

from answerable.errors.code import (
    BrokenCode,
    FindingCode,
    MalformedCode,
    RefusedCode,
    UnavailableCode,
    UnverifiedCode,
)

DRILL_AMBIGUOUS = RefusedCode(
    "drill.ambiguous", "… is an agent and a capability: select one with `--kind agent` or `--kind capability`"
)
DRILL_DOCUMENT = MalformedCode("drill.document", "the document has no `spec`")
DRILL_INACTIVE = RefusedCode(
    "drill.inactive",
    "the agent or capability of the drill, or its drill copy, is not in force: see `answerable "
    "registry check`",
)
DRILL_KIND = MalformedCode("drill.kind", "there is no drill …: expected …")
DRILL_MISSING = RefusedCode(
    "drill.missing",
    "a higher tier requires drills that passed within … days on the registered document, and a "
    "change of its tier alone: ……",
)
DRILL_NOT_KEPT = RefusedCode("drill.not_kept", "this process stores no drills: run it with a data directory")
DRILL_UNKNOWN = RefusedCode("drill.unknown", "no agent or capability that is in force is called …")

HELD_AGENT = RefusedCode("held.agent", "agent … is held: …")
HELD_CAPABILITY = RefusedCode("held.capability", "… is held: …")
HELD_CREDENTIAL = RefusedCode("held.credential", "… is held: …")
HELD_ENVIRONMENT = RefusedCode("held.environment", "… is held: …")
HELD_EVERYTHING = RefusedCode("held.everything", "… is held: …")
HELD_HOP = RefusedCode("held.hop", "… is held: …")
HELD_INSTANCE = RefusedCode("held.instance", "… is held: …")
HELD_KEY = RefusedCode("held.key", "… is held: …")
HELD_MANDATE = RefusedCode("held.mandate", "mandate … is held: …")
HELD_MANIFEST = RefusedCode("held.manifest", "… is held: …")
HELD_OWNER = RefusedCode("held.owner", "… is held: …")
HELD_SERVER = RefusedCode("held.server", "… is held: …")
HELD_TENANT = RefusedCode("held.tenant", "… is held: …")
HELD_TOOL = RefusedCode("held.tool", "… is held: …")
HELD_TRUST_DOMAIN = RefusedCode("held.trust_domain", "… is held: …")
HELD_VENDOR = RefusedCode("held.vendor", "… is held: …")

HISTORY_UNREAD = BrokenCode("history.unread", "the history has not been read to its end")

HOLD_AGREED_ALREADY = RefusedCode(
    "hold.agreed_already", "you have already agreed to lift this hold: another person must agree too"
)
HOLD_AMBIGUOUS = RefusedCode("hold.ambiguous", "nothing was stopped: … may be …; choose one with --kind")
HOLD_CHANGED_MEANWHILE = RefusedCode(
    "hold.changed_meanwhile",
    "another request changed this hold at the same time: see `answerable hold list` and try again",
)
HOLD_EXPIRY = MalformedCode("hold.expiry", "a hold must end later than it was placed, or have no end")
HOLD_ID = MalformedCode("hold.id", "… is not the id of a hold")
HOLD_KIND = MalformedCode("hold.kind", "… cannot be held: expected one of …")
HOLD_LIFTED_ALREADY = RefusedCode("hold.lifted_already", "hold … has been lifted already")
HOLD_NAME = MalformedCode(
    "hold.name", "an agent is held by its registered name, an instance by its SPIFFE ID"
)
HOLD_OWN = RefusedCode("hold.own", "you placed this hold: another person must lift it")
HOLD_REASON = MalformedCode("hold.reason", "a reason has at most … printable characters on one line")
HOLD_UNKNOWN = RefusedCode("hold.unknown", "there is no hold …: see `answerable hold list`")

LIFT_ALGORITHM = UnverifiedCode("lift.algorithm", "algorithm … is not accepted", step="lift")
LIFT_AUDIENCE = UnverifiedCode("lift.audience", "the lift has audience …, expected …", step="lift")
LIFT_KEY = UnverifiedCode("lift.key", "key … is not registered for …", step="lift")
LIFT_MALFORMED = MalformedCode("lift.malformed", "claim … is missing or unknown")
LIFT_OTHER = UnverifiedCode(
    "lift.other",
    "the server's digest does not match the hold that it sent: nothing was signed",
    step="lift",
)
LIFT_SIGNATURE = UnverifiedCode("lift.signature", "the signature is invalid", step="lift")
LIFT_STALE = UnverifiedCode(
    "lift.stale", "the lift was signed … s ago, expected less than 300 s: sign it anew", step="lift"
)
LIFT_TYPE = UnverifiedCode("lift.type", "expected a token of type …, got …", step="lift")

PANIC_NO_DATA = UnavailableCode(
    "panic.no_data",
    "there is no data directory …: name the server's data directory with --data",
    port="panic_file",
)
PANIC_NOT_HELD = UnavailableCode(
    "panic.not_held", "`…` exists, and the hold on everything cannot be placed: …", port="hold_register"
)
PANIC_NOT_WRITTEN = UnavailableCode(
    "panic.not_written",
    "… cannot be written (…): run this as the server's user, or stop the server",
    port="panic_file",
)

STOP_NO_ANSWER = UnavailableCode(
    "stop.no_answer", "the server did not answer …: …", port="control", effect="unknown"
)

STOP_RULE_OWNERSHIP = FindingCode("stop_rule.ownership", "ownership lacks …")
STOP_RULE_UNKNOWN = MalformedCode(
    "stop_rule.unknown", "there is no stop rule …: apply it with `dryRun: true` first"
)
STOP_RULE_WAITING = RefusedCode(
    "stop_rule.waiting", "a stop rule holds …, and too many holds are waiting to be placed: ask the operator"
)
