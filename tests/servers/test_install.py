"""`make install` and `make uninstall` into a directory, and the manual pages they bring."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import relay
from processes import BUILD, REPOSITORY, Workspace

DEPLOY = REPOSITORY / "deploy"
CONFIG = "etc/http01-relay/http01-relay.toml"
LOGROTATE = "etc/logrotate.d/http01-relay"
PAGES = (DEPLOY / "man" / "http01-relay.8", DEPLOY / "man" / "http01-relay.toml.5")

# What is in deploy/ and has a place of its own, or is no example.
NO_EXAMPLES = ("man", "systemd", "debian", "docker", "acme-client", "logrotate", "tmpfiles.d")


def make(*words: str) -> None:
    # Not the variables of a make that runs these tests; and what is built stays as it is, flags and all.
    theirs = ("MAKE", "MFLAGS", "DESTDIR", "PREFIX", "SYSCONFDIR", "UNITDIR")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    command = ["make", "--no-print-directory", "--old-file=all", f"BUILD={BUILD}", *words]
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def expected(prefix: str, units: str) -> set[str]:
    documents = f"{prefix}/share/doc/http01-relay"
    examples = {
        str(path.relative_to(DEPLOY))
        for path in DEPLOY.rglob("*")
        if path.is_file() and path.relative_to(DEPLOY).parts[0] not in NO_EXAMPLES
    }
    systemd = [path.name for suffix in ("service", "socket") for path in (DEPLOY / "systemd").glob(f"*.{suffix}")]
    return {
        CONFIG,
        LOGROTATE,
        f"{prefix}/lib/tmpfiles.d/http01-relay.conf",
        f"{prefix}/bin/http01-relay",
        f"{prefix}/share/man/man8/http01-relay.8",
        f"{prefix}/share/man/man5/http01-relay.toml.5",
        f"{documents}/http01-relay.toml",
        *(f"{documents}/examples/{name}" for name in examples),
        *(f"{units}/{name}" for name in systemd),
    }


@pytest.fixture(name="root")
def root_fixture(workspace: Workspace) -> Path:
    root = workspace.fresh("root")
    root.mkdir()
    return root


def test_everything_is_put_in_its_place_and_taken_away_again(root: Path) -> None:
    make("install", f"DESTDIR={root}")
    assert files(root) == expected("usr/local", "usr/local/lib/systemd/system")
    program = root / "usr/local/bin/http01-relay"
    command = [program, "-c", root / CONFIG, "config"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=relay.clean_environment())
    assert (ended.returncode, relay.said_of(ended)) == (0, [])
    assert program.stat().st_mode & 0o777 == 0o755
    assert b".symtab" in (BUILD / "http01-relay").read_bytes() and b".symtab" not in program.read_bytes(), "stripped"
    assert (root / CONFIG).stat().st_mode & 0o777 == 0o644
    make("uninstall", f"DESTDIR={root}")
    assert files(root) == {CONFIG}


def test_a_configuration_that_is_there_stays(root: Path) -> None:
    (root / CONFIG).parent.mkdir(parents=True)
    (root / CONFIG).write_text("# mine\n")
    for _ in range(2):
        make("install", f"DESTDIR={root}")
        assert (root / CONFIG).read_text() == "# mine\n"
    (root / LOGROTATE).write_text("# mine too\n")
    make("install", f"DESTDIR={root}")
    make("uninstall", f"DESTDIR={root}")
    assert {name: (root / name).read_text() for name in files(root)} == {CONFIG: "# mine\n", LOGROTATE: "# mine too\n"}


def test_the_places_may_be_others_and_the_files_name_them(root: Path) -> None:
    places = [f"DESTDIR={root}", "PREFIX=/opt/relay", "SYSCONFDIR=/opt/relay/etc", "UNITDIR=/lib/systemd/system"]
    make("install", *places)
    elsewhere = {f"opt/relay/{CONFIG}", f"opt/relay/{LOGROTATE}"}
    assert files(root) == (expected("opt/relay", "lib/systemd/system") - {CONFIG, LOGROTATE}) | elsewhere
    moved = [root / "lib/systemd/system/http01-relay.service"]
    moved += (root / "opt/relay/share/doc/http01-relay/examples/lighttpd").iterdir()
    for path in moved:
        text = path.read_text()
        assert "/opt/relay/bin/http01-relay" in text and "/opt/relay/etc/http01-relay/http01-relay.toml" in text
        assert "/usr/bin/http01-relay" not in text and " /etc/http01-relay" not in text
    rules = (root / "opt/relay/share/doc/http01-relay/examples/prometheus/http01-relay.rules.yml").read_text()
    for runbook in re.findall(r"runbook_url: file://(\S+)#", rules):
        assert (root / runbook.lstrip("/")).exists(), runbook
    make("uninstall", *places)
    assert files(root) == {f"opt/relay/{CONFIG}"}


@pytest.mark.parametrize("odd", ["a b", "it's", "a&b|c", "a%b"])
def test_the_names_of_the_places_may_be_odd(root: Path, odd: str) -> None:
    prefix, etc = f"/opt/{odd}", f"/opt/{odd}/etc"
    places = [f"DESTDIR={root}/{odd}", f"PREFIX={prefix}", f"SYSCONFDIR={etc}"]
    for _ in range(2):
        make("-j8", "install", *places)
    installed = root / odd
    assert set(path.name for path in root.iterdir()) == {odd}
    elsewhere = {f"{etc[1:]}/{name.removeprefix('etc/')}" for name in (CONFIG, LOGROTATE)}
    assert files(installed) == (expected(prefix[1:], f"{prefix[1:]}/lib/systemd/system") - {CONFIG, LOGROTATE}) | elsewhere
    lighttpd = (installed / f"{prefix[1:]}/share/doc/http01-relay/examples/lighttpd/http01-relay.conf").read_text()
    assert f'"bin-path" => "{prefix}/bin/http01-relay"' in lighttpd
    unit = (installed / f"{prefix[1:]}/lib/systemd/system/http01-relay.service").read_text()
    in_unit = prefix.replace(" ", "\\x20").replace("%", "%%")
    assert f"ExecStart={in_unit}/bin/http01-relay\n" in unit
    assert f"Environment=HTTP01_RELAY_CONFIG={in_unit}/etc/http01-relay/http01-relay.toml\n" in unit
    make("uninstall", *places)
    assert files(installed) == {f"{etc[1:]}/http01-relay/http01-relay.toml"}


def test_places_in_a_container_stay_as_they_are(root: Path) -> None:
    make("install", f"DESTDIR={root}", "SYSCONFDIR=/opt/etc")
    examples = root / "usr/local/share/doc/http01-relay/examples"
    shipped = DEPLOY / "kubernetes" / "http01-relay.yaml"
    assert (examples / "kubernetes" / shipped.name).read_text() == shipped.read_text()


@pytest.mark.skipif("san" in BUILD.name, reason="it builds without a sanitizer")
def test_two_builds_at_two_paths_are_the_same() -> None:
    """One file here; make reproducible compares the whole program."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command: list[str | Path] = [REPOSITORY / "tests" / "reproducible", "obj/src/main.o"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "reproducible: obj/src/main.o\n"), ended.stderr


