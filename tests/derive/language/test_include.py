"""Includes: what they bring in, where files may lie, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import derive
from derive.errors import SourceError

BLOCK = """# a layer
block layer(x; p, q)
  param W : [p, q] ~ he_normal()
  Z = act(x @ W)
  return Z
end
"""
MODEL = """model net
include "parts/layer.gc"
batch n
input X : [n, d]
H = layer(X, d, h)
minimize mean(H)
"""


def laid_out(folder: Path, **files: str) -> Path:
    """The files, ``a__b`` standing for ``a/b.gc``; the path of the model."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.gc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "net.gc"


def test_a_file_brings_blocks_functions_constants_and_dims(tmp_path):
    sizes = "dims d = 3, h = 5\nconst half = 1/2\nfn act(z) = half * z^2\n"
    net = laid_out(tmp_path, net=MODEL, parts__layer='include "sizes.gc"\n' + BLOCK, parts__sizes=sizes)
    model = derive.load(net)
    assert [t.name for t in model.program.parameters] == ["H_W"]
    assert set(model.gradient()) >= {"H_W"}


def test_the_text_and_the_digest_cover_what_is_included(tmp_path):
    sizes = "dims d = 3, h = 5\nfn act(z) = z^2\n"
    net = laid_out(tmp_path, net=MODEL, parts__layer=sizes + BLOCK)
    program = derive.load(net).program
    assert "include" not in program.text
    again = derive.parse(program.text).program
    assert (again.text, again.digest) == (program.text, program.digest)
    laid_out(tmp_path, parts__layer=sizes.replace("z^2", "z^3") + BLOCK)
    assert derive.load(net).program.digest != program.digest
    copied = MODEL.replace('include "parts/layer.gc"\n', sizes + BLOCK)
    assert derive.parse(copied).program.digest == program.digest


def test_a_file_that_is_included_twice_is_read_once(tmp_path):
    net = laid_out(
        tmp_path,
        net='include "a.gc"\ninclude "b.gc"\ninclude "a.gc"\ny = f(g(2))\n',
        a='include "b.gc"\nfn f(x) = g(x) + 1\n',
        b="fn g(x) = x^2\n",
    )
    assert derive.load(net).evaluate({})["y"] == 17


def test_a_model_in_another_folder_reads_beside_itself(tmp_path, monkeypatch):
    laid_out(tmp_path / "models", net='include "a.gc"\ny = f(2)\n', a="fn f(x) = x + 1\n")
    laid_out(tmp_path, a="fn f(x) = x + 2\n")
    monkeypatch.chdir(tmp_path)
    assert derive.load("models/net.gc").evaluate({})["y"] == 3


@pytest.mark.parametrize(
    "path",
    [
        "../a.gc",
        "parts/../../a.gc",
        "parts/../a.gc",
        "/etc/hostname",
        "",
        " ",
        ".",
        "C:/a.gc",
        "..\\a.gc",
        "parts\\a.gc",
    ],
)
def test_paths_that_leave_the_folder_are_refused(tmp_path, path):
    net = laid_out(tmp_path / "model", net=f'include "{path}"\n', parts__b="dims k\n")
    laid_out(tmp_path, a="dims d\n")
    with pytest.raises(SourceError, match=r"leaves the model's folder|names no file|with letters") as caught:
        derive.load(net)
    assert caught.value.span is not None
    assert caught.value.span.line == 1


def test_links_may_not_leave_the_folder(tmp_path):
    net = laid_out(tmp_path / "model", net='include "a.gc"\ny = f(2)\n', parts__b="fn f(x) = x\n")
    laid_out(tmp_path, secret="fn f(x) = x\n")
    link = tmp_path / "model" / "a.gc"
    link.symlink_to(tmp_path / "secret.gc")
    with pytest.raises(SourceError, match="a link out of the model's folder"):
        derive.load(net)
    link.unlink()
    link.symlink_to("parts/b.gc")
    assert derive.load(net).evaluate({})["y"] == 2
    link.unlink()
    link.symlink_to("a.gc")
    with pytest.raises(SourceError, match=r"no file a\.gc"):
        derive.load(net)


def test_a_folder_of_links_may_not_leave_either(tmp_path):
    net = laid_out(tmp_path / "model", net='include "out/a.gc"\n')
    laid_out(tmp_path / "other", a="dims d\n")
    (tmp_path / "model" / "out").symlink_to(tmp_path / "other")
    with pytest.raises(SourceError, match="a link out of the model's folder"):
        derive.load(net)


