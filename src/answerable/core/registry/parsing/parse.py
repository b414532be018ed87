"""Parse plain JSON documents (`apiVersion`, `kind`, `metadata`, `spec`) into the registered nouns.

Laws: one pass finds every fault of every document; an unknown field is a fault; a document with a fault of shape makes
no noun; names are unique within a kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from answerable.core.canonical import encode_ledger, parse
from answerable.core.identity.names.principal import PrincipalId, checked_name
from answerable.core.registry.documents.capability import Capability
from answerable.core.registry.documents.contacts import CONTACT_KEYS, contacts_in
from answerable.core.registry.documents.documents import (
    Agent,
    Application,
    MandateTemplate,
    PolicySetDocument,
    Principal,
    Schedule,
    Server,
    UseCase,
    Workflow,
)
from answerable.core.registry.documents.duty import Duty
from answerable.core.registry.documents.fields import Fault, Fields, matching, nearest, type_name
from answerable.core.registry.documents.stop_rule import StopRule
from answerable.core.registry.parsing.spec_agent import AGENT_KEYS, agent_in
from answerable.core.registry.parsing.spec_capability import CAPABILITY_KEYS, capability_in
from answerable.core.registry.parsing.spec_duty import DUTY_KEYS, duty_in
from answerable.core.registry.parsing.spec_issuer import (
    APPLICATION_KEYS,
    SCHEDULE_KEYS,
    application_in,
    oidc_in,
    schedule_in,
)
from answerable.core.registry.parsing.spec_policy_set import POLICY_SET_KEYS, policy_set_in
from answerable.core.registry.parsing.spec_shared import keys_in, name_of, ownership_in, without_nul
from answerable.core.registry.parsing.spec_stop_rule import STOP_RULE_KEYS, stop_rule_in
from answerable.core.registry.parsing.spec_template import TEMPLATE_KEYS, template_in
from answerable.core.registry.parsing.spec_workflow import WORKFLOW_KEYS, workflow_in
from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import (
    DOCUMENT_API_VERSION,
    DOCUMENT_COUNT,
    DOCUMENT_DECLARED_TWICE,
    DOCUMENT_KIND,
    DOCUMENT_PATTERN,
    DOCUMENT_TYPE,
    DOCUMENT_UNNAMED,
)
from answerable.errors.codes.registry import SERVER_SECRET_VALUE, SERVER_TRANSPORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue

API_VERSION: Final = "answerable/v1"
DOCUMENTS_MAX: Final = 5000
REMEMBERED_BYTES_MAX: Final = 16_384
"""Size of a document whose noun is remembered."""

Kind = Literal[
    "Principal",
    "UseCase",
    "Agent",
    "Server",
    "Capability",
    "MandateTemplate",
    "Application",
    "Schedule",
    "PolicySet",
    "StopRule",
    "Workflow",
    "Duty",
]
Noun: TypeAlias = (
    Principal
    | UseCase
    | Agent
    | Server
    | Capability
    | MandateTemplate
    | Application
    | Schedule
    | PolicySetDocument
    | StopRule
    | Workflow
    | Duty
)

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

TOP_KEYS: Final = ("apiVersion", "kind", "metadata", "spec")
SPEC_KEYS: Final[dict[Kind, tuple[str, ...]]] = {
    "Principal": ("displayName", "groups", "keys", "oidc", "capabilities", "status", *CONTACT_KEYS),
    "UseCase": ("purpose", "issuers", "ownership"),
    "Agent": AGENT_KEYS,
    "Server": ("command", "args", "env", "cwd", "url", "target", "callSecondsMax", "vendor", "tenant"),
    "Capability": CAPABILITY_KEYS,
    "MandateTemplate": TEMPLATE_KEYS,
    "Application": APPLICATION_KEYS,
    "Schedule": SCHEDULE_KEYS,
    "PolicySet": POLICY_SET_KEYS,
    "StopRule": STOP_RULE_KEYS,
    "Workflow": WORKFLOW_KEYS,
    "Duty": DUTY_KEYS,
}

_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HTTP_URL: Final = re.compile(
    r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?:/[!-\"$-~]*)?"
)
_SECRET_WORD: Final = re.compile(
    r"(?:.*_)?(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|PRIVATE_?KEY|CREDENTIALS?)(?:_.*)?"
)
_PLACE_WORD: Final = re.compile(r".*_(?:FILE|PATH|DIR|URL|NAME|ID)")
_REFERENCE: Final = re.compile(r"(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """One noun and its document. document: index in the sequence given."""

    document: int
    kind: Kind
    name: str
    noun: Noun


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The result of parsing each document by itself. declared: `(kind, name)` of all, readable or not."""

    nouns: tuple[Registered, ...]
    declared: frozenset[tuple[Kind, str]]
    faults: tuple[Fault, ...]


