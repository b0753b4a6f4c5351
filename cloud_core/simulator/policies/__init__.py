"""Ways to choose, one file each: the mesh's own, its rivals as published, and the oracle."""
