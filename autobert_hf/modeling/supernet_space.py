"""
Which sizes a published supernet holds, and which of them somebody asks for: arithmetic on the `supernet` section of a
configuration, which is plain JSON:

* `box`: for each of `SIZES` the least size, the largest, and the step between;
* `depths`: for a number of layers, which layers of the supernet are used (without an entry: the first ones);
* `front`: named points with their `sizes` and measured `scores`, and `quality`, the score that they are chosen by;
* `machine`: where the latencies of the front were measured, as shares of that of `reference`.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .arithmetic import count_parameters
from .configuration_autobert import AutoBertConfig
from .machine import machine_name
from .slicing import Cut, LayerCut
from .supernet_checks import IN_LAYER, SIZES, SuperNetError, check_section


Sizes = dict[str, Any]  # a number each, for those of a layer also one number per layer

LIMITS = {"max_params": "parameters", "max_latency": "latency"}


@dataclass(frozen=True)
class SuperNetSpace:
    """The `supernet` section; see the head of this file."""

    box: Mapping[str, Sequence[int]]
    depths: Mapping[str, Sequence[int]] = field(default_factory=dict)
    front: Sequence[Mapping[str, Any]] = ()
    quality: Mapping[str, str] | None = None  # name, unit, direction
    machine: str | None = None
    reference: str | None = None

    @classmethod
    def of(cls, config: AutoBertConfig) -> "SuperNetSpace":
        """Raises SuperNetError for a section that does not describe sizes of this network."""
        try:
            space = cls(**config.supernet or {})
        except TypeError as error:
            raise SuperNetError(
                f"The section `supernet` of the configuration is damaged ({error}): fetch config.json again."
            ) from error
        check_section(space.to_json(), config.num_hidden_layers)
        space._check(config)
        return space

    def to_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))

    def _check(self, config: AutoBertConfig) -> None:
        whole = Cut.of(config)
        try:
            for sizes in [self.corner(-1), *(point["sizes"] for point in self.front)]:
                self.cut(sizes, config).check(whole)
        except ValueError as error:
            raise SuperNetError(
                f"The section `supernet` does not fit the network of this configuration ({error}): one of them was "
                "edited. Fetch config.json again."
            ) from error

    def corner(self, end: int) -> Sizes:
        """The smallest (0) or largest (-1) sizes of the box."""
        return {name: [self.box[name][0], self.box[name][1]][end] for name in SIZES}

    @property
    def points(self) -> dict[str, Mapping[str, Any]]:
        """The front by name; `smallest` and `largest` are the corners of the box unless the front has them."""
        ends = {name: {"sizes": self.corner(end), "scores": {}} for name, end in (("smallest", 0), ("largest", -1))}
        return ends | {point["name"]: point for point in self.front}

    def nearest(self, sizes: Mapping[str, Any]) -> Sizes:
        """Each size moved to the nearest one inside the box."""
        return {name: self._nearest(name, sizes[name]) for name in SIZES}

    def contains(self, sizes: Mapping[str, Any]) -> bool:
        return set(sizes) == set(SIZES) and self.nearest(sizes) == dict(sizes)

    def _nearest(self, name: str, size: Any) -> Any:  # noqa: ANN401
        if isinstance(size, list | tuple):
            return [self._nearest(name, one) for one in size]
        low, high, step = self.box[name]
        return low + step * round((min(max(size, low), high) - low) / step)

    def sizes(self, architecture: object, config: AutoBertConfig) -> Sizes:
        """
        The sizes that `architecture` asks for: None (the largest), the name of a point, `max_params` (of the encoder
        with its embeddings, without heads) and `max_latency` as limits, or explicit sizes, where those left out are
        the largest.

        Raises:
            SuperNetError: if the supernet has none like it; the message says what it has.
        """
        if architecture is None:
            return self.corner(-1)
        if isinstance(architecture, str):
            if architecture not in self.points:
                raise SuperNetError(
                    f"This supernet has no point {architecture!r}. It has {', '.join(self.points)}; a limit such as "
                    '{"max_params": 5_000_000} or sizes such as {"hidden_size": 256} can be given as well.'
                )
            return dict(self.points[architecture]["sizes"])
        if not isinstance(architecture, Mapping) or not architecture:
            raise SuperNetError(f"architecture must be a name, limits or sizes, not {architecture!r}.")
        if set(architecture) <= set(LIMITS):
            for limit, most in architecture.items():
                if isinstance(most, bool) or not isinstance(most, (int, float)):
                    raise SuperNetError(f"architecture: {limit} is {most!r}, not a number.")
            return self._within(architecture, config)
        return self._explicit(architecture)

    def _explicit(self, given: Mapping[str, Any]) -> Sizes:
        if unknown := sorted(set(given) - set(SIZES)):
            known = ", ".join((*SIZES, *LIMITS))
            raise SuperNetError(f"architecture: {unknown[0]!r} is no size. Give some of {known} (limits alone).")
        sizes = self.corner(-1) | dict(given)
        depth = sizes["num_hidden_layers"]
        flat = [(name, one) for name, size in sizes.items() for one in (size if isinstance(size, list) else [size])]
        if bad := [f"{name} is {one!r}" for name, one in flat if not isinstance(one, int) or isinstance(one, bool)]:
            raise SuperNetError(f"architecture: {bad[0]}, not a whole number.")
        lists = {name: size for name, size in sizes.items() if isinstance(size, list)}
        if bad := [name for name, size in lists.items() if name not in IN_LAYER or len(size) != depth]:
            raise SuperNetError(
                f"architecture: {bad[0]} takes one number, or in a layer one for each of {depth} layers."
            )
        if not self.contains(sizes):
            nearest = self.nearest(sizes)
            moved = [name for name in SIZES if nearest[name] != sizes[name]]
            boxes = ", ".join(
                f"{name} {self.box[name][0]} to {self.box[name][1]} by {self.box[name][2]}" for name in moved
            )
            raise SuperNetError(
                f"This supernet does not hold { ({name: sizes[name] for name in moved}) }: it has {boxes}. "
                f"The nearest inside is architecture={nearest}."
            )
        return sizes

    def _within(self, limits: Mapping[str, float], config: AutoBertConfig) -> Sizes:
        scored = {name: self.scores(name, config) for name in self.points}
        names = [point["name"] for point in self.front] or list(scored)
        if "max_latency" in limits:
            self._warn_elsewhere()
            names = [name for name in names if "latency" in scored[name]]
            if not names:
                raise SuperNetError("No latency of this supernet's front is known: give max_params, a name or sizes.")
        elif "smallest" not in names:
            names.append("smallest")
        fitting = [n for n in names if all(scored[n][LIMITS[limit]] <= most for limit, most in limits.items())]
        if not fitting:
            least = [f"{min(scored[n][LIMITS[limit]] for n in names):,.4g} {LIMITS[limit]}" for limit in limits]
            raise SuperNetError(
                f"No point of this supernet keeps within {dict(limits)}; the least are {', '.join(least)}."
            )
        return dict(self.points[max(fitting, key=lambda name: self._rank(scored[name]))]["sizes"])

    def _rank(self, scores: Mapping[str, float]) -> tuple[float, float]:
        """Higher is better: the quality that was measured, then the number of parameters."""
        value = scores.get(self.quality["name"]) if self.quality else None
        if value is None:
            return float("-inf"), scores["parameters"]
        return (value if self.quality and self.quality["direction"] == "maximize" else -value), scores["parameters"]

    def scores(self, name: str, config: AutoBertConfig) -> dict[str, float]:
        """What was measured of a point, and its parameters (of the encoder with its embeddings)."""
        small = self.cut(self.points[name]["sizes"], config).to_config(config)
        return {**self.points[name]["scores"], "parameters": count_parameters(small)}

    def _warn_elsewhere(self) -> None:
        here = machine_name()
        if self.machine and self.machine.partition(",")[0] != here.partition(",")[0]:
            warnings.warn(
                f"The latencies of this supernet were measured on {self.machine}, this is {here}: shares can differ "
                "here. `autobert measure` measures them.",
                stacklevel=2,
            )

    def cut(self, sizes: Mapping[str, Any], config: AutoBertConfig) -> Cut:
        """The slice of the network of `config` that has these sizes."""
        depth, hidden = sizes["num_hidden_layers"], sizes["hidden_size"]
        factorized = config.embedding_size != config.hidden_size
        sources = self.depths.get(str(depth), range(depth))
        each = {name: sizes[name] if isinstance(sizes[name], list) else [sizes[name]] * depth for name in IN_LAYER}
        layers = [LayerCut(layer, **{name: each[name][i] for name in IN_LAYER}) for i, layer in enumerate(sources)]
        return Cut(hidden, config.embedding_size if factorized else hidden, tuple(layers))

    def digest(self, config: AutoBertConfig) -> str:
        """Of all that the layout of the files follows from; stored in each of them."""
        whole = Cut.of(config)
        facts = [
            self.box,
            self.depths,
            [point["sizes"] for point in self.front],
            asdict(whole),
            count_parameters(config),
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
