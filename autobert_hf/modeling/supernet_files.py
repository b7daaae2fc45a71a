"""
Reads and writes the files of a supernet; `supernet_layout` says what stands in them. safetensors' own reader maps
files into memory, where a slice of columns touches every page; here the pieces of a slice are read one by one.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import save_file
from torch import Tensor

from .slicing import Cut, weight_axes
from .supernet_layout import STRIP, Block, Layout, matrix
from .supernet_space import SuperNetError


DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
MAX_HEADER = 100_000_000  # as in safetensors
BAND = 1 << 22  # bytes that are read before they are copied: few calls, and they fit in a cache


def write_files(folder: Path, state: Mapping[str, Tensor], layout: Layout, digest: str) -> None:
    """One safetensors file for each layer and level; a tensor under two names is written once."""
    files: dict[str, dict[str, Tensor]] = {}
    shapes: dict[str, dict[str, list[int]]] = {}
    for name, tensor in untied(state).items():
        layer, axes = weight_axes(name)
        rows, columns = matrix(tensor.shape)
        by_row = layout.order(axes[0], rows, layer)
        by_column = layout.order(axes[1] if tensor.ndim > 1 else None, columns, layer)
        whole = tensor.detach().cpu().reshape(rows, columns)[by_row][:, by_column]
        for level in range(len(layout.levels)):
            for block in layout.blocks(name, tensor.shape, level):
                part = whole[block.row : block.row + block.rows, block.column : block.column + block.columns]
                strips = torch.cat([strip.reshape(-1) for strip in part.split(STRIP, dim=1)])
                file = layout.file_name(layer, level)
                files.setdefault(file, {})[block.key] = strips
                shapes.setdefault(file, {})[name] = list(tensor.shape)
    for old in folder.glob("supernet-*.safetensors"):
        old.unlink()
    for file, tensors in files.items():
        # One key: safetensors writes several in any order, and equal supernets would have different files.
        facts = {"digest": digest, "shapes": shapes[file]}
        save_file(tensors, folder / file, {"supernet": json.dumps(facts)})


def untied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each storage once, under its first name."""
    first: dict[tuple[int, tuple[int, ...]], str] = {}
    for name, tensor in state.items():
        first.setdefault((tensor.data_ptr(), tuple(tensor.shape)), name)
    return {name: state[name] for name in first.values()}


