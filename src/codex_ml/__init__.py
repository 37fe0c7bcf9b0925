"""Train, evaluate and audit code language models on your own machines, offline."""

__version__ = "0.1.0"
