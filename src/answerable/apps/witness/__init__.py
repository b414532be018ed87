"""The witness's HTTP endpoint (C2SP tlog-witness)."""
