"""Options of config groups: ``train=patient``."""
