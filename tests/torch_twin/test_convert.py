"""Models and modules both ways: every layer of the table, layouts, names, files, and refusals by name."""

import numpy as np
import pytest
import torch
from torch import nn

import handgrad as hg
from handgrad import files
from handgrad import layers as hl
from handgrad.torch_twin import (
    ROWS,
    Row,
    from_torch,
    load_state_dict,
    load_weights,
    save_weights,
    state_dict,
    table,
    to_torch,
)

IMAGE = (6, 5, 2)
EXAMPLES = {
    hl.Linear: (hl.Linear(3), (4,)),
    hl.Conv2D: (hl.Conv2D(3, 3), IMAGE),
    hl.MaxPool2D: (hl.MaxPool2D(), IMAGE),
    hl.AvgPool2D: (hl.AvgPool2D(), IMAGE),
    hl.GlobalAvgPool1D: (hl.GlobalAvgPool1D(), (4, 2)),
    hl.GlobalAvgPool2D: (hl.GlobalAvgPool2D(), IMAGE),
    hl.RNN: (hl.RNN(3), (4, 2)),
    hl.LSTM: (hl.LSTM(3), (4, 2)),
    hl.MultiHeadAttention: (hl.MultiHeadAttention(2), (5, 4)),
    hl.Embedding: (hl.Embedding(6, 3), (4,)),
    hl.TableEmbedding: (hl.TableEmbedding([0, 0, 0], 4), (3,)),
    hl.PositionalEmbedding: (hl.PositionalEmbedding(), (5, 4)),
    hl.Conv1D: (hl.Conv1D(3, 2, padding=1, dilation=2), (6, 2)),
    hl.ConvTranspose2D: (hl.ConvTranspose2D(3, (2, 3), stride=2, output_padding=(1, 0)), IMAGE),
    hl.Last: (hl.Last(), (4, 2)),
    hl.Reshape: (hl.Reshape((2, 3)), (6,)),
    hl.Permute: (hl.Permute((3, 1, 2)), IMAGE),
    hl.AdaptiveAvgPool2D: (hl.AdaptiveAvgPool2D(4), IMAGE),
    hl.GRU: (hl.GRU(3), (4, 2)),
    hl.GroupNorm: (hl.GroupNorm(2), (6, 5, 4)),
    hl.Normalize: (hl.Normalize([0.5, 0.1], 0.5), IMAGE),
}


def network(*layers, shape=(4,), dtype=np.float64):
    return hg.Sequential(layers).build(shape, rng=0, dtype=dtype)


def draw(model, num_rows=3):
    if model.takes_indices:
        return np.random.default_rng(1).integers(0, 2, (num_rows, *model.input_shape))
    return np.random.default_rng(1).standard_normal((num_rows, *model.input_shape)).astype(model.dtype)


def run(module, x):
    with torch.no_grad():
        return module.eval()(torch.from_numpy(np.ascontiguousarray(x))).numpy()


def test_every_layer_has_a_row():
    """A layer added to handgrad.layers needs one row in the table."""
    classes = {cls for cls in vars(hl).values() if isinstance(cls, type) and issubclass(cls, hg.Layer)}
    abstract = {hg.Layer, hg.Sequential, hg.Residual, hg.Branches, hl.Activation}
    assert classes - abstract == {row.layer for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.layer.__name__)
def test_each_layer_comes_back_the_same(row):
    layer, shape = EXAMPLES.get(row.layer, (None, (4,)))
    model = network((layer and type(layer)(**layer.config)) or row.layer(), shape=shape)
    module = to_torch(model)
    again = from_torch(module, shape)
    assert type(again.layers[0]) is row.layer
    x = draw(model)
    np.testing.assert_allclose(run(module, x), model.forward(x), rtol=0, atol=1e-12)
    np.testing.assert_allclose(again.forward(x), model.forward(x), atol=1e-6 if again.dtype == np.float32 else 0)


def test_a_new_layer_takes_one_row(monkeypatch):
    class Double(hg.layers.Activation):
        def compute(self, x, training):
            return 2 * x, None

        def differentiate(self, dy, cache):
            return 2 * dy, {}

    class TorchDouble(nn.Module):
        def forward(self, x):
            return 2 * x

    model = network(hl.Linear(3), Double())
    with pytest.raises(ValueError, match=r"double1: Double has no PyTorch twin; append a handgrad\.torch_twin\.Row"):
        to_torch(model)
    monkeypatch.setattr(table, "ROWS", [*ROWS, Row(Double, TorchDouble)])
    module = to_torch(model)
    assert isinstance(module.double1, TorchDouble)
    np.testing.assert_allclose(run(module, draw(model)), model.forward(draw(model)), atol=1e-12)
    del hg.Layer.registry["Double"]


