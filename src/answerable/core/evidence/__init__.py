"""What is handed to strangers: entries of a log with proofs, and the fields that were chosen to be shown."""
