"""A site: accepts queries, chooses variants and nodes, answers."""
