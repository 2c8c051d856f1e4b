"""Curves of bounded length: the least and the largest value of every bucket, in their order.

A curve of 10⁵ points is drawn a few hundred pixels wide. Means would hide the spikes that a reader looks for; keeping
the extremes of each bucket keeps the drawn line the same to within a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]

MOST = 500  # points of a curve


def thinned(points: Sequence[Point], most: int = MOST) -> list[Point]:
    """At most `most` ≥ 4 of the points, the first and the last among them, with the extremes of equal buckets."""
    if len(points) <= most:
        return list(points)
    inner, buckets = points[1:-1], (most - 2) // 2
    kept = [points[0]]
    for i in range(buckets):
        bucket = inner[i * len(inner) // buckets : (i + 1) * len(inner) // buckets]
        by_value = sorted(range(len(bucket)), key=lambda j: bucket[j][1])
        kept += [bucket[j] for j in sorted({by_value[0], by_value[-1]})]
    return [*kept, points[-1]]
