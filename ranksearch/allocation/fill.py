"""Spends what is left of a budget, one rank step at a time, until none fits."""

from collections.abc import Callable, Sequence

from .choices import Choices, Ranks

#: (layer's place, ranks now, ranks after the step) → worth of the step; the largest is taken first
Worth = Callable[[int, Ranks, Ranks], float]


def fill(choices: Sequence[Choices], chosen: Sequence[Ranks], left: int, worth: Worth) -> list[Ranks]:
    """Greedily raises ranks. In the end every remaining step of every layer costs more than what is left.

    Args:
        choices: of each layer.
        chosen: ranks of each layer to start from.
        left: what may still be spent, ≥ 0, in the unit of the choices' costs.
        worth: see :data:`Worth`; of equal steps the first layer's is taken.
    """

    def steps(layer: int) -> list[tuple[float, int, int, Ranks]]:
        now, of = chosen[layer], choices[layer]
        return [(worth(layer, now, then), -layer, of.cost(then) - of.cost(now), then) for then in of.steps(now)]

    chosen = list(chosen)
    options = [steps(layer) for layer in range(len(chosen))]
    while fitting := [step for layer in options for step in layer if step[2] <= left]:
        _, layer, cost, then = max(fitting)
        left -= cost
        chosen[-layer] = then
        options[-layer] = steps(-layer)
    return chosen
