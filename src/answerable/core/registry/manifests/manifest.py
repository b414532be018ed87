"""Agent manifests: what an agent is made of, as its owner states it: model, prompt, tools, framework, code, image,
environment, tier.

Laws: a manifest has one canonical form and so one digest; a digest is `sha256:` and 64 hex digits or is omitted; an
unknown field is a fault; nothing can match a field that the manifest omits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import AgentId, agent_id, checked_name
from answerable.core.registry.documents.fields import Fault, Fields
from answerable.errors import shown
from answerable.errors.codes.documents import DOCUMENT_API_VERSION, DOCUMENT_KIND
from answerable.errors.codes.registry import (
    MANIFEST_DIGEST,
    MANIFEST_MALFORMED,
    MANIFEST_TEXT,
    MANIFEST_VERSION,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

ManifestField = Literal[
    "model_name",
    "model_version",
    "prompt_digest",
    "tools_digest",
    "framework_name",
    "framework_version",
    "code_digest",
    "image_digest",
    "executable_digest",
    "environment",
    "tier",
]
MANIFEST_FIELDS: Final[tuple[ManifestField, ...]] = get_args(ManifestField)
DIGEST_FIELDS: Final[frozenset[ManifestField]] = frozenset(
    {"prompt_digest", "tools_digest", "code_digest", "image_digest", "executable_digest"}
)
MADE_OF_FIELDS: Final[tuple[ManifestField, ...]] = tuple(
    name for name in MANIFEST_FIELDS if name not in ("environment", "tier")
)
"""Fields about what a running agent is made of, which can be measured. Environment and tier are excluded: they are
compared with the registry."""

MANIFEST_KIND: Final = "AgentManifest"
API_VERSION: Final = "answerable/v1"
FORM_VERSION: Final = 1
"""Version of the canonical form; it increases with every change of what is hashed."""
TEXT_CHARS_MAX: Final = 128
TIER_MAX: Final = 3

_TOP_KEYS: Final = ("apiVersion", "kind", "metadata", "spec")
_SPEC_KEYS: Final = (
    "model",
    "promptDigest",
    "toolsDigest",
    "framework",
    "codeDigest",
    "imageDigest",
    "executableDigest",
    "environment",
    "tier",
)
_NAME_KEYS: Final = ("name", "version")
_ADDED_FIELDS: Final[frozenset[ManifestField]] = frozenset({"executable_digest"})
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest, made by `manifest_in` or `manifest_of`; validated on construction. An empty text means that the
    manifest omits the field.

    tier: 0 (no risk) to 3 (critical). Raises Malformed (`name.invalid`, `manifest.malformed`).
    """

    agent: AgentId
    model_name: str = ""
    model_version: str = ""
    prompt_digest: str = ""
    tools_digest: str = ""
    framework_name: str = ""
    framework_version: str = ""
    code_digest: str = ""
    image_digest: str = ""
    executable_digest: str = ""
    environment: str
    tier: int

    def __post_init__(self) -> None:
        agent_id(self.agent)
        checked_name(self.environment, what="environment")
        for name in ("model_name", "model_version", "framework_name", "framework_version"):
            if text := getattr(self, name):
                checked_text(text)
        for name in sorted(DIGEST_FIELDS):
            if text := getattr(self, name):
                checked_digest(text)
        for name, version in (("model_name", "model_version"), ("framework_name", "framework_version")):
            if getattr(self, version) and not getattr(self, name):
                raise MANIFEST_MALFORMED(f"`{version}` needs `{name}`")
        if type(self.tier) is not int or not 0 <= self.tier <= TIER_MAX:
            raise MANIFEST_MALFORMED(f"tier must be 0 to {TIER_MAX}, got {shown(self.tier)}")

    def said(self) -> dict[ManifestField, str]:
        """Return every field that the manifest states, as text, in the order of `MANIFEST_FIELDS`."""
        texts = {name: str(getattr(self, name)) for name in MANIFEST_FIELDS}
        return {name: text for name, text in texts.items() if text}


def checked_digest(text: str) -> str:
    """Return `text` if it is `sha256:` and 64 lower-case hex digits. Raises Malformed (`manifest.digest`)."""
    if not _DIGEST.fullmatch(text):
        raise MANIFEST_DIGEST(f"{shown(text)} is not `sha256:` and 64 lower-case hex digits")
    return text


def checked_text(text: str) -> str:
    """Return `text` if it is 1 to 128 printable characters without leading or trailing blanks.

    Raises Malformed (`manifest.text`).
    """
    if not 0 < len(text) <= TEXT_CHARS_MAX or not text.isprintable() or text != text.strip():
        raise MANIFEST_TEXT(
            f"{shown(text)} is not 1 to {TEXT_CHARS_MAX} printable characters without blanks at the ends"
        )
    return text


def form_of(manifest: Manifest) -> dict[str, JSONValue]:
    """Return the JSON object whose canonical encoding is hashed and signed; the inverse of `manifest_of`.

    All members are always present, except those of `_ADDED_FIELDS`, which are present only if they are stated: a
    manifest from before their introduction keeps its digest, and an older reader refuses a manifest that states them.
    """
    members: dict[str, JSONValue] = {"v": FORM_VERSION, "agent": manifest.agent}
    for name in MANIFEST_FIELDS:
        value = getattr(manifest, name)
        if value != "" or name not in _ADDED_FIELDS:
            members[name] = value
    return members


