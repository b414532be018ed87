"""Whether a language model that an agent asks is the one that it is made of, as its manifest says.

Laws: a manifest that names no model allows none; a name is compared as it is written, and never by how it begins, but
for a date at its end, which says a version; a manifest that says a version is not met by a name without one, for such
names move; what cannot be told is refused.
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
    """Raises Refused: `model.unstated` where no manifest says which model the agent is made of, `model.other` where it
    is another one."""
    if manifest is None or not manifest.model_name:
        raise MODEL_UNSTATED()
    if model not in _names(manifest) and not _is_dated_name(manifest, model):
        version = f" {manifest.model_version}" if manifest.model_version else ""
        raise MODEL_OTHER(
            f"the agent asks the model {shown(model)}, and its manifest says that it is made of "
            f"{shown(manifest.model_name + version)}"
        )


def _names(manifest: Manifest) -> tuple[str, ...]:
    """What a provider may call it."""
    name, version = manifest.model_name, manifest.model_version
    return (f"{name}-{version}", f"{name}@{version}") if version else (name,)


def _is_dated_name(manifest: Manifest, model: str) -> bool:
    """Whether it is some dated version of a model of which the manifest says no version."""
    found = _DATED.fullmatch(model)
    return found is not None and not manifest.model_version and found[1] == manifest.model_name