def test_cycles_are_printed_whole(tmp_path):
    net = laid_out(tmp_path, net='include "p/a.gc"\n', p__a='dims d\ninclude "b.gc"\n', p__b='\ninclude "a.gc"\n')
    with pytest.raises(SourceError) as caught:
        derive.load(net)
    assert caught.value.message == "p/a.gc includes itself: p/a.gc -> p/b.gc -> p/a.gc"
    assert str(caught.value.span) == "p/b.gc:2:1"
    laid_out(tmp_path, net='include "net.gc"\n')
    with pytest.raises(SourceError, match=r"net\.gc -> net\.gc"):
        derive.load(net)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("model part", "model"),
        ("batch n", "batch"),
        ("input X : [d]", "input"),
        ("param w", "param"),
        ("y = 1", "y = …"),
        ("minimize 1", "minimize"),
        ("optimizer sgd(lr=1)", "optimizer"),
        ("output y", "output"),
        ("option relu_at_0 = 1", "option"),
        ("repeat l = 1..2\nend", "repeat"),
    ],
)
def test_the_rest_is_refused_by_name_at_its_line(tmp_path, line, word):
    net = laid_out(tmp_path, net='dims d\ninclude "part.gc"\n', part=f"fn f(x) = x\n\n{line}\n")
    with pytest.raises(SourceError) as caught:
        derive.load(net)
    assert f"`{word}` is not included" in caught.value.message
    assert str(caught.value.span) == "part.gc:3:1"


def test_errors_speak_of_the_included_file(tmp_path):
    net = laid_out(tmp_path, net='include "part.gc"\n', part="fn f(x) = x +\n")
    with pytest.raises(SourceError, match=r"part\.gc:1:14"):
        derive.load(net)
    laid_out(tmp_path, net='include "part.gc"\n\ndims d\n', part="\ndims d\n")
    with pytest.raises(SourceError, match=r"first on line 2 of part\.gc and again on line 3\n") as caught:
        derive.load(net)
    assert str(caught.value.span).startswith("net.gc:3")
    laid_out(
        tmp_path,
        net='include "part.gc"\ndims d\ninput X : [d]\nH = g(X)\n',
        part="block g(x)\ny = x @ z\nreturn y\nend\n",
    )
    with pytest.raises(SourceError) as caught:
        derive.load(net)
    assert "part.gc:2:9: error: unknown name z" in str(caught.value)
    assert "used at net.gc:4:5: H = g(X)" in str(caught.value)


def test_what_is_no_text_is_refused(tmp_path):
    net = laid_out(tmp_path, net='include "part.gc"\n')
    with pytest.raises(SourceError, match=r"no file part\.gc in the model's folder"):
        derive.load(net)
    (tmp_path / "part.gc").mkdir()
    with pytest.raises(SourceError, match="is not a file"):
        derive.load(net)
    (tmp_path / "part.gc").rmdir()
    (tmp_path / "part.gc").write_bytes(b"dims d\xff\n")
    with pytest.raises(SourceError, match="not UTF-8"):
        derive.load(net)


def test_the_limit_is_for_all_files_together(tmp_path):
    filler = "# " + "x" * 600_000 + "\n"
    net = laid_out(tmp_path, net='include "a.gc"\ninclude "b.gc"\ny = d\n', a=filler + "dims d\n", b="dims e\n")
    assert derive.load(net).program.tensor("y").rank == 0
    laid_out(tmp_path, b=filler)
    with pytest.raises(SourceError, match="longer than 1 MB") as caught:
        derive.load(net)
    assert str(caught.value.span) == "net.gc:2:1"


def test_files_within_files_have_a_limit(tmp_path):
    files = {f"f{k}": f'include "f{k + 1}.gc"\n' for k in range(30)}
    net = laid_out(tmp_path, net='include "f0.gc"\n', f30="dims d\n", **files)
    with pytest.raises(SourceError, match="more than 20 deep"):
        derive.load(net)


def test_text_without_a_file_cannot_include(tmp_path, monkeypatch):
    laid_out(tmp_path, a="dims d\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="no folder to include from") as caught:
        derive.parse('include "a.gc"')
    assert "derive.load" in (caught.value.hint or "")
    model = derive.Model()
    model.add('include "a.gc"')
    with pytest.raises(SourceError, match="no folder to include from"):
        assert model.program


def test_nothing_is_read_within_blocks_or_repetitions(tmp_path):
    for inside in ('block f(x)\ninclude "a.gc"\ny = x\nreturn y\nend\n', 'repeat l = 1..2\ninclude "a.gc"\nend\n'):
        net = laid_out(tmp_path, net=inside, a="dims d\n")
        with pytest.raises(SourceError, match="holds"):
            derive.load(net)


def test_models_without_includes_are_not_touched(tmp_path):
    net = laid_out(tmp_path, net="dims d\nparam x : [d]\nminimize sum(x^2)\n")
    assert derive.load(net).program.digest == derive.parse(net.read_text()).program.digest
