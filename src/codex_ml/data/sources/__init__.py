"""One file per place that documents come from."""
