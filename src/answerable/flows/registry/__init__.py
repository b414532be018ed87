"""Apply registry documents, and follow documents that other processes apply."""
