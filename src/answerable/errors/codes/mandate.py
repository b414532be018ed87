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
    "budget.undeclared",
    "the mandate limits …, and capability … does not declare how many it uses: declare it in `spending`",
)

CAVEAT_MALFORMED = MalformedCode(
    "caveat.malformed", "a caveat must be a list that starts with its integer tag"
)
CAVEAT_UNKNOWN = MalformedCode("caveat.unknown", "caveat tag … is unknown, so the mandate is refused")

DELEGATION_ALGORITHM = UnverifiedCode(
    "delegation.algorithm", "algorithm … is not accepted", step="delegation"
)
DELEGATION_AMBIGUOUS_GRANT = MalformedCode(
    "delegation.ambiguous_grant",
    "the mandate grants … twice and cannot be delegated: merge the two grants, or request two mandates",
)
DELEGATION_AUDIENCE_MISMATCH = UnverifiedCode(
    "delegation.audience_mismatch", "audience is …, expected …", step="delegation"
)
DELEGATION_AUDIENCE_MISMATCH_REFUSED = RefusedCode(
    DELEGATION_AUDIENCE_MISMATCH.id,
    "audience of hop … is …, which does not include server …",
    beyond="delegation",
)
DELEGATION_CARRIAGE = MalformedCode("delegation.carriage", "the message has … fields …, expected one")
DELEGATION_CEILING_EXCEEDED = DecisionCode("delegation.ceiling_exceeded", "allows … …", beyond="delegation")
DELEGATION_DEPTH_INVALID = MalformedCode("delegation.depth_invalid", "…: depth of hop … is …, expected …")
DELEGATION_DEPTH_INVALID_REFUSED = RefusedCode(
    DELEGATION_DEPTH_INVALID.id,
    "the mandate may be delegated to depth …, and this would be hop …",
    beyond="delegation",
)
DELEGATION_DEPTH_INVALID_UNVERIFIED = UnverifiedCode(
    DELEGATION_DEPTH_INVALID.id, "a chain has at most … hops, got more", step="delegation"
)
DELEGATION_DUPLICATE_MEMBER = MalformedCode("delegation.duplicate_member", "claims of a hop: …")
DELEGATION_EXPIRED = UnverifiedCode("delegation.expired", "the hop is not valid yet", step="delegation")
DELEGATION_EXPIRED_REFUSED = RefusedCode(
    DELEGATION_EXPIRED.id, "the parent token or mandate expires within one second: renew it first"
)
DELEGATION_HOLDER_BINDING_FAILED = RefusedCode(
    "delegation.holder_binding_failed",
    "the last hop is for agent …, and this caller is not that agent or did not prove the hop's key",
)
DELEGATION_HOLDER_BINDING_FAILED_UNVERIFIED = UnverifiedCode(
    DELEGATION_HOLDER_BINDING_FAILED.id,
    "the presenter of the chain did not prove possession of the key of its last hop",
    step="delegation",
)
DELEGATION_LIFETIME = MalformedCode(
    "delegation.lifetime", "a hop that an agent signs is valid for 1 to … seconds, got …"
)
DELEGATION_MALFORMED = MalformedCode("delegation.malformed", "`…` must be text of at most … characters")
DELEGATION_MALFORMED_REFUSED = RefusedCode(DELEGATION_MALFORMED.id, "a `jti` has at most … characters")
DELEGATION_MISSING = RefusedCode("delegation.missing", "the … contain no delegation chain")
DELEGATION_MISSION_ALTERED = UnverifiedCode(
    "delegation.mission_altered", "the hop names another mandate than the first hop", step="delegation"
)
DELEGATION_MISSION_ALTERED_REFUSED = RefusedCode(
    DELEGATION_MISSION_ALTERED.id,
    "the chain starts at another mandate than the request names",
    beyond="delegation",
)
DELEGATION_NON_CANONICAL = MalformedCode(
    "delegation.non_canonical", "header and claims of a hop must be canonical JSON"
)
DELEGATION_NON_FINITE = MalformedCode("delegation.non_finite", "claims of a hop: …")
DELEGATION_NOT_NARROWER = UnverifiedCode(
    "delegation.not_narrower", "raises `del_max_depth` from … to …", step="delegation"
)
DELEGATION_NOT_NARROWER_REFUSED = RefusedCode(
    DELEGATION_NOT_NARROWER.id, "the first hop exceeds the mandate, its parent: it …", beyond="delegation"
)
DELEGATION_NOTHING_IN_COMMON = MalformedCode(
    "delegation.nothing_in_common", "none of the requested scopes can be granted: available are …"
)
DELEGATION_PAR_HASH_MISMATCH = MalformedCode(
    "delegation.par_hash_mismatch", "…: `par_hash` of hop … is not the hash of the hop before it"
)
DELEGATION_PAR_HASH_MISMATCH_UNVERIFIED = UnverifiedCode(
    DELEGATION_PAR_HASH_MISMATCH.id, "`par_hash` is not the hash of the hop before it", step="delegation"
)
DELEGATION_PRINCIPAL_ALTERED = UnverifiedCode(
    "delegation.principal_altered", "principal is …, expected that of the first hop, …", step="delegation"
)
DELEGATION_PRINCIPAL_ALTERED_REFUSED = RefusedCode(
    DELEGATION_PRINCIPAL_ALTERED.id, "principal and agent of the first hop are not those of the mandate"
)
DELEGATION_RECEIVER = RefusedCode(
    "delegation.receiver", "the mandate may not be delegated to agent …", beyond="delegation"
)
DELEGATION_REVOKED = UnverifiedCode("delegation.revoked", "the hop is revoked", step="delegation")
DELEGATION_REVOKED_REFUSED = RefusedCode(DELEGATION_REVOKED.id, "agent … of hop … is not active")
DELEGATION_SCOPE_NOT_GRANTED = DecisionCode(
    "delegation.scope_not_granted", "does not include …", beyond="delegation"
)
DELEGATION_SIGNATURE = UnverifiedCode("delegation.signature", "the signature is invalid", step="delegation")
DELEGATION_SIGNATURE_INVALID = UnverifiedCode(
    "delegation.signature_invalid", "issuer … has no trusted key with the id …", step="delegation"
)
DELEGATION_STATUS_UNKNOWN = UnverifiedCode(
    "delegation.status_unknown", "the status of the hop is unknown", step="delegation"
)
DELEGATION_TOO_OLD = RefusedCode(
    "delegation.too_old", "… is … s old, and may be used for … s on tier …: exchange it for an access token"
)
DELEGATION_UNKNOWN_CONSTRAINT = DecisionCode(
    "delegation.unknown_constraint",
    "has an unknown bound on …, so the action is refused",
    beyond="delegation",
)
DELEGATION_WIDTH = RefusedCode(
    "delegation.width",
    "an agent may delegate this mandate to at most … agents, which agent … has done",
    beyond="delegation",
)