def test_the_module_is_what_a_pytorch_user_writes():
    layers = hl.Conv2D(4, 3, padding="same"), hl.ReLU(), hl.MaxPool2D(2), hl.Flatten(), hl.Linear(5)
    model = network(*layers, shape=IMAGE)
    ours = to_torch(model, layout="NCHW")
    theirs = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(24, 5)
    )
    assert [repr(a) for a in ours] == [repr(b) for b in theirs]
    assert list(ours.state_dict()) == list(model.parameters)


def test_images_are_turned_once_at_either_end():
    model = network(hl.Conv2D(4, 3), hl.BatchNorm(), hl.LayerNorm(), hl.Softmax(), hl.Conv2D(2, 3), shape=IMAGE)
    turns = [name for name, _ in to_torch(model).named_children() if name.startswith("to_")]
    assert turns == ["to_channels_first", "to_channels_last"]
    x = draw(model)
    first = to_torch(model, layout="NCHW")
    assert not any("to_" in name for name, _ in first.named_children())
    np.testing.assert_allclose(run(first, x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1), model.forward(x), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype):
    model = network(hl.Linear(3), hl.BatchNorm(), dtype=dtype)
    module = to_torch(model)
    assert {t.dtype for t in module.parameters()} == {getattr(torch, np.dtype(dtype).name)}
    assert from_torch(module).dtype == dtype


def test_statistics_and_rates_come_along():
    model = network(hl.Linear(3), hl.BatchNorm(momentum=0.3), hl.Dropout(0.25))
    model.state["batchnorm1.running_mean"] = [1.0, 2.0, 3.0]
    module = to_torch(model)
    assert module.batchnorm1.running_mean.tolist() == [1, 2, 3]
    assert module.batchnorm1.momentum == 0.3 and module.dropout1.p == 0.25
    assert (from_torch(module).state["batchnorm1.running_mean"] == [1, 2, 3]).all()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="not built"):
        to_torch(hg.Sequential([hl.Linear(3)]))
    with pytest.raises(ValueError, match="layout is 'NWHC'"):
        to_torch(network(hl.Linear(3)), layout="NWHC")
    with pytest.raises(ValueError, match="the model in complex128"):
        to_torch(network(hl.Linear(3)).astype(np.complex128))
    with pytest.raises(TypeError, match="takes a Sequential, got Linear"):
        to_torch(hl.Linear(3))
    with pytest.raises(TypeError, match=r"takes an nn\.Module, got str"):
        from_torch("resnet18")
    with pytest.raises(ValueError, match=r"pass input_shape=\(28, 28, 1\)"):
        from_torch(nn.Sequential(nn.Conv2d(1, 2, 3)))
    with pytest.raises(ValueError, match="layer 'forward' needs another name"):
        to_torch(network(hl.Linear(3, name="forward")))


def test_state_dict_goes_both_ways(tmp_path):
    layers = lambda: (hl.Conv2D(3, 2), hl.BatchNorm(), hl.Flatten(), hl.Linear(2))  # noqa: E731
    model, other = network(*layers(), shape=IMAGE), hg.Sequential(layers()).build(IMAGE, rng=5, dtype=np.float64)
    load_state_dict(other, state_dict(model))
    np.testing.assert_array_equal(other.parameter_vector, model.parameter_vector)
    save_weights(model, tmp_path / "weights.safetensors")
    third = hg.Sequential(layers()).build(IMAGE, rng=6, dtype=np.float64)
    load_weights(third, tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(third.parameter_vector, model.parameter_vector)


def test_weights_trained_elsewhere_load_by_order():
    theirs = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    model = network(hl.Linear(3), hl.ReLU(), hl.Linear(2), dtype=np.float32)
    load_state_dict(model, theirs.state_dict())
    np.testing.assert_allclose(model.forward(draw(model)), run(theirs, draw(model)), atol=1e-6)
    with pytest.raises(ValueError, match=r"'2.weight' has shape \(5, 3\) where the model has 'linear2.weight'"):
        load_state_dict(model, nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5)).state_dict())
    with pytest.raises(ValueError, match=r"2 arrays, the model 4: it lacks linear1\.weight, .* knows no 0\.weight"):
        load_state_dict(model, nn.Sequential(nn.Linear(4, 3)).state_dict())


def deep():
    """A PyTorch network of many alike modules, and handgrad's."""
    theirs = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), *(nn.Linear(3, 3) for _ in range(10)), nn.Linear(3, 2))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    layers = hl.Linear(3), hl.LayerNorm(), *(hl.Linear(3) for _ in range(10)), hl.Linear(2)
    return theirs, network(*layers, dtype=np.float32)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.net."])
