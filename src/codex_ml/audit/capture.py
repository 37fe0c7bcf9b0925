"""Section 6.1 of the report: how to capture an environment."""

from __future__ import annotations

#: Section 6.1. An allow-list of variables, never all of them: those hold tokens.
CAPTURE = '''### 6.1 Environment Specification Capture Methods
- **Python snapshot script**

  ```python
  """capture_env.py: write environment metadata to JSON, without secrets"""

  import json, os, pathlib, platform, shutil, subprocess, sys
  from importlib import metadata

  ALLOWED = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG")
  gpu = ""
  if shutil.which("nvidia-smi"):
      query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
      gpu = subprocess.run(query, capture_output=True, text=True).stdout.strip()
  snapshot = {
      "python": sys.version,
      "platform": platform.platform(),
      "packages": {dist.metadata["Name"]: dist.version for dist in metadata.distributions()},
      "env_vars": {name: os.environ[name] for name in ALLOWED if name in os.environ},
      "gpu": gpu,
  }
  path = pathlib.Path("artifacts/env_snapshot.json")
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(snapshot, indent=2))
  ```

- **Bash recipe**

  ```bash
  mkdir -p artifacts/env
  python --version > artifacts/env/python_version.txt
  pip freeze > artifacts/env/pip_freeze.txt
  uname -a > artifacts/env/uname.txt
  lscpu > artifacts/env/cpu.txt
  printenv CUDA_VISIBLE_DEVICES OMP_NUM_THREADS PYTHONHASHSEED > artifacts/env/env_vars.txt || true
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv > artifacts/env/gpu.csv || true
  ```

- **Other tools**: `codex-ml env snapshot --dir artifacts/env`, `conda env export --no-builds`,
  `pip list --format=json`.

- **Question for @codex**: *Which open-source templates or utilities best standardize full environment
  snapshots (packages, OS, hardware) for ML experiments?*'''
