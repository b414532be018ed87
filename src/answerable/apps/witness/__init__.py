"""The door of a witness: C2SP tlog-witness over HTTP."""
