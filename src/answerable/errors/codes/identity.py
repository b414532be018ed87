"""Error codes of keys, SVIDs, and the authorities and trust bundles behind them."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, MalformedCode, RefusedCode, UnavailableCode, UnverifiedCode

AUTHORITY_DOMAIN = UnavailableCode(
    "authority.domain",
    "authority … belongs to trust domain …, but this server is set to …: restore the setting, or "
    "remove the authority, which invalidates everything that it signed",
    port="authority_keys",
)
AUTHORITY_EXPIRED = UnavailableCode(
    "authority.expired",
    "authority … has expired and no other one signs yet: rotate the authority",
    port="authority_register",
)
AUTHORITY_KEY = BrokenCode("authority.key", "authority … has no key on P-256")
AUTHORITY_LIMITS = MalformedCode("authority.limits", "lifetimes and the refresh hint are at least 1 second")
AUTHORITY_NONE = UnavailableCode(
    "authority.none", "the trust domain is not open yet", port="authority_register"
)
AUTHORITY_NOT_PREPARED = RefusedCode("authority.not_prepared", "authority … is not prepared")
AUTHORITY_NOT_YET_VALID = UnavailableCode(
    "authority.not_yet_valid",
    "authority … becomes valid in … seconds: correct the clock, or, if the clock was ahead "
    "before and is correct now, rotate to a new authority",
    port="authority_register",
)
AUTHORITY_SET = MalformedCode("authority.set", "at most … authorities, each once, got …")
AUTHORITY_STATE = MalformedCode("authority.state", "… is not a state of an authority")
AUTHORITY_STATE_BROKEN = BrokenCode(
    AUTHORITY_STATE.id, "a new authority must be in state `prepared` and have a new id"
)
AUTHORITY_TOO_MANY = RefusedCode(
    "authority.too_many", "… authorities are in the bundle already: remove some, or wait until they run out"
)
AUTHORITY_UNKNOWN = RefusedCode("authority.unknown", "authority … is not in the bundle")

AUTHORITY_KEYS_CHANGED = UnavailableCode(
    "authority_keys.changed",
    "the key `…` does not belong to authority …: restore its key from a backup, or remove the "
    "authority, which invalidates everything that it signed",
    port="authority_keys",
)
AUTHORITY_KEYS_EXISTS = UnavailableCode(
    "authority_keys.exists", "key … or its draft exists already", port="authority_keys"
)
AUTHORITY_KEYS_EXPOSED = UnavailableCode(
    "authority_keys.exposed",
    "… must belong to the server's user and be closed to all others: set mode 0700, files 0600",
    port="authority_keys",
)
AUTHORITY_KEYS_LOCK = UnavailableCode("authority_keys.lock", "cannot open …: …", port="authority_keys")
AUTHORITY_KEYS_MISSING = UnavailableCode(
    "authority_keys.missing",
    "the key … of the trust domain is missing: restore it from a backup",
    port="authority_keys",
)
AUTHORITY_KEYS_MODULE = UnavailableCode(
    "authority_keys.module",
    "the HSM library … cannot be loaded or finds no HSM: install it, set "
    "`identity.pkcs11_module` to its path, and connect the HSM",
    port="authority_keys",
)
AUTHORITY_KEYS_NAME = UnavailableCode(
    "authority_keys.name", "… is not a key name: use 1 to 64 of a-z 0-9 -", port="authority_keys"
)
AUTHORITY_KEYS_PIN = UnavailableCode(
    "authority_keys.pin",
    "the HSM token … rejects this PIN: correct the file of `identity.pkcs11_pin` before the next "
    "start, because a few wrong PINs lock the token",
    port="authority_keys",
)
AUTHORITY_KEYS_TOKEN = UnavailableCode(
    "authority_keys.token",
    "the HSM must have exactly one token …: connect it, or set `identity.pkcs11_token` to its label",
    port="authority_keys",
)
AUTHORITY_KEYS_UNAVAILABLE = UnavailableCode("authority_keys.unavailable", "…: …", port="authority_keys")
AUTHORITY_KEYS_UNREADABLE = UnavailableCode(
    "authority_keys.unreadable",
    "`…` is not a private key on P-256 in PEM: restore it from a backup",
    port="authority_keys",
)

AUTHORITY_REGISTER_BUSY = UnavailableCode(
    "authority_register.busy",
    "other processes changed the authorities … times meanwhile: try again",
    port="authority_register",
)
AUTHORITY_REGISTER_REWOUND = UnavailableCode(
    "authority_register.rewound",
    "the register of authorities is older than what was published: restore its newest copy",
    port="authority_register",
)

BUNDLE_ANSWER = UnavailableCode("bundle.answer", "bundle of …: more than … bytes", port="bundle_endpoint")
BUNDLE_AUTHORITY = MalformedCode("bundle.authority", "authority: …")
BUNDLE_DOMAIN = MalformedCode("bundle.domain", "bundle of trust domain …, expected …")
BUNDLE_KEY = MalformedCode("bundle.key", "a key of a bundle is not a JSON object")
BUNDLE_KEYS = MalformedCode("bundle.keys", "a bundle needs an array `keys`")
BUNDLE_KID = MalformedCode("bundle.kid", "an `x509-svid` key has no `kid`")
BUNDLE_KIND = MalformedCode("bundle.kind", "a bundle map needs an object `trust_domains`")
BUNDLE_MALFORMED = UnavailableCode("bundle.malformed", "bundle of …: …", port="bundle_endpoint")
BUNDLE_NONE = UnavailableCode("bundle.none", "there is no bundle yet", port="trust_source")
BUNDLE_REFRESH_HINT = MalformedCode("bundle.refresh_hint", "`…` is not a whole number from 0")
BUNDLE_SEQUENCE = MalformedCode("bundle.sequence", "`…` is not a whole number from 0")
BUNDLE_SEQUENCE_UNVERIFIED = UnverifiedCode(
    BUNDLE_SEQUENCE.id, "the bundle of … went back from sequence … to …", step="bundle.sequence"
)
BUNDLE_SIZE = MalformedCode("bundle.size", "more than … bytes")
BUNDLE_TLS = UnavailableCode(
    "bundle.tls", "certificate or key of the bundle endpoint: …", port="bundle_endpoint"
)
BUNDLE_UNREACHABLE = UnavailableCode("bundle.unreachable", "bundle of …: …: …", port="bundle_endpoint")
BUNDLE_UNTRUSTED = UnavailableCode("bundle.untrusted", "bundle of …: …", port="bundle_endpoint")
BUNDLE_WITHDRAWN = UnavailableCode("bundle.withdrawn", "bundle of …: …", port="bundle_endpoint")

CERTIFICATE_MALFORMED = MalformedCode("certificate.malformed", "token has … parts, expected 3")

FEDERATION_COUNT = MalformedCode("federation.count", "… foreign trust domains, at most …")
FEDERATION_DUPLICATE = MalformedCode(
    "federation.duplicate", "trust domain … has two bundle sources, expected one"
)
FEDERATION_ENDPOINT_ID = MalformedCode(
    "federation.endpoint_id", "… names a trust domain, and a server needs the SPIFFE ID of a workload"
)
FEDERATION_OWN = MalformedCode(
    "federation.own", "… is the trust domain of this server: it needs no foreign bundle"
)
FEDERATION_OWN_DOMAIN = RefusedCode(
    "federation.own_domain", "trust domain … is this server's own: it cannot be federated"
)
FEDERATION_PROFILE = MalformedCode("federation.profile", "profile is …, expected one of …")
FEDERATION_PROFILE_BROKEN = BrokenCode(FEDERATION_PROFILE.id, "profile … is not of HTTPS")
FEDERATION_SOCKET = MalformedCode(
    "federation.socket", "a Workload API is `unix:///PATH` or `tcp://IP:PORT`, not …"
)
FEDERATION_SOURCE = MalformedCode(
    "federation.source", "… is not `TRUST-DOMAIN PROFILE ADDRESS [SPIFFE-ID] [FILE]`"
)
FEDERATION_TOO_MANY = RefusedCode("federation.too_many", "expected at most … federated trust domains")
FEDERATION_UNKNOWN = MalformedCode("federation.unknown", "… is not a federated trust domain")
FEDERATION_URL = MalformedCode(
    "federation.url", "a bundle endpoint is `https://HOST[:PORT]/PATH` without user info, not …"
)

IDENTITY_OFF = UnavailableCode("identity.off", "there is no trust domain here", port="workloads")

KEY_ALGORITHM = MalformedCode("key.algorithm", "`alg` … does not match this key")
KEY_CONTENT = MalformedCode(
    "key.content", "key file … is not ASCII, so it is not a key file: restore it from a backup"
)
KEY_EXISTS = UnavailableCode(
    "key.exists", "key file … already exists and is never overwritten", port="key_file"
)
KEY_EXPOSED = UnavailableCode(
    "key.exposed",
    "key file … has mode … and owner …, expected 0600 and the user of this process: treat "
    "the key as disclosed",
    port="key_file",
)
KEY_KIND = MalformedCode("key.kind", "other users can read the key: set mode 0600")
KEY_MALFORMED = MalformedCode("key.malformed", "the root key of subjects has … bytes, expected …")
KEY_MEMBER = MalformedCode("key.member", "`…` must be 32 bytes in base64url without padding")
KEY_MISSING = UnavailableCode("key.missing", "key file … does not exist", port="key_file")
KEY_NOT_ED25519 = MalformedCode("key.not_ed25519", "the key is not an Ed25519 key")
KEY_NOT_PRIVATE = MalformedCode("key.not_private", "a private key has a member `d`, this one has none")
KEY_PAIR = MalformedCode("key.pair", "private and public key do not match")
KEY_POINT = MalformedCode("key.point", "`x` is not a point of the prime-order group of Ed25519")
KEY_PRIVATE = MalformedCode(
    "key.private",
    "this key has a private part: register the public key only, and treat this key as disclosed",
)
KEY_SEED = MalformedCode("key.seed", "seed of … bytes, expected …")
KEY_SIZE = MalformedCode("key.size", "key file … has more than … bytes, so it is not a key file")
KEY_UNREADABLE = UnavailableCode("key.unreadable", "the key `…` cannot be used: …", port="key_file")
KEY_UNWRITABLE = UnavailableCode(
    "key.unwritable", "the key `…` cannot be created or read: …", port="key_file"
)

PORT_KEY_USE = BrokenCode("port_key.use", "the key of an authority was used for …")

SPIFFE_ID_LENGTH = MalformedCode("spiffe_id.length", "a SPIFFE ID has at most … bytes")
SPIFFE_ID_PATH = MalformedCode(
    "spiffe_id.path", "… has the path segment …: use letters, digits, `.`, `-` and `_`"
)
SPIFFE_ID_SCHEME = MalformedCode("spiffe_id.scheme", "… does not begin with `…`")
SPIFFE_ID_TRUST_DOMAIN = MalformedCode(
    "spiffe_id.trust_domain", "trust domain … is not 1 to 255 of a-z 0-9 . - _"
)

STATEMENT_MALFORMED = MalformedCode("statement.malformed", "token has … parts, expected 3")
STATEMENT_SIZE = MalformedCode(
    "statement.size", "the signed statement would have … characters, expected at most …"
)

SVID_ALGORITHM = UnverifiedCode(
    "svid.algorithm", "algorithm … does not match the key, expected one of …", step="svid"
)
SVID_AUDIENCE = UnverifiedCode("svid.audience", "audience of the token does not include …", step="svid")
SVID_AUDIENCE_MALFORMED = MalformedCode(SVID_AUDIENCE.id, "a token is for 1 to … audiences, got …")
SVID_AUTHORITY = UnverifiedCode(
    "svid.authority", "a signing certificate cannot identify a workload", step="svid"
)
SVID_CERTIFICATE = UnverifiedCode("svid.certificate", "certificate of … bytes, at most …", step="svid")
SVID_CHAIN = UnverifiedCode("svid.chain", "chain of … certificates, expected 1 to …", step="svid")
SVID_CNF = UnverifiedCode(
    "svid.cnf", "`cnf.jwk` is not an RSA or EC key with an `alg` that fits it", step="svid"
)
SVID_CNF_MALFORMED = MalformedCode(SVID_CNF.id, "a WIT-SVID is for an EC key, or an RSA key with `alg`")
SVID_EXPIRED = UnverifiedCode("svid.expired", "the token has no `exp`", step="svid")
SVID_ID = UnverifiedCode(
    "svid.id", "… is the SPIFFE ID of a trust domain, expected that of a workload", step="svid"
)
SVID_ISSUE = MalformedCode("svid.issue", "a `kid` has 1 to … characters")
SVID_ISSUE_BROKEN = BrokenCode(SVID_ISSUE.id, "a token was issued without an end")
SVID_ISSUED = BrokenCode("svid.issued", "a new SVID does not verify with this trust domain's bundle: …")
SVID_ISSUER = UnverifiedCode(
    "svid.issuer", "`iss` of a WIT-SVID is not a text that OpenID discovery can follow", step="svid"
)
SVID_KEY = UnverifiedCode(
    "svid.key", "the key is not RSA of 2048 to 8192 bits nor EC on P-256, P-384 or P-521", step="svid"
)
SVID_KEY_USAGE = UnverifiedCode("svid.key_usage", "key usage is absent or not critical", step="svid")
SVID_KID = UnverifiedCode("svid.kid", "trust domain … has no key … for tokens of this kind", step="svid")
SVID_MALFORMED = MalformedCode(
    "svid.malformed", "token header must have `alg` and `kid`, may have `typ`, and nothing else"
)
SVID_NOT_YET_VALID = UnverifiedCode("svid.not_yet_valid", "the token is not yet valid", step="svid")
SVID_OTHER_DOMAIN = UnverifiedCode(
    "svid.other_domain", "an intermediate certificate of … may not sign for …", step="svid"
)
SVID_PAIR = UnverifiedCode("svid.pair", "the SVID, its key and the name … do not match", step="svid")
SVID_PATH = UnverifiedCode("svid.path", "no path to an authority of …: …", step="svid")
SVID_PURPOSE = UnverifiedCode(
    "svid.purpose", "extended key usage lacks serverAuth or clientAuth", step="svid"
)
SVID_SAN = UnverifiedCode("svid.san", "without a subject, the alternative name must be critical", step="svid")
SVID_SIGNATURE = UnverifiedCode("svid.signature", "the signature is invalid", step="svid")
SVID_SIGNER = UnverifiedCode("svid.signer", "a signing certificate needs cA and keyCertSign", step="svid")
SVID_TRUST_DOMAIN = UnverifiedCode(
    "svid.trust_domain", "there is no bundle of trust domain … here", step="svid"
)
SVID_TYPE = UnverifiedCode("svid.type", "expected a token of type …, got …", step="svid")
SVID_URI_SAN = UnverifiedCode(
    "svid.uri_san", "a leaf certificate must have exactly one URI name, got …", step="svid"
)
