"""The cloud: federates sites, publishes bundles, operates the mesh."""
