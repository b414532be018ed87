"""Error codes of JSON, YAML, schemas, and the documents written in them."""

from __future__ import annotations

from answerable.errors.code import FindingCode, MalformedCode, UnavailableCode

DESTINATION_INVALID = MalformedCode("destination.invalid", "destination … …")
DESTINATION_UNKNOWN = MalformedCode("destination.unknown", "the destination is missing: expected it in …")

DOCUMENT_API_VERSION = FindingCode("document.api_version", "expected `…`, got …")
DOCUMENT_CHOICE = MalformedCode("document.choice", "… is not a day of the week…")
DOCUMENT_COUNT = FindingCode("document.count", "expected at most … documents, got …")
DOCUMENT_DATE = MalformedCode("document.date", "… is not a local time like `2026-12-24T18:00`")
DOCUMENT_DECLARED_TWICE = MalformedCode("document.declared_twice", "… is declared twice")
DOCUMENT_DUPLICATE = FindingCode("document.duplicate", "case … is written twice")
DOCUMENT_EMPTY = FindingCode("document.empty", "expected text, got an empty one")
DOCUMENT_KIND = FindingCode("document.kind", "expected `…`, got …")
DOCUMENT_MISSING = FindingCode("document.missing", "`cases` is missing")
DOCUMENT_PATTERN = MalformedCode("document.pattern", "… is not a group and a count, such as `finance:2`")
DOCUMENT_RANGE = FindingCode("document.range", "expected 0 to …")
DOCUMENT_SIZE = MalformedCode("document.size", "more than … bytes")
DOCUMENT_TIME = MalformedCode("document.time", "… is not a time like `2026-12-24T12:00:00Z`")
DOCUMENT_TYPE = FindingCode("document.type", "expected true or false")
DOCUMENT_UNKNOWN_KEY = FindingCode("document.unknown_key", "unknown key ……")
DOCUMENT_UNNAMED = MalformedCode("document.unnamed", "a document needs a kind and a metadata.name")

FILES_NOT_OWN = UnavailableCode("files.not_own", "……", port="files")

JSON_BYTE_ORDER_MARK = MalformedCode("json.byte_order_mark", "json text starts with a byte order mark")
JSON_DEPTH = MalformedCode("json.depth", "nested deeper than … levels: at …")
JSON_DUPLICATE_MEMBER = MalformedCode("json.duplicate_member", "member given twice: at …")
JSON_FLOAT = MalformedCode("json.float", "a ledger record holds no floats")
JSON_INTEGER_RANGE = MalformedCode("json.integer_range", "integer beyond 2**53 - 1: at …")
JSON_LIMITS = MalformedCode("json.limits", "parse limits out of range: … bytes, depth …")
JSON_NAME_TYPE = MalformedCode("json.name_type", "member name of type …, expected text: at …")
JSON_NODES = MalformedCode("json.nodes", "json value of more than … nodes")
JSON_NOT_CANONICAL = MalformedCode("json.not_canonical", "stored json is not in canonical form")
JSON_NOT_FINITE = MalformedCode("json.not_finite", "number is not finite: at …")
JSON_NUMBER_RANGE = MalformedCode("json.number_range", "number beyond what a double can hold")
JSON_SIZE = MalformedCode("json.size", "json text of … bytes, expected at most …")
JSON_SURROGATE = MalformedCode("json.surrogate", "mandate or reason has a lone surrogate")
JSON_SYNTAX = MalformedCode("json.syntax", "not json: ……")
JSON_TRAILING = MalformedCode("json.trailing", "something follows the json value…")
JSON_TYPE = MalformedCode("json.type", "its selectors are no list")
JSON_UTF8 = MalformedCode("json.utf8", "json text is not utf-8: at byte …")

NAME_INVALID = MalformedCode(
    "name.invalid", "… … is not a name: use 1 to 63 of a-z 0-9 . _ - with a letter or digit at both ends"
)

SCHEMA_DEPTH = MalformedCode("schema.depth", "an input schema is nested deeper than … levels")
SCHEMA_INVALID = MalformedCode("schema.invalid", "an input schema does not compile: …")
SCHEMA_MISSING = FindingCode(
    "schema.missing", "… is missing, from which editors and reviewers know what policies can use: …"
)
SCHEMA_NOT_OBJECT = MalformedCode("schema.not_object", "an input schema must be a JSON object")
SCHEMA_REFERENCE = MalformedCode("schema.reference", "an input schema contains another schema with an `$id`")
SCHEMA_REFERENCES = MalformedCode(
    "schema.references",
    "the references of an input schema expand to more than … uses or a chain of …: use fewer",
)
SCHEMA_SIZE = MalformedCode("schema.size", "an input schema may have at most … bytes")
SCHEMA_STALE = FindingCode(
    "schema.stale",
    "the schema is not that of this registry: the first difference is …; …, and read what changed",
)

URL_MALFORMED = MalformedCode("url.malformed", "a URL has at most … characters, got …")

YAML_SIZE = MalformedCode("yaml.size", "more than … values or … levels in one file")
YAML_SYNTAX = MalformedCode("yaml.syntax", "unexpected yaml event on line …")
