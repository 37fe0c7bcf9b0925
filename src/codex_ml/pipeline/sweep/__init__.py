"""Many runs of one config with some of its values varied, each an ordinary run."""
