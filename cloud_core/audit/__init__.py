"""The audit log: what happened, in a chain of hashes that shows when it was tampered with."""
