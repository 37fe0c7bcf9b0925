"""Tokenizers: train, keep, load, encode fast, measure."""
