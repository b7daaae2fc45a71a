"""How text becomes tokens, and how long a row of them is."""

from dataclasses import dataclass

from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.searchers.settings.described import described


@dataclass
class TokenSettings(SearchSettings):
    tokenizer: str = described("Tokenizer id or folder. Without: a WordPiece one is trained on the text.", "")
    vocab_size: int = described("Words of the tokenizer that is trained.", 4000, least=1)
    length: int = described("Tokens in a row.", 128, least=3)