@pytest.mark.parametrize("build", ["", "a b"])
def test_a_directory_that_make_cannot_build_in_is_refused(build: str) -> None:
    command = ["make", "--no-print-directory", "--dry-run", f"BUILD={build}", "all"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f'BUILD: "{build}": make can only build' in ended.stderr


def test_the_package_has_the_makefile_s_version() -> None:
    version = re.search(r"^VERSION\s*\?= (\S+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert version
    assert (DEPLOY / "debian" / "changelog").read_text().startswith(f"http01-relay ({version[1]}) ")


# ---- the manual pages


def rendered(page: Path) -> str:
    ended = subprocess.run(["mandoc", "-T", "utf8", page], capture_output=True, text=True, check=True)
    return re.sub(".\b", "", ended.stdout)  # bold and underlined, as a terminal of paper would


@pytest.mark.parametrize("page", PAGES, ids=["http01-relay.8", "http01-relay.toml.5"])
def test_the_manual_pages_are_well_formed(page: Path) -> None:
    # In the pages' directory, so that each finds the other.
    ended = subprocess.run(
        ["mandoc", "-T", "lint", page.name], cwd=page.parent, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_manual_has_every_option_and_exit_status_and_variable() -> None:
    usage = relay.run("--help").stdout
    text = rendered(PAGES[0])
    options = set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", usage))
    assert {"--listen", "--socket-mode", "--config", "-c", "--json", "--help", "-V"} <= options
    for option in options:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", text), f"{option} is not in http01-relay(8)"
    for status in re.findall(r"(?:\s|, )(\d+)\s", usage.split("Exit status:")[1]):
        assert re.search(rf"^ +{status} +", text, re.MULTILINE), f"status {status} is not in http01-relay(8)"
    sources = [REPOSITORY / "src" / "config" / name for name in ("load.cpp", "environment.h", "environment.cpp")]
    source = "".join(path.read_text() for path in sources)
    variables = set(re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)"', source))
    assert {"PORT", "RELAY_MODE", "LOG_LEVEL", "HTTP01_RELAY_CONFIG"} <= variables
    for variable in variables:
        assert variable in text, f"{variable} is not in http01-relay(8)"


def test_the_manual_has_every_key_with_its_default() -> None:
    source = PAGES[1].read_text().replace("\\(dq", '"').replace("\\&", "")
    sections = dict(re.findall(r"^\.Ss \[([a-z.]+)\] section\n(.*?)(?=^\.S[sh] )", source, re.MULTILINE | re.DOTALL))
    commented = (REPOSITORY / "etc" / "http01-relay.toml").read_text()
    defaults = tomllib.loads(re.sub(r"^#(?=\S)", "", commented, flags=re.MULTILINE))
    assert sections.keys() == (defaults.keys() | {"gateways.aliases"})
    for section, keys in defaults.items():
        pattern = r"^\.It Ic (\w+)\n(.*?)(?=^\.It |^\.El)"
        entries = dict(re.findall(pattern, sections[section], re.MULTILINE | re.DOTALL))
        assert entries.keys() == keys.keys() - {"aliases"}, section
        for key, entry in entries.items():
            default = relay.toml_value(keys[key])
            after = " ".join(entry.split("Default:")[1].replace(".Li", "").split())
            assert re.match(rf"{re.escape(default)} ?(?:[.,]|$)", after), f"{section}.{key}: {after} is not {default}"
