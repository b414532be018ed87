"""Write entries to the ledger, create their keys and pseudonyms, and read long ranges in short turns."""