def shapes_of(documents: Sequence[JSONValue]) -> Shapes:
    """Parse each document by itself. Never raises: the result contains the faults, in the order of the documents."""
    faults: list[Fault] = []
    if len(documents) > DOCUMENTS_MAX:
        message = f"expected at most {DOCUMENTS_MAX} documents, got {len(documents)}"
        fault = Fault(document=DOCUMENTS_MAX, path="", code=DOCUMENT_COUNT.id, message=message)
        return Shapes(nouns=(), declared=frozenset(), faults=(fault,))
    nouns: list[Registered] = []
    declared: set[tuple[Kind, str]] = set()
    for index, document in enumerate(documents):
        before = len(faults)
        found = _read(document, index, faults)
        if found is None:
            continue
        if (found.kind, found.name) in declared:
            message = f"{found.kind} {shown(found.name)} is declared twice"
            faults.append(
                Fault(document=index, path="/metadata/name", code=DOCUMENT_DECLARED_TWICE.id, message=message)
            )
        elif found.name:
            declared.add((found.kind, found.name))
        if len(faults) == before:
            nouns.append(found)
    return Shapes(nouns=tuple(nouns), declared=frozenset(declared), faults=tuple(faults))


def document_key(document: JSONValue) -> str:
    """Return `kind/name`, the key under which a document is stored. Raises Malformed (`document.unnamed`)."""
    match document:
        case {"kind": str(kind), "metadata": {"name": str(name)}}:
            return f"{kind}/{name}"
    raise DOCUMENT_UNNAMED()


def _read(document: JSONValue, index: int, faults: list[Fault]) -> Registered | None:
    """Read a document. A document without a fault that was read before is not read again."""
    try:
        # Not `encode`: a number with a fraction has the form of an integer, and is a fault.
        text = encode_ledger(document)
    except Malformed:
        return _read_anew(document, index, faults)
    sound = _sound(text) if len(text) <= REMEMBERED_BYTES_MAX else None
    if sound is None:
        return _read_anew(document, index, faults)
    return Registered(document=index, kind=sound.kind, name=sound.name, noun=sound.noun)


@lru_cache(maxsize=DOCUMENTS_MAX)
def _sound(text: bytes) -> Registered | None:
    """Read a canonical document. Return None if it has a fault."""
    faults: list[Fault] = []
    found = _read_anew(parse(text), 0, faults)
    return None if faults else found


def _read_anew(document: JSONValue, index: int, faults: list[Fault]) -> Registered | None:
    top = Fields(document, known=TOP_KEYS, document=index, path="", faults=faults)
    if not isinstance(document, dict):
        return None
    if (version := top.text("apiVersion")) and version != API_VERSION:
        top.fault(
            f"expected `{API_VERSION}`, got {shown(version)}", "apiVersion", code=DOCUMENT_API_VERSION.id
        )
    metadata = top.section("metadata", ("name",))
    written = document.get("kind")
    if written not in KINDS:
        hint = nearest(written, KINDS) if isinstance(written, str) else f"; known here: {', '.join(KINDS)}"
        got = shown(written) if isinstance(written, str) else type_name(written)
        top.fault(f"kind {got} is not known{hint}", "kind", code=DOCUMENT_KIND.id)
        return None
    kind: Kind = written
    name = metadata.text("name", check=lambda text: checked_name(text, what=kind))
    spec = top.section("spec", SPEC_KEYS[kind])
    return Registered(document=index, kind=kind, name=name, noun=_READERS[kind](spec, name))


