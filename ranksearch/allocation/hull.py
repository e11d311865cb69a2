"""The lower convex hull of loss against cost: the choices that are best at some price per unit of cost."""

import numpy as np
from numpy.typing import NDArray


def lower_hull(cost: NDArray[np.float64], loss: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the hull's vertices, cost rising and loss strictly falling, from the cheapest to the least loss.

    Every minimiser of ``loss + μ·cost``, μ > 0, is among them up to ties (monotone chain: Andrew 1979).

    >>> lower_hull(np.array([1.0, 2.0, 3.0, 4.0]), np.array([8.0, 7.0, 2.0, 1.0])).tolist()
    [0, 2, 3]
    """
    order = np.lexsort((loss, cost))
    least = np.minimum.accumulate(loss[order])
    falls = np.ones(len(order), bool)
    falls[1:] = least[1:] < least[:-1]
    order = order[falls]
    x, y = cost[order].tolist(), loss[order].tolist()
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2:]
            if (y[b] - y[a]) * (x[i] - x[b]) < (y[i] - y[b]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    return order[hull]
