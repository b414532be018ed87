"""Error codes of people: sign-in, passkeys, invitations, workflows."""

from __future__ import annotations

from answerable.errors.code import (
    BrokenCode,
    FindingCode,
    MalformedCode,
    RefusedCode,
    UnavailableCode,
    UnverifiedCode,
)

INVITATION_DUPLICATE = MalformedCode("invitation.duplicate", "this invitation is registered already")
INVITATION_FULL = MalformedCode("invitation.full", "there are … invitations, which is the limit: wait a day")
INVITATION_LIFETIME = MalformedCode("invitation.lifetime", "an invitation lives 1 to … seconds, not …")
INVITATION_REFUSED = UnverifiedCode(
    "invitation.refused", "this invitation is not good, or not any more: ask for a new one", step="passkey"
)
INVITATION_SECRET = MalformedCode("invitation.secret", "a code takes … random bytes, got …")

PASSKEY_ALGORITHM = UnverifiedCode(
    "passkey.algorithm", "the key does not match its algorithm", step="passkey"
)
PASSKEY_ATTESTATION = UnverifiedCode(
    "passkey.attestation", "what the device says of itself does not check", step="passkey"
)
PASSKEY_BUSY = UnavailableCode(
    "passkey.busy", "too many sign-ins are in progress: try again in a minute", port="console"
)
PASSKEY_CEREMONY = UnverifiedCode(
    "passkey.ceremony",
    "this passkey request has expired after … seconds, or was answered before: start again",
    step="passkey",
)
PASSKEY_CHALLENGE = UnverifiedCode(
    "passkey.challenge",
    "the passkey signed another challenge than the one issued: start again",
    step="passkey",
)
PASSKEY_COUNTER = UnverifiedCode(
    "passkey.counter",
    "the signature counter of the passkey is …, expected more than …: it may have been copied, so remove it",
    step="passkey",
)
PASSKEY_DUPLICATE = MalformedCode("passkey.duplicate", "this passkey is, or was, registered already")
PASSKEY_FRAME = UnverifiedCode(
    "passkey.frame", "the passkey was used in a frame of another site", step="passkey"
)
PASSKEY_FULL = MalformedCode("passkey.full", "… has … passkeys, which is the limit: remove one first")
PASSKEY_HOLDER = UnverifiedCode(
    "passkey.holder",
    "this passkey request was started in another browser or session: start again",
    step="passkey",
)
PASSKEY_LABEL = MalformedCode("passkey.label", "the label must have 1 to … printable characters")
PASSKEY_MALFORMED = MalformedCode("passkey.malformed", "it is of another id")
PASSKEY_OFF = RefusedCode("passkey.off", "passkeys are off because the console is: set `console.enabled`")
PASSKEY_ORIGIN = UnverifiedCode(
    "passkey.origin", "the passkey was used at origin …, expected …", step="passkey"
)
PASSKEY_OTHER = UnverifiedCode("passkey.other", "the assertion is of another passkey", step="passkey")
PASSKEY_PURPOSE = UnverifiedCode(
    "passkey.purpose",
    "this passkey request was started for another purpose: start again",
    step="passkey",
)
PASSKEY_RP = UnverifiedCode(
    "passkey.rp", "the passkey is bound to another relying party than …", step="passkey"
)
PASSKEY_SIGNATURE = UnverifiedCode("passkey.signature", "the signature is invalid: …", step="passkey")
PASSKEY_TYPE = UnverifiedCode("passkey.type", "`type` of the client data is …, expected `…`", step="passkey")
PASSKEY_UNKNOWN = RefusedCode("passkey.unknown", "you have no passkey yet: add one under Passkeys")
PASSKEY_UNKNOWN_UNVERIFIED = UnverifiedCode(
    PASSKEY_UNKNOWN.id, "this passkey is not registered: it was removed, or never added", step="passkey"
)
PASSKEY_USER = UnverifiedCode(
    "passkey.user",
    "the device did not verify its user: set up a PIN, fingerprint or face recognition on it",
    step="passkey",
)

