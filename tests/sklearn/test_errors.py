"""Bad input: one line that names the parameter, the value, and what was expected."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris, make_multilabel_classification

import handgrad as hg
from handgrad.sklearn import NetClassifier, NetRegressor

X, Y = load_iris(return_X_y=True)
IMAGES = X.reshape(-1, 2, 2, 1)
NUMBERS = X[:, 0]

PARAMETERS = [  # of a classifier, and words of the message
    ({"activation": "rellu"}, "did you mean 'relu'"),
    ({"activation": ["relu", "tanh"]}, "activation has 2 entries for 1 hidden layers"),
    ({"solver": "adm"}, "did you mean 'adam'"),
    ({"loss": "log_los"}, "did you mean 'log_loss'"),
    ({"loss": "binary-cross-entropy"}, "two classes apart, y has 3"),
    ({"optimizer": "adamm"}, "did you mean 'adam'"),
    ({"optimizer": {"name": "sgd", "momentun": 0.9}}, "did you mean 'momentum'"),
    ({"learning_rate": "adaptve"}, "did you mean 'adaptive'"),
    ({"learning_rate_init": -1}, "NetClassifier: learning_rate_init must be a finite number > 0, got -1"),
    ({"alpha": "much"}, "alpha must be a finite number >= 0, got 'much'"),
    ({"max_iter": 0}, "max_iter must be a whole number >= 1, got 0"),
    ({"batch_size": 1.5}, "batch_size must be a whole number >= 1, got 1.5"),
    ({"n_iter_no_change": 0}, "n_iter_no_change must be a whole number >= 1"),
    ({"hidden_layer_sizes": (10, 0)}, r"hidden_layer_sizes must be > 0, whole numbers; got \(10, 0\)"),
    ({"dropout": 1.0}, "dropout must be a finite number >= 0 and < 1, got 1.0"),
    ({"shuffle": "yes"}, "shuffle must be True or False, got 'yes'"),
    ({"dtype": "float16"}, "dtype must be 'float32', 'float64' or None for that of X, got 'float16'"),
    ({"engine": "tensorflow"}, "unknown engine 'tensorflow'"),
    ({"engine": {"device": "cpu"}}, "unknown engine"),
    ({"class_weight": {"setosa": 2.0}}, "names the class 'setosa', which y has not; its classes are 0, 1, 2"),
    ({"class_weight": "balance"}, "balance"),
    ({"solver": "lbfgs", "dropout": 0.5}, "which dropout1 does not give"),
    ({"solver": "lbfgs", "callbacks": [hg.EarlyStopping("loss")]}, "callbacks=.* is for training by batches"),
    ({"solver": "lbfgs", "engine": "torch"}, "engine='torch' is for training by batches"),
    ({"layers": [hg.Linear(3)], "dropout": 0.5}, "dropout is for hidden_layer_sizes"),
    ({"layers": [hg.Conv2D(8, 3), hg.Flatten()]}, r"conv2d1 does not fit input of shape \(N, 4\)"),
    ({"layers": hg.Sequential([hg.Linear(2, name="last")])}, r"ends in last with outputs of shape \(N, 2\)"),
    ({"layers": [hg.Flatten()], "input_shape": (3, 3, 1)}, "takes 9 numbers an example, X has 4 features"),
]


@pytest.mark.parametrize(("parameters", "words"), PARAMETERS, ids=str)
def test_parameters(parameters, words):
    with pytest.raises(ValueError, match=words) as problem:
        NetClassifier(**parameters).fit(X, Y)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    "parameters",
    [
        {"callbacks": [print]},
        {"callbacks": hg.EarlyStopping()},
        {"optimizer": hg.Adam},
        {"loss": 3},
    ],
    ids=str,
)
def test_objects_of_the_wrong_kind(parameters):
    with pytest.raises(TypeError, match=r"callbacks takes a list|class Adam|loss must be"):
        NetClassifier(**parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("validation_data", "words"),
    [
        ((X[:, :3], Y), "validation_data: X has 3 features, but NetClassifier is expecting 4"),
        ((X, Y + 1), r"validation_data: `y` has classes not in `self.classes_`: \[3\]"),
        ((X, Y[:5]), "validation_data: Found input variables with inconsistent numbers of samples"),
        (X, r"validation_data must be a pair \(X, y\)"),
        ((X, Y, Y), r"validation_data must be a pair \(X, y\)"),
    ],
)
def test_validation_data(validation_data, words):
    with pytest.raises(ValueError, match=words):
        NetClassifier().fit(X, Y, validation_data=validation_data)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"X_val": X}, "pass X_val and y_val together, or validation_data=.* got X_val$"),
        ({"sample_weight_val": np.ones(len(X))}, "got sample_weight_val$"),
        ({"X_val": X, "y_val": Y, "validation_data": (X, Y)}, "got validation_data, X_val, y_val$"),
        ({"X_val": X[:, :3], "y_val": Y}, "^X_val: X has 3 features"),
        ({"X_val": X, "y_val": Y[:5]}, "^X_val: Found input variables with inconsistent numbers"),
        ({"X_val": X, "y_val": Y, "sample_weight_val": -Y}, "^X_val: sample_weight must be 0 or more, and not all 0"),
        ({"X_val": X, "y_val": Y, "sample_weight_val": Y[:3]}, "^X_val: sample_weight.shape == "),
        ({"X_val": np.full_like(X, np.nan), "y_val": Y}, "^X_val: Input X contains NaN"),
    ],
)
def test_validation_data_one_by_one(parts, words):
    with pytest.raises(ValueError, match=words):
        NetClassifier().fit(X, Y, **parts)


def test_masked_arrays():
    masked, net = np.ma.masked_greater(X, 5), NetClassifier(max_iter=5)
    for arguments, name in (
        ((masked, Y), "X"),
        ((X, np.ma.masked_equal(Y, 2)), "y"),
        ((X, Y, np.ma.masked_equal(Y, 2)), "sample_weight"),
    ):
        with pytest.raises(TypeError, match=f"^{name} is a masked array, and no network knows masks: leave out"):
            net.fit(*arguments)
    with pytest.raises(TypeError, match=r"^X is a masked array"):
        NetClassifier(solver="lbfgs").fit(X, Y > 0).predict(masked)


def test_validation_data_and_lbfgs():
    with pytest.raises(ValueError, match="solver='lbfgs' has none"):
        NetClassifier(solver="lbfgs").fit(X, Y, validation_data=(X, Y))


@pytest.mark.parametrize(
    ("loss", "y", "words"),
    [
        ("squared_eror", NUMBERS, "did you mean 'squared_error'"),
        ("hinge", NUMBERS, "Hinge is a loss of classes"),
        ("poisson", NUMBERS - 5, "loss='poisson' is for counts, y >= 0; got -0.7"),
    ],
)
def test_losses_of_numbers(loss, y, words):
    with pytest.raises(ValueError, match=words):
        NetRegressor(loss=loss).fit(X, y)


def test_labels_take_no_class_weight_and_no_hinge():
    x, labels = make_multilabel_classification(n_samples=30, random_state=0)
    with pytest.raises(ValueError, match="class_weight is for one class a row"):
        NetClassifier(class_weight="balanced").fit(x, labels)
    with pytest.raises(ValueError, match="Hinge takes one class a row, y has 5 labels"):
        NetClassifier(loss="hinge").fit(x, labels)
    with pytest.raises(ValueError, match="Unknown label type: multiclass-multioutput"):
        NetClassifier().fit(x, labels * np.arange(5))


def test_partial_fit():
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        NetClassifier().partial_fit(X, Y)
    with pytest.raises(ValueError, match="class_weight='balanced' counts all of y"):
        NetClassifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(AttributeError):
        NetClassifier(solver="lbfgs").partial_fit(X, Y, classes=[0, 1, 2])
    net = NetClassifier().partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="are not those of the first call"):
        net.partial_fit(X, Y, classes=[0, 1])
    numbers = NetRegressor().partial_fit(X, NUMBERS)
    with pytest.raises(ValueError, match="y has 2 columns, in earlier calls it had 1"):
        numbers.partial_fit(X, X[:, :2])


def test_sparse_input_needs_a_linear_layer_first():
    with pytest.raises(ValueError, match=r"begins with Linear, not dropout1: pass X.toarray\(\)"):
        NetClassifier(layers=[hg.Dropout(0.5)]).fit(sparse.csr_matrix(X), Y)
    with pytest.raises(ValueError, match="cannot be sparse"):
        NetClassifier(layers=[hg.Flatten()], input_shape=(2, 2, 1)).fit(sparse.csr_matrix(X), Y)


def test_images_of_another_shape():
    net = NetClassifier(layers=[hg.Flatten(), hg.Linear(3)], max_iter=200, tol=1.0).fit(IMAGES, Y)
    with pytest.raises(ValueError, match=r"X holds examples of shape \(1, 4, 1\), NetClassifier expects \(2, 2, 1\)"):
        net.predict(X.reshape(-1, 1, 4, 1))


def test_negative_sample_weights():
    with pytest.raises(ValueError, match="sample_weight must be 0 or more, and not all 0"):
        NetClassifier().fit(X, Y, sample_weight=-np.ones(len(X)))


@pytest.mark.filterwarnings("ignore:(overflow|invalid):RuntimeWarning")
def test_divergence_names_where_it_began():
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*layer 'linear\d' is the first|parameter '"):
        NetRegressor(solver="sgd", learning_rate_init=1e3, activation="identity").fit(X, NUMBERS)
    net = NetRegressor(solver="sgd", learning_rate_init=5.0, activation="identity", early_stopping=True, random_state=0)
    with pytest.warns(UserWarning, match="the best weights before it are kept"):
        net.fit(X, NUMBERS)
    assert np.isfinite(net.predict(X)).all()


def test_without_scikit_learn_one_line_names_the_extra():
    code = "import sys; sys.modules['sklearn'] = None; import handgrad.sklearn"
    said = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True).stderr.splitlines()[-1]
    assert said == "ImportError: handgrad.sklearn needs scikit-learn: pip install 'handgrad[sklearn]'"
