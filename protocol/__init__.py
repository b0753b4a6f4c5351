"""The words of the mesh: what tiers say to each other, and what a bundle and a token are. Pure."""
