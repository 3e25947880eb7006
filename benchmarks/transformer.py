"""A transformer on a text beside a plain hand-written PyTorch loop: the same losses, and how long a step takes.

    python benchmarks/transformer.py [--steps 200] [--threads 2] [--text FILE] [--dtype float32]

Both begin with the same numbers and see the same batches, without dropout, which would draw two masks. They take turns,
step by step, and the median step of each counts. --quick: a tiny one, to see that they agree.
"""

import argparse
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import handgrad as hg
from handgrad import models


class Block(nn.Module):
    """A causal block with its norms in front, as people write it."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm1, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, steps, width = x.shape
        heads = self.qkv(self.norm1(x)).reshape(n, steps, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(n, steps, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Transformer(nn.Module):
    """models.transformer_text in PyTorch, its parameters in the same order."""

    def __init__(self, kinds: int, length: int, width: int, num_blocks: int, num_heads: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(kinds, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, num_heads) for _ in range(num_blocks)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, kinds)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.tokens(x) + self.places.weight)))

    def take(self, model: hg.Sequential) -> None:
        """The numbers of a model of ours."""
        of_linear = {id(p) for part in self.modules() if isinstance(part, nn.Linear) for p in part.parameters()}
        order = [p for name in ("tokens", "places") for p in getattr(self, name).parameters()]
        for block in self.blocks:
            parts = block.norm1, block.qkv, block.out, block.norm2, block.up, block.down
            order += [p for part in parts for p in part.parameters()]
        order += [*self.norm.parameters(), *self.head.parameters()]
        with torch.no_grad():
            for theirs, ours in zip(order, model.parameters.values(), strict=True):
                theirs.copy_(torch.from_numpy(ours.T if id(theirs) in of_linear else ours))


def main() -> None:
    """Train both, and print how far apart they end and how long their steps take."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--text", default="moby-dick")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    hg.set_threads(options.threads)
    torch.set_num_threads(options.threads)
    length, batch, width, blocks, heads = (16, 8, 16, 2, 2) if options.quick else (128, 32, 128, 4, 4)
    steps = 30 if options.quick else options.steps
    data = hg.load_dataset(options.text, tokens="characters", length=length)
    dtype, kinds = np.dtype(options.dtype), len(data.class_names)
    sizes = {"width": width, "num_blocks": blocks, "num_heads": heads}
    model = models.create("transformer-text", num_outputs=kinds, dropout=0.0, **sizes)
    model.build((length,), rng=0, dtype=dtype)
    net = Transformer(kinds, length, width, blocks, heads).to(getattr(torch, dtype.name))
    net.take(model)
    trainer = hg.Trainer(model, "cross-entropy", hg.AdamW(1e-3, weight_decay=0.01))
    rule = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.01)
    rng, times = np.random.default_rng(0), {"handgrad": [0.0], "PyTorch": [0.0]}

    def loss_of(x: np.ndarray, y: np.ndarray) -> torch.Tensor:
        outputs = net(torch.from_numpy(x.astype(np.int64)))
        return functional.cross_entropy(outputs.flatten(0, 1), torch.from_numpy(y).flatten())

    for _ in range(steps):
        rows = rng.integers(0, len(data.train.y), batch)
        x, y = data.train.x[rows], data.train.y[rows]
        start = time.perf_counter()
        trainer.step(x, y)
        times["handgrad"].append(time.perf_counter() - start)
        start = time.perf_counter()
        rule.zero_grad()
        loss_of(x, y).backward()
        rule.step()
        times["PyTorch"].append(time.perf_counter() - start)
    held_out = [part[: 16 * batch] for part in data.validation]
    with torch.no_grad():
        ours, theirs = trainer.evaluate(*held_out)["loss"], loss_of(*held_out).item()
    losses = f"handgrad {ours:.4f}, PyTorch {theirs:.4f}, apart {abs(ours - theirs):.1e}"
    print(f"validation loss after {steps} steps: {losses}")
    medians = {name: 1e3 * float(np.median(all_of)) for name, all_of in times.items()}
    ratio = medians["PyTorch"] / medians["handgrad"]
    print(f"a step: handgrad {medians['handgrad']:.1f} ms, PyTorch {medians['PyTorch']:.1f} ms, {ratio:.2f}x")


if __name__ == "__main__":
    main()
