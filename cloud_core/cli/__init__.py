"""The `tiermesh` command: one file a noun."""
