"""Templates of the page and of the card, and how they are filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from echoic.reports import format as formats

FORMATS = (
    "count",
    "kilobytes",
    "listing",
    "megabytes",
    "microseconds",
    "per_hour",
    "percent",
    "percents",
    "points",
    "seconds",
)
"""Functions of `reports.format` that are filters of every template."""


def render(name: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """Fill a template.

    Parameters
    ----------
    name
        Its file in this folder; what ends in ``.html.j2`` is escaped.
    filters
        More filters than those of `reports.format`.
    **values
        What it is filled with; a name that the template asks for in vain is an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("echoic.reports"),
        autoescape=lambda file: file is not None and file.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {form: getattr(formats, form) for form in FORMATS} | dict(filters)
    return environment.get_template(name).render(**values)
