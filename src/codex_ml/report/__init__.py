"""The run report: one self-contained HTML file, made from what a run left on disk."""
