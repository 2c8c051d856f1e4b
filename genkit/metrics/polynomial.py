r"""Sums of a polynomial kernel over all pairs of rows, without the pairs.

With u = (x/√D, √c) the kernel (x·y/D + c)^k is (u·v)^k, a polynomial in u whose coefficients, summed over the rows v,
are their moments of order k. Of the third order

.. math:: \sum_j (u \cdot v_j)^3 = \sum_p \sum_{q, r \ge p} w_{pqr}\, u_p u_q u_r \sum_j v_{jp} v_{jq} v_{jr}:

every triple of columns whose first is p stands in one matrix, and w says in how many orders it comes. That costs n D³
in place of n² D: less where the rows are many and the columns few.

Everything is float64, and a sum is off by about 10⁻¹⁶ Σ (|u|·|v|)^k, as one over pairs is. Pairs of a row with itself
are taken out at the end, which leaves 10⁻¹⁶ of the largest of them: little beside a sum over n² pairs, unless a row is
so far out that its own pair outweighs them all. Such rows are left to the sums over pairs.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

HIGHEST = 3  # degree
PIECE = 2**16  # elements of the rows that are taken at a time: their products stay in a core's cache


def worth_it(x: Tensor, y: Tensor, degree: int, offset: float) -> bool:
    """Tell whether moments are cheaper than pairs for x (m, D) and y (n, D), as measured at degree 3, and as exact."""
    many = len(x) + len(y) >= 4 * x.shape[1] ** (degree - 1)
    return degree <= HIGHEST and many and all(_even(rows, degree, offset) for rows in (x, y))


def polynomial_sums(x: Tensor, y: Tensor, degree: int, offset: float) -> tuple[Tensor, Tensor, Tensor]:
    """Of rows x (m, D) and y (n, D), float64, with k = (x·y/D + offset)^degree, degree 1 to 3.

    Returns the sum () of k(x_i, x_j) over i ≠ j, per y_j the sum (n,) of k(y_i, y_j) over i ≠ j, and per y_j the sum
    (n,) of k(x_i, y_j) over i.
    """
    u, v = (_lifted(rows, offset) for rows in (x, y))
    of_x, of_y = _moments(u, degree), _moments(v, degree)
    real = torch.stack([(_orders(m, degree) * m.square()).sum() for m in of_x]).sum()
    return real - _own(u, degree).sum(), _at(v, of_y, degree) - _own(v, degree), _at(v, of_x, degree)


def _lifted(rows: Tensor, offset: float) -> Tensor:
    """(n, D) to (n, D + 1) such that a product of two rows is x·y/D + offset."""
    scaled = rows / rows.shape[1] ** 0.5
    return torch.cat([scaled, scaled.new_full((len(rows), 1), offset**0.5)], 1)


def _even(rows: Tensor, degree: int, offset: float) -> bool:
    """Tell whether no row's kernel with itself outweighs the sum of n² usual pairs."""
    own = _own(_lifted(rows, offset), degree)
    return bool(own.max() <= len(rows) ** 2 * own.median())


def _own(rows: Tensor, degree: int) -> Tensor:
    """(n,): the kernel of every row with itself."""
    return rows.square().sum(1).pow(degree)


def _moments(rows: Tensor, degree: int) -> list[Tensor]:
    """One matrix for every part of the columns: the sum over rows of lead · restᵀ rest."""
    total: list[Tensor] = []
    for piece in _pieces(rows):
        found = [(lead * rest).T @ rest for lead, rest in _parts(piece, degree)]
        total = [a.add_(b) for a, b in zip(total, found, strict=True)] if total else found
    return total


def _at(rows: Tensor, moments: list[Tensor], degree: int) -> Tensor:
    """(n,): the polynomial with these moments as coefficients, at each of the rows."""
    forms = [_orders(m, degree) * m for m in moments]
    sums: list[Tensor] = []
    for piece in _pieces(rows):
        value = piece.new_zeros(len(piece), 1)
        for (lead, rest), form in zip(_parts(piece, degree), forms, strict=True):
            value += lead * (rest @ form).mul_(rest).sum(1, keepdim=True)
        sums.append(value[:, 0])
    return torch.cat(sums)


def _pieces(rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split(max(1, PIECE // rows.shape[1]))


def _parts(rows: Tensor, degree: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of lead (n, 1) and rest (n, w) whose products lead · rest · rest are all monomials of the degree."""
    one = rows.new_ones(len(rows), 1)
    if degree == 1:
        yield from ((column, one) for column in rows.split(1, 1))
    elif degree == 2:
        yield one, rows
    else:
        yield from ((rows[:, p : p + 1], rows[:, p:]) for p in range(rows.shape[1]))


def _orders(moment: Tensor, degree: int) -> Tensor:
    """(w, w): in how many orders the monomial of each element comes, over how often it stands in the matrix."""
    orders = torch.ones_like(moment)
    if degree == 3:  # p is the first column: pqr and pqq come in 6 and 3 orders, ppr in 3, ppp in one
        orders.mul_(3.0)
        orders[0], orders[:, 0] = 1.5, 1.5
        orders[0, 0] = 1.0
    return orders
