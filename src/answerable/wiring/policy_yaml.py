"""Write a policy set's document as YAML that is readable and that every parser reads the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from answerable.adapters.registry_files import read_text
from answerable.errors.codes.policy import POLICY_COMPILED

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue


class _Dumper(yaml.SafeDumper):
    """Writes multi-line texts as blocks and all others in quotes, so that no text is read as another type."""

    def ignore_aliases(self, data: object) -> bool:
        """Repeat values instead of using aliases."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else '"')


def _key_plain(dumper: yaml.SafeDumper, members: dict[str, JSONValue]) -> yaml.MappingNode:
    node = dumper.represent_mapping("tag:yaml.org,2002:map", members, flow_style=False)
    for key, _ in node.value:
        key.style = None
    return node


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _key_plain)


def document_text(document: dict[str, JSONValue]) -> str:
    """Return the document as YAML that can be applied. Raises Broken (`policy.compiled`) if it would be read
    differently."""
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    read = read_text(text, file="compiled", directory=Path())
    if read.faults or read.documents != (document,):
        raise POLICY_COMPILED()
    return text
