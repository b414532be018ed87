"""Error codes of the registry: agents, capabilities, tools, manifests."""

from __future__ import annotations

from answerable.errors.code import (
    FindingCode,
    MalformedCode,
    RefusedCode,
    UnavailableCode,
    UnverifiedCode,
)

AGENT_DRIFTED = RefusedCode("agent.drifted", "agent … differs from its manifest")
AGENT_INACTIVE = RefusedCode("agent.inactive", "agent … is not active")
AGENT_INACTIVE_UNVERIFIED = UnverifiedCode(AGENT_INACTIVE.id, "agent … is not active", step="agent")
AGENT_RETIRED = RefusedCode(
    "agent.retired", "agent … is retired, for good: register another one under another name"
)
AGENT_UNKNOWN = RefusedCode("agent.unknown", "there is no agent …")

CAPABILITY_CEILING = RefusedCode(
    "capability.ceiling",
    "none of the requested capabilities is one that … may grant and every agent of the chain "
    "is registered for",
    beyond="agent",
)
CAPABILITY_DEFINITION = FindingCode(
    "capability.definition", "only tools have a definition that can be pinned"
)
CAPABILITY_DESTINATION = FindingCode(
    "capability.destination", "a destination has either `arguments` that name it or a `fixed` one"
)
CAPABILITY_LEASE = MalformedCode("capability.lease", "the document has no `lease.grants`")
CAPABILITY_NAME = FindingCode(
    "capability.name", "… is the name of a kind of action: choose a name that policies can distinguish"
)
CAPABILITY_POINTER = FindingCode(
    "capability.pointer", "a resource that is read may have only the variables of its URI as arguments"
)
CAPABILITY_PREVIEW = FindingCode("capability.preview", "only a tool can have a preview")
CAPABILITY_RESOURCE = FindingCode("capability.resource", "type … is reserved by the product")
CAPABILITY_SUBJECT = FindingCode("capability.subject", "… is not a variable of the URI: …")
CAPABILITY_TARGET_CLAIMED_TWICE = MalformedCode(
    "capability.target_claimed_twice", "capabilities … and … claim the same target …"
)
CAPABILITY_UNHINTED = FindingCode("capability.unhinted", "only tools have hints that can be left out")
CAPABILITY_UNKNOWN = RefusedCode("capability.unknown", "there is no capability …", beyond="agent")
CAPABILITY_UNLEASED = RefusedCode(
    "capability.unleased", "capability … has no lease that a broker mints: see `answerable lease boundaries`"
)

HOLDABLE_UNKNOWN = RefusedCode(
    "holdable.unknown",
    "nothing is registered as …: see `answerable registry list`, or name its kind with --kind",
)

