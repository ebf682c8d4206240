"""Settings that check themselves: frozen pydantic dataclasses, with errors in one form.

Every problem is a line, "Expected training.epochs above 0, received -1.", and names the key by its
section. Types are strict: no "40" for 40, no True for 1. An int may stand for a float and a list
for a tuple, as TOML and JSON write them.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, dataclass_transform

import pydantic
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

T = TypeVar("T")

_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

_LONGEST = 120
"""Characters of a refused value that an error shows."""


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field, Field)
)
def settings(name: str = "", *, title: str = "") -> Callable[[type[T]], type[T]]:
    """Make a class a frozen, keyword-only dataclass that checks its fields.

    Parameters
    ----------
    name
        What errors put before a field: "training" gives "training.epochs". Where the class is a
        field of another, the names of the fields that lead to it take its place.
    title
        What errors call the whole, where it has no name: "a recipe".

    Returns
    -------
    Callable
        The decorator. What it makes raises a ValueError with a line for each problem.
    """

    def decorate(cls: type[T]) -> type[T]:
        cls.__get_pydantic_core_schema__ = classmethod(_lenient_to_tables)  # type: ignore[attr-defined]
        made: Any = pydantic.dataclasses.dataclass(cls, frozen=True, kw_only=True, config=_CONFIG)
        check = made.__init__

        @functools.wraps(check)
        def __init__(self: Any, **values: Any) -> None:
            try:
                check(self, **values)
            except ValidationError as error:
                raise ValueError(_describe(error, made, name, title)) from None

        made.__init__ = __init__
        return made

    return decorate


def _lenient_to_tables(cls: Any, source: Any, handler: pydantic.GetCoreSchemaHandler) -> Any:
    """Let a dict stand for the dataclass where it is a field of another, as strict types do not."""
    schema: Any = handler(source)
    inner = schema
    while inner["type"] != "dataclass":
        inner = inner["schema"]
    inner["strict"] = False
    return schema


def refuse(problems: Iterable[str | None]) -> None:
    """Raise a ValueError with a line for each problem, if there is one; None stands for none."""
    if found := [problem for problem in problems if problem]:
        raise ValueError("\n".join(found))


def expected(what: str) -> PydanticCustomError:
    """Return the error of a field's own check: "Expected KEY ``what``, received VALUE."."""
    return PydanticCustomError("expected", "{what}", {"what": what})


def _tuple_of(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


AsTuple = BeforeValidator(_tuple_of)
"""Lets a list stand for a tuple."""

Words = Annotated[tuple[str, ...], AsTuple]
Fraction = Annotated[float, Field(ge=0, le=1)]


def nearest(key: str, known: Iterable[str]) -> str | None:
    """Return the known key that a mistyped one is closest to, if it is close to any."""
    return next(iter(difflib.get_close_matches(key, list(known), n=1, cutoff=0.4)), None)


def unknown_key(key: str, known: Sequence[str], *, of: str) -> str:
    """Say that a section has no such key, which key is near, and which there are."""
    near = nearest(key, known)
    hint = f"; did you mean {near}?" if near else "."
    return f"Expected a key of {of}, received {key}{hint} Its keys are {', '.join(known)}."


# --- pydantic's errors in words ------------------------------------------------------------------

_TYPES = {
    "int_type": "int",
    "int_from_float": "int",
    "float_type": "float",
    "bool_type": "bool",
    "string_type": "a string",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "dataclass_type": "a table",
    "dataclass_exact_type": "a table",
    "finite_number": "finite",
}


def _describe(error: ValidationError, cls: Any, name: str, title: str) -> str:
    return "\n".join(_sentence(e, cls, name, title) for e in error.errors(include_url=False))


def _sentence(error: ErrorDetails, cls: Any, name: str, title: str) -> str:
    kind, where, value = error["type"], error["loc"], error["input"]
    context: dict[str, Any] = error.get("ctx", {})
    if kind == "value_error":  # a check of several fields, which names them itself
        return str(context["error"])
    if kind == "unexpected_keyword_argument":
        known = [field.name for field in dataclasses.fields(_follow(cls, where[:-1]))]
        return unknown_key(str(where[-1]), known, of=_key(name, where[:-1]) or title)
    key = _key(name, where)
    if kind == "missing":
        return f"Expected {key}, which has no default, received nothing."
    if kind in _TYPES:
        wanted = f"to be {_TYPES[kind]}"
    elif kind == "expected":
        wanted = context["what"]
    else:
        wanted = (
            _bounds(_constraints(cls, where)) or _bounds(context) or f"to be valid ({error['msg']})"
        )
    return f"Expected {key} {wanted}, received {_show(value)}."


def _key(name: str, where: tuple[int | str, ...]) -> str:
    """Return the path of a field: "training.epochs", "augmentation.snr[0]"."""
    path = name
    for step in where:
        if step != "[key]":
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _follow(annotation: Any, where: tuple[int | str, ...]) -> Any:
    """Return the type of what stands at a path."""
    for step in where:
        fields = getattr(annotation, "__pydantic_fields__", None)
        annotation = fields[step].annotation if fields else typing.get_args(annotation)[-1]
        if isinstance(annotation, types.UnionType):  # ... | None
            annotation = typing.get_args(annotation)[0]
    return annotation


def _constraints(cls: Any, where: tuple[int | str, ...]) -> dict[str, Any]:
    """Return all bounds of a field, where pydantic names only the one that failed."""
    owner = _follow(cls, where[:-1])
    if fields := getattr(owner, "__pydantic_fields__", None):
        found = fields[where[-1]].metadata
    else:  # an entry of a table or of a list
        notes = getattr(typing.get_args(owner)[-1], "__metadata__", ())
        found = [c for note in notes for c in getattr(note, "metadata", [])]
    return {
        bound: getattr(constraint, bound)
        for constraint in found
        for bound in ("gt", "ge", "lt", "le")
        if hasattr(constraint, bound)
    }


def _bounds(given: Mapping[str, Any]) -> str:
    """Put bounds into words; the empty string where there are none."""
    limits = {key: f"{value:.10g}" for key, value in given.items() if key in _BOUNDS}
    if limits.keys() == {"ge", "le"}:
        return f"between {limits['ge']} and {limits['le']}"
    return " and ".join(f"{_BOUNDS[key]} {limits[key]}" for key in _BOUNDS if key in limits)


_BOUNDS = {"gt": "above", "ge": "of at least", "lt": "below", "le": "at most"}


def _show(value: Any) -> str:
    """Write a refused value as it stood in the file, shortened."""
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
