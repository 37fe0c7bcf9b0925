"""The typed, frozen, complete configuration of a run; see compose.py for where values come from."""
