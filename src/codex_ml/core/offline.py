"""No network unless asked: environment defaults for libraries, and an audit hook in this process.

The hook sees sockets opened by Python code. Sockets opened in C++ (gloo's, for example) pass it by;
`codex-ml doctor` says which layers hold.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

from codex_ml.errors import UsageError

OFFLINE_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "offline",
    "TOKENIZERS_PARALLELISM": "true",
}
#: What opens a connection, sends a datagram or asks a name server.
_NAMES = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
_EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg", *_NAMES)
_state = {"denied": False, "hooked": False}


def deny_network() -> None:
    """Make libraries offline and refuse every non-loopback connection made from Python.

    A variable of the user that would open the network is overruled; "disabled" stays. An audit hook
    cannot be removed; `allow_network` turns this one off.
    """
    for name, value in OFFLINE_ENVIRONMENT.items():
        if os.environ.get(name) != "disabled":
            os.environ[name] = value
    _state["denied"] = True
    if not _state["hooked"]:
        sys.addaudithook(_audit)
        _state["hooked"] = True


def allow_network() -> None:
    """Open the door for this process; the caller records that it did."""
    _state["denied"] = False


def network_denied() -> bool:
    return _state["denied"]


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _state["denied"] or event not in _EVENTS:
        return
    target = args[0] if event in _NAMES else args[1]
    if isinstance(target, tuple):
        target = target[0]
    elif event not in _NAMES:
        return  # AF_UNIX paths and other local families
    if not _is_loopback(target):
        raise UsageError(
            f"the network is denied and something tried to reach {target!r}",
            code="offline.denied",
            next_step="pass --allow-network if this is wanted; it is recorded with the run",
        )


def _is_loopback(host: object) -> bool:
    text = host.decode() if isinstance(host, bytes) else host
    if text is None or text == "":
        return True
    if not isinstance(text, str):
        return False
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return text == "localhost"
