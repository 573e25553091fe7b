"""How `dev.py` starts the site: the port, the number of processes, and the links in emails."""

import pytest

import dev


@pytest.fixture
def start(monkeypatch):
    """Run a command of dev.py without starting the server. Return the server's command and environment."""
    started = []
    monkeypatch.delenv("SITE_URL", raising=False)
    for step in ("install", "create_env_file", "manage"):
        monkeypatch.setattr(dev, step, lambda *args, **options: None)
    monkeypatch.setattr(dev, "become", lambda *command, env: started.append((command, env)))

    def start(*arguments):
        dev.main(list(arguments))
        return started[-1]

    return start


def test_help_lists_every_command_with_the_first_line_of_its_docstring(capsys):
    with pytest.raises(SystemExit) as end:
        dev.main(["--help"])
    assert end.value.code == 0
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()[1:]}
    assert shown == {name: command.__doc__.splitlines()[0] for name, command in dev.COMMANDS.items()}
    assert all(shown[name].startswith("[PORT]  ") for name in ("run", "serve"))


@pytest.mark.parametrize("command", ["run", "serve"])
@pytest.mark.parametrize("address, site", [
    ("18630", "localhost:18630"), ("localhost:18631", "localhost:18631"), ("127.0.0.1:18632", "127.0.0.1:18632"),
])  # fmt: skip
def test_links_in_emails_have_the_chosen_host_and_port(start, capsys, command, address, site):
    started, env = start(command, address)
    assert site.rpartition(":")[2] in " ".join(map(str, started))
    assert env["SITE_URL"] == f"http://{site}"
    assert env["SITE_URL"] in capsys.readouterr().out


def test_the_site_is_served_at_localhost_where_browsers_allow_passkeys_and_listens_on_loopback_only(start, capsys):
    assert start("run", "18630")[0][-1] == "localhost:18630"  # runserver prints this address
    command, env = start("serve", "18630")
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "127.0.0.1" in env["ALLOWED_HOSTS"].split(",")


def test_the_port_is_shown_for_commands_in_another_terminal(start, capsys):
    start("run", "18630")
    assert f"SITE_URL=http://localhost:18630 {dev.VENV.name}/bin/python manage.py" in capsys.readouterr().out


def test_a_site_url_from_the_environment_is_kept(start, monkeypatch):
    monkeypatch.setenv("SITE_URL", "https://tunnel.example")
    assert start("run", "18630")[1]["SITE_URL"] == "https://tunnel.example"


@pytest.mark.parametrize("value, count", [(None, "2"), ("", "2"), (" ", "2"), ("1", "1"), ("8", "8"), (" 4 ", "4")])
def test_web_concurrency_sets_the_number_of_processes_default_two(monkeypatch, value, count):
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    if value is not None:
        monkeypatch.setenv("WEB_CONCURRENCY", value)
    assert dev.process_count() == count


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²", "1;2"])
def test_an_invalid_web_concurrency_is_an_error(monkeypatch, value):
    monkeypatch.setenv("WEB_CONCURRENCY", value)
    with pytest.raises(SystemExit, match="is not a number of processes"):
        dev.process_count()
