"""Error codes of attestation, enrolment, and the Workload API."""

from __future__ import annotations

from answerable.errors.code import (
    BrokenCode,
    FindingCode,
    MalformedCode,
    RefusedCode,
    UnavailableCode,
    UnverifiedCode,
)

ATTESTATION_AMBIGUOUS = RefusedCode(
    "attestation.ambiguous", "the measured selectors fit several agents equally well: …"
)
ATTESTATION_CHANGED = RefusedCode(
    "attestation.changed", "an instance must be attested by the method of its enrolment"
)
ATTESTATION_CHANNEL = UnverifiedCode(
    "attestation.channel",
    "only the kernel's word about a Unix socket's other end attests a process: name the gateway's socket, with "
    "`--gateway unix:PATH`",
    step="enrolment",
)
ATTESTATION_EVERY_USER = FindingCode(
    "attestation.every_user", "`unix:path` and `unix:sha256` need `unix:uid` beside them"
)
ATTESTATION_MESSAGE = MalformedCode(
    "attestation.message", "challenge or thumbprint is not a line of ASCII text"
)
ATTESTATION_OWN_DOMAIN = UnverifiedCode(
    "attestation.own_domain",
    "an SVID of this trust domain … cannot be used to enrol: use the key of its instance",
    step="attestation",
)
ATTESTATION_PROCESS = UnverifiedCode(
    "attestation.process", "the process runs as another user than the one that connected", step="enrolment"
)
ATTESTATION_SELECTOR = MalformedCode(
    "attestation.selector", "… is not a selector `type:key:value`, such as `unix:uid:1000`"
)
ATTESTATION_SIDECAR = MalformedCode("attestation.sidecar", "expected at most … sidecars, got …")
ATTESTATION_STALE = RefusedCode(
    "attestation.stale", "who is known by an SVID or a client certificate shows it again to renew"
)
ATTESTATION_TOO_LONG = UnverifiedCode(
    "attestation.too_long", "the SPIFFE ID is too long to be written in a selector", step="attestation"
)
ATTESTATION_TOO_MANY = UnverifiedCode(
    "attestation.too_many", "… selectors were measured, expected at most …", step="attestation"
)
ATTESTATION_UNKNOWN = RefusedCode("attestation.unknown", "no agent is registered for the measured selectors")

CHALLENGE_EXPIRED = UnverifiedCode("challenge.expired", "the challenge has expired", step="attestation")
CHALLENGE_UNKNOWN = UnverifiedCode(
    "challenge.unknown",
    "the challenge was not issued by this server, or is no longer known",
    step="attestation",
)
CHALLENGE_USED = UnverifiedCode("challenge.used", "the challenge was used before", step="attestation")

ENROLMENT_ALGORITHM = UnverifiedCode("enrolment.algorithm", "algorithm … is not accepted", step="enrolment")
ENROLMENT_ANSWER = UnavailableCode(
    "enrolment.answer", "the server's answer to the enrolment is malformed", port="gateway"
)
ENROLMENT_AUDIENCE = UnverifiedCode(
    "enrolment.audience", "audience of the proof is …, expected this trust domain", step="enrolment"
)
ENROLMENT_BUSY = RefusedCode("enrolment.busy", "too many enrolments at a time, try again")
ENROLMENT_CSR = MalformedCode("enrolment.csr", "a certificate request has at most … bytes")
ENROLMENT_CSR_SIGNATURE = UnverifiedCode(
    "enrolment.csr_signature", "the certificate request is not signed by its key", step="enrolment"
)
ENROLMENT_FAILED = BrokenCode("enrolment.failed", "internal error: see the server's log")
ENROLMENT_KEY = UnverifiedCode("enrolment.key", "key … is not registered for …", step="enrolment")
ENROLMENT_MALFORMED = MalformedCode("enrolment.malformed", "a request for a challenge must have no body")
ENROLMENT_OTHER_REQUEST = UnverifiedCode(
    "enrolment.other_request", "the proof was made for another request", step="enrolment"
)
ENROLMENT_SIGNATURE = UnverifiedCode("enrolment.signature", "the signature is invalid", step="enrolment")
ENROLMENT_TYPE = UnverifiedCode("enrolment.type", "expected a token of type …, got …", step="enrolment")
ENROLMENT_UNREACHABLE = UnavailableCode(
    "enrolment.unreachable", "the server cannot be reached (…)", port="gateway"
)