MANIFEST_AGENT_INACTIVE = RefusedCode("manifest.agent_inactive", "agent … is not active")
MANIFEST_ALGORITHM = UnverifiedCode("manifest.algorithm", "algorithm … is not accepted", step="manifest")
MANIFEST_CONFLICT = MalformedCode("manifest.conflict", "`…` was measured as … and as …, both with grade …")
MANIFEST_DIGEST = MalformedCode("manifest.digest", "… is not `sha256:` and 64 lower-case hex digits")
MANIFEST_DRIFTED = RefusedCode("manifest.drifted", "agent … differs from its manifest: …")
MANIFEST_ENVIRONMENT = RefusedCode(
    "manifest.environment", "the manifest is for environment …, agent … is registered in …"
)
MANIFEST_FALLEN = RefusedCode("manifest.fallen", "the manifest in force is not valid: …")
MANIFEST_FIELD = MalformedCode("manifest.field", "unknown manifest field … or grade …")
MANIFEST_FUTURE = UnverifiedCode(
    "manifest.future", "the manifest was signed … ms in the future: check the signer's clock", step="manifest"
)
MANIFEST_KEY = UnverifiedCode("manifest.key", "key … is not registered for …", step="manifest")
MANIFEST_MALFORMED = MalformedCode("manifest.malformed", "claim … is missing")
MANIFEST_NOT_AN_OWNER = RefusedCode(
    "manifest.not_an_owner", "… does not own agent … now: its owner or backup owner must sign"
)
MANIFEST_OLDER = MalformedCode(
    "manifest.older", "agent … has a manifest that was signed at the same time or later"
)
MANIFEST_SIGNATURE = UnverifiedCode("manifest.signature", "the signature is invalid", step="manifest")
MANIFEST_SIGNER_KEY = RefusedCode(
    "manifest.signer_key", "the key that signed this manifest is no longer …'s: sign it anew"
)
MANIFEST_SUBJECT = UnverifiedCode(
    "manifest.subject", "the token is about …, its manifest about …", step="manifest"
)
MANIFEST_TEXT = MalformedCode(
    "manifest.text", "… is not 1 to … printable characters without blanks at the ends"
)
MANIFEST_TIER = RefusedCode("manifest.tier", "the manifest is of tier …, agent … is registered in tier …")
MANIFEST_TOOLS_UNSEEN = RefusedCode("manifest.tools_unseen", "the gateway cannot see the tools: …")
MANIFEST_TYPE = UnverifiedCode("manifest.type", "expected a token of type …, got …", step="manifest")
MANIFEST_UNKNOWN = RefusedCode("manifest.unknown", "there is no manifest of agent …")
MANIFEST_UNMEASURED = RefusedCode(
    "manifest.unmeasured",
    "… of agent … is in its manifest but was not measured: enrol through `answerable agent up "
    "--project`, on another machine as a user that `identity.sidecars` names",
)
MANIFEST_UNREADABLE = RefusedCode(
    "manifest.unreadable",
    "the stored manifest of agent … cannot be read: have its owner sign it again, and see "
    "`answerable doctor`",
)
MANIFEST_VALUE = MalformedCode("manifest.value", "a measured value has at most … characters, got …")
MANIFEST_VERSION = MalformedCode("manifest.version", "expected a manifest of form …, got …")

MODEL_ANSWER = MalformedCode("model.answer", "the answer is no JSON object, or too long")
MODEL_OTHER = RefusedCode("model.other", "the agent uses model …, and its manifest states model …")
MODEL_PRICE = MalformedCode(
    "model.price", "prices need a currency of three capital letters, a day and a source"
)
MODEL_STREAM = MalformedCode("model.stream", "an event of the stream has more than … bytes")
MODEL_UNSTATED = RefusedCode(
    "model.unstated",
    "the manifest of this agent states no model: have its owner register one with `model`",
)

REGISTRY_CALL_SECONDS = MalformedCode(
    "registry.call_seconds",
    "server … may take … s a call, but `walk.upstream_ms_max` is … ms: raise that setting or "
    "lower the server's limit",
)
REGISTRY_CHANGED_MEANWHILE = RefusedCode(
    "registry.changed_meanwhile",
    "other documents came into force at the same moment: read them again and sign anew",
)
REGISTRY_COMING = UnavailableCode(
    "registry.coming",
    "another process applied documents that are not in force here yet: try again",
    port="register",
)
REGISTRY_FAULTS = MalformedCode("registry.faults", "registry documents are invalid: …: ……")
REGISTRY_KEY = MalformedCode("registry.key", "the document stored under … has another kind or name")
REGISTRY_RESERVED_NAME = RefusedCode(
    "registry.reserved_name", "… is a reserved name, used by drills: choose another one"
)
REGISTRY_UNKNOWN = RefusedCode("registry.unknown", "there is no … called …")

SCHEDULE_RULE = FindingCode("schedule.rule", "a rule must have either times in `at` or `everyMinutes`")

