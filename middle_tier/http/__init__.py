"""HTTP in, HTTP out: the routes of a gate, their fast lane, and what they say."""