INSTANCE_DEPTH = RefusedCode("instance.depth", "a sub-agent has no sub-agents of its own")
INSTANCE_DUPLICATE = MalformedCode(
    "instance.duplicate", "instance …, its key or its process is registered already"
)
INSTANCE_ENDED = RefusedCode(
    "instance.ended", "the instance of the former key was ended (…): start the process again"
)
INSTANCE_KEY_DIFFERS = RefusedCode(
    "instance.key_differs",
    "this process is already enrolled with another key or without one: end that instance first",
)
INSTANCE_KEY_REGISTERED = RefusedCode(
    "instance.key_registered", "this key is registered already: create a new one"
)
INSTANCE_KEY_TAKEN = RefusedCode(
    "instance.key_taken", "this key is or was the key of another instance: create a new one"
)
INSTANCE_KEY_UNKNOWN = UnverifiedCode(
    "instance.key_unknown",
    "no instance has the key that signed this request: enrol again with a new key",
    step="key",
)
INSTANCE_NO_INSTANCE = UnverifiedCode(
    "instance.no_instance",
    "expected a request signed with an instance's key, got one of a registered key",
    step="enrolment",
)
INSTANCE_NO_KEY = RefusedCode(
    "instance.no_key", "only a local process can enrol without a key: send a public key"
)
INSTANCE_PARENT = MalformedCode("instance.parent", "the parent instance of … is not live")
INSTANCE_ROW = MalformedCode("instance.row", "its state is not known")
INSTANCE_STILL_KNOWN = RefusedCode(
    "instance.still_known", "instance … still has the former key: renew it with that key"
)
INSTANCE_SUB_AGENTS = RefusedCode("instance.sub_agents", "an instance has at most … sub-agents at a time")
INSTANCE_TOO_MANY = RefusedCode(
    "instance.too_many", "agent … has … live instances, which is the limit: end one first"
)
INSTANCE_TOO_OFTEN = RefusedCode("instance.too_often", "an instance may send at most … requests a minute")
INSTANCE_UNKNOWN = RefusedCode("instance.unknown", "… is not a sub-agent of this instance")
INSTANCE_UNVOUCHED = RefusedCode(
    "instance.unvouched", "instance … was enrolled by an SVID of a trust domain that is no longer federated"
)

JOIN_TOKEN_DUPLICATE = MalformedCode("join_token.duplicate", "this join token is registered already")
JOIN_TOKEN_FULL = MalformedCode(
    "join_token.full", "there are … join tokens, which is the limit: wait until some expire"
)
JOIN_TOKEN_LIFETIME = MalformedCode("join_token.lifetime", "a join token lives 1 to … seconds, not …")
JOIN_TOKEN_REFUSED = UnverifiedCode("join_token.refused", "this is not a join token", step="attestation")
JOIN_TOKEN_SECRET = MalformedCode("join_token.secret", "a join token takes … random bytes, got …")
JOIN_TOKEN_SELECTOR = MalformedCode("join_token.selector", "a join token grants at most … selectors")

MTLS_CERTIFICATE = UnverifiedCode(
    "mtls.certificate",
    "this connection has no client certificate: connect by TLS with one",
    step="attestation",
)
MTLS_EXPIRED = UnverifiedCode(
    "mtls.expired",
    "the client certificate is not valid now: connect anew with one that is",
    step="attestation",
)

OIDC_ALGORITHM = UnverifiedCode("oidc.algorithm", "algorithm … is not accepted", step="attestation")
OIDC_AUDIENCE = UnverifiedCode("oidc.audience", "expected the single audience …, got …", step="attestation")
OIDC_AWS = UnverifiedCode("oidc.aws", "`sub` is not the ARN of a principal: …", step="attestation")
OIDC_AZURE = UnverifiedCode(
    "oidc.azure", "`tid` is not the tenant that the issuer's address names", step="attestation"
)
OIDC_EXPIRED = UnverifiedCode("oidc.expired", "the token has expired", step="attestation")
OIDC_FUTURE = UnverifiedCode("oidc.future", "the token is not valid yet", step="attestation")
OIDC_GCP = UnverifiedCode("oidc.gcp", "`email` is not verified", step="attestation")
OIDC_GITHUB = UnverifiedCode("oidc.github", "the claim `repository` is not `OWNER/NAME`", step="attestation")
OIDC_HEADER = UnverifiedCode(
    "oidc.header", "token header has the member …, which is not accepted", step="attestation"
)
OIDC_ISSUER = UnverifiedCode("oidc.issuer", "expected issuer …, got …", step="attestation")
OIDC_KEY = UnverifiedCode(
    "oidc.key", "the issuer publishes … keys with the id …, expected one", step="attestation"
)
OIDC_KEY_SET = MalformedCode("oidc.key_set", "the issuer's key set has no list `keys` of at most …")
OIDC_KUBERNETES = UnverifiedCode(
    "oidc.kubernetes", "the claim `kubernetes.io` names no service account of a namespace", step="attestation"
)
OIDC_LIFETIME = UnverifiedCode(
    "oidc.lifetime", "lifetime of the token is … seconds, expected 1 to … seconds", step="attestation"
)
OIDC_MALFORMED = MalformedCode("oidc.malformed", "token has more than … characters")
OIDC_SIGNATURE = UnverifiedCode("oidc.signature", "the signature is invalid", step="attestation")
OIDC_SUBJECT = UnverifiedCode("oidc.subject", "`sub` is not a text of 1 to … characters", step="person")
OIDC_TIME = UnverifiedCode("oidc.time", "`…` is not a date in seconds", step="attestation")
OIDC_TYPE = UnverifiedCode("oidc.type", "a token of type … is not accepted here", step="attestation")

