"""Every test of transformers' own that does not run on a shape, each with its reason. Checked by conftest.py."""

from .shapes import SHAPES


# These skip themselves where they do not apply; on a machine that has what they need they run. Any other skip fails.
SKIP_THEMSELVES = {
    "test_flash_attn_*": "wants flash attention on a GPU",
    "test_flex_attention_with_grads": "wants a GPU",
    "test_sdpa_can_dispatch_on_flash": "wants a GPU",
    "test_sdpa_can_compile_dynamic": "wants a GPU",
    "test_torch_compile_for_training": "wants a GPU",
    "test_disk_offload_*": "wants a GPU",
    "test_cpu_offload": "wants a GPU",
    "test_can_load_with_device_context_manager": "wants a GPU",
    "test_can_load_with_global_device_set": "wants a GPU",
    "test_model_parallelism": "wants several GPUs",
    "test_resize_*_with_deepspeed*": "wants DeepSpeed",
    "test_kernels_can_load_without_crashing": "wants the kernels library and a GPU",
    "test_eager_matches_sdpa_inference_24_*": "reads from an annotation whether attentions come out; mypy refuses it",
    "test_eager_matches_batched_and_grouped_inference_*": "for mixtures of experts",
    "test_moe_models_record_router_logits": "for mixtures of experts",
    "test_output_router_logits_from_config": "for mixtures of experts",
    "test_attn_implementation_composite_models": "for models of several networks",
    "test_can_set_attention_dynamically_composite_model": "for models of several networks",
    "test_sdpa_can_dispatch_composite_models": "for models of several networks",
    "test_internal_model_config_and_subconfig_are_same": "for models of several networks",
    "test_encoder_decoder_loss_no_double_shift": "for encoder-decoders",
    "test_causal_lm_loss_honors_shift_labels": "for decoders; the encoder shapes skip it",
    "test_model_rope_*": "for rotary positions",
    "test_vision_axial_rope": "for rotary positions",
    "test_sliding_window_mask": "for sliding windows",
    "test_resize_position_vector_embeddings": "for models that can resize learned positions; BERT cannot either",
    "test_bc_cache_name_forward": "for networks that give a cache back; encoders give none",
    "test_tp_plan_matches_params": "for tensor parallelism, which BERT has not either",
    "test_keep_in_fp32_modules*": "for models that keep modules in float32",
    "test_reverse_loading_mapping": "for models whose checkpoints are renamed on loading",
    "test_can_load_from_already_mapped_keys": "for models whose checkpoints are renamed on loading",
}

_UNEVEN = "expects attention weights from every layer; ours come from the layers that have a softmax"
_DEEPER = "wants two layers at most; three or four kinds of layer need three or four"
_JSON = "compares with JSON, where the keys of per_layer_config become text"

# These run and must fail: one that passes is an error, so that no entry outlives its reason.
EXPECTED_FAILURES = {
    "autobert_zero": {
        "test_attention_outputs": _UNEVEN,
        "test_config": _JSON,
        "test_num_layers_is_small": _DEEPER,
    },
    "skips_and_widths": {
        "test_attention_outputs": _UNEVEN,
        "test_config": _JSON,
        "test_num_layers_is_small": _DEEPER,
        "test_hidden_states_output": "wants hidden_size; the first hidden state is as wide as the embeddings",
    },
    "separable": {"test_attention_outputs": _UNEVEN},
    "mixed_decoder": {"test_attention_outputs": _UNEVEN},
}

# Minutes altogether: `pytest -m slow` runs them, the quick run keeps the shapes that are not named.
SLOW = {
    "test_training_overfit": {"wide_attention", "skips_and_widths", "separable", "decoder", "hybrid_decoder"},
    "test_bc_torch_dtype": set(SHAPES) - {"autobert_zero", "mixed_decoder"},
}