PERSON_DISABLED = RefusedCode("person.disabled", "… is disabled in the registry")
PERSON_GROUP = RefusedCode("person.group", "… is in none of the groups that may sign in: …")
PERSON_ISSUER = UnverifiedCode("person.issuer", "issuer … is not trusted for people here", step="person")
PERSON_LOGIN = UnverifiedCode(
    "person.login", "the ID token has no `auth_time`: request it with `max_age`", step="person"
)
PERSON_NO_PROVIDER = RefusedCode("person.no_provider", "no OpenID provider is configured for people")
PERSON_NONCE = UnverifiedCode(
    "person.nonce", "the ID token was not made for these terms: its nonce is another", step="person"
)
PERSON_PARTY = UnverifiedCode("person.party", "the ID token was made for another party", step="person")
PERSON_STALE = UnverifiedCode(
    "person.stale", "the ID token is older than … seconds: get a new one", step="person"
)
PERSON_UNKNOWN = RefusedCode(
    "person.unknown", "no active person is registered as …: see `answerable registry list --kind Principal`"
)

SESSION_ANSWER = UnavailableCode(
    "session.answer", "the server's answer to the session handshake: …", port="gateway"
)
SESSION_MALFORMED = MalformedCode(
    "session.malformed", "a session offer holds `version` 1 and `x25519`, nothing else"
)

SIGN_IN_BROWSER = UnverifiedCode(
    "sign_in.browser", "this sign-in was begun in another browser", step="sign_in"
)
SIGN_IN_CODE = UnverifiedCode(
    "sign_in.code", "the provider did not take the code: sign in again", step="sign_in"
)
SIGN_IN_DENIED = UnverifiedCode("sign_in.denied", "the provider did not let you in", step="sign_in")
SIGN_IN_ISSUER = UnverifiedCode("sign_in.issuer", "another provider answers than was asked", step="sign_in")
SIGN_IN_STATE = UnverifiedCode(
    "sign_in.state", "this sign-in was not begun here, or took too long: start again", step="sign_in"
)

WORKFLOW_AI = FindingCode("workflow.ai", "an AI cannot be an approver: register it as an Agent")
WORKFLOW_AMBIGUOUS = RefusedCode("workflow.ambiguous", "the measured process matches several workflows: …")
WORKFLOW_ANSWER = UnavailableCode(
    "workflow.answer", "the gateway's answer is malformed", port="workflow_door"
)
WORKFLOW_ATTESTATION = FindingCode(
    "workflow.attestation", "name the user that it runs as, `…N`, since any user may start a program"
)
WORKFLOW_CAPABILITY = RefusedCode("workflow.capability", "workflow … may not answer for capability …")
WORKFLOW_CHANNEL = UnverifiedCode(
    "workflow.channel",
    "the connection does not identify a workflow: use the gateway's Unix socket, or TLS with the "
    "workflow's certificate",
    step="attestation",
)
WORKFLOW_DIGEST = UnverifiedCode(
    "workflow.digest", "the approval's object, card and id do not match: nothing is signed", step="digest"
)
WORKFLOW_FAILED = BrokenCode("workflow.failed", "internal error: see the server's log")
WORKFLOW_INVOLVED = RefusedCode(
    "workflow.involved", "… owns workflow … and is involved in this action: somebody else must approve it"
)
WORKFLOW_IS_AGENT = RefusedCode(
    "workflow.is_agent", "the measured process is an agent, and an agent may not answer approvals"
)
WORKFLOW_KEY_TAKEN = RefusedCode(
    "workflow.key_taken", "a key of workflow … is or was the key of an agent: create a new one"
)
WORKFLOW_NOT_ASKED = RefusedCode(
    "workflow.not_asked", "this approval needs no group that workflow … answers for"
)
WORKFLOW_OWNER = RefusedCode("workflow.owner", "workflow … has no active owner")
WORKFLOW_PACE = RefusedCode("workflow.pace", "too many requests of this workflow: retry in … s")
WORKFLOW_REVIEW_OVERDUE = RefusedCode(
    "workflow.review_overdue", "the review of workflow … was due on …: have its owner review it"
)
WORKFLOW_TIER = RefusedCode(
    "workflow.tier", "actions of tier … are answered by people only, by setting `walk.workflows`"
)
WORKFLOW_UNATTESTED = RefusedCode(
    "workflow.unattested", "no active workflow is registered for the measured process"
)
WORKFLOW_UNKNOWN = RefusedCode("workflow.unknown", "no workflow … is active: see `answerable registry check`")
WORKFLOW_UNREACHABLE = UnavailableCode(
    "workflow.unreachable", "the gateway does not answer: …", port="workflow_door"
)
