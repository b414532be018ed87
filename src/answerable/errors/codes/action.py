"""Error codes of one action: its arguments, its resource, and its prepared object."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, DecisionCode, MalformedCode, RefusedCode, UnavailableCode

ACTION_METHOD = BrokenCode("action.method", "a frozen action is not one that this upstream can perform")
ACTION_NAME_INVALID = MalformedCode("action.name_invalid", "the name of a … must have 1 to … characters")
ACTION_TARGET_INVALID = MalformedCode("action.target_invalid", "target must have 1 to … characters")
ACTION_TRANSITION = BrokenCode("action.transition", "an action cannot change from state … to …")

ARGUMENTS_INVALID = RefusedCode("arguments.invalid", "arguments do not match the tool's schema: …")
ARGUMENTS_NOT_OBJECT = MalformedCode("arguments.not_object", "arguments must be a JSON object")
ARGUMENTS_RESERVED_MEMBER = MalformedCode("arguments.reserved_member", "member name … is reserved")
ARGUMENTS_TOKEN = RefusedCode(
    "arguments.token",
    "the arguments hold what looks like a credential (…): leave it out, tools get theirs from the gateway",
)
ARGUMENTS_UNMAPPABLE = DecisionCode("arguments.unmappable", "argument … cannot be mapped: …")

PLAN_DIFFERS = BrokenCode(
    "plan.differs",
    "a kept plan differs from one made anew in …: all plans were dropped, and nothing was done",
    effect="none",
)
PREPARED_ALTERED = MalformedCode(
    "prepared.altered",
    "part of the prepared object is hidden from the agent, and such an object cannot be executed",
)
PREPARED_ALTERED_REFUSED = RefusedCode(
    PREPARED_ALTERED.id,
    "policy would change the prepared object, which can only be executed unchanged: prepare what is allowed",
)
PREPARED_ARGUMENTS = RefusedCode("prepared.arguments", "… takes only …, the digest of the prepared object")
PREPARED_CHANGED = RefusedCode("prepared.changed", "since the object was prepared, … changed: prepare again")
PREPARED_DIGEST = RefusedCode(
    "prepared.digest",
    "… must be the digest from the answer of …, `…` and 64 hexadecimal digits, not the "
    "prepared object itself",
)
PREPARED_DUPLICATE = MalformedCode("prepared.duplicate", "an object of this id is kept already")
PREPARED_EXECUTED = MalformedCode("prepared.executed", "the entry does not contain what was prepared")
PREPARED_EXPIRED = RefusedCode("prepared.expired", "the prepared object has expired: prepare again")
PREPARED_MALFORMED = MalformedCode("prepared.malformed", "it is of another id")
PREPARED_NONE = MalformedCode(
    "prepared.none", "the tool answered neither with `structuredContent` nor with one text"
)
PREPARED_OTHER_MANDATE = RefusedCode(
    "prepared.other_mandate", "the object was prepared under another mandate: prepare again under this one"
)
PREPARED_TOKEN = MalformedCode(
    "prepared.token",
    "the prepared object has what looks like a credential (…), and would be stored and shown",
)
PREPARED_TOO_LARGE = MalformedCode(
    "prepared.too_large", "the prepared object has … bytes, expected at most …: prepare less at once"
)
PREPARED_TOO_MANY = RefusedCode(
    "prepared.too_many",
    "… prepared objects of this agent wait to be executed, which is the limit: execute them, or wait "
    "until they expire",
)
PREPARED_UNKNOWN = RefusedCode(
    "prepared.unknown", "this agent prepared no object of this digest with …: prepare it first"
)
PREPARED_USED = RefusedCode(
    "prepared.used", "the prepared object was just used or has just expired: prepare again"
)

PREVIEW_DEFERRED = RefusedCode(
    "preview.deferred", "this preview would need an approval itself: it is not run"
)
PREVIEW_NONE = RefusedCode("preview.none", "the server does not declare … as read-only (`readOnlyHint`)")

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
    "resource.unknown", "the resource is unknown: give argument …, or `resource`"
)
RESOURCE_UNKNOWN_REFUSED = RefusedCode(
    RESOURCE_UNKNOWN.id, "argument … must name the resource, as text or integer"
)

UPSTREAM_LISTING = UnavailableCode("upstream.listing", "… has more than … pages", port="upstream")
UPSTREAM_SECRET_MISSING = UnavailableCode(
    "upstream.secret_missing", "secret reference … cannot be resolved", port="upstream"
)
UPSTREAM_UNKNOWN = UnavailableCode("upstream.unknown", "server … is not connected", port="upstream")
UPSTREAM_UNKNOWN_REFUSED = RefusedCode(UPSTREAM_UNKNOWN.id, "server … does not offer … right now")
UPSTREAM_USER = UnavailableCode("upstream.user", "account … …: nothing is started under it", port="upstream")
