"""Text encoders of BERT's kind: the embeddings and first layers, trained or frozen, a linear head, and the mean over
positions.

The paper's, for Symile-M3, is XLM-RoBERTa's embeddings and first layer, trained (section 5.2: xlm-roberta-large); the
mean is over every position, padding included, and `pool="observed"` leaves padding out. The paper averages after the
head, which is linear: averaging before it gives the same for less. A missing text is the token [MISSING], added to the
vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

from symile_data.errors import SourceError, UsageError

from ..base import DataDescription
from .loading import check_pool, load_model, load_pretrained, transformers_class, without_pooling_layer

MISSING = "[MISSING]"


class BertEncoder(nn.Module):
    """Embeddings and the first layers of a model of BERT's kind, all trained, and a linear head.

    These are the encoders that transformers lists for masked language modelling: BERT, DistilBERT, XLM-RoBERTa, MPNet,
    ModernBERT, ..., and sentence encoders that stand on one. A sentence encoder's own pooling and projection are not
    used: the features are the mean of the last layer's states.

    Args:
        dim: Embedding size D.
        description: Of the data.
        name: Model id or folder.
        layers: Encoder layers that are kept; all where not given.
        tokens: T, to which every text is padded; special tokens count.
        pool: "all" is the paper's mean over all T positions, "observed" that over the text's own.

    Raises:
        SourceError: the model cannot be loaded, or is of another kind.
        UsageError: an unknown pool, or a model that has fewer layers.
    """

    def __init__(
        self,
        dim: int,
        description: DataDescription,
        name: str = "google-bert/bert-base-multilingual-cased",
        layers: int | None = None,
        tokens: int = 128,
        pool: Literal["all", "observed"] = "all",
    ) -> None:
        super().__init__()
        check_pool(pool)
        settings = load_pretrained("AutoConfig", name)
        model_class = _model_class(settings, name)
        if layers is not None:
            _keep_layers(settings, layers, name)
        self.layers: int | None = getattr(settings, "num_hidden_layers", None)
        self.tokens, self.pool = tokens, pool
        self.tokenizer = load_pretrained("AutoTokenizer", name)
        self.model = load_model(model_class.__name__, name, config=settings, **without_pooling_layer(model_class))
        self.tokenizer.add_special_tokens({"additional_special_tokens": [MISSING]})
        self.model.resize_token_embeddings(len(self.tokenizer), mean_resizing=False)
        self.feature_size = int(self.model.config.hidden_size)
        self.head = nn.Linear(self.feature_size, dim)

    def forward(self, texts: Sequence[str | None], _missing: Tensor | None = None) -> Tensor:
        """Map texts, None where missing, to embeddings (B, D). Raises what `features` does."""
        embeddings: Tensor = self.head(self.features(texts))
        return embeddings

    def features(self, texts: Sequence[str | None]) -> Tensor:
        """Average the last layer's states.

        Args:
            texts: B strings, None where missing.

        Returns:
            (B, F).

        Raises:
            UsageError: a text has more than T tokens; nothing is cut.
        """
        whole = [MISSING if text is None else text for text in texts]
        coded = self.tokenizer(whole, padding="max_length", max_length=self.tokens, return_tensors="pt")
        ids, observed = coded["input_ids"], coded["attention_mask"]
        if ids.shape[1] > self.tokens:
            longest = max(whole, key=len)
            raise UsageError(
                f"a text has more than {self.tokens} tokens", got=longest, do="raise `tokens` of the text encoder"
            )
        device = self.head.weight.device
        observed = observed.to(device)
        hidden: Tensor = self.model(input_ids=ids.to(device), attention_mask=observed).last_hidden_state
        if self.pool == "all":
            return hidden.mean(dim=1)
        weights = observed[:, :, None].to(hidden.dtype)
        mean: Tensor = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        return mean


class XlmRobertaEncoder(BertEncoder):
    """The paper's text encoder: a BERT encoder of XLM-RoBERTa's embeddings and, unless told otherwise, first layer."""

    def __init__(
        self,
        dim: int,
        description: DataDescription,
        name: str = "xlm-roberta-large",
        layers: int = 1,
        tokens: int = 128,
        pool: Literal["all", "observed"] = "all",
    ) -> None:
        super().__init__(dim, description, name, layers, tokens, pool)


def _model_class(settings: Any, name: str) -> type:
    """Return the class of transformers for the settings of a model.

    Raises:
        SourceError: it is not that of a text encoder.
    """
    kinds = transformers_class("MODEL_FOR_MASKED_LM_MAPPING"), transformers_class("MODEL_MAPPING")
    if not all(type(settings) in kind for kind in kinds) or getattr(settings, "is_encoder_decoder", False):
        raise SourceError(
            "the pretrained model is no text encoder of BERT's kind",
            where=name,
            got=settings.model_type,
            do="choose a model of a type such as bert, distilbert or xlm-roberta",
        )
    found: Any = kinds[1][type(settings)]
    model_class: type = found[0] if isinstance(found, tuple) else found
    return model_class


def _keep_layers(settings: Any, layers: int, name: str) -> None:
    """Shorten the model that the settings describe.

    Raises:
        UsageError: it has fewer layers, or says in no known way how many it has.
    """
    there = getattr(settings, "num_hidden_layers", None)
    if not isinstance(there, int) or not 0 <= layers <= there:
        raise UsageError(
            "the text model does not have so many layers", where=name, got=layers, do=f"it has {there}; ask for fewer"
        )
    settings.num_hidden_layers = layers
