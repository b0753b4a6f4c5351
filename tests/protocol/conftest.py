"""How hard the wire's properties are searched: enough to find faults, quick enough for a check."""

from hypothesis import settings

settings.register_profile("wire", max_examples=40, deadline=None)  # CI machines are slow at times
settings.load_profile("wire")
