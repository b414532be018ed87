"""Whether mandates, keys, passkeys, manifests, deputies and workflows still count. Reads only."""
