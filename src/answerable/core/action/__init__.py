"""One attempted effect, from untrusted wire value to verified request."""
