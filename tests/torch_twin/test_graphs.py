"""Modules that are no chains: sums, products and concatenations, read, written, compared and refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from hypothesis import given
from torch import nn

import handgrad as hg
from fuzzing import examples
from handgrad.torch_twin import compare, from_torch, to_torch
from random_models import composites


class BasicBlock(nn.Module):
    """Of a ResNet, as many write it: nothing in the shortcut where the shape stays, += and one ReLU used twice."""

    def __init__(self, channels, filters, stride=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters)
        self.relu, self.shortcut = nn.ReLU(inplace=True), nn.Sequential()
        if stride != 1 or channels != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.shortcut(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 1, 1)
        self.blocks = nn.Sequential(BasicBlock(4, 4), BasicBlock(4, 6, 2))
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = self.blocks(torch.relu(self.stem(x)))
        return self.fc(torch.flatten(TF.adaptive_avg_pool2d(x, 1), 1))


class Written(nn.Module):
    """A module of these children whose forward is the function given."""

    def __init__(self, forward, **children):
        super().__init__()
        self.run = forward
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x):
        return self.run(self, x)


def linear(before, after):
    return nn.Linear(before, after)


def last_state(m, x):
    _, (h, _) = m.lstm(x)
    return m.out(h[-1])


def unet(m, x):
    a = m.a(x)
    return m.d(torch.cat([a, m.c(torch.relu(m.b(a)))], 1))


MODULES = {
    "resnet": (ResNet, (6, 6, 3)),
    "x + f(x)": (lambda: Written(lambda m, x: m.out(x + torch.tanh(m.f(x))), f=linear(4, 4), out=linear(4, 2)), (4,)),
    "gate": (lambda: Written(lambda m, x: m.f(x) * torch.sigmoid(m.g(x)), f=linear(4, 3), g=linear(4, 3)), (4,)),
    "inception": (
        lambda: Written(
            lambda m, x: m.out(torch.cat([m.a(x), torch.relu(m.b(x))], 1).flatten(1)),
            a=nn.Conv2d(3, 2, 1),
            b=nn.Conv2d(3, 3, 3, padding=1),
            out=linear(180, 2),
        ),
        (6, 6, 3),
    ),
    "dense connections": (
        lambda: Written(
            lambda m, x: m.b(torch.cat((y := torch.cat((x, m.a(x)), dim=-1), torch.tanh(y)), -1)),
            a=linear(4, 3),
            b=linear(14, 2),
        ),
        (4,),
    ),
    "u-net": (lambda: Written(unet, a=linear(4, 5), b=linear(5, 3), c=linear(3, 5), d=linear(10, 2)), (4,)),
    "lstm, last step": (
        lambda: Written(
            lambda m, x: m.out(m.lstm(x)[0][:, -1]), lstm=nn.LSTM(3, 4, batch_first=True), out=linear(4, 2)
        ),
        (5, 3),
    ),
    "gru, last step": (
        lambda: Written(
            lambda m, x: m.out(m.gru(x)[0][:, -1]), gru=nn.GRU(3, 4, 2, batch_first=True), out=linear(4, 2)
        ),
        (5, 3),
    ),
    "two lstms, last state": (
        lambda: Written(last_state, lstm=nn.LSTM(3, 4, 2, batch_first=True), out=linear(4, 2)),
        (5, 3),
    ),
    "rnn, all steps": (lambda: Written(lambda m, x: m.rnn(x)[0], rnn=nn.RNN(3, 4, batch_first=True)), (5, 3)),
}


@pytest.mark.parametrize(("make", "shape"), MODULES.values(), ids=MODULES.keys())
def test_modules_that_are_no_chains_are_read(make, shape):
    torch.manual_seed(0)
    module, rng = make().double(), np.random.default_rng(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    model, x = from_torch(module, shape), rng.standard_normal((4, *shape))
    there = torch.from_numpy(np.moveaxis(x, -1, 1).copy() if len(shape) == 3 else x).requires_grad_()
    y = module(there)
    dy = rng.standard_normal(tuple(y.shape))
    y.backward(torch.from_numpy(dy))
    dx = np.moveaxis(there.grad.numpy(), 1, -1) if len(shape) == 3 else there.grad.numpy()
    np.testing.assert_allclose(model.forward(x, training=True), y.detach().numpy(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(model.backward(dy), dx, rtol=1e-10, atol=1e-10)


REFUSED = {
    "several outputs": (lambda m, x: (m.f(x), x), "takes or returns several values"),
    "a constant": (lambda m, x: m.f(x) + 1, "no layer for 'add'"),
    "a value used apart": (lambda m, x: (a := m.f(x), b := m.g(a), m.h(a) * b + torch.tanh(b))[-1], "two places"),
    "a weight of its own": (lambda m, x: m.f(x) + m.f.weight[0], "no module's output"),
    "a sum that is broadcast": (lambda m, x: m.f(x) + m.narrow(x), "joins values of the shapes"),
    "another axis": (lambda m, x: torch.cat([m.f(x), m.g(x)], 0), "joins along dim=0"),
    "a step of an LSTM that is not the last": (lambda m, x: m.lstm(x)[0][:, 0], "other than all outputs"),
    "the states of an LSTM": (lambda m, x: m.lstm(x)[1][1], "other than all outputs"),
}


@pytest.mark.parametrize(("forward", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_join_is_refused_by_name(forward, message):
    lstm = nn.LSTM(4, 4, batch_first=True)
    module = Written(forward, f=linear(4, 4), g=linear(4, 4), h=linear(4, 4), narrow=linear(4, 1), lstm=lstm)
    with pytest.raises(ValueError, match=message) as problem:
        from_torch(module, (5, 4) if "LSTM" in message or "all outputs" in message else (4,))
    assert "\n" not in str(problem.value)


def test_a_layer_of_ones_own_that_holds_others_has_no_twin():
    class Around(hg.Layer):
        def __init__(self, name=None):
            super().__init__(name)
            self.inner = hg.Linear(4)

        def compute(self, x, training):
            return x + self.inner.forward(x, training), None

        def differentiate(self, dy, cache):
            return dy + self.inner.backward(dy), {}

    model = hg.Sequential([Around()]).build(4, rng=0)
    with pytest.raises(ValueError, match="put it together of Residual and Branches"):
        to_torch(model)


@examples(15)
@given(composites())
def test_random_layers_of_layers_equal_pytorch_and_are_resumed_to_the_bit(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("composite")
    x, rng = np.random.default_rng(0).standard_normal((4, *model.input_shape)), np.random.default_rng(1)
    y = rng.standard_normal((4, *model.output_shape))
    receipt = compare(model, None, x, y, optimizers=[])
    assert receipt.worst("float64")[0] < 1e-10, receipt
    again = from_torch(to_torch(model), model.input_shape)
    np.testing.assert_allclose(again.astype(float).predict(x), model.predict(x), rtol=1e-10, atol=1e-10)
    model.save(folder / "model.npz")
    np.testing.assert_array_equal(hg.load_model(folder / "model.npz").predict(x), model.predict(x))
    trainers = [
        hg.Trainer(hg.load_model(folder / "model.npz"), "mean-squared-error", hg.SGD(1e-6), seed=3) for _ in range(2)
    ]
    trainers[0].fit(x, y, epochs=2, batch_size=2, progress=False)
    trainers[1].fit(x, y, epochs=1, batch_size=2, progress=False)
    trainers[1].save(folder / "state.npz")
    resumed = hg.Trainer.load(folder / "state.npz")
    resumed.fit(x, y, epochs=1, batch_size=2, progress=False)
    np.testing.assert_array_equal(resumed.model.parameter_vector, trainers[0].model.parameter_vector)
