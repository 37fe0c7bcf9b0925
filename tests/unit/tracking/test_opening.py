from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.ndjson import read
from codex_ml.errors import ConfigError, Interrupted, NotFoundError
from codex_ml.registry import plugins, registry_for
from codex_ml.tracking import mirror, opening
from codex_ml.tracking.context import TrackerContext
from codex_ml.tracking.opening import (
    absent_trackers,
    check_trackers,
    keep_health,
    open_trackers,
    opened,
    read_health,
)
from sinks import HIDDEN, LOGIN

PLUGIN = """
import json, pathlib

class Lines:
    def __init__(self, context):
        assert context.params["train.lr"] == 0.003
        self.tags = context.tags
        self.path = context.run_directory / "plugin.jsonl"

    def write(self, records):
        with self.path.open("a") as stream:
            for record in records:
                print(json.dumps([record.step, record.metric, record.value]), file=stream)

    def sync(self):
        pass

    def close(self, status, artifacts):
        with self.path.open("a") as stream:
            print(json.dumps([status, self.tags["codex_ml.commit"]]), file=stream)

class Demanding(Lines):
    requires = ("no_such_package_at_all",)
    extra = "tracking"

class Rough(Lines):
    @staticmethod
    def check(cfg, *, runs, network_allowed):
        raise KeyError("rough by design")

SEEN = []

def keeps(record):
    SEEN.append((record.step, record.value))

def breaks(record):
    raise KeyError("a callback, by design")
"""


