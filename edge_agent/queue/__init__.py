"""The way of an ask through this node: admitted, queued, batched, run, answered."""
