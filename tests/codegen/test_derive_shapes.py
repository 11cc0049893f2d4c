"""`gradc derive --shapes`, as text and as LaTeX."""

from __future__ import annotations

from codegen import cli


def test_command(tmp_path, monkeypatch, capsys, numeric):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.gc").write_text(numeric.zoo["rows"], encoding="utf-8")
    assert cli.run(["derive", "net.gc", "--shapes"]) == 0
    assert "d×h = d×n · n×h" in capsys.readouterr().out
    assert cli.run(["derive", "net.gc", "--shapes", "--form", "latex"]) == 0
    assert r"\underset{d\times n}{X^{\top}}" in capsys.readouterr().out
