"""The paper's text encoder for Symile-M3: XLM-RoBERTa's embeddings and first layer, trained, a linear head, and the
mean over positions.

Symile, section 5.2 (xlm-roberta-large): the mean is over every position, padding included; `pool="observed"` leaves
padding out. The paper averages after the head, which is linear: averaging before it gives the same for less. A missing
text is the token [MISSING], added to the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from symile_data.errors import UsageError

from .base import DataDescription
from .pretrained import check_pool, load_model, load_pretrained

MISSING = "[MISSING]"


class XlmRobertaEncoder(nn.Module):
    """Embeddings and the first layers of XLM-RoBERTa, all trained.

    Args:
        dim: Embedding size D.
        description: Of the data.
        name: Model id or folder.
        layers: Encoder layers that are kept.
        tokens: T, to which every text is padded; special tokens count.
        pool: "all" is the paper's mean over all T positions, "observed" that over the text's own.

    Raises:
        SourceError: the model cannot be loaded.
        UsageError: an unknown pool.
    """

    def __init__(
        self,
        dim: int,
        description: DataDescription,
        name: str = "xlm-roberta-large",
        layers: int = 1,
        tokens: int = 128,
        pool: Literal["all", "observed"] = "all",
    ) -> None:
        super().__init__()
        check_pool(pool)
        self.tokens, self.pool = tokens, pool
        self.tokenizer = load_pretrained("AutoTokenizer", name)
        self.model = load_model("XLMRobertaModel", name, num_hidden_layers=layers, add_pooling_layer=False)
        self.tokenizer.add_special_tokens({"additional_special_tokens": [MISSING]})
        self.model.resize_token_embeddings(len(self.tokenizer), mean_resizing=False)
        self.feature_size = int(self.model.config.hidden_size)
        self.head = nn.Linear(self.feature_size, dim)

    def forward(self, texts: Sequence[str | None], _missing: Tensor | None = None) -> Tensor:
        """Texts, None where missing, to embeddings (B, D). Raises what `features` does."""
        embeddings: Tensor = self.head(self.features(texts))
        return embeddings

    def features(self, texts: Sequence[str | None]) -> Tensor:
        """Mean of the last layer's states.

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
