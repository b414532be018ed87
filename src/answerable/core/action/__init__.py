"""One attempted effect, from the untrusted wire value to the verified request."""
