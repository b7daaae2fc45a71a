"""Ratios are ratios: of work that is known beforehand."""

from autobert_hf.lab.measure import paired_ratios


def work(amount: int) -> int:
    return sum(i * i for i in range(amount))


def test_twice_the_work_takes_about_twice_the_time():
    ratios = paired_ratios(lambda: work(40_000), {"same": lambda: work(40_000), "twice": lambda: work(80_000)})
    assert 0.5 < ratios["same"].median < 1.5 < ratios["twice"].median < 3
    assert ratios["same"].low <= ratios["same"].median <= ratios["same"].high


def test_every_candidate_runs_equally_often_in_a_repeatable_order():
    runs = {}

    def order() -> str:
        seen: list[str] = []
        paired_ratios(lambda: seen.append("r"), {n: lambda n=n: seen.append(n) for n in "ab"}, rounds=3, repeats=2)
        return "".join(seen)

    runs = order()
    assert runs == order()
    assert {name: runs.count(name) for name in "rab"} == {"r": 8, "a": 8, "b": 8}
    assert len({runs[i : i + 6] for i in range(0, 24, 6)}) > 1
