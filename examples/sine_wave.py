"""Teach a recurrent network to continue sine waves, then let it go on by itself: python examples/sine_wave.py."""

import argparse

import numpy as np

import handgrad as hg

STEPS = 40


def make_waves(count, length, rng):
    """Sine waves (count, length, 1) of random frequency and phase."""
    frequency, phase = rng.uniform(0.1, 0.5, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
    return np.sin(frequency * np.arange(length) + phase)[..., None]


def go_on(model, waves, count):
    """The next `count` values of each wave (N, STEPS, 1), each predicted from the STEPS before it: (N, count)."""
    for _ in range(count):
        following = model.predict(waves[:, -STEPS:])
        waves = np.concatenate([waves, following[:, None]], axis=1)
    return waves[:, -count:, 0]


def draw(waves, continued, path):
    from handgrad.reports.pictures import TRAIN, VALIDATION, new_figure, quiet_axes, save

    figure, all_axes = new_figure(8, 6, num_rows=3)
    for axes, wave, values in zip(all_axes, waves, continued, strict=False):
        axes.plot(wave[:, 0], color=TRAIN, linewidth=1.5, label="the wave")
        axes.plot(np.arange(STEPS, STEPS + len(values)), values, color=VALIDATION, linestyle="--", label="the network")
        quiet_axes(axes, "")
    all_axes[0].legend(loc="upper right")
    return save(figure, path)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--layer", choices=["RNN", "LSTM"], default="RNN")
    parser.add_argument("--picture", help="draw three waves and what the network made of them (.png, .svg, .pdf)")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(0)
    train, test = make_waves(2000, STEPS + 1, rng), make_waves(500, 2 * STEPS, rng)
    model = hg.Sequential([getattr(hg, options.layer)(24), hg.Linear(1)])
    trainer = hg.Trainer(model, loss=hg.MeanSquaredError(), optimizer=hg.Adam(0.005), seed=0)
    trainer.fit(train[:, :STEPS], train[:, STEPS], epochs=options.epochs, batch_size=50)

    past, after = test[:, :STEPS], test[:, STEPS:, 0]
    one = trainer.evaluate(past, after[:, :1])["loss"]
    repeated = np.mean((after[:, 0] - past[:, -1, 0]) ** 2)
    continued = go_on(model, past, STEPS)
    print(f"next value: mean squared error {one:.6f} (repeating the last value: {repeated:.4f})")
    print(
        f"{STEPS} values on its own: mean squared error {np.mean((continued - after) ** 2):.4f} "
        f"(always 0: {np.mean(after**2):.4f})"
    )
    if options.picture:
        print(f"picture: {draw(test, continued, options.picture)}")


if __name__ == "__main__":
    main()
