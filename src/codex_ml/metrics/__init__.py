"""What is measured: pure functions, and writers of the records."""

from codex_ml.metrics.by_name import get_metric, list_metrics, register_metric
from codex_ml.metrics.functions import bits_per_byte, mean_interval, perplexity, token_accuracy
from codex_ml.metrics.writers import CSVMetricsWriter, MetricRecord, NDJSONMetricsWriter

__all__ = [
    "CSVMetricsWriter",
    "MetricRecord",
    "NDJSONMetricsWriter",
    "bits_per_byte",
    "get_metric",
    "list_metrics",
    "mean_interval",
    "perplexity",
    "register_metric",
    "token_accuracy",
]
