"""A compressed network timed beside the dense one, as a search compares latencies."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..errors import StudyChangedError
from ..export import compare_latency
from ..networks import with_linear_layers
from ..records import LatencyComparison, StudyRecord
from ..study import LatencySection
from .subject import Subject


def time_beside_dense(subject: Subject, network: nn.Module, how: LatencySection) -> LatencyComparison:
    """Both networks in turn on one training image, repeated to a batch; float32, the device of the study."""
    example = subject.splits.train.example().to(subject.device)
    with threads(how.threads):
        networks = {"compressed": network, "dense": with_linear_layers(subject.network)}
        timed = compare_latency(networks, example, (how.batch,), how.rounds)
    return LatencyComparison(timed["compressed"][0], timed["dense"][0], how.threads)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many threads inside an operation, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def require_same_kind(study: StudyRecord, subject: Subject) -> None:
    """Latencies compare within one kind of machine only.

    Raises:
        StudyChangedError: the study was made on another device or processor.
    """
    made, here = study.machine, subject.machine
    if (made.device, made.processor) != (here.device, here.processor):
        raise StudyChangedError(
            f"study {study.name!r} compares latencies, and was made on {made.device} of {made.processor}; this is "
            f"{here.device} of {here.processor}, whose seconds do not compare: work on a machine of that kind, or "
            "leave latency_ratio out of search.objectives and search.floors"
        )
