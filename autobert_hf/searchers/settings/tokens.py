"""Settings of the tokenizer and of the length of a row."""

from dataclasses import dataclass

from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.searchers.settings.described import described


@dataclass
class TokenSettings(SearchSettings):
    tokenizer: str = described(
        "Tokenizer id or folder. Default: a WordPiece one, trained on the text.", "", place=True
    )
    vocab_size: int = described("Vocabulary size of the trained tokenizer.", 4000, least=1)
    length: int = described("Tokens in a row.", 128, least=3)
