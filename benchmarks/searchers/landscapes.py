"""
Planted landscapes over the real AutoBERT-Zero space: the true value of every network is known, and a dial says how
much of it is additive by position, which is what OP-NAS assumes (AutoBERT-Zero, section 3.3).

**"Additive by position" where paths differ in length.** The genes of a network are those that OP-NAS counts:
(position, operation) for every primitive of every attention layer, (layer, kernel) for every convolution. x is the
vector of their counts (a gene of two layers counts twice, an absent position not at all); o counts the positions
whatever stands there: how long the paths are and which layers are convolutions, which OP-NAS leaves to chance. Over
networks as the space samples them, any value splits into uncorrelated parts:

    f = occupancy      its least-squares fit on o
      + operations     what the fit on x adds to that (columns of o are sums of columns of x)
      + interactions   what no sum over genes explains

The *additive share* is the variance share of the second part: of what stands at a position, given that something does.
A landscape draws a random function of each kind (normal weights of positions, of genes, of pairs of genes that are
neighbours in the order of `genes`, across layers too), takes its part, and adds the parts in the asked shares: on the
reference networks mean 0, variance 1 and the shares hold exactly. Where a search ends, far away from them, the same
function goes on, but the shares there may be others.
"""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from itertools import pairwise
from random import Random

import numpy as np
from scipy.sparse import csr_array

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.spaces.formulas import OPERATIONS, Draw


Gene = tuple[Hashable, object]


def columns(space: AutoBertZeroSpace) -> list[Gene]:
    """Every gene that a network of this space can have."""
    paths = [(("path", j), operation) for j in range(space.formulas.max_path) for operation in OPERATIONS]
    return paths + [(("kernel", i), kernel) for i in range(space.num_hidden_layers) for kernel in space.kernels]


def position_sums(genes: Sequence[Gene]) -> np.ndarray:
    """(genes, positions): counts of genes times this are counts of positions."""
    positions = list(dict.fromkeys(position for position, _ in genes))
    return np.array([[float(position == p) for p in positions] for position, _ in genes])


def counts(genes: Sequence[Hashable], networks: Sequence[Sequence[Hashable]]) -> csr_array:
    """(networks, genes): how often each network has each gene."""
    place = {gene: index for index, gene in enumerate(genes)}
    where = [(row, place[gene]) for row, held in enumerate(networks) for gene in held]
    rows, columns = zip(*where, strict=True)
    return csr_array((np.ones(len(where)), (rows, columns)), shape=(len(networks), len(genes)))


def with_constant(table: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(table)), table])


class DrawnSpace:
    """
    A space with networks drawn beforehand (see `draw_networks`), from which `sample` takes, since a random formula
    costs some thirty refused draws. They are the reference of landscapes, too. Mutations are the space's own.
    """

    def __init__(self, space: AutoBertZeroSpace, networks: Sequence[Architecture]) -> None:
        self.space = space
        self.networks = networks
        self.genes = lru_cache(maxsize=2 * len(networks))(space.genes)
        self.columns = columns(space)
        self.sums = position_sums(self.columns)
        held = [self.genes(network) for network in networks]
        self.x = counts(self.columns, held).toarray()
        self.pairs = sorted({pair for genes in held for pair in pairwise(genes)}, key=repr)
        self.x_pairs = counts(self.pairs, [list(pairwise(genes)) for genes in held])
        self.fit_genes = np.linalg.pinv(with_constant(self.x))
        self.fit_positions = np.linalg.pinv(with_constant(self.x @ self.sums))

    def interactions(self, networks: Sequence[Architecture]) -> np.ndarray:
        """(networks, pairs): how often each has each pair of the reference, less what its genes let expect there."""
        held = [self.genes(network) for network in networks]
        known = set(self.pairs)
        found = counts(self.pairs, [[pair for pair in pairwise(genes) if pair in known] for genes in held]).toarray()
        expected = (self.x_pairs.T @ self.fit_genes.T).T
        return found - with_constant(counts(self.columns, held).toarray()) @ expected

    def sample(self, rng: Random) -> Architecture:
        return rng.choice(self.networks)

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw | None = None) -> Architecture:
        return self.space.mutate(architecture, rng, draw)


def draw_networks(space: AutoBertZeroSpace, number: int, seed: int = 0) -> list[Architecture]:
    rng = Random(derive(seed, "reference"))
    return [space.sample(rng) for _ in range(number)]


class PairWeights(dict):
    """A normal weight for every pair of neighbours, the same whenever it is first asked for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __missing__(self, pair: tuple[Gene, Gene]) -> float:
        self[pair] = Random(derive(self.seed, "pair", pair)).gauss(0, 1)
        return self[pair]


class Landscape:
    """
    True values of networks, in standard deviations over the reference networks of `space`. `additive` and `occupancy`
    are shares of variance (0 to 1); interactions have the rest.
    """

    def __init__(self, space: DrawnSpace, seed: int, additive: float, occupancy: float = 0.0) -> None:
        self.space = space
        self.seed = seed
        rng = np.random.default_rng(derive(seed, "landscape"))
        design = with_constant(space.x)
        lengths = space.sums @ rng.normal(size=space.sums.shape[1])
        operations = rng.normal(size=len(space.columns))
        level, *slopes = space.fit_positions @ (space.x @ operations)
        self.pairs = PairWeights(seed)
        sums = space.x_pairs @ np.array([self.pairs[pair] for pair in space.pairs])
        explained = space.fit_genes @ sums

        by_position = np.array([0.0, *lengths])
        by_gene = np.array([-level, *(operations - space.sums @ slopes)])
        rest = max(1 - additive - occupancy, 0.0)
        scales = np.sqrt([occupancy, additive, rest]) / [
            (design @ by_position).std(),
            (design @ by_gene).std(),
            (sums - design @ explained).std(),
        ]
        parts = scales[:, None] * [by_position, by_gene, -explained]
        parts[:, 0] -= [*(design @ parts[:2].T).mean(0), scales[2] * sums.mean() + (design @ parts[2]).mean()]
        self.parts = parts
        self.pair_scale = float(scales[2])
        self.constant, *weights = parts.sum(0).tolist()
        self.weights = dict(zip(space.columns, weights, strict=True))

    def value(self, architecture: Architecture) -> float:
        genes = self.space.genes(architecture)
        by_gene = sum(self.weights[gene] for gene in genes)
        return self.constant + by_gene + self.by_pairs(genes)

    def by_pairs(self, genes: Sequence[Gene]) -> float:
        return self.pair_scale * sum(self.pairs[pair] for pair in pairwise(genes)) if self.pair_scale else 0.0

    def split(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """(architectures, 3): what occupancy, operations and interactions add to each value."""
        held = [self.space.genes(architecture) for architecture in architectures]
        split = with_constant(counts(self.space.columns, held).toarray()) @ self.parts.T
        split[:, 2] += [self.by_pairs(genes) for genes in held]
        return split
