"""LaTeX of formulas: what stands there is the formula, and it can be set."""

import re
from random import Random

import pytest
from matplotlib import mathtext

from autobert_hf.hub_cards.maths import latex
from autobert_hf.modeling.formula import STANDARD_ATTENTION, Formula, parse_formula
from autobert_hf.searchers.spaces.formulas import FormulaSampler


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (STANDARD_ATTENTION, [r"\operatorname{softmax}\left(\frac{q k^{\top}}{\sqrt{d}}\right) v"]),
        ("(q @ k.T) @ v", [r"q k^{\top} v"]),
        ("q @ (k.T @ v)", [r"q \left(k^{\top} v\right)"]),
        ("-(k + v) - q", [r"-\left(k + v\right) - q"]),
        ("v + -q", ["v - q"]),
        ("(q @ (k / sqrt(d)).T) @ v", [r"q \left(\frac{k}{\sqrt{d}}\right)^{\top} v"]),
        (
            "z = softsign(p); cosine(z, z) @ logsigmoid(v)",
            [
                r"z_1 = \operatorname{softsign}\left(p\right)",
                r"\operatorname{cos}\left(z_1, z_1\right) \log\sigma\left(v\right)",
            ],
        ),
        ("euclidean(q, k) @ v", [r"\operatorname{dist}\left(q, k\right) v"]),
    ],
)
def test_formulas_as_a_person_would_write_them(text, lines):
    assert latex(parse_formula(text)) == lines


def test_random_formulas_can_be_set_and_lose_nothing():
    rng, sampler, parser = Random(0), FormulaSampler(3, 12), mathtext.MathTextParser("path")
    for _ in range(25):
        formula = Formula(sampler.sample(rng))
        lines = latex(formula.graph)
        for line in lines:
            parser.parse(f"${line}$")
        names = re.findall(r"softmax|softsign|sigma|cos|dist", " ".join(lines))
        counted = {
            "softmax": "softmax",
            "softsign": "softsign",
            "logsigmoid": "sigma",
            "cosine": "cos",
            "euclidean": "dist",
        }
        for primitive, shown in counted.items():
            assert names.count(shown) == sum(name == primitive for name, _ in formula.graph.nodes)
        assert len(lines) - 1 == formula.text.count(";")
        assert all(line.startswith(f"z_{number} = ") for number, line in enumerate(lines[:-1], start=1))
