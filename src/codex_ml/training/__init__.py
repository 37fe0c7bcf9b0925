"""Training: step.py says how, loop.py says when, engines/ put them together."""
