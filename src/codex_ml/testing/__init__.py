"""The conformance kit: what every component of a kind must do, to be run in the pytest of whoever writes one.

import pytest
from codex_ml.testing import conformance_checks

@pytest.mark.parametrize("check", conformance_checks("trackers"), ids=str)
def test_my_sink_conforms(check, tmp_path):
    assert check("my_package.sink:MySink", tmp_path)
"""

from codex_ml.testing.kit import Check, conformance_checks, run_checks

__all__ = ["Check", "conformance_checks", "run_checks"]
