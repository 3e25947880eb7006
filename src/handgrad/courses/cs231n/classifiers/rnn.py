"""cs231n.classifiers.rnn: captions for images, word by word, from a vector of features."""

from collections.abc import Mapping

import numpy as np

from ....arrays import Array, DTypeLike
from ..rnn_layers import *


class CaptioningRNN:
    """h_0 is an affine map of the features; each state's affine map scores the next word.

    word_to_idx {word: index} knows <NULL>, which fills captions up and counts nothing, <START> and <END>. Weights are
    drawn from the global generator in the order W_embed / 100, then W_proj, Wx, Wh, W_vocab, each / √inputs.
    ValueError for a cell_type that is neither 'rnn' nor 'lstm'.
    """

    def __init__(
        self,
        word_to_idx: Mapping[str, int],
        input_dim: int = 512,
        wordvec_dim: int = 128,
        hidden_dim: int = 128,
        cell_type: str = "rnn",
        dtype: DTypeLike = np.float32,
    ) -> None:
        if cell_type not in ("rnn", "lstm"):
            raise ValueError(f'Invalid cell_type "{cell_type}"')
        self.cell_type: str = cell_type
        self.dtype: DTypeLike = dtype
        self.word_to_idx: Mapping[str, int] = word_to_idx
        self.idx_to_word: dict[int, str] = {i: word for word, i in word_to_idx.items()}
        self._null = word_to_idx["<NULL>"]
        self._start, self._end = word_to_idx.get("<START>"), word_to_idx.get("<END>")
        vocabulary, gates = len(word_to_idx), hidden_dim * (4 if cell_type == "lstm" else 1)
        params = {"W_embed": np.random.randn(vocabulary, wordvec_dim) / 100}
        shapes = (
            ("W_proj", "b_proj", input_dim, hidden_dim),
            ("Wx", None, wordvec_dim, gates),
            ("Wh", "b", hidden_dim, gates),
            ("W_vocab", "b_vocab", hidden_dim, vocabulary),
        )
        for weight, bias, rows, columns in shapes:
            params[weight] = np.random.randn(rows, columns) / np.sqrt(rows)
            if bias:
                params[bias] = np.zeros(columns)
        self.params: dict[str, Array] = {name: value.astype(dtype) for name, value in params.items()}

    def cell(self) -> list[Array]:
        return [self.params[name] for name in ("Wx", "Wh", "b")]

    def loss(self, features: Array, captions: Array) -> tuple[float, dict[str, Array]]:
        """(loss, gradients) for features (N, input_dim), captions (N, T): each word but the last predicts the next."""
        before, after = captions[:, :-1], captions[:, 1:]
        forward, backward = (lstm_forward, lstm_backward) if self.cell_type == "lstm" else (rnn_forward, rnn_backward)
        h0, proj_cache = temporal_affine_forward(features[:, None], self.params["W_proj"], self.params["b_proj"])
        words, embed_cache = word_embedding_forward(before, self.params["W_embed"])
        h, cell_cache = forward(words, h0[:, 0], *self.cell())
        scores, vocab_cache = temporal_affine_forward(h, self.params["W_vocab"], self.params["b_vocab"])
        loss, dscores = temporal_softmax_loss(scores, after, after != self._null)
        grads = {}
        dh, grads["W_vocab"], grads["b_vocab"] = temporal_affine_backward(dscores, vocab_cache)
        dwords, dh0, grads["Wx"], grads["Wh"], grads["b"] = backward(dh, cell_cache)
        grads["W_embed"] = word_embedding_backward(dwords, embed_cache)
        _, grads["W_proj"], grads["b_proj"] = temporal_affine_backward(dh0[:, None], proj_cache)
        return loss, grads

    def sample(self, features: Array, max_length: int = 30) -> Array:
        """Captions (N, max_length): from <START>, always the word of the largest score; ValueError without <START>."""
        if self._start is None:
            raise ValueError(f"sample begins with <START>, which word_to_idx does not have: {list(self.word_to_idx)}")
        captions = np.full((len(features), max_length), self._null, dtype=np.int32)
        h = temporal_affine_forward(features[:, None], self.params["W_proj"], self.params["b_proj"])[0][:, 0]
        c, word = np.zeros_like(h), np.full(len(features), self._start)
        for t in range(max_length):
            x, _ = word_embedding_forward(word, self.params["W_embed"])
            if self.cell_type == "lstm":
                h, c, _ = lstm_step_forward(x, h, c, *self.cell())
            else:
                h, _ = rnn_step_forward(x, h, *self.cell())
            scores, _ = temporal_affine_forward(h[:, None], self.params["W_vocab"], self.params["b_vocab"])
            captions[:, t] = word = scores[:, 0].argmax(axis=1)
        return captions
