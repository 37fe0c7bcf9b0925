"""Evaluation of a model on held-out data: one file per task, a runner, and what is evaluated."""
