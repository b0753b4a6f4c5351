"""From one source model to every variant the fleet can run."""
