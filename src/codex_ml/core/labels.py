"""The label of a position that is not trained: the value that PyTorch's cross-entropy ignores by default."""

IGNORE = -100
