"""Logging and monitoring: what a run says while it runs."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "monitoring",
    "Logging & Monitoring",
    signals=(
        Signal(
            "log.use", calls=("logging.getLogger", "structlog.get_logger", "get_logger"), imports=("loguru",)
        ),
        Signal(
            "log.scalars",
            calls=(
                *(
                    "wandb.log",
                    "mlflow.log_metric",
                    "mlflow.log_metrics",
                    "*.add_scalar",
                    "self.log",
                    "*.log_metrics",
                ),
                *(
                    "self.log_dict",
                    "*.write_record",
                    "csv.DictWriter",
                    "SummaryWriter",
                    "CSVLogger",
                    "WandbLogger",
                    "MLFlowLogger",
                ),
                *(
                    "TensorBoardLogger",
                    "Accelerator().log",
                    "wandb.init().log",
                    "MlflowClient().log_batch",
                    "*client.log_batch",
                ),
                # It keeps its history in trainer_state.json, whatever else is asked for.
                *("transformers.Trainer", "transformers.Seq2SeqTrainer", "trl.*Trainer"),
            ),
            keywords=(("TrainingArguments", "report_to"), ("TrainingArguments", "logging_steps")),
        ),
        Signal(
            "log.system",
            calls=(
                *("psutil.*", "pynvml.*", "cuda.max_memory_allocated", "cuda.memory_allocated", "nvmlInit"),
                *("resource.getrusage", "DeviceStatsMonitor", "cuda.mem_get_info"),
            ),
            imports=("psutil", "pynvml"),
        ),
    ),
    needs=(
        Need(
            "use",
            ("log.use", "log.scalars"),
            "nothing is logged",
            "failures leave no trace",
            "use a logger",
            4,
        ),
        Need(
            "scalars",
            ("log.scalars",),
            "no scalar goes to a sink",
            "a run cannot be watched or compared",
            "log loss, learning rate and throughput by step",
        ),
        Need(
            "system",
            ("log.system",),
            "neither memory nor utilisation of the machine is sampled",
            "out-of-memory and idle devices are found by guessing",
            "sample CPU, memory and GPU on a thread",
            2,
        ),
        Need(
            "loud",
            (),
            "errors are caught and dropped",
            "failures are silent",
            "catch what is expected, log the rest",
            4,
            without=("swallowed-error",),
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches the logging",
            "logs go missing unseen",
            "test what is written for one step",
            2,
        ),
    ),
)
