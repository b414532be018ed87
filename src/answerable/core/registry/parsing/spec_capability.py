"""Parse the spec of a Capability document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, get_args

from answerable.core.registry.documents.capability import (
    ACTION_KINDS,
    GOVERNED_METHODS,
    ArgumentMapping,
    ArgumentType,
    Capability,
    ResourceMapping,
    Sensitivity,
    SubjectMapping,
)
from answerable.core.registry.documents.fields import matching
from answerable.core.registry.documents.pointing import POINTER, word_fault
from answerable.core.registry.documents.public_name import checked_plain_target, checked_uri_template
from answerable.core.registry.parsing.spec_destination import destination_in
from answerable.core.registry.parsing.spec_execute import execute_in
from answerable.core.registry.parsing.spec_lease import lease_template_in
from answerable.core.registry.parsing.spec_preview import preview_in
from answerable.core.registry.parsing.spec_shared import ARGUMENT_NAME, name_of, ownership_in
from answerable.core.registry.parsing.spec_spending import SPENDING_KEYS, spending_in
from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import DOCUMENT_DUPLICATE
from answerable.errors.codes.registry import (
    CAPABILITY_DEFINITION,
    CAPABILITY_NAME,
    CAPABILITY_POINTER,
    CAPABILITY_RESOURCE,
    CAPABILITY_SUBJECT,
    CAPABILITY_UNHINTED,
)

if TYPE_CHECKING:
    from answerable.core.registry.documents.fields import Fields

CAPABILITY_KEYS: Final = (
    "server", "method", "target", "kind", "environment", "tier", "sensitivity", "resource", "arguments",
    "openMembers", "reversible", "title", "subject", "destination", "credentials", "definition", "unhinted", "lease",
    "preview", "executes", *SPENDING_KEYS, "ownership",
)  # fmt: skip
RESOURCE_KEYS: Final = ("type", "argument", "fixed")
SUBJECT_KEYS: Final = ("type", "argument")
ARGUMENT_KEYS: Final = ("name", "type", "required", "pointer")
UNHINTED_CHOICES: Final = ("accepted",)
CREDENTIALS_KEYS: Final = ("arguments", "answers")

_ENTITY_TYPE: Final = re.compile(r"[A-Z][A-Za-z0-9_]{0,62}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_ENTITY_TYPES_TAKEN: Final = frozenset({"Action", "Agent", "Principal", "UseCase"})


def capability_in(spec: Fields, name: str) -> Capability:
    """Read the spec. Records faults, and never raises."""
    method = spec.choice("method", GOVERNED_METHODS, default="tools/call")
    target, variables = _target(spec, method)
    if name in ACTION_KINDS:
        message = (
            f"{shown(name)} is the name of a kind of action: choose a name that policies can distinguish"
        )
        spec.fault(message, code=CAPABILITY_NAME.id)
    sensitivities: tuple[Sensitivity, ...] = get_args(Sensitivity)
    arguments = _arguments(spec, method)
    credentials = spec.section("credentials", CREDENTIALS_KEYS) if spec.has("credentials") else None
    credential_arguments = (
        credentials.texts("arguments", check=matching(ARGUMENT_NAME, "an argument name"))
        if credentials is not None
        else ()
    )
    return Capability(
        name=name,
        server=spec.text("server", check=name_of("server")),
        method=method,
        target=target,
        kind=spec.choice("kind", ACTION_KINDS),
        environment=spec.text("environment", check=name_of("environment")),
        tier=spec.integer("tier", minimum=0, maximum=3),
        sensitivity=spec.choice("sensitivity", sensitivities),
        resource=_resource(spec, method, variables),
        arguments=arguments,
        open_members=spec.texts("openMembers", check=matching(ARGUMENT_NAME, "an argument name")),
        reversible=spec.flag("reversible", default=False),
        title=spec.text("title", default=""),
        subject=_subject(spec, method, variables),
        destination=destination_in(spec, method, variables),
        ownership=ownership_in(spec),
        spending=spending_in(spec, arguments),
        credential_arguments=credential_arguments,
        definition=_definition(spec, method),
        unhinted_accepted=_unhinted_accepted(spec, method),
        lease=lease_template_in(spec, arguments),
        preview=preview_in(spec, method),
        executes=execute_in(spec, method, credential_arguments),
        credential_answers=credentials is not None and credentials.flag("answers", default=False),
    )


def _target(spec: Fields, method: str) -> tuple[str, tuple[str, ...]]:
    """Return the target, and the variables of its URI template."""
    target = spec.text("target")
    if not target:
        return "", ()
    try:
        if method in ("tools/call", "prompts/get") or "://" not in target:
            checked_plain_target(target, what="target")
            return target, ()
        return target, checked_uri_template(target, what="target")
    except Malformed as error:
        spec.fault(error.message, "target", code=error.code)
        return "", ()


def _definition(spec: Fields, method: str) -> str:
    digest = spec.text(
        "definition", default="", check=matching(_DIGEST, "`sha256:` and 64 hexadecimal digits")
    )
    if digest and method != "tools/call":
        spec.fault(
            "only tools have a definition that can be pinned", "definition", code=CAPABILITY_DEFINITION.id
        )
    return digest.removeprefix("sha256:")


def _unhinted_accepted(spec: Fields, method: str) -> bool:
    """Whether the owner accepts that hints are omitted. It takes an explicit word, so that it is never set by
    accident."""
    if not spec.has("unhinted"):
        return False
    if method != "tools/call":
        spec.fault("only tools have hints that can be left out", "unhinted", code=CAPABILITY_UNHINTED.id)
    return spec.choice("unhinted", UNHINTED_CHOICES) == "accepted"


def _resource(spec: Fields, method: str, variables: tuple[str, ...]) -> ResourceMapping:
    resource = spec.section("resource", RESOURCE_KEYS)
    entity = resource.text(
        "type", check=matching(_ENTITY_TYPE, "an entity type: a capital letter, then letters, digits and _")
    )
    if entity in _ENTITY_TYPES_TAKEN:
        resource.fault(
            f"type {shown(entity)} is reserved by the product", "type", code=CAPABILITY_RESOURCE.id
        )
    argument = resource.text("argument", default="", check=matching(ARGUMENT_NAME, "an argument name"))
    fixed = resource.text("fixed", default="")
    if resource.has("argument") and resource.has("fixed"):
        resource.fault("a resource has either an `argument` or a `fixed` id", code=CAPABILITY_RESOURCE.id)
    if not resource.has("argument") and not resource.has("fixed") and spec.has("resource"):
        resource.fault("a resource needs an `argument` or a `fixed` id", code=CAPABILITY_RESOURCE.id)
    _check_variable(resource, argument, method, variables, code=CAPABILITY_RESOURCE.id)
    return ResourceMapping(type=entity, argument=argument, fixed=fixed)


def _subject(spec: Fields, method: str, variables: tuple[str, ...]) -> SubjectMapping:
    """Read whose personal data the action is about, which selects the ledger's encryption key."""
    if not spec.has("subject"):
        return SubjectMapping()
    subject = spec.section("subject", SUBJECT_KEYS)
    entity = subject.text(
        "type", check=matching(_ENTITY_TYPE, "an entity type: a capital letter, then letters, digits and _")
    )
    argument = subject.text("argument", check=matching(ARGUMENT_NAME, "an argument name"))
    _check_variable(subject, argument, method, variables, code=CAPABILITY_SUBJECT.id)
    return SubjectMapping(type=entity, argument=argument)


