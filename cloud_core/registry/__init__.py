"""The bundles of a mesh: signed, kept, and said which are current."""