def manifest_digest(manifest: Manifest) -> str:
    """Return the SHA-256, hex, of the canonical JSON of `form_of`."""
    return sha256(encode(form_of(manifest))).hexdigest()


def manifest_of(form: JSONValue) -> Manifest:
    """Read the object that was signed. Raises Malformed (`manifest.*`, `name.invalid`)."""
    if not isinstance(form, dict):
        raise MANIFEST_MALFORMED("a manifest must be a JSON object")
    if type(form.get("v")) is not int or form["v"] != FORM_VERSION:
        raise MANIFEST_VERSION(f"expected a manifest of form {FORM_VERSION}, got {shown(form.get('v'), 40)}")
    expected = {"v", "agent", *MANIFEST_FIELDS}
    added = {name for name in _ADDED_FIELDS if name in form}
    if form.keys() != (expected - _ADDED_FIELDS) | added:
        odd = sorted(form.keys() ^ ((expected - _ADDED_FIELDS) | added))[0]
        what = "is unknown, so the manifest is refused" if odd in form else "is missing"
        raise MANIFEST_MALFORMED(f"manifest member {shown(odd, 40)} {what}")
    if silent := sorted(name for name in added if form[name] == ""):
        raise MANIFEST_MALFORMED(f"manifest member {shown(silent[0], 40)} is empty: leave it out")
    tier = form["tier"]
    if type(tier) is not int:
        raise MANIFEST_MALFORMED("manifest member `tier` must be an integer")
    return Manifest(
        agent=AgentId(_text(form, "agent")),
        model_name=_text(form, "model_name"),
        model_version=_text(form, "model_version"),
        prompt_digest=_text(form, "prompt_digest"),
        tools_digest=_text(form, "tools_digest"),
        framework_name=_text(form, "framework_name"),
        framework_version=_text(form, "framework_version"),
        code_digest=_text(form, "code_digest"),
        image_digest=_text(form, "image_digest"),
        executable_digest=_text(form, "executable_digest") if added else "",
        environment=_text(form, "environment"),
        tier=tier,
    )


def manifest_in(document: JSONValue) -> Manifest:
    """Read a document of kind AgentManifest, as people write it.

    Raises Malformed (`manifest.malformed` with every fault and its place).
    """
    faults: list[Fault] = []
    top = Fields(document, known=_TOP_KEYS, document=0, path="", faults=faults)
    if (version := top.text("apiVersion")) and version != API_VERSION:
        top.fault(
            f"expected `{API_VERSION}`, got {shown(version)}", "apiVersion", code=DOCUMENT_API_VERSION.id
        )
    if (kind := top.text("kind")) and kind != MANIFEST_KIND:
        top.fault(f"expected `{MANIFEST_KIND}`, got {shown(kind)}", "kind", code=DOCUMENT_KIND.id)
    name = top.section("metadata", ("name",)).text("name", check=agent_id)
    spec = top.section("spec", _SPEC_KEYS)
    model = spec.section("model", _NAME_KEYS, needed=False)
    framework = spec.section("framework", _NAME_KEYS, needed=False)
    read = {
        "model_name": _optional(model, "name", needed=model.has("version")),
        "model_version": _optional(model, "version"),
        "prompt_digest": _digest(spec, "promptDigest"),
        "tools_digest": _digest(spec, "toolsDigest"),
        "framework_name": _optional(framework, "name", needed=framework.has("version")),
        "framework_version": _optional(framework, "version"),
        "code_digest": _digest(spec, "codeDigest"),
        "image_digest": _digest(spec, "imageDigest"),
        "executable_digest": _digest(spec, "executableDigest"),
        "environment": spec.text("environment", check=lambda text: checked_name(text, what="environment")),
    }
    tier = spec.integer("tier", minimum=0, maximum=TIER_MAX)
    if faults:
        told = "; ".join(f"{fault.path or '/'}: {fault.message}" for fault in faults)
        raise MANIFEST_MALFORMED(f"the manifest is invalid: {told}")
    return Manifest(agent=AgentId(name), tier=tier, **read)


def manifest_document(manifest: Manifest) -> dict[str, JSONValue]:
    """Write the document of this manifest; the inverse of `manifest_in`. Omitted fields stay omitted."""
    spec: dict[str, JSONValue] = {}
    for key, name, version in (
        ("model", manifest.model_name, manifest.model_version),
        ("framework", manifest.framework_name, manifest.framework_version),
    ):
        if name:
            spec[key] = {"name": name, "version": version} if version else {"name": name}
    for key, digest in (
        ("promptDigest", manifest.prompt_digest),
        ("toolsDigest", manifest.tools_digest),
        ("codeDigest", manifest.code_digest),
        ("imageDigest", manifest.image_digest),
        ("executableDigest", manifest.executable_digest),
    ):
        if digest:
            spec[key] = digest
    spec |= {"environment": manifest.environment, "tier": manifest.tier}
    return {
        "apiVersion": API_VERSION,
        "kind": MANIFEST_KIND,
        "metadata": {"name": manifest.agent},
        "spec": spec,
    }


def _optional(fields: Fields, name: str, *, needed: bool = False) -> str:
    return fields.text(name, default=None if needed else "", chars_max=TEXT_CHARS_MAX, check=checked_text)


def _digest(fields: Fields, name: str) -> str:
    return fields.text(name, default="", check=checked_digest)


def _text(form: Mapping[str, JSONValue], name: str) -> str:
    value = form[name]
    if not isinstance(value, str):
        raise MANIFEST_MALFORMED(f"manifest member `{name}` must be text")
    return value
