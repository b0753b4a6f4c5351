"""Publish, request, serve: over NATS, or in one process."""
