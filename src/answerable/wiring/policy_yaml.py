"""A policy set's document as YAML that people can read and every reader takes for the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from answerable.adapters.registry_files import read_text
from answerable.errors.codes.policy import POLICY_COMPILED

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue


class _Dumper(yaml.SafeDumper):
    """Texts of many lines as blocks, all others in quotes, so that none is read as something else."""

    def ignore_aliases(self, data: object) -> bool:
        """What is said twice is written twice."""
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
    """The document as it can be applied. Raises Broken (`policy.compiled`) if it were read as another."""
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    read = read_text(text, file="compiled", directory=Path())
    if read.faults or read.documents != (document,):
        raise POLICY_COMPILED()
    return text
