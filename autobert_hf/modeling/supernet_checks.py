"""Whether a `supernet` section has the form that `supernet_space` describes, before anything is computed from it."""

import re
from collections.abc import Mapping
from typing import Any


IN_LAYER = ("intermediate_size", "num_attention_heads", "head_dim")
SIZES = ("num_hidden_layers", "hidden_size", *IN_LAYER)
NAME = re.compile(r"[\w.-]{1,40}")


class SuperNetError(ValueError):
    """A size that a supernet does not hold, or a supernet whose files do not fit together."""


def check_section(section: Mapping[str, Any], layers: int) -> None:
    """
    `layers`: of the whole network.

    Raises:
        SuperNetError: if a part of the section has another form; the message names the part.
    """
    _check_box(section["box"])
    _check_depths(section["depths"], layers)
    front = section["front"]
    _require(isinstance(front, list), "front", front, "a list of points")
    for number, point in enumerate(front):
        _check_point(f"front[{number}]", point)
    names = [point["name"] for point in front]
    _require(len(set(names)) == len(names), "front", names, "names that differ")
    if (quality := section["quality"]) is not None:
        _check_quality(quality)
    for key in ("machine", "reference"):
        _require(section[key] is None or isinstance(section[key], str), key, section[key], "a name")


def _require(holds: bool, part: str, found: object, wanted: str) -> None:
    if not holds:
        raise SuperNetError(
            f"The section `supernet` of the configuration is damaged: {part} is {found!r}, not {wanted}. Fetch "
            "config.json again, or mend the space that the supernet was made with."
        )


def _check_box(box: Any) -> None:  # noqa: ANN401
    _require(isinstance(box, dict) and set(box) == set(SIZES), "box", box, f"an entry for each of {', '.join(SIZES)}")
    for name, grid in box.items():
        fits = _are_counts(grid) and len(grid) == 3 and 1 <= grid[0] <= grid[1] and grid[2] >= 1
        fits = fits and (grid[1] - grid[0]) % grid[2] == 0
        _require(fits, f"box.{name}", grid, "least, largest and step")


def _check_depths(depths: Any, layers: int) -> None:  # noqa: ANN401
    _require(isinstance(depths, dict), "depths", depths, "an object")
    for depth, chosen in depths.items():
        fits = _are_counts(chosen) and depth == str(len(chosen)) and len(set(chosen)) == len(chosen)
        fits = fits and all(layer < layers for layer in chosen)
        _require(fits, f"depths[{depth!r}]", chosen, f"so many different layers of 0 to {layers - 1}")


def _check_point(part: str, point: Any) -> None:  # noqa: ANN401
    keys = {"name", "sizes", "scores"}
    _require(isinstance(point, dict) and set(point) == keys, part, point, "an object of name, sizes and scores")
    name, sizes, scores = point["name"], point["sizes"], point["scores"]
    _require(
        isinstance(name, str) and bool(NAME.fullmatch(name)), f"{part}.name", name, "letters, digits, dots and dashes"
    )
    fits = isinstance(sizes, dict) and set(sizes) == set(SIZES)
    _require(fits, f"{part}.sizes", sizes, f"an entry for each of {', '.join(SIZES)}")
    for key, size in sizes.items():
        each = size if isinstance(size, list) else [size]
        fits = _are_counts(each) and min(each, default=0) >= 1
        fits = fits and (size is not each or (key in IN_LAYER and len(each) == sizes["num_hidden_layers"]))
        _require(fits, f"{part}.sizes.{key}", size, "a positive whole number, or in a layer one for each layer")
    _require(isinstance(scores, dict), f"{part}.scores", scores, "an object")
    for key, score in scores.items():
        fits = isinstance(score, int | float) and not isinstance(score, bool) and score == score
        _require(fits, f"{part}.scores.{key}", score, "a number")


def _check_quality(quality: Any) -> None:  # noqa: ANN401
    fits = isinstance(quality, dict) and set(quality) == {"name", "unit", "direction"}
    fits = fits and all(isinstance(value, str) for value in quality.values())
    fits = fits and quality["direction"] in ("minimize", "maximize")
    _require(fits, "quality", quality, "a name, a unit and a direction, minimize or maximize")


def _are_counts(values: Any) -> bool:  # noqa: ANN401
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)