class SuperNetFile:
    """One file of a supernet, read in pieces. Raises SuperNetError if it is damaged or of another supernet."""

    def __init__(self, path: Path, digest: str) -> None:
        self.path = path
        self.file: BinaryIO = path.open("rb", buffering=0)
        size = path.stat().st_size
        length = int.from_bytes(self._read(0, 8), "little")
        if not 2 <= length <= min(size - 8, MAX_HEADER):
            raise self._damaged("its header is cut off")
        try:
            self.header: dict[str, Any] = json.loads(self._read(8, length))
            facts = json.loads(self.header.pop("__metadata__")["supernet"])
            self.shapes: dict[str, list[int]] = _checked_shapes(facts["shapes"])
            written_for = facts["digest"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged("its header is none of a supernet") from error
        self.start = 8 + length
        if written_for != digest:
            raise SuperNetError(
                f"{path.name} was written for other sizes, depths or front than config.json declares: one of them was "
                "changed. Fetch both again from where they came, or save the supernet anew."
            )

    def close(self) -> None:
        self.file.close()

    def _damaged(self, why: str) -> SuperNetError:
        return SuperNetError(f"{self.path} is damaged ({why}): fetch it again.")

    def _read(self, offset: int, size: int) -> bytearray:
        buffer = bytearray(size)
        self._fill(memoryview(buffer), offset)
        return buffer

    def _fill(self, view: memoryview, offset: int) -> None:
        done = 0
        self.file.seek(offset)
        while done < len(view):
            got = self.file.readinto(view[done:])  # type: ignore[attr-defined]  # an unbuffered file has it
            if not got:
                raise self._damaged("it ends too early")
            done += got

    def check(self, layout: Layout, layer: int | None, level: int) -> None:
        """That it holds the weights of this layer and level which its header lists, and no others."""
        try:
            fits = all(weight_axes(name)[0] == layer for name in self.shapes)
        except (KeyError, ValueError) as error:
            raise self._damaged("it lists weights that no layer has") from error
        if not fits:
            raise self._damaged("it is the file of another layer")
        listed = {block.key for name, shape in self.shapes.items() for block in layout.blocks(name, shape, level)}
        if listed != set(self.header):
            odd = min(listed ^ set(self.header))
            raise self._damaged(f"its header and its tensors differ, as by {odd}")

    def entry(self, block: Block) -> tuple[torch.dtype, int]:
        """dtype and place of a block, checked against the declared sizes."""
        try:
            entry = self.header[block.key]
            dtype, (begin, end) = DTYPES[entry["dtype"]], entry["data_offsets"]
            size = block.rows * block.columns
            fits = entry["shape"] == [size] and begin >= 0 and end - begin == size * dtype.itemsize
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"it holds no {block.key}") from error
        if not fits:
            raise SuperNetError(
                f"{self.path.name}: {block.key} has the shape {entry['shape']}, where the sizes that config.json "
                f"declares need {block.rows} x {block.columns}. Fetch both again from where they came."
            )
        return dtype, self.start + begin

    def read(self, block: Block, out: Tensor) -> None:
        """Fills in the part of `out`, the leading rows and columns of a sorted matrix, that the block holds."""
        dtype, place = self.entry(block)
        rows = min(out.shape[0] - block.row, block.rows)
        columns = min(out.shape[1] - block.column, block.columns)
        if rows <= 0 or columns <= 0:
            return
        target = out[block.row : block.row + rows, block.column : block.column + columns]
        if full := columns // STRIP * STRIP:
            self._read_strips(place, dtype, block.rows, target[:, :full])
        if full < columns:
            width = min(STRIP, block.columns - full)
            data = self._read(place + full * block.rows * dtype.itemsize, rows * width * dtype.itemsize)
            target[:, full:] = torch.frombuffer(data, dtype=dtype).view(rows, width)[:, : columns - full]

    def _read_strips(self, place: int, dtype: torch.dtype, stored: int, target: Tensor) -> None:
        """
        Fills `target` from whole strips of `stored` rows each. Some rows of all strips at a time: a single strip is a
        few bytes of each row, and would walk through the memory of all of `target`.
        """
        strips, row = target.shape[1] // STRIP, STRIP * dtype.itemsize
        band = max(1, min(len(target), BAND // (strips * row)))
        buffer = bytearray(strips * band * row)
        view = memoryview(buffer)
        for first in range(0, len(target), band):
            rows = min(band, len(target) - first)
            if rows == stored:
                self._fill(view, place)
            else:
                for strip in range(strips):
                    part = view[strip * rows * row : (strip + 1) * rows * row]
                    self._fill(part, place + (strip * stored + first) * row)
            read = torch.frombuffer(buffer, dtype=dtype, count=strips * rows * STRIP).view(strips, rows, STRIP)
            target[first : first + rows].unflatten(1, (strips, STRIP)).copy_(read.transpose(0, 1))


def _checked_shapes(shapes: Any) -> dict[str, list[int]]:  # noqa: ANN401
    """Raises ValueError unless they are the shapes of vectors and matrices by name."""
    for shape in shapes.values():
        if not 1 <= len(shape) <= 2 or not all(type(size) is int and size > 0 for size in shape):
            raise ValueError("no shape")
    return shapes


def needed_files(layout: Layout, small: Cut) -> dict[int | None, list[str]]:
    """The files that the network `small` needs, by the supernet's layer; None is outside of them."""
    layers: list[int | None] = [None, *(layer.source for layer in small.layers)]
    return {layer: [layout.file_name(layer, n) for n in range(layout.levels_for(small, layer))] for layer in layers}


def read_slice(paths: Mapping[str, Path], layout: Layout, small: Cut, digest: str) -> dict[str, Tensor]:
    """
    The weights of the network `small`, by their names there. `paths`: where the needed files lie, by name.

    Raises:
        SuperNetError: if a file is damaged, or belongs to another supernet.
    """
    state: dict[str, Tensor] = {}
    for number, (layer, names) in enumerate(needed_files(layout, small).items(), start=-1):
        with ExitStack() as stack:
            opened = [stack.enter_context(closing(SuperNetFile(paths[name], digest))) for name in names]
            for level, file in enumerate(opened):
                file.check(layout, layer, level)
            for name, shape in opened[0].shapes.items():
                renamed = name.replace(f"encoder.layers.{layer}.", f"encoder.layers.{number}.")
                state[renamed] = _weight(opened, layout, small, name, shape)
    return state


def _weight(opened: Iterable[SuperNetFile], layout: Layout, small: Cut, name: str, shape: Sequence[int]) -> Tensor:
    layer, axes = weight_axes(name)
    row_count, column_count = matrix(shape)
    rows = layout.needed(axes[0], row_count, small, layer)
    columns = layout.needed(axes[1] if len(shape) > 1 else None, column_count, small, layer)
    out = torch.empty(0)
    for level, file in enumerate(opened):
        for block in layout.blocks(name, shape, level):
            if not out.numel():
                out = torch.empty(max(rows) + 1, max(columns) + 1, dtype=file.entry(block)[0])
            file.read(block, out)
    if rows != list(range(len(out))):
        out = out[rows]
    if columns != list(range(out.shape[1])):
        out = out[:, columns].contiguous()
    return out if len(shape) > 1 else out[:, 0]
