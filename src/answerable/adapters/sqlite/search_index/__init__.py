"""Store the search index: one small file about the whole, and one file for each stretch of entries."""

from answerable.adapters.sqlite.search_index.index import SqliteSearchIndex

__all__ = ["SqliteSearchIndex"]
