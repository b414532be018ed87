"""Checks that what documents point at exists: relative links, their headings, and file paths in backticks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
CODE_BLOCK = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
ANCHOR = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")
SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
# A path in backticks that starts in one of our own folders and holds no placeholder.
NAMED_PATH = re.compile(
    r"`((?:src|tests|docs|tools|examples|benchmarks|environments|\.ci)/[\w./-]+)(?::\d+)?(?:::[\w\[\]-]+)*`"
)


def documents(root: Path = ROOT) -> list[Path]:
    """The documents of the project: Markdown at the top and in our folders, save what came with vectors."""
    found = [*root.glob("*.md")]
    for folder in ("docs", "tests", "examples", "benchmarks"):
        found += (root / folder).rglob("*.md")
    vectors = root / "tests/vectors"
    return sorted(path for path in found if vectors not in path.parents)


def slug(heading: str) -> str:
    """The fragment under which a heading is reached, as code hosts make it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def fragments(document: Path) -> set[str]:
    """Every fragment a link into this document may name; repeated headings get a number."""
    text = document.read_text(encoding="utf-8")
    seen: dict[str, int] = {}
    found = set(ANCHOR.findall(text))
    for heading in HEADING.findall(CODE_BLOCK.sub("", text)):
        name = slug(heading)
        count = seen.get(name, 0)
        seen[name] = count + 1
        found.add(name if count == 0 else f"{name}-{count}")
    return found


def _fault(root: Path, document: Path, target: str) -> str | None:
    path, _, fragment = target.partition("#")
    place = (document.parent / path).resolve() if path else document
    if not place.exists():
        return f"`{target}` does not exist"
    if root not in place.parents and place != root:
        return f"`{target}` lies outside the project"
    if fragment and place.suffix == ".md" and fragment not in fragments(place):
        return f"`{target}`: no such heading"
    return None


def faults_of(document: Path, root: Path = ROOT) -> list[str]:
    """What one document points at in vain, as lines `file: reason`."""
    text = document.read_text(encoding="utf-8")
    prose = CODE_BLOCK.sub("", text)
    name = document.relative_to(root)
    faults = [
        f"{name}: {fault}"
        for target in LINK.findall(re.sub(r"`[^`\n]*`", "", prose))
        if not SCHEME.match(target) and (fault := _fault(root, document, target))
    ]
    for path in NAMED_PATH.findall(prose):
        if not (root / path).exists():
            faults.append(f"{name}: `{path}` does not exist")
    return faults


def main() -> int:
    found = documents()
    faults = [fault for document in found for fault in faults_of(document)]
    for fault in faults:
        print(fault)
    print(f"{len(found)} documents, {len(faults)} broken links or paths")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
