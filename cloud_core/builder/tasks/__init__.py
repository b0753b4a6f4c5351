"""Source recipes that come with tiermesh. Imported in the builder's environment only."""
