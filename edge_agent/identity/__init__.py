"""Who this process is on NATS: its own key and what the mesh has signed for it."""
