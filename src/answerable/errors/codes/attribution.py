"""Error codes of attributing the lines of targets' logs."""

from __future__ import annotations

from answerable.errors.code import MalformedCode

ATTRIBUTE_FORM = MalformedCode("attribute.form", "no line of … is of a log of kind …: …")
ATTRIBUTE_OUTPUT = MalformedCode("attribute.output", "give either --json or --csv")
ATTRIBUTE_PREFIX = MalformedCode("attribute.prefix", "the prefix …")
ATTRIBUTE_TARGET = MalformedCode("attribute.target", "no recorded step is at target …: there are steps at …")
ATTRIBUTE_ZONE = MalformedCode("attribute.zone", "… is not a time zone: give an offset such as `+01:00`")
