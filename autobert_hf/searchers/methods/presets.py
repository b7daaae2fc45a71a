"""Settings of the papers, by method: what `--preset paper` gives to settings that are not given."""

from typing import Any

from autobert_hf.searchers.settings.described import Quantity


# Sections 3.3 and 4.1; the paper gives no learning rates, batch sizes or lengths of rows.
AUTOBERT_ZERO: dict[str, Any] = {
    **{"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
    **{"norm_position": "post", "loss": "mlm+nsp", "candidate_steps": 40_000, "population": 100, "num_trials": 760},
    **{"bound_samples": "history", "kernel_draws": "frequency", "path_mutations": "guided"},
}

# Sections 3.1 to 3.4 and 4.1; epochs of the paper's 16 GB of text are left to --supernet-steps and --final-tokens.
AUTOTINYBERT: dict[str, Any] = {
    **{"num_hidden_layers": 8, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
    **{"norm_position": "post", "start": "scratch", "width_step": 4, "inner_step": 4, "learning_rate": 1e-5},
    **{"batch_size": 256, "shards": 16, "strategy": "evolution-paper", "window_high": 1.1, "finalists": 3},
    **{"latency_predictor": "network", "latency_samples": 10_000, "final_warmup": 0.0},
}

# Section 4.1 and the released configurations; its 10 epochs are left to --supernet-steps.
AUTODISTIL: dict[str, Any] = {
    **{"teacher": "google-bert/bert-base-uncased", "loss": "relations-mse", "learning_rate": 4e-5},
    **{"batch_size": 128, "length": 128},
}

# Section 4 and the released search: 100 random ones, 30 rounds of 40 mutants and 40 crossovers; GPT-2's vocabulary.
LTS: dict[str, Any] = {
    **{"space": "gpt2", "min_decoder_params": Quantity("6M"), "max_decoder_params": Quantity("100M")},
    **{"vocab_size": 50257, "length": 1024, "latency_rounds": 10},
}

# Section 3: the supernet of the analysis, at the width of BERT-base; of the main experiments no numbers are known.
MAGIC: dict[str, Any] = {
    **{"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "norm_position": "post"},
    **{"operations": "analysis", "supernet_steps": 62_500, "batch_size": 1024, "shards": 32},
}

# A space small enough to judge all of its 256 networks, and to train them for the truth.
MAGIC_4X4: dict[str, Any] = {
    **{"num_hidden_layers": 4, "operations": "main", "strategy": "exhaustive", "num_trials": 256},
}
