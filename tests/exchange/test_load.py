"""ONNX files read: those of other exporters, our own, and what is refused."""

import warnings

import numpy as np
import pytest

import handgrad as hg
from handgrad.models import MODELS, create

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
nn = torch.nn
SHAPES = {"lenet": (28, 28, 1), "fashion-cnn": (28, 28, 1), "cifar-cnn": (32, 32, 3), "resnet-cifar": (32, 32, 3)}


def same(path, x):
    """The model read from a file, which computes what onnxruntime does."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    floats = [output.name for output in session.get_outputs() if output.type in ("tensor(float)", "tensor(double)")]
    expected = session.run(floats[:1], {session.get_inputs()[0].name: x})[0]
    model = hg.load_onnx(path)
    found = model.predict(x)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max(initial=1)
    return model


def layers_of(model):
    return [type(layer).__name__ for layer in model.layers]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.second, self.last = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.Linear(4, 2)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        return self.last(torch.relu(x + self.second(x)).mean((2, 3)))


class Beside(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other, self.last = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 3, 3, padding=1), nn.Linear(320, 3)

    def forward(self, x):
        x = torch.cat([self.one(x), torch.relu(self.other(x))], 1)
        return self.last(x.view(x.size(0), -1))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.value, self.gate = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.value(x) * torch.sigmoid(self.gate(x))


class LastStep(nn.Module):
    def __init__(self, cls, layers=1):
        super().__init__()
        self.recurrent, self.last = cls(3, 5, layers, batch_first=True), nn.Linear(5, 2)

    def forward(self, x):
        return self.last(self.recurrent(x)[0][:, -1])


CHAIN = nn.Sequential
MODULES = {
    "rows": (CHAIN(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(), nn.Linear(8, 3), nn.Softmax(1)), (4,)),
    "activations": (CHAIN(nn.Linear(4, 4), nn.ELU(0.7), nn.SiLU(), nn.SELU(), nn.Softplus(), nn.ReLU6()), (4,)),
    "gelu": (CHAIN(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4), nn.GELU("tanh"), nn.LogSoftmax(1)), (4,)),
    "layer norm": (CHAIN(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 2, bias=False)), (4,)),
    "lenet": (CHAIN(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                    nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 10)), (1, 28, 28)),
    "residual": (Block(), (3, 8, 8)),
    "inception": (Beside(), (3, 8, 8)),
    "gated": (Gated(), (6,)),
    "means": (CHAIN(nn.Conv2d(3, 4, 3, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)), (3, 9, 9)),
    "larger": (CHAIN(nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), nn.ReLU()), (3, 5, 5)),
    "groups": (CHAIN(nn.Conv2d(4, 8, 3, groups=2, dilation=2, bias=False), nn.GroupNorm(2, 8)), (4, 9, 9)),
    "sequences": (CHAIN(nn.Conv1d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2)), (3, 6)),
    "lstm": (LastStep(nn.LSTM, 2), (6, 3)),
    "gru": (LastStep(nn.GRU), (6, 3)),
    "steps": (CHAIN(nn.Linear(3, 4), nn.LeakyReLU(0.2), nn.Linear(4, 2)), (7, 3)),
}  # fmt: skip


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
@pytest.mark.parametrize("name", MODULES)
def test_files_of_pytorchs_two_exporters(name, exporter, tmp_path):
    module, shape = MODULES[name]
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.running_mean += 0.3
            part.running_var *= 1.7
    options = {"dynamo": True, "verbose": False} if exporter == "dynamo" else {"dynamo": False}
    if name != "rows" and exporter == "script":
        options |= {"input_names": ["input"], "dynamic_axes": {"input": {0: "batch"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (x,), tmp_path / "net.onnx", **options)
    model = same(tmp_path / "net.onnx", x.numpy())
    assert model.num_parameters > 0


def test_indices_and_shared_weights(tmp_path):
    linear = nn.Linear(4, 4)
    module = CHAIN(nn.Embedding(9, 4), linear, nn.ReLU(), linear, nn.Flatten(), nn.Linear(20, 3))
    x = torch.arange(10).reshape(2, 5) % 9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (x,), tmp_path / "net.onnx", dynamo=False)
    assert layers_of(same(tmp_path / "net.onnx", x.numpy()))[:2] == ["Embedding", "Linear"]


@pytest.mark.parametrize("name", [name for name in MODELS if name != "transformer-text"])
def test_our_own_files(name, tmp_path):
    model = create(name).build(SHAPES.get(name, (20,)), rng=0)
    hg.export(model, tmp_path / "net.onnx")
    x = np.random.default_rng(0).standard_normal((2, *model.input_shape)).astype(np.float32)
    assert same(tmp_path / "net.onnx", x).num_parameters == model.num_parameters


def rows(*layers):
    return hg.Residual([hg.Linear(4), *layers, hg.Linear(4)])


@pytest.mark.parametrize("layers, shape", [
    ([rows(hg.GELU("none")), hg.Branches([[rows(hg.ELU())], [hg.Tanh()], [hg.Identity()]], "multiply")], (4,)),
    ([hg.Branches([[hg.Linear(2), hg.RMSNorm()], [rows(hg.RMSNorm(None)), hg.Identity()]], "concat")], (5, 4)),
    ([hg.Residual([hg.Conv2D(2, 3, padding="same")], [hg.Conv2D(2, 1)]), hg.LayerNorm(), hg.LogSoftmax()], (5, 4, 3)),
    ([hg.Conv2D(3, 2), hg.Residual([hg.RMSNorm(), hg.ReLU()]), hg.MaxPool2D(2, 1, 1), hg.Flatten()], (5, 4, 3)),
    ([hg.Branches([[hg.Conv2D(2, 1)], [hg.Identity()]], "concat"), hg.GlobalAvgPool2D(), hg.Linear(2)], (5, 4, 3)),
    ([hg.Embedding(9, 4), hg.PositionalEmbedding(), rows(hg.SiLU()), hg.LSTM(3, True), hg.GRU(2)], (5,)),
    ([hg.Conv1D(4, 3, padding="same"), hg.BatchNorm(), hg.RNN(3), hg.Arctan()], (6, 2)),
    ([hg.Permute((3, 1, 2)), hg.Reshape((6, 10)), hg.Last(), hg.Normalize([1.0] * 10, 2.0)], (5, 4, 3)),
    ([hg.ConvTranspose2D(2, 3, stride=2, padding=1, output_padding=1), hg.Softmax()], (3, 4, 2)),
])  # fmt: skip
def test_our_layers_come_back(layers, shape, tmp_path):
    model = hg.Sequential(layers).build(shape, rng=0)
    hg.export(model, tmp_path / "net.onnx")
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    assert same(tmp_path / "net.onnx", np.abs(x).astype(np.int64) if model.takes_indices else x).output_shape


def test_what_was_read_goes_on_being_trained(tmp_path):
    model = hg.Sequential([hg.Linear(8), hg.BatchNorm(), hg.ReLU(), hg.Linear(3)]).build(4, rng=0)
    hg.export(model, tmp_path / "net.onnx")
    again, data = hg.load_onnx(tmp_path / "net.onnx"), hg.load_dataset("iris")
    assert layers_of(again) == ["Linear", "BatchNorm", "ReLU", "Linear"]
    history = hg.Trainer(again, "cross-entropy", "adam", seed=0).fit(*data.train, epochs=3)
    assert history["loss"][-1] < history["loss"][0]
