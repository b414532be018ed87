"""The trust domain and its SVIDs: authorities, issuing, attestation of processes."""
