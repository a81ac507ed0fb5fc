"""incite-lab: its commands and their help."""

import subprocess
import sys

import pytest

from incite_lab.command_line import COMMANDS, command_of, help_of, main

EVERY_HELP = """
import sys
from incite_lab.command_line import COMMANDS, main
for name in COMMANDS:
    try:
        main([*name.split(), "--help"])
    except SystemExit as end:
        assert end.code == 0, name
assert not {"torch", "torchvision", "matplotlib"} & sys.modules.keys()
"""


def test_every_command_has_help_that_imports_nothing_slow() -> None:
    done = subprocess.run([sys.executable, "-c", EVERY_HELP], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("usage: incite-lab ") == len(COMMANDS)


def test_the_overview_has_each_command_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in COMMANDS:
        assert [line for line in lines if line.startswith(f"  {name} ")], name
        assert help_of(command_of(name)).partition("\n")[0].endswith(".")


def test_a_group_has_an_overview_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    out = capsys.readouterr().out
    assert "  bench speedup " in out and "  zoo " not in out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "expected a command"),
        (["bench"], "expected a command"),
        (["zo"], "no command 'zo'"),
        (["bench", "zoo"], "no command 'bench zoo'"),
    ],
)
def test_what_is_no_command_is_status_2(capsys: pytest.CaptureFixture[str], words: list[str], problem: str) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.endswith(f"incite-lab: {problem}\n")


def test_options_that_do_not_go_together_are_told_as_argparse_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["reproduce", "--quick", "--subjects", "exp-log"])
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith("incite-lab reproduce: error: --quick has subjects of its own; expected no --subjects\n")
