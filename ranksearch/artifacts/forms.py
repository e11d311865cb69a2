"""The forms in which the layers of a network are taken away: one for all, or for each the one that is fastest here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import msgspec
from rich.table import Table
from torch import Tensor, nn

from ..errors import SelectionError
from ..export import RUNTIMES, LayerLatency, in_forms, layer_latencies
from ..layers import Dense, Form, LayerForm, layer_forms
from ..layers.configuration import as_tuple
from ..records import RankFile
from ..terminal.tables import table

EVERY: tuple[LayerForm, ...] = get_args(LayerForm)


@dataclass(frozen=True)
class Forms:
    """What ``--form`` asks for.

    Attributes:
        allowed: the forms from which each layer gets the fastest; of one, nothing is timed.
        runtime: whose seconds count, one of :data:`~ranksearch.export.RUNTIMES`.
        batch: images of one pass.

    Raises:
        SelectionError: an unknown form or runtime.
    """

    allowed: tuple[LayerForm, ...]
    runtime: str = "torch"
    batch: int = 1

    @classmethod
    def parse(cls, text: str, runtime: str, batch: int) -> "Forms":
        """``text`` is a form, several with commas between, or ``"fastest"``: any."""
        named = EVERY if text == "fastest" else tuple(text.split(","))
        for name in named:
            if name not in EVERY:
                raise SelectionError(f"--form {name!r} is unknown; allowed: fastest, or some of {', '.join(EVERY)}")
        if runtime not in RUNTIMES:
            raise SelectionError(f"--runtime {runtime!r} is unknown; allowed: {', '.join(RUNTIMES)}")
        return cls(named, runtime, batch)  # type: ignore[arg-type]

    def time(self, network: nn.Module, ranks: RankFile, example: Tensor) -> tuple[LayerLatency, ...]:
        """The layers of a network, each alone in every form; raises :class:`SelectionError` as :meth:`apply`."""
        require_ranks(ranks)
        prepare = RUNTIMES[self.runtime]
        return layer_latencies(network, ranks.configuration, example, batch=self.batch, prepare=prepare)

    def apply(
        self, network: nn.Module, ranks: RankFile, example: Tensor
    ) -> tuple[nn.Module, RankFile, tuple[LayerLatency, ...]]:
        """The network in these forms, its rank file that says so, and what was timed.

        Raises:
            SelectionError: its layers were merged before, and no longer know their ranks.
        """
        require_ranks(ranks)
        compressed = {n: r for n, r in ranks.configuration.layers.items() if not isinstance(r, Dense)}
        forms: dict[str, LayerForm] = dict.fromkeys(compressed, ranks.form)
        timed: tuple[LayerLatency, ...] = ()
        if len(self.allowed) > 1:
            timed = self.time(network, ranks, example)
            forms |= {layer.name: layer.fastest(self.allowed) for layer in timed if {*layer.forms} & {*self.allowed}}
        else:
            forms |= {n: form for form in self.allowed for n, r in compressed.items() if form in layer_forms(r)}
        counts = Counter(forms.values())
        base: Form = "pivoted" if counts["pivoted"] > counts["plain"] else "plain"
        others = {name: form for name, form in forms.items() if form != base}
        told = msgspec.structs.replace(ranks, form=base, layer_forms=others)
        return in_forms(network, forms), told, timed


def require_ranks(ranks: RankFile) -> None:
    """Raises :class:`SelectionError` where a checkpoint's layers no longer know their ranks."""
    if ranks.layer_forms:
        raise SelectionError(
            "the checkpoint's layers run in forms of their own already, from which there is no way back: "
            "export from the study, or from what `finetune` wrote"
        )


def latencies_table(timed: Sequence[LayerLatency], forms: Forms) -> Table:
    """Layers by form: medians in µs, the fastest of the allowed ones named."""
    title = f"Layers alone: µs by form, {forms.runtime}, batch {forms.batch}"
    made = table(title, "layer", "input", "ranks", *EVERY, "fastest")
    for layer in timed:
        times = (f"{layer.forms[form].median * 1e6:.0f}" if form in layer.forms else "–" for form in EVERY)
        shape = "×".join(map(str, layer.shape[1:]))
        ranks = "×".join(map(str, as_tuple(layer.ranks)))
        made.add_row(layer.name, shape, ranks, *times, layer.fastest(forms.allowed))
    return made
