"""Bundles on this node."""
