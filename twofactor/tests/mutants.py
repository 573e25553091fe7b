"""Test the tests: change the code that checks codes, and list the changes (mutants) that no test finds.

`python3 dev.py mutants` runs this. pyproject.toml configures mutmut; accepted_mutants.toml lists the mutants that may
survive, each with a reason.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ACCEPTED = Path(__file__).with_name("accepted_mutants.toml")


def main(options: list[str]) -> None:
    shutil.rmtree("mutants", ignore_errors=True)  # mutmut would keep its results although a test has changed
    subprocess.run([sys.executable, "-m", "mutmut", "run", *options], check=True)
    results = dict(line.strip().split(": ") for line in mutmut("results", "--all=true"))
    survivors = [name for name, result in results.items() if result not in ("killed", "timeout")]
    accepted = accepted_changes()
    unexpected = [name for name in survivors if change_of(name) not in accepted]
    print(f"{len(results)} mutants: {len(results) - len(survivors)} killed, {len(survivors)} survived.")
    if unexpected:
        names = "\n  ".join(unexpected)
        sys.exit(f"Not in {ACCEPTED.name} (see one with .venv/bin/mutmut show NAME):\n  {names}")


def mutmut(*arguments: str) -> list[str]:
    """Return the lines that mutmut prints."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()


def accepted_changes() -> list[list[str]]:
    """Return the changes of the mutants that may survive, as `change_of` does."""
    entries = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))["accepted"]
    return [mutant.split() for entry in entries for mutant in entry["mutants"]]


def change_of(name: str) -> list[str]:
    """Return the function, the removed and the added lines of a mutant, as words. Its number changes too often."""
    function = name.rpartition("__mutmut_")[0]
    changed = [line for line in mutmut("show", name) if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]
    return "\n".join([function, *changed]).split()


if __name__ == "__main__":
    main(sys.argv[1:])
