"""Settings of the tokenizer and of the length of a row."""

from dataclasses import dataclass

from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.searchers.settings.described import described


@dataclass
class TokenSettings(SearchSettings):
    tokenizer: str = described("Tokenizer id or folder. Default: one trained on the text.", "", place=True)
    vocab_size: int = described("Vocabulary size of the trained tokenizer.", 4000, least=1)
    cased: bool = described("The trained tokenizer keeps capitals, and marks such as accents.", False)
    length: int = described("Tokens in a row.", 128, least=3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cased and self.tokenizer:
            raise ValueError(
                f"--cased is about a tokenizer that is trained here, and the one of {self.tokenizer} is not: leave "
                "one of them out."
            )
