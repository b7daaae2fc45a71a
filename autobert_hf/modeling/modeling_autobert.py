"""The AutoBert network: embeddings, mixers, feed-forward networks and heads, in the order of a transformers file."""

from .required_transformers import check_transformers  # noqa: F401 (first: importing it checks the version)


# isort: split

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache, DynamicCache
from transformers.generation import GenerationMixin
from transformers.loss.loss_utils import fixed_cross_entropy
from transformers.masking_utils import (
    create_bidirectional_mask,
    create_causal_mask,
    create_recurrent_attention_mask,
)
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import (
    BaseModelOutputWithPoolingAndCrossAttentions,
    CausalLMOutputWithPast,
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    NextSentencePredictorOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.modeling_utils import (
    ALL_ATTENTION_FUNCTIONS,
    LoadStateDictConfig,
    PreTrainedModel,
    slice_logits_to_keep,
)
from transformers.utils import ModelOutput, logging
from transformers.utils.deprecation import deprecate_kwarg
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.loading_report import LoadStateDictInfo
from transformers.utils.output_capturing import capture_outputs

from .configuration_autobert import AutoBertConfig
from .foreign_weights import drop_random_pooler, refuse_foreign_weights
from .formula import Formula
from .light_conv import depthwise_conv
from .supernet_loading import AdapterChecks, load
from .untrained import MarkedModel


logger = logging.get_logger(__name__)

PROJECTIONS = {"q": "query", "k": "key", "v": "value", "p": "extra"}


def make_norm(config: AutoBertConfig, width: int) -> nn.Module:
    norm = nn.RMSNorm if config.norm_type == "rms_norm" else nn.LayerNorm
    return norm(width, eps=config.layer_norm_eps)


def make_resize(width_in: int, width_out: int) -> nn.Linear | None:
    return None if width_in == width_out else nn.Linear(width_in, width_out)


class AutoBertEmbeddings(nn.Module):
    """Sum of word, position and token type embeddings, (batch, tokens) -> (batch, tokens, embedding_size)."""

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.word_embeddings = nn.Embedding(config.vocab_size, size, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, size) if config.type_vocab_size else None
        self.norm = make_norm(config, size) if config.embedding_norm else None
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.position_ids = nn.Buffer(torch.arange(config.max_position_embeddings)[None], persistent=False)

    def forward(
        self,
        input_ids: torch.Tensor | None,
        token_type_ids: torch.Tensor | None,
        position_ids: torch.Tensor | None,
        inputs_embeds: torch.Tensor | None,
        past_length: int | torch.Tensor | None,
    ) -> torch.Tensor:
        x = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if position_ids is None:
            position_ids = self.next_positions(x.shape[1], past_length)
        if self.token_type_embeddings is not None:
            # Through the module, never by its weight: where weights are offloaded only modules fetch them.
            types = x.new_zeros(1, 1, dtype=torch.long) if token_type_ids is None else token_type_ids
            x = x + self.token_type_embeddings(types)
        x = x + self.position_embeddings(position_ids)
        return self.dropout(x if self.norm is None else self.norm(x))

    def next_positions(self, tokens: int, past_length: int | torch.Tensor | None) -> torch.Tensor:
        """The positions (1, tokens) after `past_length` others; ValueError where the table ends before them."""
        positions = self.position_ids.shape[-1]
        total = tokens if past_length is None else tokens + past_length
        if not torch.compiler.is_compiling() and total > positions:
            raise ValueError(
                f"{int(total)} tokens, but max_position_embeddings is {positions}: truncate the input "
                f"(tokenizer(..., truncation=True, max_length={positions}))."
            )
        position_ids = self.position_ids[:, :tokens]
        return position_ids if past_length is None else position_ids + past_length


class AutoBertOutput(nn.Module):
    """The linear map that ends a mixer or a feed-forward network, with dropout."""

    def __init__(self, config: AutoBertConfig, width_in: int, width_out: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width_in, width_out)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.dense(x)
        return self.dropout(x) if self.training else x


class AutoBertFeedForward(nn.Module):
    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__()
        width = config.layer_width
        self.intermediate = nn.Linear(width, config.intermediate_size)
        self.gate = nn.Linear(width, config.intermediate_size) if config.gated_ffn else None
        self.activation = ACT2FN[config.hidden_act]
        self.output = AutoBertOutput(config, config.intermediate_size, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.intermediate(x)
        inner = self.activation(inner) if self.gate is None else self.activation(self.gate(x)) * inner
        return self.output(inner)


class AutoBertDepthwiseConv(nn.Module):
    """
    Convolution over tokens, one kernel per group of neighbouring channels; causal in a decoder, else centred.
    Padding is zeroed first, so that nothing leaks from it through the window.
    """

    def __init__(
        self, config: AutoBertConfig, groups: int, kernel_size: int, layer_idx: int, after_projection: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(groups, kernel_size))
        self.after_projection = after_projection
        self.softmax = config.conv_softmax and config.conv_type == "lightweight" and not after_projection
        self.causal = config.is_decoder
        self.layer_idx = layer_idx

    def taps(self) -> torch.Tensor:
        return self.weight.softmax(-1) if self.softmax else self.weight

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None, cache: Cache | None) -> torch.Tensor:
        taps, length = self.taps(), x.shape[1]
        if padding is not None:
            x = x * padding[..., None].to(x.dtype)
        if self.causal and cache is not None:
            state = x.transpose(1, 2)
            state = cache.update_conv_state(state, self.layer_idx, conv_kernel_size=taps.shape[-1])
            x = state.transpose(1, 2)
        return depthwise_conv(x, taps, causal=self.causal)[:, -length:]


class AutoBertConvolution(nn.Module):
    """A convolutional mixer: light-weight with GLU (Wu et al., 2019) or separable (NAS-BERT, Xu et al., 2021)."""

    def __init__(self, config: AutoBertConfig, layer_idx: int) -> None:
        super().__init__()
        width = config.layer_width
        lightweight = config.conv_type == "lightweight"
        groups = config.conv_num_heads if lightweight else width
        self.input = nn.Linear(width, 2 * width) if lightweight else None
        self.conv = AutoBertDepthwiseConv(config, groups, config.conv_kernel_size, layer_idx)
        self.activation = ACT2FN[config.hidden_act]
        self.output = AutoBertOutput(config, width, width)

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None, cache: Cache | None) -> torch.Tensor:
        if self.input is not None:
            return self.output(self.conv(nn.functional.glu(self.input(x)), padding, cache))
        return self.activation(self.output(self.conv(x, padding, cache)))


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = nn.functional.dropout(scores.softmax(dim=-1), p=dropout, training=module.training)
    return torch.matmul(weights, value).transpose(1, 2), weights


