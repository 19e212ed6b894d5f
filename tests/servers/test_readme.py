"""What the README tells its readers to type is there: files, targets, units, options and keys."""

from __future__ import annotations

import re
import subprocess

import pytest
import relay
from processes import REPOSITORY, Workspace

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = "\n".join(text for language, text in BLOCKS if language in ("", "sh"))


def anchor(heading: str) -> str:
    """The name that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", README)
    assert len(links) > 10
    anchors = {"#" + anchor(heading) for heading in re.findall(r"^#+ (.+)$", README, re.MULTILINE)}
    for link in links:
        if link.startswith("#"):
            assert link in anchors, link
        elif not link.startswith("https://"):
            assert (REPOSITORY / link).exists(), link


def test_files_that_commands_name_are_in_the_repository() -> None:
    files = set(re.findall(r"(?<![\w./-])(?:deploy|etc|tests)/[\w./-]*\w", COMMANDS))
    assert "deploy/nginx/http01-relay.conf" in files
    for file in files:
        assert (REPOSITORY / file).exists(), file


def test_make_has_the_targets() -> None:
    targets = set(re.findall(r"(?:^|&& |`)make ([a-z][a-z-]*)", README, re.MULTILINE))
    assert {"demo", "test", "install", "deb", "static"} <= targets
    known = set(re.findall(r"^([a-z][a-z-]*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert targets <= known, targets - known


def test_who_builds_from_source_installs_what_that_takes_first() -> None:
    for line in COMMANDS.splitlines():
        if re.search(r"make (-\S+ )*install\b", line):
            assert line.startswith("make build-deps && make && make install"), line
    assert "make build-deps && " in COMMANDS
    recipe = re.search(r"^build-deps:.*\n\t(.+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert recipe and recipe[1] == "tests/install-deps build"


def test_lighttpd_gets_the_program_that_is_installed(workspace: Workspace) -> None:
    """`make install` puts it into /usr/local, the package into /usr."""
    (line,) = re.findall(r"^sed .*/etc/lighttpd/lighttpd.conf$", COMMANDS, re.MULTILINE)
    program = workspace.path / "http01-relay"
    program.touch(0o755)
    written = workspace.path / "lighttpd.conf"
    subprocess.run(
        ["bash", "-euc", line.replace("/etc/lighttpd/lighttpd.conf", str(written))],
        cwd=REPOSITORY,
        env={"PATH": f"{workspace.path}:/usr/bin:/bin"},
        check=True,
    )
    assert f'"bin-path" => "{program}"' in written.read_text()


def test_caddy_may_use_the_socket_before_it_is_started() -> None:
    (lines,) = re.findall(r"^apt-get install caddy.*\n.*$", COMMANDS, re.MULTILINE)
    assert lines.index("adduser caddy www-data") < lines.index("systemctl restart caddy")


def test_a_server_that_is_started_is_enabled_too() -> None:
    """One that make demo or make test has brought starts at no boot by itself."""
    texts = [COMMANDS, *(path.read_text() for path in (REPOSITORY / "deploy").glob("*/http01-relay.conf"))]
    texts += [(REPOSITORY / "deploy" / "caddy" / "Caddyfile").read_text()]
    restarted = [match for text in texts for match in re.findall(r"(.*)systemctl restart ([\w-]+)", text)]
    assert {name for _, name in restarted} == {"lighttpd", "nginx", "caddy", "apache2", "unbound"}
    for before, name in restarted:
        assert before.endswith(f"systemctl enable {name} && "), f"{before}systemctl restart {name}"


def test_units_are_shipped() -> None:
    units = set(re.findall(r"[\w-]+\.(?:service|socket)\b", COMMANDS))
    assert "http01-relay.socket" in units
    for unit in units:
        assert (REPOSITORY / "deploy" / "systemd" / unit).exists(), unit


def test_options_are_known_to_the_program() -> None:
    usage = relay.run("--help").stdout
    options = set(re.findall(r"http01-relay[^\n#`]*?(--[a-z-]+)", README))
    assert "--listen" in options
    for option in options:
        assert option in usage, option


@pytest.mark.parametrize("text", [text for language, text in BLOCKS if language == "toml"])
def test_configurations_are_right(workspace: Workspace, text: str) -> None:
    config = workspace.write("readme.toml", text)
    ended = relay.run("-c", config, "config")
    assert (ended.returncode, relay.said_of(ended)) == (0, [])


SCRIPTS = [text for language, text in BLOCKS if language in ("", "sh") and re.search(r"^make ", text, re.MULTILINE)]


@pytest.mark.parametrize("text", SCRIPTS)
def test_commands_are_a_script(text: str) -> None:
    script = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("$ "))
    ended = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
