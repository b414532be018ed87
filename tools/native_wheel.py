"""A hook of hatchling, in the copy that `./dev native` compiles: its wheel holds what was compiled, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeWheel(BuildHookInterface[Any]):
    """Names the Python and the kind of machine in the tag."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """As hatchling asks for it."""
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"] = ["*.so"]
        shared = Path(self.root, "src").glob("*.so")
        build_data["force_include"] = {str(one): one.name for one in shared}
