"""Settings from Python values, as passed by a script."""

import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.searchers.settings.described import Quantity


S = TypeVar("S", bound=SearchSettings)
KINDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a text"}


def settings_from(kind: type[S], given: Mapping[str, Any]) -> S:
    """
    Settings of class `kind` with these values. A list setting takes a single value too, a text setting also numbers,
    paths and lists of them (joined by commas); None keeps the default.

    Raises:
        ValueError: for an unknown setting, with similar names in the message, or an invalid value.
    """
    kinds = get_type_hints(kind)
    refuse_unknown(given, [field.name for field in fields(kind)])
    values = {name: _as(kinds[name], name, value) for name, value in given.items() if value is not None}
    return kind(**{**preset_of(kind, values.get("preset", "default")), **values})


def preset_of(kind: type[SearchSettings], name: str) -> Mapping[str, Any]:
    """
    Raises:
        ValueError: if the method has no such preset.
    """
    if name != "default" and name not in kind.PRESETS:
        raise ValueError(f"--preset {name}: this method has none of that name, leave it out.")
    return kind.PRESETS.get(name, {})


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    known = sorted(known)
    for name in sorted(set(given) - set(known)):
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        way_out = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}."
        raise ValueError(f"There is no setting {name}: {way_out}")


def _as(kind: Any, name: str, value: Any) -> Any:  # noqa: ANN401 (any setting)
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is list:
        return [_as(str, name, one) for one in _several(value)]
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{name} is {value!r}: choose from {', '.join(map(str, get_args(kind)))}.")
        return value
    if kind is Quantity:
        return Quantity(value)
    if kind is str:
        if wrong := [one for one in _several(value) if not isinstance(one, str | Path | int | float)]:
            raise ValueError(f"{name} holds {wrong[0]!r}: give {KINDS[kind]}.")
        return ",".join(str(one) for one in _several(value))
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name} is {value!r}: give {KINDS[kind]}.")
    return kind(value)


def _several(value: Any) -> list[Any]:  # noqa: ANN401
    """The values as a list; a single value becomes a list of one."""
    alone = isinstance(value, str | Path) or not isinstance(value, Iterable)
    return [value] if alone else [*value]
