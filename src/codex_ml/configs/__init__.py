"""The YAML groups that hold every default; package data of codex_ml."""
