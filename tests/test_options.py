# SPDX-License-Identifier: MIT
"""The commands' options: what has one name means one thing, is said in one place, fails alike."""

import argparse
import ast
import importlib
from pathlib import Path

import pytest

from tinyvlm import options
from tinyvlm.train import config

HOST = Path(options.__file__).parent
COMMANDS = (
    "background bench deploy eval export flash inspect packit studio tryit tune virtual.board "
    "measure.localize"
).split()
# A command whose option of a common name is another thing, and why it must be.
APART = {
    ("bench", "--model"): "networks of all kinds, not encoders alone: a file, several times",
    ("bench", "--json"): "a flag: everything is printed in any case",
    ("virtual.board", "--firmware"): "the same file, passed on as text",
    ("studio", "--port"): "of a web server",
    ("measure.localize", "--data"): "one shard with boxes",
}


class _Asked(Exception):
    """Raised with the parser, before it reads any argument."""


def parser_of(command: str, monkeypatch) -> argparse.ArgumentParser:
    def ask(parser, *_, **__):
        raise _Asked(parser)

    for name in ("parse_args", "parse_intermixed_args", "parse_known_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, ask)
    with pytest.raises(_Asked) as found:
        importlib.import_module(f"tinyvlm.{command}").main([])
    return found.value.args[0]


def long_options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {
        name: action
        for action in parser._actions
        for name in action.option_strings
        if name.startswith("--")
    }


def test_no_help_names_an_empty_default(monkeypatch):
    parsers = [parser_of(command, monkeypatch) for command in COMMANDS]
    for parser in (*parsers, config.parser()):
        said = parser.format_help()
        assert "(default: )" not in said and "(default: None)" not in said, parser.prog
    assert "(default: base)" in said


def test_options_of_one_name_take_the_same_in_all_commands(monkeypatch):
    kinds: dict[str, dict] = {}
    for command in COMMANDS:
        for name, action in long_options(parser_of(command, monkeypatch)).items():
            kind = type(action), action.type, action.metavar, str(action.choices)
            if name == "--vocab":  # words or packed ones: the metavar says it, and nothing else
                assert set(action.metavar.split("|")) <= {"LIST.txt", "FILE.tvp"}
                kind = ()
            elif name in ("--output", "--report"):
                assert action.type is Path and action.metavar.startswith("FILE.")
                kind = ()
            elif name == "--data":
                kind = action.nargs, action.type
            if (command, name) not in APART:
                kinds.setdefault(name, {}).setdefault(kind, []).append(command)
    differ = {name: list(found.values()) for name, found in kinds.items() if len(found) > 1}
    assert not differ


def test_every_exception_is_one(monkeypatch):
    for command, name in APART:
        assert name in long_options(parser_of(command, monkeypatch))


def declared(path: Path) -> set[str]:
    """The option names that stand in a file's calls of add_argument."""
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    return {
        argument.value
        for node in calls
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument"
        for argument in node.args
        if isinstance(argument, ast.Constant) and str(argument.value).startswith("--")
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_what_several_commands_have_is_said_in_options_alone(command):
    shared = declared(HOST / "options.py")
    assert {"--model", "--text-encoder", "--workers"} <= shared
    path = HOST / f"{command.replace('.', '/')}.py"
    assert {name for name in shared & declared(path) if (command, name) not in APART} == set()


def test_a_shared_option_says_the_same_in_every_help(monkeypatch):
    """Up to what it is for, and the default."""
    for name, sentence in {
        "--model": "base, large, nano, max78000 or FILE.tvlm (default: ",
        "--text-encoder": "lexicon (offline), sentence (any English phrase, offline; ",
        "--unknown": "when a frame shows none of the labels: cautious names few ",
        "--workers": "photos embedded at the same time (default: one a core)",
    }.items():
        helps = {
            command: found[name].help
            for command in COMMANDS
            if name in (found := long_options(parser_of(command, monkeypatch)))
            and (command, name) not in APART
        }
        assert len(helps) > 1
        assert [command for command, text in helps.items() if sentence not in text] == []


@pytest.mark.parametrize(
    "command, argv, said",
    [
        ("tune", ["a.tvp", "photos", "--workers", "0"], "--workers 0: must be 1 or more"),
        ("tune", ["a.tvp", "photos", "--shots", "-1"], "--shots -1: must be 0 or more"),
        ("eval", ["--data", "photos", "--workers", "0"], "--workers 0: must be 1 or more"),
        ("background", ["--data", "x", "--workers", "0"], "--workers 0: must be 1 or more"),
        ("tryit", ["--vocab", "a.tvp", "x.png", "--top", "0"], "--top 0: must be 1 or more"),
    ],
)
def test_too_small_a_number_is_said_in_one_sentence(command, argv, said, capsys):
    assert importlib.import_module(f"tinyvlm.{command}").main(argv) == 2
    assert capsys.readouterr().err.rstrip().endswith(said)


def test_files_that_must_stay_are_not_written(tmp_path):
    words, page = tmp_path / "pets.txt", tmp_path / "page.html"
    with pytest.raises(
        ValueError, match="pets.txt is the list; give another name with -o, or not$"
    ):
        options.check_outputs(
            {words: "the list"},
            [("-o", words), ("--report", page)],
            "it",
            {"the list": ", or not"},
        )
    with pytest.raises(ValueError, match="page.html is it; give another name with --report$"):
        options.check_outputs({}, [("-o", page), ("--report", page)], "it", {"it": ", or not"})
    with pytest.raises(IsADirectoryError, match="a folder; give the name of a file"):
        options.check_outputs({}, [("-o", tmp_path)], "it")
    with pytest.raises(FileNotFoundError, match="no such folder; make it first"):
        options.check_outputs({}, [("-o", None), ("--report", tmp_path / "no" / "x")], "it")
