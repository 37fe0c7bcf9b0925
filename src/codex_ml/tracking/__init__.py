"""Where metric records go: the run's own files always, other sinks by name."""
