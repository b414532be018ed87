"""Which declared codes a module names."""

from __future__ import annotations

import re
from pathlib import Path

from reference import declared_codes


def named_codes(*modules: Path) -> set[str]:
    words = {word for module in modules for word in re.findall(r"\w+", module.read_text(encoding="utf-8"))}
    return {code.id for _, name, code in declared_codes() if name in words}
