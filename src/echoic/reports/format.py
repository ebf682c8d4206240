"""How figures are written for people: percentages, intervals, times, rates.

A value that is undefined is a dash, "–".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NONE = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a fraction as a percentage: 0.9564 is "95.6%"."""
    return NONE if value is None else f"{value:.{digits}%}"


def percents(interval: Sequence[float] | None, digits: int = 1) -> str:
    """Write an interval of fractions: (0.95, 0.962) is "95.0% – 96.2%"."""
    if interval is None:
        return NONE
    low, high = interval
    return f"{percent(low, digits)} – {percent(high, digits)}"


def points(value: float, digits: int = 1) -> str:
    """Write a difference of fractions in percentage points, with its sign: "+1.2"."""
    return f"{100 * value:+.{digits}f}"


def count(value: int | None) -> str:
    """Write a number with commas: "4,890"."""
    return NONE if value is None else f"{value:,}"


def seconds(value: float | None) -> str:
    """Write a time: "0.15 s"."""
    return NONE if value is None else f"{value:.2f} s"


def microseconds(value: float) -> str:
    """Write a time (s) in microseconds: "1,415 µs"."""
    return f"{1e6 * value:,.0f} µs"


def kilobytes(size: float | None) -> str:
    """Write a size (bytes) in kilobytes: "1,319 kB"."""
    return NONE if size is None else f"{size / 1e3:,.0f} kB"


def megabytes(size: float | None) -> str:
    """Write a size (bytes) in megabytes: "44 MB"."""
    return NONE if size is None else f"{size / 1e6:.0f} MB"


def duration(value: float) -> str:
    """Write a time (s) in hours, minutes and seconds: "2 h 5 min"."""
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def per_hour(accepts: Mapping[str, Any]) -> str:
    """Write the rate of `scores.false_accepts`; without one, only the rate that is excluded."""
    if accepts["count"]:
        return f"{accepts['per_hour']:.1f}"
    return f"fewer than {accepts['interval'][1]:.1f}"


def per_hour_with_interval(accepts: Mapping[str, Any]) -> str:
    """Write the same with its 95 % interval: "94.5 (69.4 – 125.6)"."""
    low, high = accepts["interval"]
    return per_hour(accepts) + (f" ({low:.1f} – {high:.1f})" if accepts["count"] else "")


def listing(names: Sequence[str]) -> str:
    """Write names with commas and "and": "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
