"""Error codes of the broker: leases, their targets, secrets, warrants."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, MalformedCode, RefusedCode, UnavailableCode, UnverifiedCode

ACCOUNT_CHANGED = UnavailableCode(
    "account.changed", "secret … was retired during the rotation", port="own_account"
)
ACCOUNT_REFUSED = RefusedCode(
    "account.refused",
    "… accepts none of the stored passwords: set one there, then store it with `answerable secret rotate`",
)
ACCOUNT_TARGET = UnavailableCode("account.target", "…: …", port="own_account")
ACCOUNT_UNPROVED = UnavailableCode(
    "account.unproved",
    "the target does not accept the new password of … that was just set: the rotation is retried",
    port="own_account",
    effect="unknown",
)

BROKER_FAILED = UnavailableCode(
    "broker.failed", "the broker answered …: …", port="lease_broker", effect="unknown"
)
BROKER_GRANT = MalformedCode(
    "broker.grant",
    "… is neither `agent:NAME`, `…NAME` nor a selector that the kernel measures, such as `unix:uid:1000`",
)
BROKER_KEYS = UnavailableCode(
    "broker.keys", "the keys of the gateways cannot be read: see `broker.warrant_keys`", port="trust_source"
)
BROKER_NONE = UnavailableCode("broker.none", "no broker is configured", port="lease_broker")
BROKER_TOO_MANY = MalformedCode("broker.too_many", "at most … names at a time")
BROKER_TOO_MANY_UNAVAILABLE = UnavailableCode(
    BROKER_TOO_MANY.id,
    "more than … leases are open: list one target, or only unrevoked leases",
    port="lease_broker",
)
BROKER_UNREACHABLE = UnavailableCode(
    "broker.unreachable", "the broker cannot be reached: is `answerable broker` running?", port="lease_broker"
)
BROKER_USER = UnavailableCode(
    "broker.user", "there is no account … on this machine: see `broker.gateway_users`", port="settings"
)

LEASE_BOUNDARY = RefusedCode(
    "lease.boundary",
    "nothing limits a credential at target … to its task, so only capabilities of tier … or "
    "lower may use it; this one has tier …",
)
LEASE_CROWD = RefusedCode("lease.crowd", "more than … leases are open at this target")
LEASE_DENIED = RefusedCode("lease.denied", "the authorization server refuses a token: …")
LEASE_ENDED_REFUSED = RefusedCode("lease.ended", "the lease has expired")
LEASE_ENDED = UnavailableCode(
    LEASE_ENDED_REFUSED.id,
    "lease … has ended: another call gets another one",
    port="credential_issuer",
)
LEASE_GONE = RefusedCode("lease.gone", "the credential is not the one that was issued")
LEASE_LATE = UnavailableCode(
    "lease.late", "the lease expired during the action", port="brokered_target", effect="unknown"
)
LEASE_LIST = MalformedCode("lease.list", "unknown list of leases …: expected one of …")
LEASE_UNKNOWN = RefusedCode("lease.unknown", "the broker knows no lease and no target …")
LEASE_LOG_UNKNOWN = RefusedCode("lease.log_unknown", "there is no log … beside this one")
LEASE_NAME = MalformedCode("lease.name", "… is not the name of a lease: 26 characters of a-z and 2-7")
LEASE_NARROWED = BrokenCode("lease.narrowed", "the proposal is not what was to be proposed: it is not shown")
LEASE_OTHER = RefusedCode("lease.other", "lease … belongs to another mandate, agent, target or scope")
LEASE_PLACEHOLDER = MalformedCode(
    "lease.placeholder",
    "… has a brace that is no placeholder: there are {resource}, {mandate}, {agent} and {argument.NAME}",
)
LEASE_RENEWAL = RefusedCode("lease.renewal", "an AWS session cannot be renewed: request another lease")
LEASE_SCOPE = RefusedCode("lease.scope", "the authorization server does not grant the scope of the lease: …")
LEASE_STATE = BrokenCode("lease.state", "lease … is …, not …")
LEASE_TAKEN = RefusedCode("lease.taken", "lease … was issued already")
LEASE_TARGET = UnavailableCode("lease.target", "AWS: …", port="credential_issuer")
LEASE_TEMPLATE = RefusedCode("lease.template", "leases have changed while they were counted: try again")
LEASE_TOO_LITTLE = RefusedCode("lease.too_little", "too little data for a proposal in …: …")
LEASE_TTL = RefusedCode("lease.ttl", "a certificate lives at most … seconds (`ttl_seconds_max`)")
LEASE_UNTOLD = RefusedCode("lease.untold", "AWS cannot report what a session may do")
LEASE_UNUSED = RefusedCode("lease.unused", "none of … actions used the lease: remove the capability instead")
LEASE_WINDOW = MalformedCode("lease.window", "unknown lease window …: expected one of …")

SECRET_CANARY = RefusedCode("secret.canary", "… is a planted (canary) secret and cannot be used")
SECRET_CANARY_FORM = MalformedCode("secret.canary_form", "a canary looks like one of …")
SECRET_EXPOSED = RefusedCode(
    "secret.exposed",
    "secret … of target … was exposed: no action uses it until it is replaced (…)",
)
SECRET_FULL = RefusedCode("secret.full", "there are … secrets, which is the limit: remove one first")
SECRET_MISSING = RefusedCode("secret.missing", "there is no secret …")
SECRET_NAME = MalformedCode(
    "secret.name",
    "… is not the name of a secret: use 1 to 63 of a-z 0-9 . _ - with a letter or digit at both ends",
)
SECRET_PASSED = RefusedCode(
    "secret.passed", "the arguments contain …, which no agent may have: nothing was sent"
)
SECRET_RECORD = MalformedCode("secret.record", "this is no record of a secret")
SECRET_REFERENCE = MalformedCode(
    "secret.reference", "there is no store of secrets yet: create it with `answerable secret put NAME`"
)
SECRET_RETIRED = RefusedCode("secret.retired", "secret … was retired")
SECRET_ROTATING = RefusedCode("secret.rotating", "secret … is already being rotated: wait for it")
SECRET_ROTATION = MalformedCode("secret.rotation", "give NAME of the secret, or --at-target TARGET")
SECRET_SAME = RefusedCode(
    "secret.same", "the new value is a current or earlier value of …: choose another one"
)
SECRET_SLACK = MalformedCode(
    "secret.slack", "Slack's signing secret has … to … characters: look at the app's page"
)
SECRET_TAKEN = RefusedCode("secret.taken", "secret … exists already: rotate it, or choose another name")
SECRET_TEXT = MalformedCode("secret.text", "expected a rotation every 1 to … days, or 0 for none")
SECRET_UNREADABLE = UnavailableCode(
    "secret.unreadable", "the password of the mail server is not text", port="secret"
)
SECRET_UNREADABLE_REFUSED = RefusedCode(SECRET_UNREADABLE.id, "… cannot be read: …")
SECRET_UNROTATABLE = RefusedCode("secret.unrotatable", "secret … cannot be rotated: …")
SECRET_VALUE = MalformedCode("secret.value", "a secret is 1 to … bytes of UTF-8 text, without NUL")

SECRETS_DAMAGED = UnavailableCode(
    "secrets.damaged",
    "… is empty, longer than … bytes or not a file: restore it from a backup",
    port="secret_store",
)
SECRETS_EXPOSED = UnavailableCode(
    "secrets.exposed",
    "… must belong to the broker's user and be closed to all others: set mode 0700, files 0600",
    port="secret_store",
)
SECRETS_FULL = UnavailableCode(
    "secrets.full", "the versions of … have more than … bytes: retire old ones", port="secret_store"
)
SECRETS_KEY = UnavailableCode(
    "secrets.key",
    "secret … is sealed with key …, which is not in the keyring: restore that keyring",
    port="secret_store",
)
SECRETS_KEYRING = UnavailableCode(
    "secrets.keyring",
    "the keyring … is missing: restore it from a backup, because no secret can be opened without it",
    port="secret_store",
)
SECRETS_UNAVAILABLE = UnavailableCode("secrets.unavailable", "…: …", port="secret_store")

TARGET_ANSWER = UnavailableCode(
    "target.answer", "… does not answer: …", port="brokered_target", effect="unknown"
)
TARGET_ARGUMENTS = RefusedCode("target.arguments", "bytes must be text or an object with `base64` alone")
TARGET_AUTHORITIES = MalformedCode(
    "target.authorities", "the authorities of a target are certificates in PEM"
)
TARGET_AUTHORITY = UnavailableCode(
    "target.authority",
    "the key of the SSH authority must be an Ed25519 or ECDSA private key without passphrase: "
    "create one with `ssh-keygen -t ed25519`, or set `ca_key_file` to a path where one can be "
    "created",
    port="credential_issuer",
)
TARGET_CERTIFICATE = MalformedCode(
    "target.certificate",
    "authorities, client certificate and key are PEM, and the key belongs to the certificate",
)
TARGET_CLIENT = UnavailableCode(
    "target.client", "there is no OpenSSH client …: install it, or set `ssh_program`", port="brokered_target"
)
TARGET_COMMAND = MalformedCode(
    "target.command",
    "… is no command: write NAME=/path/to/program and its words, with {PLACE} for values; the name "
    "in a-z 0-9 _, and not `…`",
)
TARGET_CONNECTION = UnavailableCode("target.connection", "…: …", port="brokered_target")
TARGET_CREDENTIAL = UnavailableCode("target.credential", "… does not answer: …", port="brokered_target")
TARGET_CUT = UnavailableCode(
    "target.cut",
    "… does not answer: its lease was revoked in the middle",
    port="brokered_target",
    effect="unknown",
)
TARGET_FAILED = UnavailableCode(
    "target.failed", "the plug-in … of … failed: … in line … of …", port="brokered_target"
)
TARGET_FAULTS = MalformedCode("target.faults", "targets: ……")
TARGET_FILES = UnavailableCode("target.files", "the directory of targets cannot be read: …", port="settings")
TARGET_GAVE_UP = UnavailableCode(
    "target.gave_up", "the connection to the target was given up from within", port="target"
)
TARGET_HOST = MalformedCode(
    "target.host", "… is no host: write NAME=ADDRESS or NAME=ADDRESS:PORT, the name in a-z 0-9 . -"
)
TARGET_HOST_KEY = UnavailableCode(
    "target.host_key",
    "… presented a host key that is not in `known_hosts`: nothing was sent",
    port="brokered_target",
)
TARGET_KEY = MalformedCode(
    "target.key", "the key of the GitHub app must be a private RSA key in PEM with … bits or more"
)
TARGET_KIND = MalformedCode("target.kind", "a target file must set `kind`")
TARGET_LATE = UnavailableCode(
    "target.late", "… does not answer: no whole answer within … seconds", port="brokered_target"
)
TARGET_LOGIN = UnavailableCode(
    "target.login", "nats refuses the credential of the lease", port="brokered_target"
)
TARGET_LOST = UnavailableCode(
    "target.lost", "… does not answer: the connection was lost: …", port="brokered_target"
)
TARGET_NO = RefusedCode("target.no", "… may not … …")
TARGET_POOLED = UnavailableCode(
    "target.pooled",
    "there is a proxy before the server, so sessions would be shared between leases: configure "
    "the address of the server itself",
    port="brokered_target",
)
TARGET_REFUSED = UnavailableCode("target.refused", "the target does not know this account", port="target")
TARGET_TIMEOUT = UnavailableCode("target.timeout", "AWS: no answer within … seconds", port="brokered_target")
TARGET_TLS = MalformedCode("target.tls", "… is not a file of PEM certificates")
TARGET_TOKEN = MalformedCode(
    "target.token",
    "the server's token of the account is not signed by an operator that the settings name",
)
TARGET_UNKNOWN = RefusedCode("target.unknown", "this broker has no target …")
TARGET_UNKNOWN_MALFORMED = MalformedCode(TARGET_UNKNOWN.id, "this broker has no target …")
TARGET_UNREACHABLE = UnavailableCode("target.unreachable", "AWS: …", port="brokered_target")

WARRANT_ACTION = UnverifiedCode("warrant.action", "the warrant is for another action", step="warrant")
WARRANT_ALGORITHM = UnverifiedCode("warrant.algorithm", "algorithm … is not accepted", step="warrant")
WARRANT_AUDIENCE = UnverifiedCode(
    "warrant.audience", "the warrant is for broker …, expected broker …", step="warrant"
)
WARRANT_EXPIRED = RefusedCode(
    "warrant.expired", "the warrant has expired: the action was not performed in time"
)
WARRANT_KEY = UnverifiedCode("warrant.key", "key … is not registered for …", step="warrant")
WARRANT_LATE = UnverifiedCode(
    "warrant.late", "the warrant has expired: the action was not performed in time", step="warrant"
)
WARRANT_LEASE = MalformedCode(
    "warrant.lease", "the lease of a single action is named by it: action … has none called …"
)
WARRANT_MALFORMED = MalformedCode("warrant.malformed", "warrant: claims that are missing or unknown: …")
WARRANT_MISSING = UnverifiedCode(
    "warrant.missing", "a call without a warrant does nothing here", step="warrant"
)
WARRANT_SIGNATURE = UnverifiedCode("warrant.signature", "the signature is invalid", step="warrant")
WARRANT_SPENT = BrokenCode("warrant.spent", "the warrant was used before: it can be redeemed once")
WARRANT_TYPE = UnverifiedCode("warrant.type", "expected a token of type …, got …", step="warrant")
WARRANT_UNBROKERED = BrokenCode("warrant.unbrokered", "this action has no part for a broker")
