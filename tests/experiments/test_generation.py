"""Runs on texts: their figures, their pages, and what their models write."""

import math

import pytest

from handgrad.experiments import Run, check_configuration, configure, generate, load_configuration, resume, train
from handgrad.experiments.gather import gather

TEXT = "abcdefg " * 400
SMALL = ["data.length=25", "model.width=16", "model.num_heads=2", "model.num_blocks=1", "epochs=6", "batch_size=4"]


@pytest.fixture(scope="module", params=["characters", "bytes"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    path = folder / "alphabet"  # a file of any name
    path.write_text(TEXT)
    settings = [f"data.name={path}", f"data.tokens={request.param}", *SMALL]
    return train(configure("transformer-text", overrides=settings), folder, progress=False)


def test_a_trained_model_goes_on_as_its_text_does(run):
    assert "".join(generate(run.path, "abcd", tokens=60, temperature=0)) == ("efg abcd" * 8)[:60]
    assert "".join(generate(run.path, TEXT[:100], tokens=9, temperature=0)) == TEXT[100:109]


def test_a_seed_writes_the_same_text_again(run):
    drawn = ["".join(generate(run.path, "abc", tokens=40, temperature=5.0, seed=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_perplexity_and_bits_are_in_records_and_pages(run):
    name = "bits_per_character" if run.record["data"]["tokens"] == "characters" else "bits_per_byte"
    for figures in run.results.values():
        assert figures["perplexity"] == pytest.approx(math.exp(figures["loss"]))
        assert figures[name] == pytest.approx(figures["loss"] / math.log(2))
    history = run.history()
    assert history[f"validation_{name}"][-1] == pytest.approx(history["validation_loss"][-1] / math.log(2))
    view = gather(run)
    assert not view.notes
    assert view.confusion.sum() == 25 * run.record["data"]["rows"]["test"]
    assert resume(run.path).results == run.results


def test_early_stopping_may_watch_the_perplexity(run, tmp_path):
    stop = 'callbacks=[{name="early-stopping", monitor="validation_perplexity", patience=1}]'
    settings = [f"data.name={run.configuration.data.name}", "data.tokens=bytes", *SMALL, stop]
    trained = train(configure("transformer-text", overrides=settings), tmp_path, progress=False)
    best = min(trained.history()["validation_perplexity"])
    assert trained.results["validation"]["perplexity"] == pytest.approx(best)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"tokens": 0}, "tokens must be .* got 0"),
        ({"temperature": -1}, "temperature must be .* got -1"),
        ({"seed": -1}, "seed must be .* got -1"),
    ],
)
def test_bad_requests_are_refused(run, arguments, message):
    with pytest.raises(ValueError, match=message):
        generate(run.path, **{"prompt": "abc", **arguments})


def test_a_character_that_the_text_had_not_is_named(run):
    if run.record["data"]["tokens"] == "characters":
        with pytest.raises(ValueError, match=r"has no 'Z'; it has ' abcdefg'"):
            generate(run.path, "abZ")


def test_a_text_alone_gets_the_transformer(tmp_path):
    path = tmp_path / "alphabet.txt"
    path.write_text(TEXT)
    configured = configure(path, overrides=["epochs=3"])
    assert (configured.name, configured.data.name, configured.epochs) == ("transformer-text", str(path), 3)
    assert configure("moby-dick").model == {"name": "transformer-text", "dropout": 0.1}


def test_what_is_no_text_cannot_go_on(tmp_path):
    iris = train(load_configuration("iris", ["epochs=1"]), tmp_path, progress=False)
    with pytest.raises(ValueError, match="was not trained on a text: handgrad train transformer-text"):
        generate(iris.path, "setosa")


def test_a_model_that_looks_ahead_cannot_write(tmp_path):
    path = tmp_path / "alphabet.txt"
    path.write_text(TEXT)
    layers = [
        {"layer": "Embedding", "num_embeddings": 8, "units": 8},
        {"layer": "MultiHeadAttention", "num_heads": 2},
        {"layer": "Linear", "units": "classes"},
    ]
    table = load_configuration("transformer-text", [f"data.name={path}", "data.length=25", "epochs=1"]).as_table()
    run = train(check_configuration({**table, "model": {"layers": layers}}), tmp_path, progress=False)
    with pytest.raises(ValueError, match="looks at what comes later"):
        generate(Run(run.path).path, "abc")
