"""What runs a model file: one dependency each."""