def _principal(spec: Fields, name: str) -> Principal:
    statuses: tuple[Literal["active", "disabled"], ...] = ("active", "disabled")
    return Principal(
        name=PrincipalId(name),
        display_name=spec.text("displayName", default=name),
        groups=spec.texts("groups", check=name_of("group")),
        keys=keys_in(spec),
        status=spec.choice("status", statuses, default="active"),
        oidc=oidc_in(spec),
        capabilities=spec.texts("capabilities", check=name_of("capability")),
        contacts=contacts_in(spec),
    )


def _use_case(spec: Fields, name: str) -> UseCase:
    return UseCase(
        name=name,
        purpose=spec.text("purpose"),
        issuers=spec.texts("issuers", check=name_of("group")),
        ownership=ownership_in(spec),
    )


def _server(spec: Fields, name: str) -> Server:
    if [spec.has(one) for one in ("command", "url", "target")].count(True) != 1:
        spec.fault("a server has a `command`, a `url` or a `target` of the broker", code=SERVER_TRANSPORT.id)
    for key in ("args", "env", "cwd"):
        if not spec.has("command") and (spec.has("url") or spec.has("target")) and spec.has(key):
            spec.fault(f"`{key}` needs `command`", key, code=SERVER_TRANSPORT.id)
    env: list[tuple[str, str]] = []
    for key, value in spec.pairs("env"):
        if not _VARIABLE_NAME.fullmatch(key):
            spec.fault(
                f"{shown(key)} is not a name of an environment variable", "env", key, code=DOCUMENT_PATTERN.id
            )
        elif not isinstance(value, str) or "\x00" in value:
            spec.fault(f"expected text, got {type_name(value)}; quote it", "env", key, code=DOCUMENT_TYPE.id)
        elif _names_secret(key) and not _REFERENCE.fullmatch(value):
            hint = "give it as `env:NAME` or `file:PATH`, never as the value itself"
            spec.fault(f"{shown(key)} looks like a secret: {hint}", "env", key, code=SERVER_SECRET_VALUE.id)
        else:
            env.append((key, value))
    return Server(
        name=name,
        command=spec.text("command", default="", chars_max=4096, check=without_nul),
        args=spec.texts("args", unique=False, empty=True, check=without_nul),
        env=tuple(env),
        cwd=spec.text("cwd", default="", chars_max=4096, check=without_nul),
        url=spec.text(
            "url",
            default="",
            chars_max=2048,
            check=matching(_HTTP_URL, "an http or https URL without user or fragment"),
        ),
        target=spec.text("target", default="", check=name_of("target")),
        call_seconds_max=spec.integer("callSecondsMax", minimum=1, maximum=3600, default=60),
        vendor=spec.text("vendor", default="", check=name_of("vendor")),
        tenant=spec.text("tenant", default="", check=name_of("tenant")),
    )


def _names_secret(variable: str) -> bool:
    """Whether a variable's name indicates that its value is a secret, and not merely the location of one."""
    upper = variable.upper()
    return _SECRET_WORD.fullmatch(upper) is not None and _PLACE_WORD.fullmatch(upper) is None


_READERS: Final[dict[Kind, Callable[[Fields, str], Noun]]] = {
    "Principal": _principal,
    "UseCase": _use_case,
    "Agent": agent_in,
    "Server": _server,
    "Capability": capability_in,
    "MandateTemplate": template_in,
    "Application": application_in,
    "Schedule": schedule_in,
    "PolicySet": policy_set_in,
    "StopRule": stop_rule_in,
    "Workflow": workflow_in,
    "Duty": duty_in,
}
