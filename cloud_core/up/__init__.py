"""What `tiermesh up` is made of: where things lie, what runs, and who watches it."""
