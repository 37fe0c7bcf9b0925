"""Security and safety: nothing untrusted is run, secrets stay out, prompts and outputs are filtered."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "security",
    "Security & Safety",
    signals=(
        Signal(
            "safety.model_output",
            functions=("sanitize_prompt", "sanitize_output", "filter_prompt", "moderate", "is_allowed"),
            methods=(("is_allowed",), ("sanitize",)),
        ),
    ),
    needs=(
        Need(
            "scan",
            ("config.secret_scan",),
            "no secret scan is configured",
            "a token is committed unseen",
            "add a detect-secrets hook with a baseline",
        ),
        Need(
            "filter",
            ("safety.model_output",),
            "neither prompts nor outputs are filtered",
            "secrets and unsafe text leave the model",
            "filter prompts and outputs by a policy, and test it",
        ),
        Need(
            "secrets",
            (),
            "something that looks like a secret is in the tree",
            "whoever reads the repository has it",
            "revoke it and take it out of the history",
            5,
            without=("secret",),
        ),
        Need(
            "loads",
            (),
            "files are loaded in a way that runs code",
            "a checkpoint from elsewhere takes over the machine",
            "load with weights_only=True or safetensors",
            5,
            without=("unsafe-load", "unsafe-yaml"),
        ),
        Need(
            "code",
            (),
            "code that comes from elsewhere is run (a model's own, or text as code)",
            "whoever writes that text runs code here",
            "pin and review a copy, and parse instead of evaluating",
            4,
            without=("trust-remote-code", "dynamic-code"),
        ),
        Need(
            "shell",
            (),
            "commands go through a shell",
            "a file name becomes a command",
            "pass a list of words",
            4,
            without=("shell-true",),
        ),
        Need(
            "locked",
            ("config.lock_hashed",),
            "dependencies are not locked with hashes",
            "an upstream release changes or attacks the build",
            "commit a lock with hashes and install with --require-hashes",
            without=("unpinned-dependency",),
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches the filters",
            "a rule that never matches passes for safety",
            "test each rule on text that must and must not match",
        ),
    ),
    tests_reach="filter",
)