class AutoBertAttention(nn.Module):
    """
    A searched attention formula over the projections q, k, v, p that it uses, then the output map. Formulas of the
    form softmax(X Y^T c) Z go through transformers' attention interface, all others through a masked interpreter.
    """

    def __init__(self, config: AutoBertConfig, layer_idx: int, network: AutoBertConfig) -> None:
        super().__init__()
        # The network's own configuration, since a layer's is a copy which set_attn_implementation does not reach.
        self.config = network
        self.layer_idx = layer_idx
        self.head_dim = config.head_dim
        self.formula = Formula(config.attention_formula)
        self.is_causal = config.is_decoder
        self.attention_dropout = config.attention_probs_dropout_prob
        width = config.num_attention_heads * config.head_dim
        for name in self.formula.inputs:
            self.add_module(PROJECTIONS[name], nn.Linear(config.layer_width, width))
        self.qkv_conv = None
        if config.qkv_conv_size:
            channels = width * len(self.formula.inputs)
            self.qkv_conv = AutoBertDepthwiseConv(config, channels, config.qkv_conv_size, layer_idx, True)
        self.output = AutoBertOutput(config, width, config.layer_width)

    def project(self, x: torch.Tensor, padding: torch.Tensor | None, cache: Cache | None) -> dict[str, torch.Tensor]:
        """The formula's inputs by name, each (batch, heads, tokens, head_dim)."""
        names = self.formula.inputs
        projected = [getattr(self, PROJECTIONS[name])(x) for name in names]
        if self.qkv_conv is not None:
            projected = self.qkv_conv(torch.cat(projected, -1), padding, cache).chunk(len(names), -1)
        return {
            name: y.view(*y.shape[:2], -1, self.head_dim).transpose(1, 2)
            for name, y in zip(names, projected, strict=True)
        }

    def forward(
        self,
        x: torch.Tensor,
        mask: torch.Tensor | None,
        padding: torch.Tensor | None,
        cache: Cache | None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        inputs = self.project(x, padding, cache)
        if not self.formula.lowered:
            return self.interpret(inputs, padding, cache, **kwargs), None
        query, key, value = self.formula.operands(inputs, padding)
        if cache is not None:
            key, value = cache.update(key, value, self.layer_idx)
        attention: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        dropout = self.attention_dropout if self.training else 0.0
        scaling = self.formula.scaling(self.head_dim)
        context, weights = attention(self, query, key, value, mask, dropout=dropout, scaling=scaling, **kwargs)
        return self.output(context.flatten(2)), weights

    def interpret(
        self, inputs: dict[str, torch.Tensor], padding: torch.Tensor | None, cache: Cache | None, **kwargs: Any
    ) -> torch.Tensor:
        if cache is not None:
            raise ValueError(
                f"Layer {self.layer_idx}: the formula {self.formula.text!r} has no keys and values that a cache could "
                "hold (prefix tuning, decoding); use a formula of the form softmax(X Y^T) Z."
            )
        if kwargs.get("output_attentions"):
            logger.warning_once(
                f"The formula {self.formula.text!r} ends in no softmax over tokens: it adds nothing to `attentions`."
            )
        return self.output(self.formula(inputs, padding).transpose(1, 2).flatten(2))


class AutoBertLayer(GradientCheckpointingLayer):
    """Resize to the layer's width, then mixer and feed-forward network, each with residual connection and norm."""

    def __init__(
        self, config: AutoBertConfig, layer_type: str, layer_idx: int, width_in: int, network: AutoBertConfig
    ) -> None:
        super().__init__()
        self.norm_position = config.norm_position
        self.resize = make_resize(width_in, config.layer_width)
        self.mixer: AutoBertAttention | AutoBertConvolution | None = None
        self.mixer_norm: nn.Module | None = None
        self.feed_forward: AutoBertFeedForward | None = None
        self.feed_forward_norm: nn.Module | None = None
        if "mixer" not in config.skip:
            is_conv = layer_type == "conv"
            mixer: Any = AutoBertConvolution if is_conv else partial(AutoBertAttention, network=network)
            self.mixer = mixer(config, layer_idx)
            self.mixer_norm = make_norm(config, config.layer_width)
        if "feed_forward" not in config.skip:
            self.feed_forward = AutoBertFeedForward(config)
            self.feed_forward_norm = make_norm(config, config.layer_width)

    def mix(
        self,
        x: torch.Tensor,
        mask: torch.Tensor | None,
        padding: torch.Tensor | None,
        cache: Cache | None,
        **kwargs: Any,
    ) -> torch.Tensor:
        if isinstance(self.mixer, AutoBertAttention):
            return self.mixer(x, mask, padding, cache, **kwargs)[0]
        assert self.mixer is not None
        return self.mixer(x, padding, cache)

    def forward(
        self,
        hidden_states: torch.Tensor,
        mask: torch.Tensor | None = None,
        padding: torch.Tensor | None = None,
        cache: Cache | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        x = hidden_states if self.resize is None else self.resize(hidden_states)
        if self.mixer is not None and self.mixer_norm is not None:
            if self.norm_position == "post":
                x = self.mixer_norm(x + self.mix(x, mask, padding, cache, **kwargs))
            else:
                x = x + self.mix(self.mixer_norm(x), mask, padding, cache, **kwargs)
        if self.feed_forward is not None and self.feed_forward_norm is not None:
            if self.norm_position == "post":
                x = self.feed_forward_norm(x + self.feed_forward(x))
            elif self.norm_position == "pre":
                x = x + self.feed_forward(self.feed_forward_norm(x))
            else:  # Primer (So et al., 2021): the norm stands inside the branch, after the feed-forward network
                x = x + self.feed_forward_norm(self.feed_forward(x))
        return x


class AutoBertEncoder(nn.Module):
    """The layers, then the map back to hidden_size and the final norm where the configuration has them."""

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__()
        layers, width = [], config.embedding_size
        for index, (kind, layer) in enumerate(config.layers()):
            layers.append(AutoBertLayer(layer, kind, index, width, config))
            width = layer.layer_width
        self.layers = nn.ModuleList(layers)
        self.resize = make_resize(width, config.hidden_size)
        self.norm = make_norm(config, config.hidden_size) if config.final_norm else None
        self.gradient_checkpointing = False

    def forward(
        self,
        hidden_states: torch.Tensor,
        mask: torch.Tensor | None,
        padding: torch.Tensor | None,
        cache: Cache | None,
        **kwargs: Any,
    ) -> torch.Tensor:
        for layer in self.layers:
            hidden_states = layer(hidden_states, mask, padding, cache=cache, **kwargs)
        if self.resize is not None:
            hidden_states = self.resize(hidden_states)
        return hidden_states if self.norm is None else self.norm(hidden_states)


class AutoBertPooler(nn.Module):
    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.dense(hidden_states[:, 0]).tanh()


class AutoBertPredictionHead(nn.Module):
    """BERT's language-model head: dense, activation, norm, then the (tied) vocabulary matrix."""

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.embedding_size)
        self.activation = ACT2FN[config.per_layer_config[-1].hidden_act]
        self.norm = make_norm(config, config.embedding_size)
        self.decoder = nn.Linear(config.embedding_size, config.vocab_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.norm(self.activation(self.dense(hidden_states))))


class AutoBertPreTrainedModel(AdapterChecks, MarkedModel):
    config_class = AutoBertConfig
    config: AutoBertConfig
    base_model_prefix = "autobert"
    supports_gradient_checkpointing = True
    _no_split_modules = ["AutoBertEmbeddings", "AutoBertLayer"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": AutoBertLayer, "attentions": AutoBertAttention}

    def __init__(self, config: AutoBertConfig, add_pooling_layer: bool | None = None) -> None:
        """`add_pooling_layer`, where given, replaces that of the configuration, in a copy of it."""
        if add_pooling_layer is not None and config.add_pooling_layer != add_pooling_layer:
            config = copy.deepcopy(config)
            config.add_pooling_layer = add_pooling_layer
        if config.supernet is not None:  # one network, whose weights are not saved in the files of a supernet
            config = copy.deepcopy(config)
            config.supernet = None
        super().__init__(config)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """
        As in transformers, but from safetensors only, never from another architecture's weights, in `AutoBertModel`
        without a pooler that the file does not hold, and from a supernet the slice `architecture` (docs/supernets.md).

        Raises:
            OSError: if safetensors are missing or damaged.
            ValueError: if the file holds an encoder's weights and none of them is one of this network's.
        """
        name = pretrained_model_name_or_path
        return load(super().from_pretrained, cls.config_class, name, *args, **kwargs)

    @staticmethod
    def _finalize_model_loading(
        model: PreTrainedModel, load_config: LoadStateDictConfig, loading_info: LoadStateDictInfo
    ) -> LoadStateDictInfo:
        # Here and not in from_pretrained, which for an adapter gives the adapter's missing keys, not the network's.
        refuse_foreign_weights(model, loading_info)
        if isinstance(model, AutoBertModel):
            drop_random_pooler(model, loading_info.missing_keys)
        return MarkedModel._finalize_model_loading(model, load_config, loading_info)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, AutoBertEmbeddings):
            init.copy_(module.position_ids, torch.arange(module.position_ids.shape[-1])[None])
        elif isinstance(module, AutoBertDepthwiseConv):
            _init_taps(module)


def _init_taps(conv: AutoBertDepthwiseConv) -> None:
    kernel = conv.weight.shape[-1]
    if not conv.after_projection:
        # A sum of k taps keeps the variance of its input; 0.02 would all but switch the mixer off.
        init.normal_(conv.weight, std=kernel**-0.5)
    else:  # Primer's released code: 0.5 for the token itself, 0.5 / k for each other tap
        weight = torch.full_like(conv.weight, 0.5 / kernel)
        weight[:, -1 if conv.causal else kernel // 2] = 0.5
        init.copy_(conv.weight, weight)


class AutoBertModel(AutoBertPreTrainedModel):
    """
    The bare network: token ids (batch, tokens) -> last_hidden_state (batch, tokens, hidden_size) and, with
    `add_pooling_layer` (by default the configuration's), pooler_output (batch, hidden_size).
    """

    def __init__(self, config: AutoBertConfig, add_pooling_layer: bool | None = None) -> None:
        super().__init__(config, add_pooling_layer)
        self.embeddings = AutoBertEmbeddings(self.config)
        self.encoder = AutoBertEncoder(self.config)
        self.pooler = AutoBertPooler(self.config) if self.config.add_pooling_layer else None
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        assert isinstance(value, nn.Embedding)
        self.embeddings.word_embeddings = value

    @deprecate_kwarg("past_key_values", "5.40.0", new_name="cache")
    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | dict[str, torch.Tensor] | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        cache: Cache | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPoolingAndCrossAttentions:
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give exactly one of input_ids and inputs_embeds.")
        use_cache = bool(use_cache) and self.config.is_decoder
        if use_cache and cache is None:
            cache = DynamicCache(config=self.config)
        past_length: int | torch.Tensor | None = None
        if self.config.is_decoder and cache is not None:
            past_length = cache.get_seq_length()
        x = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds, past_length)
        mask, padding = self.make_masks(x, attention_mask, cache)
        x = self.encoder(x, mask, padding, cache, position_ids=position_ids, **kwargs)
        return BaseModelOutputWithPoolingAndCrossAttentions(
            last_hidden_state=x,
            pooler_output=self.pooler(x) if self.pooler is not None else None,
            cache=cache if use_cache else None,
        )

    def make_masks(
        self,
        x: torch.Tensor,
        attention_mask: torch.Tensor | dict[str, torch.Tensor] | None,
        cache: Cache | None,
    ) -> tuple[Any, torch.Tensor | None]:
        """The mask in the attention interface's own form, and which of the current tokens are real (batch, tokens)."""
        if isinstance(attention_mask, dict):  # generate() with a compileable cache prepares masks by layer type
            padding = attention_mask.get("conv", attention_mask.get("linear_attention"))
            return attention_mask.get("full_attention"), padding
        if attention_mask is None and cache is None and not self.config.is_decoder:
            return None, None
        if attention_mask is not None and attention_mask.ndim != 2 and any(map(_needs_padding, self.modules())):
            raise ValueError(
                f"attention_mask has the shape {tuple(attention_mask.shape)}. A mask of token pairs does not say "
                "which tokens are padding, as convolutions and some formulas have to know: give (batch, tokens)."
            )
        make_mask = create_causal_mask if self.config.is_decoder else create_bidirectional_mask
        mask = make_mask(self.config, x, attention_mask, cache=cache)
        return mask, create_recurrent_attention_mask(self.config, x, attention_mask, cache)


def _needs_padding(module: nn.Module) -> bool:
    formula = module.formula if isinstance(module, AutoBertAttention) else None
    return isinstance(module, AutoBertDepthwiseConv) or (formula is not None and not formula.causal)


def select_labelled(
    hidden_states: torch.Tensor, labels: torch.Tensor | None, sparse: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """With `sparse_prediction`, only the positions that carry a label, as (labelled, hidden_size)."""
    if not sparse or labels is None:
        return hidden_states, labels
    labelled = labels != -100
    return hidden_states[labelled], labels[labelled]


class AutoBertLanguageModel(AutoBertPreTrainedModel):
    """Base of models with a vocabulary head, which is tied to the word embeddings."""

    _tied_weights_keys = {"predictions.decoder.weight": "autobert.embeddings.word_embeddings.weight"}

    def __init__(self, config: AutoBertConfig, add_pooling_layer: bool) -> None:
        super().__init__(config, add_pooling_layer)
        self.autobert = AutoBertModel(self.config)
        self.predictions = AutoBertPredictionHead(self.config)

    def get_output_embeddings(self) -> nn.Linear:
        return self.predictions.decoder

    def set_output_embeddings(self, value: nn.Linear) -> None:
        self.predictions.decoder = value


class AutoBertForMaskedLM(AutoBertLanguageModel):
    """Masked language model; logits (batch, tokens, vocab_size), or (labelled, vocab_size) if `sparse_prediction`."""

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__(config, add_pooling_layer=False)
        if config.is_decoder:
            logger.warning_once("AutoBertForMaskedLM wants is_decoder=False: a causal network cannot look ahead.")
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> MaskedLMOutput:
        outputs = self.autobert(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, return_dict=True, **kwargs
        )
        x, labels = select_labelled(outputs.last_hidden_state, labels, self.config.sparse_prediction)
        logits = self.predictions(x)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, vocab_size=self.config.vocab_size, **kwargs)
        return MaskedLMOutput(loss, logits, outputs.hidden_states, outputs.attentions)


class AutoBertForCausalLM(AutoBertLanguageModel, GenerationMixin):
    """Causal language model, for configurations with `is_decoder=True`."""

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__(config, add_pooling_layer=False)
        if not config.is_decoder:
            logger.warning_once("AutoBertForCausalLM sees the future unless the configuration has is_decoder=True.")
        self.post_init()

    # generate looks for the name inputs_embeds here.
    def prepare_inputs_for_generation(
        self, *args: Any, inputs_embeds: torch.Tensor | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        inputs = super().prepare_inputs_for_generation(*args, inputs_embeds=inputs_embeds, **kwargs)
        given, positions = inputs.get("position_ids"), self.config.max_position_embeddings
        if given is not None and given.numel() and given.max() >= positions:
            raise ValueError(
                f"generate has come to token {int(given.max()) + 1}, but max_position_embeddings is {positions}: "
                "shorten the input or give a smaller max_new_tokens."
            )
        return inputs

    @deprecate_kwarg("past_key_values", "5.40.0", new_name="cache")
    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        cache: Cache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        outputs = self.autobert(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids,
            inputs_embeds,
            cache=cache,
            use_cache=use_cache,
            return_dict=True,
            **kwargs,
        )
        logits = self.predictions(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, vocab_size=self.config.vocab_size, **kwargs)
        return CausalLMOutputWithPast(loss, logits, outputs.cache, outputs.hidden_states, outputs.attentions)


@dataclass
class AutoBertForPreTrainingOutput(ModelOutput):
    loss: torch.FloatTensor | None = None
    prediction_logits: torch.FloatTensor | None = None
    seq_relationship_logits: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None


class AutoBertForPreTraining(AutoBertLanguageModel):
    """
    BERT's pre-training: masked words and next-sentence prediction; the loss is the sum of the two means. Where a batch
    is cut in parts, `num_items_in_batch` (labelled tokens) and `num_pairs_in_batch` of the whole make them add up.
    """

    # The two losses are means over different things, so that no single count of items fits both.
    accepts_loss_kwargs = False

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__(config, add_pooling_layer=True)
        self.seq_relationship = nn.Linear(config.hidden_size, 2)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        next_sentence_label: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | None = None,
        num_pairs_in_batch: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> AutoBertForPreTrainingOutput:
        outputs = self.autobert(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, return_dict=True, **kwargs
        )
        x, labels = select_labelled(outputs.last_hidden_state, labels, self.config.sparse_prediction)
        logits, relation = self.predictions(x), self.seq_relationship(outputs.pooler_output)
        loss: Any = None
        if labels is not None:
            loss = fixed_cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), num_items_in_batch)
        if next_sentence_label is not None:
            follows = fixed_cross_entropy(relation.float(), next_sentence_label.flatten(), num_pairs_in_batch)
            loss = follows if loss is None else loss + follows
        return AutoBertForPreTrainingOutput(loss, logits, relation, outputs.hidden_states, outputs.attentions)


