"""What of a teacher is not used: the head that it was saved with, and the labels that this head answers with."""

from transformers import PreTrainedConfig


SHOWN = 5  # labels that are named
PRE_TRAINING = ("ForMaskedLM", "ForPreTraining")  # heads that nobody expects in the result


def head_of(config: PreTrainedConfig) -> str:
    """The class that the teacher was saved from where that has a head ("BertForSequenceClassification"), else ""."""
    name = (config.architectures or [""])[0]
    return name if "For" in name else ""


def has_task(config: PreTrainedConfig) -> bool:
    """Whether the teacher was trained for a task: classification, of texts or tokens, ranking, question answering."""
    return bool(head := head_of(config)) and not head.endswith(PRE_TRAINING)


def head_in_words(config: PreTrainedConfig) -> str:
    """The head with its labels: "its head (BertForSequenceClassification with 2 labels: neg, pos)"."""
    names = [str(name) for _, name in sorted(config.id2label.items())] if config.id2label else []
    is_adapters = head_of(config).startswith("Auto")  # the labels are in its weights, not in its base's configuration
    if is_adapters or not names or head_of(config).endswith("QuestionAnswering") or not has_task(config):
        return f"its head ({head_of(config)})"
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return f"its head ({head_of(config)} with {len(names)} label{'s' if len(names) > 1 else ''}: {shown})"