MANDATE_AGENT_INACTIVE = RefusedCode("mandate.agent_inactive", "agent … is not active")
MANDATE_ALGORITHM = UnverifiedCode("mandate.algorithm", "algorithm … is not accepted", step="mandate")
MANDATE_APPLICATION = RefusedCode("mandate.application", "there is no active application …")
MANDATE_AUDIENCE = UnverifiedCode(
    "mandate.audience", "the mandate has audience …, expected …", step="mandate"
)
MANDATE_BEYOND_GIVER = RefusedCode(
    "mandate.beyond_giver", "… may not grant …: it is not among their registered capabilities"
)
MANDATE_BUDGET_SPENT = RefusedCode(
    "mandate.budget_spent", "the mandate's budget of … calls is spent", beyond="mandate"
)
MANDATE_BUDGET_SPENT_DECISION = DecisionCode(
    MANDATE_BUDGET_SPENT.id, "the mandate's budget of … calls is spent", beyond="mandate"
)
MANDATE_CAPABILITY_OUTSIDE = DecisionCode(
    "mandate.capability_outside", "the mandate for this task does not include `…`", beyond="mandate"
)
MANDATE_CAPABILITY_UNKNOWN = RefusedCode("mandate.capability_unknown", "capability … is not active")
MANDATE_CAVEAT = DecisionCode("mandate.caveat", "the mandate …", beyond="mandate")
MANDATE_CLOSED = RefusedCode(
    "mandate.closed",
    "the mandate of this action is closed: the action can no longer run under it",
    beyond="mandate",
)
MANDATE_CLOSED_DECISION = DecisionCode(
    MANDATE_CLOSED.id, "the mandate for this task has been closed", beyond="mandate"
)
MANDATE_DUPLICATE = MalformedCode("mandate.duplicate", "a mandate … is registered already")
MANDATE_EXPIRED = RefusedCode(
    "mandate.expired", "the mandate for this task has expired or is not valid yet", beyond="mandate"
)
MANDATE_EXPIRED_DECISION = DecisionCode(
    MANDATE_EXPIRED.id, "the mandate for this task has expired", beyond="mandate"
)
MANDATE_ISSUER_KEY = RefusedCode(
    "mandate.issuer_key", "the key that signed this mandate is not registered for …"
)
MANDATE_KEY = UnverifiedCode("mandate.key", "key … is not registered for …", step="mandate")
MANDATE_MALFORMED = MalformedCode("mandate.malformed", "claim … is missing")
MANDATE_MISSING = RefusedCode(
    "mandate.missing",
    "the request has neither a mandate nor a delegation chain: every action needs one of them",
    beyond="mandate",
)
MANDATE_NOT_AN_ISSUER = RefusedCode(
    "mandate.not_an_issuer", "…, who owns …, may not issue mandates for use case …"
)
MANDATE_NOT_DUE = RefusedCode("mandate.not_due", "schedule … is not due now: it is …")
MANDATE_NOT_YET = DecisionCode(
    "mandate.not_yet", "the mandate for this task has not started yet", beyond="mandate"
)
MANDATE_OTHER_AGENT = RefusedCode(
    "mandate.other_agent", "mandate … is not known, and the request has no delegation chain", beyond="mandate"
)
MANDATE_OTHER_PERSON = RefusedCode(
    "mandate.other_person", "issuer and subject of the ID token are not those registered for …"
)
MANDATE_OTHER_SHARD = RefusedCode(
    "mandate.other_shard", "mandate … is for log …, this is log …: use it there, or request one for this log"
)
MANDATE_RESERVED_ID = RefusedCode("mandate.reserved_id", "ids that begin with … are reserved for schedules")
MANDATE_SCHEDULE = RefusedCode("mandate.schedule", "there is no active schedule …")
MANDATE_SESSION = MalformedCode("mandate.session", "the session claims of the ID token cannot be read: …")
MANDATE_SESSION_DECISION = DecisionCode(MANDATE_SESSION.id, "… …", beyond="mandate")
MANDATE_SESSION_REFUSED = RefusedCode(
    MANDATE_SESSION.id,
    "the login session behind this mandate allows none of its grants: log in with more rights, or request "
    "fewer grants",
)
MANDATE_SIGNATURE = UnverifiedCode("mandate.signature", "the signature is invalid", step="mandate")
MANDATE_TYPE = UnverifiedCode("mandate.type", "expected a token of type …, got …", step="mandate")
MANDATE_UNKNOWN = RefusedCode("mandate.unknown", "mandate … is not known", beyond="mandate")
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
REVOKED_MANDATE = RefusedCode("revoked.mandate", "… has been revoked", beyond="mandate")
REVOKED_MANIFEST = RefusedCode("revoked.manifest", "… has been revoked")
REVOKED_OWNER = RefusedCode("revoked.owner", "… has been revoked")
REVOKED_TOKEN = RefusedCode("revoked.token", "… has been revoked")
REVOKED_TRUST_DOMAIN = RefusedCode("revoked.trust_domain", "… has been revoked")
REVOKED_VENDOR = RefusedCode("revoked.vendor", "… has been revoked")