SERVER_SECRET_VALUE = FindingCode("server.secret_value", "… looks like a secret: …")
SERVER_TRANSPORT = FindingCode(
    "server.transport", "a server has a `command`, a `url` or a `target` of the broker"
)
SERVER_UNKNOWN = RefusedCode("server.unknown", "server … is none that a broker acts on")

TEMPLATE_DELEGATION = FindingCode(
    "template.delegation", "name the receivers: 1 to … names in `agents`, `useCases` and `groups`"
)
TEMPLATE_GRANTS = FindingCode("template.grants", "a template must have at least one grant")
TEMPLATE_PARAMETER = MalformedCode("template.parameter", "give a value for … of template …")
TEMPLATE_PARAMETER_UNUSED = FindingCode("template.parameter_unused", "parameter … is used nowhere")
TEMPLATE_PLACEHOLDER = MalformedCode(
    "template.placeholder", "… has a brace that is not a placeholder like `{name}`"
)
TEMPLATE_UNKNOWN = RefusedCode("template.unknown", "there is no active mandate template …")

TOOL_ALGORITHM = UnverifiedCode("tool.algorithm", "algorithm … is not accepted", step="tool")
TOOL_APPROVER_REVOKED = RefusedCode(
    "tool.approver_revoked",
    "the approver of tool … of server … is revoked or held: the tool is blocked until its "
    "owner approves it again",
)
TOOL_CHANGED = RefusedCode(
    "tool.changed",
    "tool … of server … differs from the definition that capability … declares: it is "
    "blocked until its owner has reviewed it",
)
TOOL_COUNT = MalformedCode("tool.count", "more than … tools")
TOOL_DECLARED = RefusedCode(
    "tool.declared",
    "capability … declares the definition of tool … itself: change `definition` there and apply it",
)
TOOL_DUPLICATE = MalformedCode("tool.duplicate", "server … lists tool … twice")
TOOL_FUTURE = UnverifiedCode(
    "tool.future", "the approval was signed … ms from now: look at the signer's clock", step="tool"
)
TOOL_KEY = UnverifiedCode("tool.key", "key … is not registered for …", step="tool")
TOOL_MALFORMED = MalformedCode("tool.malformed", "claim … is missing")
TOOL_MAPPING = RefusedCode("tool.mapping", "… is blocked: …")
TOOL_NOT_AN_OWNER = RefusedCode("tool.not_an_owner", "… does not own tool … now: … must sign")
TOOL_NOT_PINNED = RefusedCode(
    "tool.not_pinned",
    "tool … of server … is not approved yet: it is blocked until its owner approves it",
)
TOOL_OLDER = MalformedCode(
    "tool.older", "the definition of tool … in force was signed at the same time or later: sign anew"
)
TOOL_OTHER_DEFINITION = RefusedCode("tool.other_definition", "tool … has definition … now, expected …")
TOOL_PIN_OUTDATED = MalformedCode(
    "tool.pin_outdated",
    "the definition of tool … that this approval replaces is no longer in force: look at the "
    "tool again with `answerable tool diff`, and sign anew",
)
TOOL_RISKIER = RefusedCode("tool.riskier", "… is blocked: …")
TOOL_SIGNATURE = UnverifiedCode("tool.signature", "the signature is invalid", step="tool")
TOOL_TYPE = UnverifiedCode("tool.type", "expected a token of type …, got …", step="tool")
TOOL_UNKNOWN = RefusedCode(
    "tool.unknown", "server … has no tool …: see `answerable tool list …`", beyond="agent"
)
TOOL_UNREADABLE = RefusedCode("tool.unreadable", "… is blocked: …")
TOOL_UNREGISTERED = RefusedCode(
    "tool.unregistered",
    "tool … of server … has no capability, so it has no owner: register one first, "
    "`answerable capability propose` writes it",
    beyond="agent",
)
TOOL_UNSEEN = RefusedCode("tool.unseen", "server … does not offer tool … now: see `answerable server list`")