def _check_variable(
    section: Fields, argument: str, method: str, variables: tuple[str, ...], *, code: str
) -> None:
    """Check that the argument is a variable of the URI, since `resources/read` has no other arguments."""
    if argument and method == "resources/read" and argument not in variables:
        have = f"; known here: {', '.join(variables)}" if variables else ""
        section.fault(f"the target has no variable {shown(argument)}{have}", "argument", code=code)


def _arguments(spec: Fields, method: str) -> tuple[ArgumentMapping, ...]:
    types: tuple[ArgumentType, ...] = get_args(ArgumentType)
    found: list[ArgumentMapping] = []
    for item in spec.sections("arguments", ARGUMENT_KEYS):
        name = item.text("name", check=matching(ARGUMENT_NAME, "an argument name"))
        if name and any(name == earlier.name for earlier in found):
            item.fault(f"argument {shown(name)} is mapped twice", "name", code=DOCUMENT_DUPLICATE.id)
        found.append(
            ArgumentMapping(
                name=name,
                type=item.choice("type", types),
                required=item.flag("required", default=False),
                pointer=_pointer(item, method),
            )
        )
    return tuple(found)


def _pointer(item: Fields, method: str) -> str:
    pointer = item.text(
        "pointer", default="", check=matching(POINTER, "a JSON pointer such as `/payment/amount`")
    )
    if pointer and method == "resources/read":
        item.fault(
            "a resource that is read may have only the variables of its URI as arguments",
            "pointer",
            code=CAPABILITY_POINTER.id,
        )
    if fault := word_fault(pointer):
        item.fault(fault, "pointer", code=CAPABILITY_POINTER.id)
    return pointer
