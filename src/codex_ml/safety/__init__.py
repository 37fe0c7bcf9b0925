"""What a text says of itself that matters to whoever uses it."""
