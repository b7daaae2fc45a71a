"""A journal that is continued: what it holds is replayed, the rest is evaluated and appended."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from autobert_hf.lab.training.team import Team
from autobert_hf.records.journal import Journal


class Recorded(Protocol):
    def to_record(self) -> dict[str, Any]: ...


Asked = TypeVar("Asked")
Result = TypeVar("Result", bound=Recorded)


class Replay:
    """`at`: the number of records that have been replayed or appended, or were skipped at the start."""

    def __init__(self, journal: Journal, team: Team, at: int = 0) -> None:
        self.journal = journal
        self.team = team
        self.at = at

    @property
    def is_over(self) -> bool:
        return self.at == len(self.journal.records)

    def results(
        self,
        asked: Sequence[Asked],
        recorded: Callable[[Asked, int, Mapping[str, Any]], Result],
        evaluated: Callable[[Asked], Result],
        begin: Callable[[], None],
        at_once: int,
    ) -> Iterator[Result]:
        """
        A result for each thing asked, in order: `recorded(asked, line, record)` of the next record; after the last one
        `begin()`, then `evaluated(asked)`, by `at_once` processes at a time.
        """
        held = len(self.journal.records) - self.at
        for one in asked[:held]:
            self.at += 1
            yield recorded(one, self.at, self.journal.records[self.at - 1])
        rest = asked[held:]
        if rest:
            begin()
        for start in range(0, len(rest), at_once):
            mine = rest[start : start + at_once][self.team.rank : self.team.rank + 1]
            for result in self.team.gather_in_order([evaluated(one) for one in mine]):
                self.journal.append(result.to_record())
                self.at += 1
                yield result