PROCESS_BUSY = UnavailableCode(
    "process.busy",
    "… processes of this user are being measured, which is the limit: try again in a second",
    port="process_observer",
)
PROCESS_CHANGED = UnverifiedCode(
    "process.changed", "the process changed while it was measured", step="attestation"
)
PROCESS_FOREIGN = UnverifiedCode(
    "process.foreign", "the PID belongs to a thread, not to a process", step="attestation"
)
PROCESS_GONE = UnverifiedCode(
    "process.gone", "the process has ended, or its PID belongs to another process", step="attestation"
)
PROCESS_UNAVAILABLE = UnavailableCode(
    "process.unavailable", "cannot read process information: …", port="process_observer"
)

SSH_ALGORITHM = UnverifiedCode(
    "ssh.algorithm", "the SSH signature is of an algorithm that is not accepted", step="attestation"
)
SSH_CERTIFICATE = UnverifiedCode(
    "ssh.certificate", "expected a host certificate, got one of a user", step="attestation"
)
SSH_EXPIRED = UnverifiedCode("ssh.expired", "the certificate is not valid now", step="attestation")
SSH_KEY = UnverifiedCode(
    "ssh.key", "the SSH signature is by another key than the one shown", step="attestation"
)
SSH_KNOWN_HOSTS = MalformedCode("ssh.known_hosts", "expected at most … known hosts")
SSH_MALFORMED = MalformedCode(
    "ssh.malformed", "expected host names in lower case, `*.DOMAIN` or `*`; hashed names say nothing"
)
SSH_NAMESPACE = UnverifiedCode(
    "ssh.namespace", "the SSH signature was made for another purpose", step="attestation"
)
SSH_REVOKED = UnverifiedCode("ssh.revoked", "the host key was revoked", step="attestation")
SSH_SIGNATURE = UnverifiedCode("ssh.signature", "the SSH signature does not fit", step="attestation")
SSH_UNKNOWN = UnverifiedCode(
    "ssh.unknown", "the host key is not known, and it came without a certificate", step="attestation"
)

WORKLOAD_API_ANSWER = UnavailableCode("workload_api.answer", "workload api: …: …", port="workload_api")
WORKLOAD_API_COUNT = MalformedCode("workload_api.count", "got … SVIDs, expected at most …")
WORKLOAD_API_DENIED = UnavailableCode(
    "workload_api.denied", "workload api: …: register this process there", port="workload_api"
)
WORKLOAD_API_DER = MalformedCode("workload_api.der", "not a row of DER certificates")
WORKLOAD_API_KEY = MalformedCode("workload_api.key", "its key is no PKCS #8 key")
WORKLOAD_API_NO_BUNDLE = UnavailableCode(
    "workload_api.no_bundle", "there is no bundle of our own trust domain yet", port="trust_source"
)
WORKLOAD_API_NO_PEER = BrokenCode("workload_api.no_peer", "a connection without a process was let in")
WORKLOAD_API_NONE = UnavailableCode(
    "workload_api.none", "workload api: it has no such SVID for this process", port="workload_api"
)
WORKLOAD_API_NOT_UNIX = UnavailableCode(
    "workload_api.not_unix",
    "the Workload API needs a Unix socket with an absolute path: only there the kernel says who asks",
    port="workload_api",
)
WORKLOAD_API_SOCKET_PERMISSIONS = UnavailableCode(
    "workload_api.socket_permissions",
    "… …: other users could impersonate the Workload API or connect to it",
    port="workload_api",
)
WORKLOAD_API_UNREACHABLE = UnavailableCode(
    "workload_api.unreachable", "workload api: …: it ended the stream", port="workload_api"
)

WORKLOADS_LIMITS = MalformedCode(
    "workloads.limits", "limits of workloads are at least 1 each, and sub-agents at most …"
)
WORKLOADS_PACE = RefusedCode("workloads.pace", "agent … has used its … … a minute: …")

X509_POP_AUTHORITIES = MalformedCode(
    "x509_pop.authorities", "expected at most … certificates in PEM, each of an authority"
)
X509_POP_CHAIN = UnverifiedCode(
    "x509_pop.chain", "no authority is configured for certificates", step="attestation"
)
X509_POP_MALFORMED = MalformedCode("x509_pop.malformed", "expected 1 to … certificates of at most … bytes")
X509_POP_SIGNATURE = UnverifiedCode(
    "x509_pop.signature", "the certificate's key did not sign this challenge for this key", step="attestation"
)
