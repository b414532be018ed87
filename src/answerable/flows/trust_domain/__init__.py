"""Run the SPIFFE trust domain: its authorities, SVID issuance, attestation of processes."""
