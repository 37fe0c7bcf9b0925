"""Evaluation: held-out figures, computed by code that is tested and written where they are found."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "evaluation",
    "Evaluation & Metrics",
    signals=(
        Signal(
            "eval.use",
            calls=(
                *("*.evaluate", "trainer.validate", "trainer.test", "lm_eval.simple_evaluate"),
                "evaluate.load",
            ),
        ),
        Signal(
            "eval.use",
            functions=("validation_step", "test_step", "evaluate", "estimate_loss"),
            linked=("model.use", "train.step"),
        ),
        # Counts as use where gradients are off in the same function (see `Index.evidence`).
        Signal("eval.mode", calls=("*.eval",)),
        Signal("eval.nograd", calls=("torch.no_grad", "torch.inference_mode", "no_grad", "inference_mode")),
        Signal(
            "eval.metric",
            calls=(
                *("sklearn.metrics.*", "evaluate.load", "torchmetrics.*", "*.accuracy_score", "sacrebleu.*"),
                *("rouge_score.*", "cross_entropy", "f1_score"),
            ),
            arguments=((r"(mean|exp)$", r"(?i)loss|nll|correct|acc|score|ce\b"),),
            functions=("compute_metrics", "perplexity", "accuracy", "exact_match", "pass_at_k"),
            names=("compute_metrics",),
        ),
        Signal(
            "eval.written",
            calls=(
                "csv.writer",
                "csv.DictWriter",
                "*.to_csv",
                "wandb.log",
                "*.log_metrics",
                "*.save_metrics",
            ),
        ),
        Signal("eval.written", arguments=((r"dumps?$", r"(?i)metric|result|score|loss|eval|acc"),)),
        Signal(
            "eval.split",
            calls=("train_test_split", "*.train_test_split", "random_split", "KFold", "*.split_indices"),
            names=(
                "eval_dataset",
                "val_dataloaders",
                "val_loader",
                "val_data",
                "validation_split",
                "held_out",
            ),
            functions=("val_dataloader", "test_dataloader"),
        ),
        Signal(
            "eval.split",
            read=("validation", "held_out"),
            # A split that is asked for by its name.
            arguments=(
                (r"(open|load|read|get|split|evaluate|score)", r"^'(val|valid|validation|test|held_out)'$"),
            ),
            linked=("eval.use", "data.use", "train.step"),
        ),
    ),
    needs=(
        Need(
            "use", ("eval.use",), "nothing is evaluated", "nobody knows what a model can do", "evaluate it", 5
        ),
        Need(
            "metric",
            ("eval.metric",),
            "no metric is computed",
            "results are impressions",
            "compute loss and the metrics of the task",
            4,
        ),
        Need(
            "split",
            ("eval.split",),
            "no held-out split",
            "figures are measured on what was trained on",
            "hold out a split by group before training",
            4,
        ),
        Need(
            "written",
            ("eval.written",),
            "metrics are not written to a file",
            "metrics are lost or inconsistent",
            "write CSV or NDJSON records, one a metric",
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches the evaluation",
            "wrong figures look right",
            "test metrics on hand-made cases",
        ),
    ),
)