@pytest.mark.parametrize("order", [list, sorted])
def test_a_file_in_any_order_of_names_loads_by_module_and_name(suffix, prefix, order, tmp_path):
    theirs, model = deep()
    tensors = {prefix + name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    files.write_arrays(tmp_path / f"weights{suffix}", {name: tensors[name] for name in order(list(tensors))})
    load_weights(model, tmp_path / f"weights{suffix}")
    model = model.astype(float)
    np.testing.assert_allclose(model.forward(draw(model)), run(theirs.double(), draw(model)), rtol=1e-10)


def test_alphabetical_names_that_leave_the_order_open_are_refused():
    model = network(hl.Linear(4, name="a"), hl.Linear(4), hl.Linear(2))
    tensors = state_dict(model)
    before = model.parameter_vector.copy()
    names = {"a": "encoder", "linear1": "decoder", "linear2": "head"}
    foreign = {f"{names[name.partition('.')[0]]}.{name.partition('.')[2]}": t for name, t in tensors.items()}
    load_state_dict(model, {name: tensor * 2 for name, tensor in foreign.items()})
    np.testing.assert_array_equal(model.parameter_vector, 2 * before)
    with pytest.raises(ValueError, match=r"do not tell whether '(en|de)coder' or '(en|de)coder' comes first"):
        load_state_dict(model, dict(sorted(foreign.items())))
    theirs, model = deep()
    mixed = sorted(theirs.state_dict().items(), key=lambda item: item[0].split(".")[::-1])
    with pytest.raises(ValueError, match=r"do not tell whether '2' or '3' comes first"):
        load_state_dict(model, dict(mixed))


def test_arrays_of_other_names_are_refused():
    model = network(hl.Linear(4, name="a"), hl.Linear(4))
    before = model.parameter_vector.copy()
    foreign = {f"encoder.{name}": tensor for name, tensor in state_dict(model).items()}
    swapped = {name.replace("weight", "scale"): tensor for name, tensor in foreign.items()}
    with pytest.raises(
        ValueError, match=r"it has encoder\.a\.bias, encoder\.a\.scale where the model has a\.bias, a\.weight"
    ):
        load_state_dict(model, swapped)
    np.testing.assert_array_equal(model.parameter_vector, before)


def test_bfloat16_is_read_and_what_numpy_has_not_is_named(tmp_path):
    from safetensors.torch import save_file

    model, path = network(hl.Linear(3), dtype=np.float32), tmp_path / "weights.safetensors"
    halved = {name: tensor.bfloat16() for name, tensor in state_dict(model).items()}
    save_file(halved, path)
    load_weights(model, path)
    np.testing.assert_array_equal(model.parameters["linear1.weight"].T, halved["linear1.weight"].float())
    save_file({name: tensor.to(torch.float8_e4m3fn) for name, tensor in halved.items()}, path)
    with pytest.raises(
        ValueError, match=r"'linear1\.\w+' is of dtype F8_E4M3, which NumPy has not: save it as float32"
    ):
        load_weights(model, path)


def test_what_is_no_state_dict_of_the_model_is_refused():
    model = network(hl.Linear(4, name="a"), hl.Linear(4, name="b"))
    tensors = state_dict(model)
    before = model.parameter_vector.copy()
    half = {name.replace("a.", "first."): tensors[name] for name in ("b.weight", "b.bias", "a.weight", "a.bias")}
    for wrong, kind, message in [
        (half, ValueError, r"has 'b\.weight' where the model has 'a\.weight'"),
        ({**tensors, "b.bias": torch.zeros(3)}, ValueError, r"size mismatch for b\.bias"),
        ({**tensors, "c.bias": torch.zeros(3)}, ValueError, r"the model knows no c\.bias"),
        ({"model": tensors, "epoch": 3}, TypeError, "'model' is OrderedDict; in a checkpoint, pick the part"),
        (to_torch(model), TypeError, r"got Sequential; a module's is module\.state_dict"),
        ({name: tensor.numpy() for name, tensor in tensors.items()}, TypeError, r"'a\.weight' is ndarray"),
    ]:
        with pytest.raises(kind, match=message):
            load_state_dict(model, wrong)
    assert (model.parameter_vector == before).all()


@pytest.mark.parametrize(("ours", "theirs"), [(hl.RNN, nn.RNN), (hl.LSTM, nn.LSTM)])
def test_pytorchs_two_biases_are_added(ours, theirs):
    trained, model = theirs(2, 3, batch_first=True).double(), network(ours(3), shape=(4, 2))
    load_state_dict(model, trained.state_dict())
    with torch.no_grad():
        expected = trained(torch.from_numpy(draw(model)))[0][:, -1].numpy()
    np.testing.assert_allclose(model.forward(draw(model)), expected, atol=1e-12)


def test_a_forward_of_its_own_has_no_twin():
    class Residual(hg.Sequential):
        def forward(self, x, training=False):
            return x + super().forward(x, training)

    class Block(hg.Sequential):
        """Layers one after the other, under a name."""

    for kind in (Block, Residual):
        model = hg.Sequential([kind([hg.Linear(4), hg.Tanh()]), hg.Linear(3)]).build(4, rng=0)
        if kind is Block:
            assert len(to_torch(model)) == 2
        else:
            with pytest.raises(ValueError, match="residual1: Residual has a forward of its own"):
                to_torch(model)
