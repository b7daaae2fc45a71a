"""Ways to damage a file, drawn at random."""

import json
import struct
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from autobert_hf.records.tensor_files import read_metadata, write_tensors


DEEP = "[" * 20_000 + "]" * 20_000
HUGE = "1" + "0" * 400
VALUES = [
    "NaN",
    "-Infinity",
    "1e999",
    HUGE,
    "1" * 5000,
    DEEP,
    "null",
    "true",
    '"x"',
    "[]",
    "{}",
    "-1",
    "0.5",
    '""',
    "[[]]",
]


def damage(path: Path, rng: Random) -> str:
    """Damages the file in one of the ways that its kind allows; returns which."""
    ways = [truncated, emptied, flipped, noise, deleted, a_folder]
    if path.suffix in (".json", ".jsonl"):
        ways += [value_changed] * 6 + [key_removed, another_json, not_utf8]
    if path.suffix == ".jsonl":
        ways += [line_removed, line_twice, half_a_line]
    if path.suffix == ".safetensors":
        ways += [header_changed, header_length, fewer_tensors, other_shapes, not_finite, no_metadata]
    way = rng.choice(ways)
    way(path, rng)
    return f"{path.name} {way.__name__}"


def truncated(path: Path, rng: Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data)) if data else 0])


def emptied(path: Path, rng: Random) -> None:
    path.write_bytes(b"")


def flipped(path: Path, rng: Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 8])):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def noise(path: Path, rng: Random) -> None:
    path.write_bytes(rng.randbytes(rng.choice([1, 9, 5000])))


def deleted(path: Path, rng: Random) -> None:
    path.unlink()


def a_folder(path: Path, rng: Random) -> None:
    path.unlink()
    path.mkdir()


def not_utf8(path: Path, rng: Random) -> None:
    path.write_bytes(b"\xff" + path.read_bytes())


def another_json(path: Path, rng: Random) -> None:
    path.write_text(rng.choice(VALUES) + "\n")


def value_changed(path: Path, rng: Random) -> None:
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    number = rng.randrange(len(lines))
    data = json.loads(lines[number])
    _change(data, rng)
    lines[number] = json.dumps(data, indent=None if path.suffix == ".jsonl" else 2).replace(
        '"\\u0000"', rng.choice(VALUES)
    )
    path.write_text("\n".join(lines) + "\n")


def _change(data: Any, rng: Random) -> None:
    """Puts a mark in the place of some value, at any depth."""
    while True:
        keys = [*data] if isinstance(data, dict) else [*range(len(data))]
        if not keys:
            return
        key = rng.choice(keys)
        if not isinstance(data[key], dict | list) or not data[key] or rng.random() < 0.2:
            data[key] = "\0"
            return
        data = data[key]


def key_removed(path: Path, rng: Random) -> None:
    text = path.read_text().splitlines()[0] if path.suffix == ".jsonl" else path.read_text()
    data = json.loads(text)
    if isinstance(data, dict) and data:
        del data[rng.choice([*data])]
    path.write_text(json.dumps(data) + "\n")


def line_removed(path: Path, rng: Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


def line_twice(path: Path, rng: Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    path.write_bytes(b"".join(lines))


def half_a_line(path: Path, rng: Random) -> None:
    path.write_bytes(path.read_bytes() + b'{"trial"')


def header_changed(path: Path, rng: Random) -> None:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = bytearray(data[8 : 8 + length])
    header[rng.randrange(length)] = rng.randrange(32, 127)
    path.write_bytes(data[:8] + header + data[8 + length :])


def header_length(path: Path, rng: Random) -> None:
    path.write_bytes(struct.pack("<Q", rng.choice([0, 7, 1 << 40, 1 << 63])) + path.read_bytes()[8:])


def _rewritten(path: Path, tensors: dict[str, torch.Tensor], rng: Random) -> None:
    """As another program would write it, or as another run of ours, with checksums."""
    try:
        metadata = read_metadata(path)
    except ValueError:  # a model's
        return save_file(tensors, path, {"format": "pt"})
    if rng.random() < 0.5:
        return save_file(tensors, path, metadata)
    return write_tensors(path, tensors, **metadata)


def fewer_tensors(path: Path, rng: Random) -> None:
    tensors = load_file(path)
    del tensors[rng.choice([*tensors])]
    _rewritten(path, tensors, rng)


def other_shapes(path: Path, rng: Random) -> None:
    tensors = load_file(path)
    name = rng.choice([*tensors])
    tensors[name] = torch.zeros(3, 1)
    _rewritten(path, tensors, rng)


def not_finite(path: Path, rng: Random) -> None:
    tensors = load_file(path)
    _rewritten(path, {name: tensor * float("nan") for name, tensor in tensors.items()}, rng)


def no_metadata(path: Path, rng: Random) -> None:
    save_file(load_file(path), path)
