"""Error codes of one action: its arguments, its resource, and its prepared object."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, DecisionCode, MalformedCode, RefusedCode, UnavailableCode

ACTION_METHOD = BrokenCode("action.method", "a frozen action is not one that this upstream can perform")
ACTION_NAME_INVALID = MalformedCode("action.name_invalid", "a … has a name of 1 to … characters")
ACTION_TARGET_INVALID = MalformedCode("action.target_invalid", "target must have 1 to … characters")
ACTION_TRANSITION = BrokenCode("action.transition", "an action cannot go from … to …")

ARGUMENTS_INVALID = RefusedCode("arguments.invalid", "arguments do not fit: …")
ARGUMENTS_NOT_OBJECT = MalformedCode("arguments.not_object", "arguments must be a JSON object")
ARGUMENTS_RESERVED_MEMBER = MalformedCode("arguments.reserved_member", "member name … is reserved")
ARGUMENTS_TOKEN = RefusedCode(
    "arguments.token",
    "the arguments hold what looks like a credential (…): leave it out, tools get theirs from the gateway",
)
ARGUMENTS_UNMAPPABLE = DecisionCode("arguments.unmappable", "argument … cannot be mapped: …")

PREPARED_ALTERED = MalformedCode(
    "prepared.altered",
    "something in it is hidden from the agent, and what is not shown as it is cannot be executed",
)
PREPARED_ALTERED_REFUSED = RefusedCode(
    PREPARED_ALTERED.id,
    "policy would change what was prepared, which is executed as it is or not at all: prepare what "
    "is allowed",
)
PREPARED_ARGUMENTS = RefusedCode(
    "prepared.arguments", "… takes …, the digest of what was prepared, and nothing beside it"
)
PREPARED_CHANGED = RefusedCode("prepared.changed", "since it was prepared, … changed: prepare again")
PREPARED_DIGEST = RefusedCode(
    "prepared.digest",
    "… takes the digest that … was answered with, `…` and 64 hexadecimal digits: a copy of what was "
    "prepared is not executed",
)
PREPARED_DUPLICATE = MalformedCode("prepared.duplicate", "an object of this id is kept already")
PREPARED_EXECUTED = MalformedCode("prepared.executed", "the entry does not contain what was prepared")
PREPARED_EXPIRED = RefusedCode("prepared.expired", "what was prepared has expired: prepare again")
PREPARED_MALFORMED = MalformedCode("prepared.malformed", "it is of another id")
PREPARED_NONE = MalformedCode(
    "prepared.none", "the tool answered neither with `structuredContent` nor with one text"
)
PREPARED_OTHER_MANDATE = RefusedCode(
    "prepared.other_mandate", "it was prepared under another mandate: prepare again under this one"
)
PREPARED_TOKEN = MalformedCode(
    "prepared.token", "it holds what looks like a credential (…), and would be kept and shown"
)
PREPARED_TOO_LARGE = MalformedCode(
    "prepared.too_large", "it has … bytes, and … is the most: prepare less at once"
)
PREPARED_TOO_MANY = RefusedCode(
    "prepared.too_many",
    "… prepared objects of this agent wait to be executed, which is the limit: execute them, or wait "
    "until they expire",
)
PREPARED_UNKNOWN = RefusedCode(
    "prepared.unknown", "this agent prepared nothing of this digest with …: prepare first"
)
PREPARED_USED = RefusedCode(
    "prepared.used", "what was prepared was used or has expired a moment ago: prepare again"
)

PREVIEW_DEFERRED = RefusedCode(
    "preview.deferred", "this preview would need an approval itself: it is not run"
)
PREVIEW_NONE = RefusedCode("preview.none", "the server does not say of … that it only reads (readOnlyHint)")

PROGRAM_SCRIPT = MalformedCode(
    "program.script", "… is a script: name its interpreter, because that is what the kernel reports"
)
PROGRAM_SIZE = MalformedCode("program.size", "… is too large: expected at most … bytes")
PROGRAM_UNREADABLE = UnavailableCode("program.unreadable", "cannot read …: …", port="program")

PROJECT_CHANGED = UnavailableCode("project.changed", "… was removed while it was read", port="project")
PROJECT_PROMPTS = MalformedCode("project.prompts", "expected at most … patterns of at most … characters")
PROJECT_SIZE = MalformedCode("project.size", "…: name a smaller directory")
PROJECT_UNREADABLE = UnavailableCode("project.unreadable", "cannot read …: …", port="project")

RESOURCE_UNKNOWN = MalformedCode(
    "resource.unknown", "nothing says what is touched: give argument …, or `resource`"
)
RESOURCE_UNKNOWN_REFUSED = RefusedCode(
    RESOURCE_UNKNOWN.id, "argument … must name what is touched, as text or integer"
)

UPSTREAM_LISTING = UnavailableCode("upstream.listing", "… has more than … pages", port="upstream")
UPSTREAM_SECRET_MISSING = UnavailableCode(
    "upstream.secret_missing", "secret reference … cannot be resolved", port="upstream"
)
UPSTREAM_UNKNOWN = UnavailableCode("upstream.unknown", "server … is not connected", port="upstream")
UPSTREAM_UNKNOWN_REFUSED = RefusedCode(UPSTREAM_UNKNOWN.id, "server … does not offer … right now")
UPSTREAM_USER = UnavailableCode(
    "upstream.user", "account … …: no server is started under it", port="upstream"
)
