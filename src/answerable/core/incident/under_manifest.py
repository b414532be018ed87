"""Find which actions ran under a given manifest, prompt or model, and how well each field was known.

Laws: a manifest's content is what its digest covers, whoever recorded it; for each field the entry of the action
determines how well it was known when the action began; an unrecorded grade is reported as unrecorded, never as
measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.registry.manifests.manifest import (
    MADE_OF_FIELDS,
    checked_digest,
    checked_text,
    manifest_digest,
    manifest_of,
)
from answerable.core.registry.manifests.manifest_token import stored_manifest
from answerable.errors import AnswerableError, Malformed, shown
from answerable.errors.codes.ledger import (
    TIMELINE_MANIFEST,
    TIMELINE_MODEL,
    TIMELINE_NOTHING,
    TIMELINE_PROMPT,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.manifests.manifest import Manifest

Standing = Literal["measured", "claimed", "differs", "unwritten"]
"""State of one field at one action: measured and equal to the manifest; measured by nobody; found to differ; or
unrecorded, because the entry is from before grades were recorded."""

_HEX_256: Final = re.compile(r"[0-9a-f]{64}")
_PREFIX: Final = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedManifest:
    """A search, made by `wanted_manifest`. Empty texts match everything; all others must match."""

    digest: str = ""
    prompt: str = ""
    model: str = ""
    version: str = ""

    def fits(self, digest: str, manifest: Manifest | None) -> bool:
        """Whether this manifest matches. manifest: None where its content is unknown; then it matches only by
        digest."""
        if self.digest and self.digest != digest:
            return False
        if manifest is None:
            return not (self.prompt or self.model)
        return (
            (not self.prompt or manifest.prompt_digest == self.prompt)
            and (not self.model or manifest.model_name == self.model)
            and (not self.version or manifest.model_version == self.version)
        )

    def told(self) -> str:
        """Return a human-readable description of the search."""
        model = f"{self.model}@{self.version}" if self.version else self.model
        asked = (("manifest", self.digest), ("prompt", self.prompt), ("model", model))
        return ", ".join(f"{what} {shown(value)}" for what, value in asked if value)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldThen:
    """One field of a manifest as it was known when an action began. says: what the manifest said. grade: who measured
    it; `claimed` for nobody, empty where unrecorded."""

    field: str
    says: str
    grade: str
    standing: Standing


def wanted_manifest(*, manifest: str = "", prompt: str = "", model: str = "") -> WantedManifest:
    """Parse a search. manifest: its digest, hex. prompt: digest, with `sha256:` or without. model: `NAME[@VERSION]`.

    Raises Malformed: `timeline.manifest`, `timeline.prompt`, `timeline.model`, `timeline.nothing`.
    """
    if manifest and not _HEX_256.fullmatch(manifest):
        raise TIMELINE_MANIFEST(
            f"{shown(manifest)} is not the digest of a manifest: expected 64 lower-case hex digits, "
            "as `answerable agent manifest show` prints them"
        )
    if prompt:
        text = prompt if prompt.startswith(_PREFIX) else f"{_PREFIX}{prompt}"
        try:
            prompt = checked_digest(text)
        except Malformed:
            raise TIMELINE_PROMPT(
                f"{shown(prompt)} is not the digest of a prompt: expected `sha256:` and 64 lower-case hex "
                "digits"
            ) from None
    name, at, version = model.partition("@")
    if model:
        try:
            checked_text(name)
            if at:
                checked_text(version)
        except Malformed:
            raise TIMELINE_MODEL(
                f"{shown(model)} is not a model: expected `NAME` or `NAME@VERSION`, such as "
                "`claude-sonnet-4-5@20250929`"
            ) from None
    if not (manifest or prompt or model):
        raise TIMELINE_NOTHING()
    return WantedManifest(digest=manifest, prompt=prompt, model=name, version=version)


def manifest_told(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue] | None) -> Manifest | None:
    """Return the manifest that an entry put into force, from its leaf, or from the token where an old leaf lacks it.
    None where neither can be read, or where its digest differs."""
    form, token = leaf.get("form"), (payload or {}).get("token")
    try:
        if form is not None:
            found = manifest_of(form)
        elif isinstance(token, str):
            found = stored_manifest(token).manifest
        else:
            return None
    except AnswerableError:
        return None
    return found if manifest_digest(found) == leaf.get("manifest") else None


def fields_then(
    manifest: Manifest, intent: Mapping[str, JSONValue], drift: Collection[str]
) -> tuple[FieldThen, ...]:
    """Return how well each field was known when an action began. intent: its leaf, or another leaf with the caller's
    identity.

    drift: fields in which its instance was known to differ at that time.
    """
    measured, whole = intent.get("manifest_fields"), intent.get("manifest_grade")
    grades = measured if isinstance(measured, dict) else {}
    # An old entry states only the worst grade among the matching fields, not which field had it; where that grade is a
    # claim, nothing was measured.
    unwritten = measured is None and whole != "claimed"
    found: list[FieldThen] = []
    for name, says in manifest.said().items():
        if name not in MADE_OF_FIELDS:
            continue
        grade = grades.get(name)
        if name in drift:
            found.append(FieldThen(field=name, says=says, grade="claimed", standing="differs"))
        elif isinstance(grade, str) and grade != "claimed":
            found.append(FieldThen(field=name, says=says, grade=grade, standing="measured"))
        elif unwritten:
            found.append(FieldThen(field=name, says=says, grade="", standing="unwritten"))
        else:
            found.append(FieldThen(field=name, says=says, grade="claimed", standing="claimed"))
    return tuple(found)
