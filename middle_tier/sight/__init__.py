"""What the view is made of: one piece of news, one rule about it, each."""