class AutoBertForNextSentencePrediction(AutoBertPreTrainedModel):
    """Does sentence B follow A? labels (batch): 0 it does, 1 it is random; logits (batch, 2)."""

    accepts_loss_kwargs = False

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__(config, add_pooling_layer=True)
        self.autobert = AutoBertModel(self.config)
        self.seq_relationship = nn.Linear(config.hidden_size, 2)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> NextSentencePredictorOutput:
        outputs = self.autobert(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, return_dict=True, **kwargs
        )
        logits = self.seq_relationship(outputs.pooler_output)
        loss = None if labels is None else nn.functional.cross_entropy(logits.float(), labels.flatten())
        return NextSentencePredictorOutput(loss, logits, outputs.hidden_states, outputs.attentions)


class AutoBertForReplacedTokenDetection(AutoBertPreTrainedModel):
    """ELECTRA's discriminator: labels (batch, tokens), 1 where a token was replaced, -100 ignored; logits alike."""

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__(config, add_pooling_layer=False)
        self.autobert = AutoBertModel(self.config)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACT2FN[config.per_layer_config[-1].hidden_act]
        self.classifier = nn.Linear(config.hidden_size, 1)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput:
        outputs = self.autobert(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, return_dict=True, **kwargs
        )
        logits = self.classifier(self.activation(self.dense(outputs.last_hidden_state)))[..., 0]
        loss = None
        if labels is not None:
            if attention_mask is not None and attention_mask.ndim == 2:
                labels = labels.masked_fill(attention_mask == 0, -100)
            real = labels != -100
            losses = nn.functional.binary_cross_entropy_with_logits(
                logits[real].float(), labels[real].float(), reduction="sum"
            )
            loss = losses / (real.sum() if num_items_in_batch is None else num_items_in_batch)
        return TokenClassifierOutput(loss, logits, outputs.hidden_states, outputs.attentions)