@pytest.fixture(autouse=True)
def _no_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "GATHER", 0.01)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution whose entry points name trackers; one of them does not import."""
    room = tmp_path / "site"
    info = room / "lines_tracker-1.0.dist-info"
    info.mkdir(parents=True)
    (room / "lines_tracker.py").write_text(PLUGIN)
    (room / "broken_tracker.py").write_text("raise RuntimeError('broken by design')\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lines-tracker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[codex_ml.trackers]\nlines = lines_tracker:Lines\n"
        "demanding = lines_tracker:Demanding\nrough = lines_tracker:Rough\nbroken = broken_tracker:Any\n"
        "[codex_ml.callbacks]\nkeeps = lines_tracker:keeps\nbreaks = lines_tracker:breaks\n"
    )
    monkeypatch.syspath_prepend(str(room))
    plugins.forget()
    yield
    sys.modules.pop("lines_tracker", None)
    plugins.forget()
    registry_for.cache_clear()


def log_two(context: TrackerContext) -> None:
    with opened(context) as tracker:
        tracker.log({"loss": 0.1 + 0.2}, step=1, split="train", phase="train")
        tracker.log({"loss": 1e-300}, step=2, split="train", phase="train")


@pytest.mark.usefixtures("plugin")
def test_a_plugin_found_through_its_entry_point_gets_every_record(
    context_for: Callable[..., TrackerContext],
) -> None:
    context = context_for("tracking.sinks=[lines]")
    log_two(context)
    lines = [json.loads(line) for line in (context.run_directory / "plugin.jsonl").read_text().splitlines()]
    assert lines == [[1, "loss", 0.1 + 0.2], [2, "loss", 1e-300], ["finished", "c" * 40]]
    health = read_health(context.run_directory)
    assert health["lines"] == {"state": "ok", "written": 2, "dropped": 0, "error": None}


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(("name", "why"), [("demanding", "no_such_package_at_all"), ("broken", "by design")])
def test_a_tracker_that_is_absent_or_broken_is_one_line_and_the_run_goes_on(
    name: str, why: str, context_for: Callable[..., TrackerContext], caplog: pytest.LogCaptureFixture
) -> None:
    context = context_for(f"tracking.sinks=[ndjson,{name}]")
    log_two(context)
    assert len(list(read(context.run_directory / "metrics.ndjson"))) == 3
    (line,) = [line for line in caplog.messages if f"'{name}'" in line]
    assert why in line and "the run goes on" in line
    row = read_health(context.run_directory)[name]
    assert (row["state"], row["written"], row["dropped"]) == ("absent", 0, 2)
    assert context.cfg is not None
    assert why in absent_trackers(context.cfg)[name]


@pytest.mark.usefixtures("plugin")
def test_a_callback_sees_what_was_written_and_one_that_breaks_harms_nothing(
    context_for: Callable[..., TrackerContext],
) -> None:
    context = context_for("tracking.sinks=[ndjson,'callback:keeps','callback:breaks']")
    log_two(context)
    assert sys.modules["lines_tracker"].SEEN == [(1, 0.1 + 0.2), (2, 1e-300)]
    assert len(list(read(context.run_directory / "metrics.ndjson"))) == 3
    health = read_health(context.run_directory)
    assert health["callback:keeps"]["state"] == "ok"
    assert health["callback:breaks"]["state"] == "failed"
    assert "by design" in health["callback:breaks"]["error"]


@pytest.mark.usefixtures("plugin")
def test_a_tracker_by_path_keeps_what_its_class_says_of_it(
    context_for: Callable[..., TrackerContext],
) -> None:
    for name in ("Demanding", "Rough"):
        registry_for("trackers").register(f"my-{name}", f"lines_tracker:{name}", kwargs={"context": None})
    cfg = context_for("tracking.sinks=[my-Demanding,my-Rough]").cfg
    assert cfg is not None
    assert "no_such_package_at_all" in absent_trackers(cfg)["my-Demanding"]
    assert "rough by design" in check_trackers(cfg, runs=Path(), network_allowed=False)["my-Rough"]


@pytest.mark.usefixtures("plugin")
def test_a_tracker_whose_own_check_breaks_is_one_line_and_the_run_goes_on(
    context_for: Callable[..., TrackerContext], caplog: pytest.LogCaptureFixture
) -> None:
    context = context_for("tracking.sinks=[rough,lines]")
    assert context.cfg is not None
    assert "by design" in check_trackers(context.cfg, runs=Path(), network_allowed=False)["rough"]
    log_two(context)
    (line,) = caplog.messages
    assert "'rough'" in line and "rough by design" in line and "the run goes on" in line
    health = read_health(context.run_directory)
    assert (health["rough"]["state"], health["rough"]["dropped"]) == ("absent", 2)
    assert (health["lines"]["state"], health["lines"]["written"]) == ("ok", 2)


def test_parameters_name_no_home_directory(
    context_for: Callable[..., TrackerContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/data/people/grace")
    context = context_for(
        "data.source=files",
        "data.path=/home/ada/texts",
        "train.init_from=/data/people/grace/base",
        "tracking.mlflow.uri=sqlite:////root/runs/mlflow.db",
    )
    assert context.params["data.path"] == "~/texts"
    assert context.params["train.init_from"] == "~/base"
    assert context.params["tracking.mlflow.uri"] == "sqlite:///~/runs/mlflow.db"


@pytest.mark.parametrize("name", ["mlflow", "wandb", "tensorboard"])
def test_without_its_package_a_built_in_tracker_names_the_extra(
    name: str,
    context_for: Callable[..., TrackerContext],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]  # as if it were not installed
    context = context_for(f"tracking.sinks=[{name}]")
    log_two(context)
    (line,) = [line for line in caplog.messages if f"'{name}'" in line]
    assert 'pip install "codex-ml[tracking]"' in line
    assert read_health(context.run_directory)[name]["state"] == "absent"


def test_both_files_are_written_whatever_is_asked_for(context_for: Callable[..., TrackerContext]) -> None:
    context = context_for("tracking.sinks=[ndjson]")
    log_two(context)
    assert len((context.run_directory / "metrics.csv").read_text().splitlines()) == 4
    assert not (context.run_directory / opening.HEALTH).exists()


def test_an_unknown_name_is_an_error_before_anything_is_written(
    context_for: Callable[..., TrackerContext],
) -> None:
    context = context_for()
    assert context.cfg is not None
    import dataclasses

    wrong = dataclasses.replace(context, cfg=dataclasses.replace(context.cfg, sinks=("mlfow",)))
    with pytest.raises(NotFoundError, match="did you mean 'mlflow'"):
        open_trackers(wrong)
    assert list(context.run_directory.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "status"), [(Interrupted("x", code="train.interrupted"), "interrupted"), (KeyError(), "failed")]
)
def test_the_end_says_how_the_work_ended(
    error: Exception,
    status: str,
    context_for: Callable[..., TrackerContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sinks import Remembering

    sink = Remembering()
    monkeypatch.setattr(opening, "_factory", lambda _: lambda _context: sink)
    with pytest.raises(type(error)), opened(context_for("tracking.sinks=[mlflow]")):
        raise error
    assert sink.closed == [(status, ())]


def test_health_adds_up_over_openings_and_keeps_the_last_error(tmp_path: Path) -> None:
    from codex_ml.tracking.composite import CompositeTracker
    from sinks import Hostile, Remembering, record

    for sink in (Hostile("write", ValueError("once")), Remembering()):
        made = mirror.Mirror("some", lambda sink=sink: sink, limit=10)
        tracker = CompositeTracker({}, run_id="r", mirrors=[made], patience=5)
        tracker.write([record(1), record(2)])
        tracker.close()
        keep_health(tracker, tmp_path)
    assert read_health(tmp_path) == {
        "some": {"state": "ok", "written": 2, "dropped": 2, "error": "ValueError: once"}
    }


@pytest.mark.parametrize("place", ["tracking.mlflow.uri", "CODEX_MLFLOW_URI", "MLFLOW_TRACKING_URI"])
def test_a_store_that_cannot_be_followed_is_refused_before_the_run_and_its_password_not_shown(
    place: str, config_of: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"https://{LOGIN}@tracker.example.org"
    words = [f"{place}={uri}"] if place.startswith("tracking") else []
    if not words:
        monkeypatch.setenv(place, uri)
    cfg = config_of("tracking.sinks=[mlflow]", *words).tracking
    with pytest.raises(ConfigError) as caught:
        check_trackers(cfg, runs=tmp_path, network_allowed=False)
    assert caught.value.code == "tracking.network"
    assert HIDDEN not in str(caught.value) + repr(caught.value.record())
    assert "tracker.example.org" in str(caught.value)
    check_trackers(cfg, runs=tmp_path, network_allowed=True)
