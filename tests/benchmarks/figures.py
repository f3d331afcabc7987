"""Figures: what was measured, what was to be reached, and whether it was."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A bound from the product's plan. `at_least` False means that the figure may be no more than `limit`."""

    limit: float
    at_least: bool

    def is_reached(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:,.10g}"


def at_least(limit: float) -> Target:
    return Target(limit, at_least=True)


def at_most(limit: float) -> Target:
    return Target(limit, at_least=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One result. `target` None: reported beside, nothing was promised of it."""

    benchmark: str
    name: str
    value: float
    unit: str
    target: Target | None = None

    @property
    def reached(self) -> bool | None:
        return None if self.target is None else self.target.is_reached(self.value)

    @property
    def shown(self) -> str:
        """The value with at most four significant digits, but whole numbers in full."""
        return f"{self.value:,.0f}" if abs(self.value) >= 1000 else f"{self.value:.4g}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one benchmark found: its figures, and every single measurement for whoever wants to look closer."""

    figures: tuple[Figure, ...]
    details: object


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` per cent of `values` lie (nearest rank); 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]
