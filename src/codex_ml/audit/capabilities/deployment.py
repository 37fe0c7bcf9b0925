"""Deployment: an image that starts, says whether it is well, and is no root."""

from __future__ import annotations

from codex_ml.audit.capability import Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "deployment",
    "Deployment",
    signals=(
        Signal(
            "deploy.serve",
            calls=(
                "FastAPI",
                "flask.Flask",
                "Flask",
                "uvicorn.run",
                "HTTPServer",
                "ThreadingHTTPServer",
                "gradio.*",
            ),
            imports=("fastapi", "flask", "gradio", "bentoml", "litserve"),
        ),
    ),
    needs=(
        Need(
            "image",
            ("config.image",),
            "no container image is described",
            "each installation is made by hand",
            "add a Dockerfile",
        ),
        Need(
            "entry",
            ("config.entrypoint",),
            "no ENTRYPOINT, so the image starts nothing of its own",
            "containers start without services",
            "set ENTRYPOINT to the command line of the project",
            4,
            without=("container-entrypoint",),
            of="image",
        ),
        Need(
            "health",
            ("config.healthcheck",),
            "no health check",
            "a dead service goes on receiving work",
            "add HEALTHCHECK",
            without=("container-health",),
            of="image",
        ),
        Need(
            "user",
            ("config.container_user",),
            "containers run as root",
            "one hole gives away the host's volumes",
            "add a USER without rights",
            4,
            without=("container-root",),
            of="image",
        ),
        Need(
            "serve",
            ("deploy.serve",),
            "nothing serves the model",
            "a trained model cannot be asked",
            "serve it over HTTP with a health endpoint",
        ),
    ),
)
