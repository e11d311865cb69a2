"""How much memory a training takes at its peak."""

import psutil
import torch


class PeakMemory:
    """On CUDA, the largest allocation since the start, weights included.

    Elsewhere no allocator keeps a peak: how far the process's resident set grew since the start, as far as
    :meth:`look` was called at the right moment (after the forward pass, when activations are alive). The
    process's own noise of some MiB is in it, and memory that was free but not returned before is not.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.start = psutil.Process().memory_info().rss
        self.mebibytes = 0.0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def look(self) -> None:
        """Takes the present into account."""
        if self.device.type == "cuda":
            now = torch.cuda.max_memory_allocated(self.device)
        else:
            now = psutil.Process().memory_info().rss - self.start
        self.mebibytes = max(self.mebibytes, now / 2**20)
