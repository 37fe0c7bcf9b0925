"""Experiment tracking: what was run, with what, and where its figures are."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "tracking",
    "Experiment Tracking",
    signals=(
        Signal(
            "track.use",
            calls=(
                *(
                    "mlflow.start_run",
                    "wandb.init",
                    "SummaryWriter",
                    "WandbLogger",
                    "MLFlowLogger",
                    "aim.Run",
                ),
                *(
                    "TensorBoardLogger",
                    "mlflow.MlflowClient",
                    "MlflowClient",
                    "dvclive.Live",
                    "clearml.Task.init",
                ),
                *("EventFileWriter", "mlflow.tracking.MlflowClient"),
                *("wandb.log", "mlflow.log_metric", "mlflow.log_metrics", "*.init_trackers"),
            ),
            keywords=(("TrainingArguments", "report_to"),),
        ),
        Signal(
            "track.where",
            calls=("mlflow.set_tracking_uri", "*.set_tracking_uri"),
            names=("tracking_uri", "tb_logdir"),
            keywords=(
                ("wandb.init", "dir"),
                ("wandb.init", "mode"),
                ("SummaryWriter", "log_dir"),
                ("*", "tracking_uri"),
            ),
            made=("WANDB_MODE", "MLFLOW_TRACKING_URI"),
            read=("WANDB_MODE", "MLFLOW_TRACKING_URI"),
        ),
        Signal(
            "track.facts",
            calls=(
                "mlflow.log_params",
                "mlflow.log_param",
                "mlflow.set_tags",
                "mlflow.set_tag",
                "*.log_params",
            ),
            keywords=(("wandb.init", "config"), (r"\.create_run$", "tags"), (r"start_run$", "tags")),
            functions=("log_params",),
        ),
    ),
    needs=(
        Need(
            "use",
            ("track.use",),
            "no experiment tracker",
            "the history of experiments is lost",
            "log to a local tracker (MLflow on sqlite, TensorBoard)",
            4,
        ),
        Need(
            "facts",
            ("track.facts",),
            "parameters, seed and commit are not logged",
            "figures cannot be traced to what made them",
            "log the config and the commit as parameters and tags",
        ),
        Need(
            "where",
            ("track.where",),
            "where records go is left to defaults",
            "records land in whatever directory it was started in, or on the network",
            "set the store explicitly, from the environment, sqlite by default",
            2,
            without=("tracker-file-store",),
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches the tracking",
            "records are missing unseen",
            "read a run back in a test",
            2,
        ),
    ),
)