def classifier_dropout(config: AutoBertConfig) -> nn.Dropout:
    rate = config.classifier_dropout
    return nn.Dropout(config.hidden_dropout_prob if rate is None else rate)


class AutoBertForSequenceClassification(AutoBertPreTrainedModel):
    """Regression, single- or multi-label classification of whole inputs; logits (batch, num_labels)."""

    # The loss is a mean over examples, which knows no count of items (gradient accumulation stays exact this way).
    accepts_loss_kwargs = False

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__(config, add_pooling_layer=True)
        self.num_labels: int = config.num_labels or 2
        self.autobert = AutoBertModel(self.config)
        self.dropout = classifier_dropout(config)
        self.classifier = nn.Linear(config.hidden_size, self.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        outputs = self.autobert(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, return_dict=True, **kwargs
        )
        logits = self.classifier(self.dropout(outputs.pooler_output))
        loss = None if labels is None else self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss, logits, outputs.hidden_states, outputs.attentions)


class AutoBertForTokenClassification(AutoBertPreTrainedModel):
    """A label for each token; labels (batch, tokens) with -100 ignored, logits (batch, tokens, num_labels)."""

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__(config, add_pooling_layer=False)
        self.num_labels: int = config.num_labels or 2
        self.autobert = AutoBertModel(self.config)
        self.dropout = classifier_dropout(config)
        self.classifier = nn.Linear(config.hidden_size, self.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput:
        outputs = self.autobert(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, return_dict=True, **kwargs
        )
        logits = self.classifier(self.dropout(outputs.last_hidden_state))
        loss = None if labels is None else self.loss_function(logits, labels, self.config, **kwargs)
        return TokenClassifierOutput(loss, logits, outputs.hidden_states, outputs.attentions)


class AutoBertForQuestionAnswering(AutoBertPreTrainedModel):
    """Extractive question answering: start and end logits, each (batch, tokens)."""

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__(config, add_pooling_layer=False)
        self.autobert = AutoBertModel(self.config)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        start_positions: torch.Tensor | None = None,
        end_positions: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> QuestionAnsweringModelOutput:
        outputs = self.autobert(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, return_dict=True, **kwargs
        )
        start, end = self.qa_outputs(outputs.last_hidden_state).unbind(-1)
        start, end = start.contiguous(), end.contiguous()
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = self.loss_function(start, end, start_positions, end_positions, **kwargs)
        return QuestionAnsweringModelOutput(loss, start, end, outputs.hidden_states, outputs.attentions)


class AutoBertForMultipleChoice(AutoBertPreTrainedModel):
    """One of several inputs: everything is (batch, choices, tokens), labels (batch), logits (batch, choices)."""

    accepts_loss_kwargs = False

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__(config, add_pooling_layer=True)
        self.autobert = AutoBertModel(self.config)
        self.dropout = classifier_dropout(config)
        self.classifier = nn.Linear(config.hidden_size, 1)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> MultipleChoiceModelOutput:
        each = (input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        choices = next(x.shape[1] for x in each if x is not None)
        flat = [None if x is None else x.flatten(0, 1) for x in each]
        outputs = self.autobert(*flat, return_dict=True, **kwargs)
        logits = self.classifier(self.dropout(outputs.pooler_output)).view(-1, choices)
        loss = None if labels is None else nn.functional.cross_entropy(logits.float(), labels)
        return MultipleChoiceModelOutput(loss, logits, outputs.hidden_states, outputs.attentions)
