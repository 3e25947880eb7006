"""Downloads from a server that cuts, corrupts, redirects and refuses: whole files or none."""

import io
import re
import resource
import sys
from pathlib import Path

import pytest

from handgrad.datasets import catalog, download, load_dataset
from handgrad.datasets.catalog import Download
from handgrad.datasets.download import available, get, print_progress
from small_image_sets import archive, folder_names, gzipped, python_batch

pytest.importorskip("requests")
LABELS = "train-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Of a cut connection's last piece nothing is kept, so pieces must be smaller than the small files."""
    monkeypatch.setattr(download, "CHUNK", 8)


@pytest.fixture
def mirrors(small, server, monkeypatch):
    """mirrors('mnist', 'one', 'two') serves a small set under these folders, the first asked first."""

    def mirrors(name, *folders):
        contents, _ = small(name)
        server.files = gzipped(contents) if name != "cifar10" else {"cifar-10.tar.gz": archive(contents)}
        about = catalog.DATASETS[name]
        downloads = tuple(
            Download(item.name, tuple(f"{server.address}/{folder}/{item.name}" for folder in folders))
            for item in about.downloads
        )
        monkeypatch.setitem(catalog.DATASETS, name, about._replace(downloads=downloads))
        return sorted(f"{name}/{file}" for file in contents)

    return mirrors


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_download(mirrors, server, data_folder, name):
    files = mirrors(name, "one")
    assert get(name) == data_folder / name
    assert folder_names(data_folder) == files and not (data_folder / ".partial").exists()
    load_dataset(name, validation=0)
    asked = len(server.requests)
    get(name)
    assert len(server.requests) == asked  # what is there is not asked for again


def test_only_missing_files_are_asked_for(mirrors, server, data_folder):
    files = mirrors("mnist", "one")
    get("mnist")
    (data_folder / "mnist" / LABELS).write_bytes(b"cut")
    server.requests.clear()
    get("mnist")
    assert [path for path, _, _ in server.requests] == [f"/one/{LABELS}.gz"] and folder_names(data_folder) == files


def test_a_cut_download_goes_on_where_it_stopped(mirrors, server, data_folder):
    files = mirrors("cifar10", "one")
    server.misbehave["one"] = ["cut", "cut"]
    get("cifar10")
    whole = len(server.files["cifar-10.tar.gz"])
    starts = [int((asked or "bytes=0-")[6:-1]) for _, asked, _ in server.requests]
    assert starts == pytest.approx([0, whole / 2, whole * 3 / 4], abs=16) and len(starts) == 3
    assert folder_names(data_folder) == files


def test_a_later_run_resumes(mirrors, server, data_folder):
    files = mirrors("cifar10", "one")
    server.misbehave["one"] = ["cut", 503]
    with pytest.raises(OSError, match="503"):
        get("cifar10")
    assert [name.split("/")[0] for name in folder_names(data_folder)] == [".partial"]
    server.requests.clear()
    get("cifar10")
    assert server.requests[0][1].startswith("bytes=") and folder_names(data_folder) == files


@pytest.mark.parametrize("fault", ["ignore range", "wrong range", "corrupt"])
def test_a_rest_that_does_not_fit_is_fetched_anew(mirrors, server, data_folder, fault):
    files = mirrors("cifar10", "one")
    server.misbehave["one"] = ["cut", fault]
    get("cifar10")
    assert folder_names(data_folder) == files


def test_a_part_that_was_whole_already(mirrors, server, data_folder):
    files = mirrors("cifar10", "one")
    server.misbehave["one"] = ["cut", 503]
    with pytest.raises(OSError, match="503"):
        get("cifar10")
    (part,) = (data_folder / ".partial").rglob("*.gz")
    part.write_bytes(server.files["cifar-10.tar.gz"] + b"and more")
    get("cifar10")
    assert 416 in [status for _, _, status in server.requests] and folder_names(data_folder) == files


@pytest.mark.parametrize("fault", ["corrupt", 404, 403, 500])
def test_the_next_mirror_is_asked(mirrors, server, data_folder, fault):
    files = mirrors("mnist", "one", "two")
    server.misbehave["one"] = [fault] * 4
    get("mnist")
    assert {path.split("/")[1] for path, _, _ in server.requests} == {"one", "two"}
    assert folder_names(data_folder) == files


def test_a_mirror_that_sends_nothing_is_told(mirrors, server, data_folder):
    mirrors("cifar10", "one")
    server.misbehave["one"] = [204]
    with pytest.raises(OSError, match=r"127\.0\.0\.1:\d+: it sent nothing\); try again later"):
        get("cifar10")


def test_redirects_are_followed(mirrors, server, data_folder):
    files = mirrors("mnist", "one")
    server.misbehave["one"] = ["redirect", "redirect"]
    get("mnist")
    assert ("/elsewhere/" + LABELS + ".gz", None, 200) in server.requests and folder_names(data_folder) == files


