"""
`AutoBertSuperNet.push_to_hub` with the checks of `autobert push`. They belong to `hub_cards`, which `modeling` may not
import; hence the method is added when the package is imported.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from autobert_hf.modeling.supernet import AutoBertSuperNet


def push_to_hub(
    supernet: AutoBertSuperNet,
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
) -> str:
    """
    Checks, creates the repository (and the branch `revision`) if needed, and sends everything as one commit, whose
    address is returned. `token`: by default that of huggingface_hub.

    Raises:
        PushError: if a file must not be published, if the network does not load back with equal outputs, if the Hub
            refuses a request.
    """
    from autobert_hf.hub_cards.push import send  # with what cards are drawn by, which loading a model does not need
    from autobert_hf.hub_cards.supernet_push import MESSAGE, prepare_supernet

    with TemporaryDirectory() as folder:
        supernet.save_pretrained(folder)
        upload = prepare_supernet(Path(folder), repo_id, commit_message or MESSAGE)
        return send(upload, private, revision, token)


def register() -> None:
    AutoBertSuperNet.push_to_hub = push_to_hub  # type: ignore[assignment]  # instead of the upload of transformers
