"""An agent: one process on one machine that runs variants."""
