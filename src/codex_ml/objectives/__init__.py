"""Pure losses on tensors: no trainer, no config."""