def test_a_cut_download_resumes_behind_a_redirect(mirrors, server, data_folder):
    files = mirrors("cifar10", "one")
    server.misbehave.update(one=["redirect", "redirect"], elsewhere=["cut"])
    get("cifar10")
    assert [status for _, _, status in server.requests] == [302, 200, 302, 206] and folder_names(data_folder) == files


def test_nothing_is_kept_when_no_mirror_is_right(mirrors, server, data_folder):
    files = mirrors("cifar10", "one", "two")
    server.misbehave.update(one=["corrupt"], two=["corrupt"])
    with pytest.raises(
        OSError,
        match=r"could not download cifar-10\.tar\.gz of cifar10 \(127\.0\.0\.1.*"
        r"put data_batch_1\.bin.*'handgrad data get cifar10 --from FOLDER'",
    ) as caught:
        get("cifar10")
    assert "\n" not in str(caught.value)
    kept = folder_names(data_folder)
    assert kept == [name for name in files if "data_batch_2" not in name]  # the one altered, in the archive's middle


def test_another_file_of_the_right_form_is_refused(mirrors, server, data_folder):
    mirrors("mnist", "one")
    server.files[f"{LABELS}.gz"] = server.files["t10k-labels-idx1-ubyte.gz"]
    with pytest.raises(OSError, match="where 38 were expected"):
        get("mnist")
    assert f"mnist/{LABELS}" not in folder_names(data_folder)


def test_the_python_archive_does_as_well(mirrors, server, small, data_folder):
    files = mirrors("cifar10", "one")
    contents, _ = small("cifar10")
    catalog.DATASETS["cifar10"] = catalog.DATASETS["cifar10"]._replace(
        downloads=(Download("cifar-10.tar.gz", (f"{server.address}/one/cifar-10.tar.gz",)),)
    )
    server.files["cifar-10.tar.gz"] = archive({n.removesuffix(".bin"): python_batch(d) for n, d in contents.items()})
    get("cifar10")
    assert folder_names(data_folder) == files


def test_no_network_says_how_to_place_the_files(mirrors, server, data_folder):
    mirrors("mnist", "one")
    server.close()
    with pytest.raises(
        OSError,
        match=r"no connection.*put train-images-idx3-ubyte, .* into a folder and run "
        "'handgrad data get mnist --from FOLDER'",
    ) as caught:
        get("mnist")
    assert "\n" not in str(caught.value) and not folder_names(data_folder)


def test_without_requests_the_extra_is_named(mirrors, monkeypatch):
    mirrors("mnist", "one")
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(ImportError, match=r"pip install 'handgrad\[app\]'"):
        get("mnist")


def test_a_full_disk_leaves_nothing_behind(mirrors, data_folder):
    mirrors("mnist", "one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write .*: File too large.*HANDGRAD_DATA") as caught:
            get("mnist")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value) and not folder_names(data_folder)


def test_a_folder_that_cannot_be_made(mirrors, monkeypatch, tmp_path):
    mirrors("mnist", "one")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDGRAD_DATA", str(tmp_path / "file" / "data"))
    with pytest.raises(OSError, match=r"cannot make the folder .*HANDGRAD_DATA"):
        get("mnist")


def test_progress_is_told(mirrors, server, capsys, monkeypatch):
    mirrors("cifar10", "one")
    server.misbehave["one"] = ["cut"]
    told = []
    get("cifar10", progress=lambda *said: told.append(said))
    whole = len(server.files["cifar-10.tar.gz"])
    assert told[-1] == ("cifar-10.tar.gz", whole, whole) and [done for _, done, _ in told] == sorted(
        done for _, done, _ in told
    )
    print_progress("file", 1_000_000, 2_000_000)
    assert capsys.readouterr().err == ""  # a log gets one line per file
    print_progress("file", 2_000_000, 2_000_000)
    assert capsys.readouterr().err == "file  2.0 MB\n"
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    print_progress("file", 1_000_000, 2_000_000)
    assert terminal.getvalue() == "\rfile  1.0 of 2.0 MB"


def test_the_table_of_data_sets(mirrors):
    mirrors("mnist", "one")
    rows = {row.name: row for row in available()}
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert list(rows) == re.findall(r"^\| `([\w-]+)` \|", page.partition("\n## ")[0], re.M)
    assert {"iris", "wine", "breast-cancer", "digits", "diabetes", "mnist", "fashion-mnist", "cifar10"} <= set(rows)
    assert rows["iris"].present and rows["iris"].kind == "table" and not rows["mnist"].present
    assert all(row.size and row.source and row.licence and row.title for row in rows.values())
    get("mnist")
    assert {row.name: row for row in available()}["mnist"].present


def test_shipped_tables_need_no_download_and_unknown_names_get_the_nearest():
    assert (get("iris") / "iris.csv").exists()
    with pytest.raises(ValueError, match="did you mean 'mnist'"):
        get("mnits")
