"""Settings of the tokenizer and of the length of a row."""

from dataclasses import dataclass

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from autobert_hf.lab.data.documents import TextError
from autobert_hf.lab.own_code import OwnCodeError, own_code_refused
from autobert_hf.records.model_folder import loading
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

    def given_tokenizer(self) -> PreTrainedTokenizerBase | None:
        """
        For methods that read no text: the tokenizer that the networks are made for, if one was given.

        Raises:
            TextError: if it cannot be loaded.
        """
        if not self.tokenizer:
            return None
        try:
            with own_code_refused(f"The tokenizer {self.tokenizer}"), loading(self.tokenizer):
                return AutoTokenizer.from_pretrained(self.tokenizer, trust_remote_code=self.trust_remote_code)
        except OwnCodeError:
            raise
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise TextError(
                f"The tokenizer {self.tokenizer} cannot be loaded ({reason}): check its name or folder, or leave "
                "--tokenizer out and give --vocab-size."
            ) from error
