"""The planner: filter, rank, pick; and no plumbing."""
