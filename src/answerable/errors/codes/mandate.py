"""Error codes of mandates: budgets, delegation, status, revocation."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, DecisionCode, MalformedCode, RefusedCode, UnverifiedCode

BUDGET_AMOUNT = MalformedCode("budget.amount", "the used amount is negative")
BUDGET_AMOUNT_REFUSED = RefusedCode(
    BUDGET_AMOUNT.id,
    "argument … counts against the mandate's budget: it must be a whole number from 0 to 2^53 - 1, got …",
)
BUDGET_CURRENCY = RefusedCode("budget.currency", "the mandate's budget is in …, and this action moves …")
BUDGET_NAME = MalformedCode("budget.name", "expected at most … budgets, got …")
BUDGET_UNDECLARED = RefusedCode(
    "budget.undeclared", "the mandate has a budget of …, and … does not say how many it takes"
)

CAVEAT_MALFORMED = MalformedCode(
    "caveat.malformed", "a caveat must be a list that starts with its integer tag"
)
CAVEAT_UNKNOWN = MalformedCode("caveat.unknown", "caveat tag … is not known here, so it refuses")

DELEGATION_ALGORITHM = UnverifiedCode(
    "delegation.algorithm", "algorithm … is not accepted", step="delegation"
)
DELEGATION_AMBIGUOUS_GRANT = MalformedCode(
    "delegation.ambiguous_grant",
    "the mandate grants … twice, and such a grant cannot be handed on: join the two, or ask for two mandates",
)
DELEGATION_AUDIENCE_MISMATCH = UnverifiedCode(
    "delegation.audience_mismatch", "is for …, this is …", step="delegation"
)
DELEGATION_AUDIENCE_MISMATCH_REFUSED = RefusedCode(
    DELEGATION_AUDIENCE_MISMATCH.id, "hop … is for …, not for server …"
)
DELEGATION_CARRIAGE = MalformedCode(
    "delegation.carriage", "the message has … fields …: exactly one can be meant"
)
DELEGATION_CEILING_EXCEEDED = DecisionCode("delegation.ceiling_exceeded", "allows … …")
DELEGATION_DEPTH_INVALID = MalformedCode("delegation.depth_invalid", "… has a hop of depth … in place …")
DELEGATION_DEPTH_INVALID_REFUSED = RefusedCode(
    DELEGATION_DEPTH_INVALID.id, "the mandate may be handed on … deep, this would be hop …"
)
DELEGATION_DEPTH_INVALID_UNVERIFIED = UnverifiedCode(
    DELEGATION_DEPTH_INVALID.id, "a chain has at most … hops, got more", step="delegation"
)
DELEGATION_DUPLICATE_MEMBER = MalformedCode("delegation.duplicate_member", "claims of a hop: …")
DELEGATION_EXPIRED = UnverifiedCode("delegation.expired", "is not valid yet", step="delegation")
DELEGATION_EXPIRED_REFUSED = RefusedCode(
    DELEGATION_EXPIRED.id, "what this derives from ends within the second"
)
DELEGATION_HOLDER_BINDING_FAILED = RefusedCode(
    "delegation.holder_binding_failed",
    "the last hop is for … and bound to a key that this caller did not prove",
)
DELEGATION_HOLDER_BINDING_FAILED_UNVERIFIED = UnverifiedCode(
    DELEGATION_HOLDER_BINDING_FAILED.id,
    "whoever presents the chain did not prove the key of its last hop",
    step="delegation",
)
DELEGATION_LIFETIME = MalformedCode(
    "delegation.lifetime", "what an agent hands on is good for 1 to … seconds, got …"
)
DELEGATION_MALFORMED = MalformedCode("delegation.malformed", "`…` must be text of at most … characters")
DELEGATION_MALFORMED_REFUSED = RefusedCode(DELEGATION_MALFORMED.id, "a `jti` has at most … characters")
DELEGATION_MISSING = RefusedCode("delegation.missing", "the … given bring no chain of hops")
DELEGATION_MISSION_ALTERED = UnverifiedCode(
    "delegation.mission_altered", "names another mandate than the first hop", step="delegation"
)
DELEGATION_MISSION_ALTERED_REFUSED = RefusedCode(
    DELEGATION_MISSION_ALTERED.id, "the chain starts at another mandate than the one that is named"
)
DELEGATION_NON_CANONICAL = MalformedCode(
    "delegation.non_canonical", "header and claims of a hop must be canonical JSON"
)
DELEGATION_NON_FINITE = MalformedCode("delegation.non_finite", "claims of a hop: …")
DELEGATION_NOT_NARROWER = UnverifiedCode(
    "delegation.not_narrower", "raises `del_max_depth` from … to …", step="delegation"
)
DELEGATION_NOT_NARROWER_REFUSED = RefusedCode(
    DELEGATION_NOT_NARROWER.id, "the first hop …, as the mandate has it"
)
DELEGATION_NOTHING_IN_COMMON = MalformedCode(
    "delegation.nothing_in_common", "nothing of what is asked for can be given: … is all there is"
)
DELEGATION_PAR_HASH_MISMATCH = MalformedCode(
    "delegation.par_hash_mismatch", "… has a hop … that is not below the one before it"
)
DELEGATION_PAR_HASH_MISMATCH_UNVERIFIED = UnverifiedCode(
    DELEGATION_PAR_HASH_MISMATCH.id, "`par_hash` is not the hash of the hop before it", step="delegation"
)
DELEGATION_PRINCIPAL_ALTERED = UnverifiedCode(
    "delegation.principal_altered", "acts for …, the chain began for …", step="delegation"
)
DELEGATION_PRINCIPAL_ALTERED_REFUSED = RefusedCode(
    DELEGATION_PRINCIPAL_ALTERED.id, "the chain starts for somebody else than the mandate was given by and to"
)
DELEGATION_RECEIVER = RefusedCode("delegation.receiver", "the mandate may not be handed on to …")
DELEGATION_REVOKED = UnverifiedCode("delegation.revoked", "is revoked", step="delegation")
DELEGATION_REVOKED_REFUSED = RefusedCode(DELEGATION_REVOKED.id, "agent … of hop … is not active")
DELEGATION_SCOPE_NOT_GRANTED = DecisionCode("delegation.scope_not_granted", "does not include …")
DELEGATION_SIGNATURE = UnverifiedCode("delegation.signature", "the signature does not fit", step="delegation")
DELEGATION_SIGNATURE_INVALID = UnverifiedCode(
    "delegation.signature_invalid", "no key that is trusted for … has the name …", step="delegation"
)
DELEGATION_STATUS_UNKNOWN = UnverifiedCode(
    "delegation.status_unknown", "has a status that is not known", step="delegation"
)
DELEGATION_TOO_OLD = RefusedCode(
    "delegation.too_old", "… is … s old, and acts on tier … for … s: exchange it for a token to act with"
)
DELEGATION_UNKNOWN_CONSTRAINT = DecisionCode(
    "delegation.unknown_constraint", "has a bound on … that is not known here, so it refuses"
)
DELEGATION_WIDTH = RefusedCode("delegation.width", "each agent may hand this on to …, and … did already")

MANDATE_AGENT_INACTIVE = RefusedCode("mandate.agent_inactive", "agent … is not active")
MANDATE_ALGORITHM = UnverifiedCode("mandate.algorithm", "algorithm … is not accepted", step="mandate")
MANDATE_APPLICATION = RefusedCode("mandate.application", "there is no active application …")
MANDATE_AUDIENCE = UnverifiedCode("mandate.audience", "the mandate is for …, this is …", step="mandate")
MANDATE_BEYOND_GIVER = RefusedCode(
    "mandate.beyond_giver", "… is beyond what … may give: it is not among their registered capabilities"
)
MANDATE_BUDGET_SPENT = RefusedCode("mandate.budget_spent", "the mandate's budget of … calls is spent")
MANDATE_BUDGET_SPENT_DECISION = DecisionCode(
    MANDATE_BUDGET_SPENT.id, "the mandate's budget of … calls is spent"
)
MANDATE_CAPABILITY_OUTSIDE = DecisionCode(
    "mandate.capability_outside", "the mandate for this task does not include `…`"
)
MANDATE_CAPABILITY_UNKNOWN = RefusedCode("mandate.capability_unknown", "capability … is not active")
MANDATE_CAVEAT = DecisionCode("mandate.caveat", "the mandate …")
MANDATE_CLOSED = RefusedCode(
    "mandate.closed", "the mandate of this action is closed: the action can no longer run under it"
)
MANDATE_CLOSED_DECISION = DecisionCode(MANDATE_CLOSED.id, "the mandate for this task has been closed")
MANDATE_DUPLICATE = MalformedCode("mandate.duplicate", "a mandate … is registered already")
MANDATE_EXPIRED = RefusedCode("mandate.expired", "the mandate for this task is not in its time")
MANDATE_EXPIRED_DECISION = DecisionCode(MANDATE_EXPIRED.id, "the mandate for this task has expired")
MANDATE_ISSUER_KEY = RefusedCode("mandate.issuer_key", "the key that signed this is not …'s")
MANDATE_KEY = UnverifiedCode("mandate.key", "key … is not registered for …", step="mandate")
MANDATE_MALFORMED = MalformedCode("mandate.malformed", "claim … is missing")
MANDATE_MISSING = RefusedCode(
    "mandate.missing",
    "the request names no mandate, and no chain of delegation came with it, and every action needs one",
)
MANDATE_NOT_AN_ISSUER = RefusedCode(
    "mandate.not_an_issuer", "…, who owns …, may not issue mandates for use case …"
)
MANDATE_NOT_DUE = RefusedCode("mandate.not_due", "schedule … is not due now: it is …")
MANDATE_NOT_YET = DecisionCode("mandate.not_yet", "the mandate for this task has not started yet")
MANDATE_OTHER_AGENT = RefusedCode(
    "mandate.other_agent", "mandate … is not known, and no chain of delegation came with the request"
)
MANDATE_OTHER_PERSON = RefusedCode(
    "mandate.other_person", "the ID token is of somebody who is not registered as …"
)
MANDATE_OTHER_SHARD = RefusedCode(
    "mandate.other_shard", "mandate … is for …, this is …: use it there, or ask for one for here"
)
MANDATE_RESERVED_ID = RefusedCode("mandate.reserved_id", "ids that begin with … are kept for schedules")
MANDATE_SCHEDULE = RefusedCode("mandate.schedule", "there is no active schedule …")
MANDATE_SESSION = MalformedCode(
    "mandate.session", "the ID token says what the login allows, and cannot be read: …"
)
MANDATE_SESSION_DECISION = DecisionCode(MANDATE_SESSION.id, "… …")
MANDATE_SESSION_REFUSED = RefusedCode(
    MANDATE_SESSION.id,
    "the login that this task is given by allows none of what the task names: log in for that, or "
    "ask for less",
)
MANDATE_SIGNATURE = UnverifiedCode("mandate.signature", "the signature does not fit", step="mandate")
MANDATE_TYPE = UnverifiedCode("mandate.type", "expected a token of type …, got …", step="mandate")
MANDATE_UNKNOWN = RefusedCode("mandate.unknown", "mandate … is not known")
MANDATE_USE_CASE = RefusedCode("mandate.use_case", "agent … does not serve use case …")

PRINCIPAL_UNKNOWN = RefusedCode(
    "principal.unknown", "nobody has registered this key: say who signs with --as"
)

REVOCATION_KIND = MalformedCode("revocation.kind", "… cannot be revoked: expected one of …")
REVOCATION_NAME = MalformedCode(
    "revocation.name", "… is a trust domain, not an instance: revoke it as `trust_domain`"
)
REVOCATION_REASON = MalformedCode(
    "revocation.reason", "a reason has at most … printable characters on one line"
)

REVOKED_AGENT = RefusedCode("revoked.agent", "… has been revoked")
REVOKED_HOP = RefusedCode("revoked.hop", "… has been revoked")
REVOKED_KEY = RefusedCode("revoked.key", "… has been revoked")
REVOKED_MANDATE = RefusedCode("revoked.mandate", "… has been revoked")
REVOKED_MANIFEST = RefusedCode("revoked.manifest", "… has been revoked")
REVOKED_OWNER = RefusedCode("revoked.owner", "… has been revoked")
REVOKED_TOKEN = RefusedCode("revoked.token", "… has been revoked")
REVOKED_TRUST_DOMAIN = RefusedCode("revoked.trust_domain", "… has been revoked")
REVOKED_VENDOR = RefusedCode("revoked.vendor", "… has been revoked")

STATUS_ALGORITHM = UnverifiedCode("status.algorithm", "algorithm … is not accepted", step="status")
STATUS_EXPIRED = UnverifiedCode("status.expired", "the status list has expired", step="status")
STATUS_FUTURE = UnverifiedCode("status.future", "the status list is from the future", step="status")
STATUS_INDEX = MalformedCode("status.index", "place … is none of …")
STATUS_KEY = UnverifiedCode("status.key", "key … is not registered for …", step="status")
STATUS_LIST_FULL = BrokenCode("status.list_full", "a status list has fewer free places than were asked for")
STATUS_MALFORMED = MalformedCode("status.malformed", "`lst` is not base64url without padding")
STATUS_NO_LIST = MalformedCode("status.no_list", "there is no status list …")
STATUS_OUT_OF_RANGE = RefusedCode(
    "status.out_of_range", "the status list has … places, none of them …: the token is refused"
)
STATUS_SIGNATURE = UnverifiedCode("status.signature", "the signature does not fit", step="status")
STATUS_SIZE = MalformedCode("status.size", "a status list has 1 to … bytes")
STATUS_TTL = MalformedCode(
    "status.ttl", "a status list is good for at most … s, and asked for again within that"
)
STATUS_TYPE = UnverifiedCode("status.type", "expected a token of type …, got …", step="status")
STATUS_URI = UnverifiedCode("status.uri", "expected the status list of …, got that of …", step="status")
STATUS_VALUE = MalformedCode("status.value", "… does not fit into … bits")
