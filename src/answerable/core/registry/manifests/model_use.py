"""Check that a language model that an agent calls is the model in its manifest.

Laws: a manifest that names no model allows none; names are compared exactly, never by prefix, except for a date suffix,
which is a version; a manifest with a version is not satisfied by a name without one, since providers redirect such
names; an undecidable case is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.registry import MODEL_OTHER, MODEL_UNSTATED

if TYPE_CHECKING:
    from answerable.core.registry.manifests.manifest import Manifest

_DATED: Final = re.compile(r"(.+?)[-@](20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2})")


def check_model(manifest: Manifest | None, model: str) -> None:
    """Check the model. Raises Refused: `model.unstated` if no manifest states the agent's model, `model.other` for
    another model."""
    if manifest is None or not manifest.model_name:
        raise MODEL_UNSTATED()
    if model not in _names(manifest) and not _is_dated_name(manifest, model):
        version = f" {manifest.model_version}" if manifest.model_version else ""
        raise MODEL_OTHER(
            f"the agent uses model {shown(model)}, and its manifest states model "
            f"{shown(manifest.model_name + version)}"
        )


def _names(manifest: Manifest) -> tuple[str, ...]:
    """Return the names that a provider may use for the manifest's model."""
    name, version = manifest.model_name, manifest.model_version
    return (f"{name}-{version}", f"{name}@{version}") if version else (name,)


def _is_dated_name(manifest: Manifest, model: str) -> bool:
    """Whether the name is a dated version of a model for which the manifest states no version."""
    found = _DATED.fullmatch(model)
    return found is not None and not manifest.model_version and found[1] == manifest.model_name
