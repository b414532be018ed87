"""Error codes of the broker: leases, their targets, secrets, warrants."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, MalformedCode, RefusedCode, UnavailableCode, UnverifiedCode

ACCOUNT_CHANGED = UnavailableCode("account.changed", "… was retired meanwhile", port="own_account")
ACCOUNT_REFUSED = RefusedCode(
    "account.refused",
    "… takes none of the passwords that are kept: set one there, and give it to `answerable secret rotate`",
)
ACCOUNT_TARGET = UnavailableCode("account.target", "…: …", port="own_account")
ACCOUNT_UNPROVED = UnavailableCode(
    "account.unproved",
    "the target does not take the new password of … that it was told: it is tried again",
    port="own_account",
    effect="unknown",
)

BROKER_FAILED = UnavailableCode(
    "broker.failed", "the broker answered …: …", port="lease_broker", effect="unknown"
)
BROKER_GRANT = MalformedCode(
    "broker.grant",
    "… is none of `agent:NAME`, `…NAME` and what the kernel measures, such as `unix:uid:1000`",
)
BROKER_KEYS = UnavailableCode(
    "broker.keys", "the keys of the gateways cannot be read: see `broker.warrant_keys`", port="trust_source"
)
BROKER_NONE = UnavailableCode("broker.none", "no broker is set up", port="lease_broker")
BROKER_TOO_MANY = MalformedCode("broker.too_many", "at most … names at a time")
BROKER_TOO_MANY_UNAVAILABLE = UnavailableCode(
    BROKER_TOO_MANY.id,
    "more than … leases are open: ask for one target, or for those that are unrevoked",
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
    "nobody keeps a credential at … to its task, so that only capabilities of tier … may use it; "
    "this one has tier …",
)
LEASE_CROWD = RefusedCode("lease.crowd", "more than … leases are out at this target")
LEASE_ENDED = RefusedCode("lease.ended", "the time of the lease has run out")
LEASE_GONE = RefusedCode("lease.gone", "the credential is not the one that was issued")
LEASE_LATE = UnavailableCode(
    "lease.late", "the time of the lease ran out during the action", port="brokered_target", effect="unknown"
)
LEASE_LIST = MalformedCode("lease.list", "… is no list of leases: there are …")
LEASE_LOG_UNKNOWN = RefusedCode("lease.log_unknown", "there is no other log …")
LEASE_NAME = MalformedCode("lease.name", "… is not the name of a lease: 26 characters of a-z and 2-7")
LEASE_NARROWED = BrokenCode("lease.narrowed", "the proposal is not what was to be proposed: it is not shown")
LEASE_OTHER = RefusedCode("lease.other", "lease … is another's")
LEASE_PLACEHOLDER = MalformedCode(
    "lease.placeholder",
    "… has a brace that is no placeholder: there are {resource}, {mandate}, {agent} and {argument.NAME}",
)
LEASE_RENEWAL = RefusedCode("lease.renewal", "a session of AWS cannot be renewed: mint another lease")
LEASE_SCOPE = RefusedCode("lease.scope", "the authorization server does not grant what the scope says: …")
LEASE_STATE = BrokenCode("lease.state", "lease … is …, not …")
LEASE_TAKEN = RefusedCode("lease.taken", "the lease … has been issued already")
LEASE_TARGET = UnavailableCode("lease.target", "AWS: …", port="credential_issuer")
LEASE_TEMPLATE = RefusedCode("lease.template", "leases have changed while they were counted: try again")
LEASE_TOO_LITTLE = RefusedCode("lease.too_little", "too little data for a proposal since …: …")
LEASE_TTL = RefusedCode("lease.ttl", "a certificate lives at most … seconds (`ttl_seconds_max`)")
LEASE_UNTOLD = RefusedCode("lease.untold", "AWS does not tell what a session may do")
LEASE_UNUSED = RefusedCode("lease.unused", "none of … actions used the lease: remove the capability instead")
LEASE_WINDOW = MalformedCode("lease.window", "… is no window of leases: there are …")

SECRET_CANARY = RefusedCode("secret.canary", "… is planted: nobody uses it")
SECRET_CANARY_FORM = MalformedCode("secret.canary_form", "a canary looks like one of …")
SECRET_EXPOSED = RefusedCode(
    "secret.exposed",
    "the secret … of target … was exposed: nothing is begun with it until it is replaced (…)",
)
SECRET_FULL = RefusedCode("secret.full", "there are … secrets already")
SECRET_MISSING = RefusedCode("secret.missing", "there is no secret …")
SECRET_NAME = MalformedCode(
    "secret.name",
    "… is not the name of a secret: use 1 to 63 of a-z 0-9 . _ - with a letter or digit at both ends",
)
SECRET_PASSED = RefusedCode(
    "secret.passed", "the arguments hold …, which no agent is to have: nothing was sent"
)
SECRET_RECORD = MalformedCode("secret.record", "this is no record of a secret")
SECRET_REFERENCE = MalformedCode(
    "secret.reference", "there is no store of secrets yet: `answerable secret put NAME`"
)
SECRET_RETIRED = RefusedCode("secret.retired", "secret … was retired")
SECRET_ROTATING = RefusedCode("secret.rotating", "… is being rotated already: wait for it")
SECRET_ROTATION = MalformedCode("secret.rotation", "give NAME of the secret, or --at-target TARGET")
SECRET_SAME = RefusedCode("secret.same", "this is a value that … has or had")
SECRET_SLACK = MalformedCode(
    "secret.slack", "Slack's signing secret has … to … characters: look at the app's page"
)
SECRET_TAKEN = RefusedCode("secret.taken", "there is a secret … already: rotate it, or choose another name")
SECRET_TEXT = MalformedCode("secret.text", "a secret is rotated every 1 to … days, or 0 for no schedule")
SECRET_UNREADABLE = UnavailableCode(
    "secret.unreadable", "the password of the mail server is not text", port="secret"
)
SECRET_UNREADABLE_REFUSED = RefusedCode(SECRET_UNREADABLE.id, "… cannot be read: …")
SECRET_UNROTATABLE = RefusedCode("secret.unrotatable", "secret …: …")
SECRET_VALUE = MalformedCode("secret.value", "a secret is 1 to … bytes of UTF-8 text, without NUL")

SECRETS_DAMAGED = UnavailableCode(
    "secrets.damaged",
    "… is empty, longer than … bytes, or no file: bring it back from a copy",
    port="secret_store",
)
SECRETS_EXPOSED = UnavailableCode(
    "secrets.exposed",
    "… must belong to the broker's user and be closed to all others (mode 0700, files 0600)",
    port="secret_store",
)
SECRETS_FULL = UnavailableCode(
    "secrets.full", "the versions of … have more than … bytes: retire old ones", port="secret_store"
)
SECRETS_KEY = UnavailableCode(
    "secrets.key",
    "secret … is sealed under the key …, which is not in the keyring: bring that keyring back",
    port="secret_store",
)
SECRETS_KEYRING = UnavailableCode(
    "secrets.keyring",
    "the keyring … is gone: bring it back from a copy; nothing opens without it",
    port="secret_store",
)
SECRETS_UNAVAILABLE = UnavailableCode("secrets.unavailable", "…: …", port="secret_store")

TARGET_ANSWER = UnavailableCode(
    "target.answer", "… does not answer: …", port="brokered_target", effect="unknown"
)
TARGET_ARGUMENTS = RefusedCode("target.arguments", "bytes are a text, or an object with `base64` alone")
TARGET_AUTHORITIES = MalformedCode(
    "target.authorities", "the authorities of a target are certificates in PEM"
)
TARGET_AUTHORITY = UnavailableCode(
    "target.authority",
    "the key of the SSH authority is no private key, Ed25519 or ECDSA, without a passphrase: make "
    "one with `ssh-keygen -t ed25519`, or set `ca_key_file` to where one…",
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
    "… showed a host key that is not pinned: nothing was sent; see `known_hosts`",
    port="brokered_target",
)
TARGET_KEY = MalformedCode(
    "target.key", "the key of the GitHub app is no private RSA key in PEM of … bits or more"
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
    "a proxy stands before the server, so that a session is not the lease's alone: name the server itself",
    port="brokered_target",
)
TARGET_REFUSED = UnavailableCode("target.refused", "the target does not know this account", port="target")
TARGET_TIMEOUT = UnavailableCode("target.timeout", "AWS: no answer within … seconds", port="brokered_target")
TARGET_TLS = MalformedCode("target.tls", "… is no file of certificates")
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
WARRANT_EXPIRED = RefusedCode("warrant.expired", "the time to perform this action has run out")
WARRANT_KEY = UnverifiedCode("warrant.key", "key … is not registered for …", step="warrant")
WARRANT_LATE = UnverifiedCode("warrant.late", "the time to perform this action has run out", step="warrant")
WARRANT_LEASE = MalformedCode(
    "warrant.lease", "the lease of a single action is named by it: action … has none called …"
)
WARRANT_MALFORMED = MalformedCode("warrant.malformed", "warrant: claims that are missing or unknown: …")
WARRANT_MISSING = UnverifiedCode(
    "warrant.missing", "a call without a warrant does nothing here", step="warrant"
)
WARRANT_SIGNATURE = UnverifiedCode("warrant.signature", "the signature is invalid", step="warrant")
WARRANT_SPENT = BrokenCode("warrant.spent", "a warrant can be redeemed once")
WARRANT_TYPE = UnverifiedCode("warrant.type", "expected a token of type …, got …", step="warrant")
WARRANT_UNBROKERED = BrokenCode("warrant.unbrokered", "this action has no part for a broker")