STATUS_ALGORITHM = UnverifiedCode("status.algorithm", "algorithm … is not accepted", step="status")
STATUS_EXPIRED = UnverifiedCode("status.expired", "the status list has expired", step="status")
STATUS_FUTURE = UnverifiedCode(
    "status.future", "the status list was issued in the future: check the clocks", step="status"
)
STATUS_INDEX = MalformedCode("status.index", "index … is out of range, expected 0 or more and less than …")
STATUS_KEY = UnverifiedCode("status.key", "key … is not registered for …", step="status")
STATUS_LIST_FULL = BrokenCode("status.list_full", "a status list has fewer free places than were asked for")
STATUS_MALFORMED = MalformedCode("status.malformed", "`lst` is not base64url without padding")
STATUS_NO_LIST = MalformedCode("status.no_list", "there is no status list …")
STATUS_OUT_OF_RANGE = RefusedCode(
    "status.out_of_range", "the status list has … entries and none with index …: the token is refused"
)
STATUS_SIGNATURE = UnverifiedCode("status.signature", "the signature is invalid", step="status")
STATUS_SIZE = MalformedCode("status.size", "a status list has 1 to … bytes")
STATUS_TTL = MalformedCode(
    "status.ttl", "a status list is valid for at most … s, and its `ttl` must be positive and not longer"
)
STATUS_TYPE = UnverifiedCode("status.type", "expected a token of type …, got …", step="status")
STATUS_URI = UnverifiedCode("status.uri", "expected the status list of …, got that of …", step="status")
STATUS_VALUE = MalformedCode("status.value", "status … does not fit into … bits")
