"""The hook cannot be removed from a process, so each claim is made in one of its own."""

from __future__ import annotations

import json
import sys
from typing import Any

PROBE = """
import json, os, socket, sys
from codex_ml.core.offline import allow_network, deny_network, network_denied
from codex_ml.errors import UsageError

def attempt(act):
    try:
        act()
    except UsageError as error:
        return error.code
    except OSError as error:
        return type(error).__name__
    return "passed"

def udp():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

def connect(address, family=socket.AF_INET):
    with socket.socket(family) as sock:
        sock.settimeout(0.2)
        sock.connect(address)

server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
local = os.path.join(sys.argv[1], "local.sock")
unix = socket.socket(socket.AF_UNIX)
unix.bind(local)
unix.listen()
deny_network()
deny_network()
report = {
    "connect": attempt(lambda: connect(("192.0.2.1", 80))),
    "connect6": attempt(lambda: connect(("2001:db8::1", 80), socket.AF_INET6)),
    "sendto": attempt(lambda: udp().sendto(b"x", ("192.0.2.1", 9))),
    "sendmsg": attempt(lambda: udp().sendmsg([b"x"], [], 0, ("192.0.2.1", 9))),
    "name": attempt(lambda: socket.getaddrinfo("example.org", 80)),
    "old name": attempt(lambda: socket.gethostbyname("example.org")),
    "address": attempt(lambda: socket.gethostbyaddr("192.0.2.1")),
    "looks local": attempt(lambda: socket.getaddrinfo("127.example.org", 80)),
    "loopback": attempt(lambda: connect(server.getsockname())),
    "localhost": attempt(lambda: socket.getaddrinfo("localhost", 80)),
    "unix": attempt(lambda: connect(local, socket.AF_UNIX)),
    "denied": network_denied(),
    "variables": [os.environ.get(n) for n in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "WANDB_MODE")],
}
allow_network()
report["allowed"] = attempt(lambda: connect(("192.0.2.1", 80)))
report["denied after"] = network_denied()
print(json.dumps(report))
"""


def probe(run: Any, tmp_path: Any) -> dict[str, Any]:
    done = run(
        sys.executable,
        *("-c", PROBE, tmp_path),
        env={"WANDB_MODE": "disabled", "HF_HUB_OFFLINE": None, "HF_DATASETS_OFFLINE": None},
    )
    assert done.code == 0, done.err
    report: dict[str, Any] = json.loads(done.out)
    return report


def test_whatever_would_leave_the_machine_is_refused_and_the_rest_passes(run, tmp_path) -> None:
    report = probe(run, tmp_path)
    leaving = ["connect", "connect6", "sendto", "sendmsg", "name", "old name", "address", "looks local"]
    assert {name: report[name] for name in leaving} == dict.fromkeys(leaving, "offline.denied")
    staying = ["loopback", "localhost", "unix"]
    assert {name: report[name] for name in staying} == dict.fromkeys(staying, "passed")
    assert report["denied"] is True


def test_defaults_of_libraries_are_set_and_a_wish_of_the_user_stays(run, tmp_path) -> None:
    assert probe(run, tmp_path)["variables"] == ["1", "1", "disabled"]


def test_the_door_can_be_opened(run, tmp_path) -> None:
    report = probe(run, tmp_path)
    assert report["denied after"] is False
    assert report["allowed"] != "offline.denied"
