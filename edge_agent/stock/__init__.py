"""The variants on this node: what could run, what is loaded, loading and evicting."""
