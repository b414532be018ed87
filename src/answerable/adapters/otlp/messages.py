"""Convert metric families to one OTLP message. All values are cumulative, so the next message makes up for a lost
one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Metric as Family

_CUMULATIVE: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_SCOPE: Final = "answerable"
_INFINITE: Final = "+Inf"


def request_of(
    families: Iterable[Family], *, resource: Mapping[str, str], begun_ns: int, now_ns: int
) -> ExportMetricsServiceRequest:
    """Return the message. begun_ns: when the process began. now_ns: the present. Both in Unix nanoseconds."""
    metrics = [metric for family in families if (metric := _metric(family, begun_ns, now_ns)) is not None]
    return ExportMetricsServiceRequest(
        resource_metrics=[
            ResourceMetrics(
                resource=Resource(attributes=_attributes(resource)),
                scope_metrics=[ScopeMetrics(scope=InstrumentationScope(name=_SCOPE), metrics=metrics)],
            )
        ]
    )


def _metric(family: Family, begun_ns: int, now_ns: int) -> Metric | None:
    if not family.samples:
        return None
    unit = "s" if family.name.endswith("_seconds") else "1"
    metric = Metric(name=family.name, description=family.documentation, unit=unit)
    if family.type == "histogram":
        point = _histogram_point(family, begun_ns, now_ns)
        metric.histogram.CopyFrom(Histogram(data_points=[point], aggregation_temporality=_CUMULATIVE))
        return metric
    points = [
        NumberDataPoint(
            attributes=_attributes(sample.labels),
            # The start time is left out: values counted from the log go back to its first entry, before the process
            # began.
            time_unix_nano=now_ns,
            as_double=sample.value,
        )
        for sample in family.samples
    ]
    if family.type == "counter":
        metric.sum.CopyFrom(Sum(data_points=points, aggregation_temporality=_CUMULATIVE, is_monotonic=True))
    else:
        metric.gauge.CopyFrom(Gauge(data_points=points))
    return metric


def _histogram_point(family: Family, begun_ns: int, now_ns: int) -> HistogramDataPoint:
    """Return the data point of a family without labels. OTLP buckets are disjoint, while the family's are
    cumulative."""
    edges: list[float] = []
    counts: list[int] = []
    total, below = 0.0, 0
    for sample in family.samples:
        if sample.name.endswith("_sum"):
            total = sample.value
        elif sample.name.endswith("_bucket"):
            if sample.labels["le"] != _INFINITE:
                edges.append(float(sample.labels["le"]))
            counts.append(int(sample.value) - below)
            below = int(sample.value)
    return HistogramDataPoint(
        start_time_unix_nano=begun_ns,
        time_unix_nano=now_ns,
        count=below,
        sum=total,
        explicit_bounds=edges,
        bucket_counts=counts,
    )


def _attributes(values: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in sorted(values.items())]
