from __future__ import annotations

from codex_ml.monitoring.memory import peak_memory, process_memory

MB = 1 << 20


def test_memory_is_counted_in_bytes_and_grows_with_what_is_held() -> None:
    before = process_memory()
    held = bytearray(b"x" * (64 * MB))
    assert 32 * MB < process_memory() - before < 160 * MB
    assert before > 5 * MB
    del held


def test_the_peak_is_never_below_what_was_held_at_once() -> None:
    held = bytearray(b"x" * (96 * MB))
    now = process_memory()
    del held
    assert peak_memory() >= now - 4 * MB
