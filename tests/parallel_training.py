"""What the tests of several processes run: some training that writes down its gradients, or a run with a victim.

torchrun --nproc-per-node 2 parallel_training.py gradients OUT.npz
torchrun --nproc-per-node 2 parallel_training.py victim STEP train iris --engine torch     (rank 1 is killed)
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

import handgrad as hg
from handgrad import layers as hl
from handgrad.cli import main
from handgrad.torch_twin import TorchEngine
from handgrad.torch_twin.devices import leave

RANK = int(os.environ.get("RANK", 0))


def gradients(path):
    """Two epochs, the last batch of one row, with all that must be summed right over workers; rank 0 writes."""
    rng = np.random.default_rng(0)
    x, y, weight = rng.random((31, 6, 6, 2)), rng.integers(0, 3, 31), rng.random(31)
    model = hg.Sequential([hl.Conv2D(4, 3), hl.BatchNorm(), hl.ReLU(), hl.MaxPool2D(2), hl.Flatten(), hl.Linear(3)])
    model.build((6, 6, 2), rng=1, dtype=np.float64)
    rule = hg.SGD(0.1, momentum=0.9, clipping=hg.ClipGlobalNorm(1))
    trainer = hg.Trainer(model, hg.CrossEntropy([1.0, 2.0, 3.0]), rule, seed=3, penalty=hg.L2(1e-3), engine=TorchEngine)
    trainer.prepare()
    steps = []
    trainer.engine.on_gradients = lambda found: steps.append(np.concatenate([g.ravel() for g in found.values()]))
    history = trainer.fit(x, y, (x[:7], y[:7]), epochs=2, batch_size=6, sample_weight=weight)
    if RANK == 0:
        state = np.concatenate([array.ravel() for array in model.state.values()])
        np.savez(path, gradients=steps, state=state, parameters=model.parameter_vector, **history)
    return trainer


def threads_of_gloo():
    """Names of this process' threads that belong to gloo, where the system lists them."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]


def victim(step, arguments):
    """The command line, with rank 1 killed before the step."""
    ordinary = TorchEngine.step

    def fatal(self, *arguments, **options):
        if RANK == 1 and self.num_steps == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return ordinary(self, *arguments, **options)

    TorchEngine.step = fatal
    main(arguments)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "gradients":
        trainer = gradients(sys.argv[2])
        leave()
        print(f"left with {threads_of_gloo()}")
    else:
        victim(int(sys.argv[2]), sys.argv[3:])
