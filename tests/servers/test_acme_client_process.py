"""The ACME client for apps without a CA: challenges, variables, signals."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest
import strace
from deployed_client import ENTRYPOINT, PATH, SHIPPED, AcmeClient, processes_of, run_to_end
from processes import Workspace, answers_at, free_port, wait_until
from relay import CHALLENGE, EXIT_CONFIG, TOKEN
from web_servers import has_ipv6

DOMAIN = "app.acme.test"
BODY = f"{TOKEN}.thumbprint"


def make(workspace: Workspace, **variables: str) -> AcmeClient:
    """A client that is not started yet, for these variables."""
    return AcmeClient(workspace, "127.0.0.1", variables, ports=(free_port(), free_port()))


def test_without_domain_it_serves_challenges_only(workspace: Workspace) -> None:
    # With a pipe for its standard output, as in a container, where the requests are logged too.
    through_pipe = ("/bin/bash", "-c", 'exec "$0" > >(exec cat) 2>&1', str(ENTRYPOINT))
    client = make(workspace, ACCESS_LOG="")
    client.command = through_pipe
    client.start()
    (client.webroot / CHALLENGE[1:]).write_text(BODY)
    for host in (DOMAIN, f"{DOMAIN}:80", "localhost", "203.0.113.7"):
        response = client.get(CHALLENGE, host)
        assert (response.status, response.text) == (200, BODY)
        assert response.header("Content-Type") == "text/plain"
    assert client.get("/health").text == "OK\n"
    for path in ("/", f"{CHALLENGE}x", CHALLENGE.removesuffix(TOKEN), f"{CHALLENGE}/../../nginx.conf", "/index.html"):
        assert client.get(path).status == 404, path
    assert not answers_at((client.address, client.https_port))
    client.wait_for_log(f'http://localhost "GET {CHALLENGE} HTTP/1.1" 200')
    assert client.stop() == 0


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback")
def test_it_listens_on_ipv6_too(workspace: Workspace) -> None:
    client = make(workspace, LISTEN="[::1] 127.0.0.1").start()
    assert client.address == "::1"
    assert client.get("/health").status == 200
    assert answers_at(("127.0.0.1", client.http_port))


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("DOMAIN", "localhost", "DOMAIN: localhost: not a full host name"),
        ("DOMAIN", "app.example.com, -x.example.com", "DOMAIN: -x.example.com: not a full host name"),
        ("DOMAIN", "app.example.com.", "DOMAIN: app.example.com.: not a full host name"),
        ("DOMAIN", "192.0.2.1", "DOMAIN: 192.0.2.1: not a full host name"),
        ("DOMAIN", f"{'a' * 64}.example.com", "not a full host name"),
        ("DOMAIN", ".".join(["a" * 60] * 5), "not a full host name"),
        ("DOMAIN", "*.example.com", "DOMAIN: *.example.com: HTTP-01 cannot prove a wildcard"),
        ("DOMAIN", "https://app.example.com", "DOMAIN: https://app.example.com: not a host name"),
        ("DOMAIN", "bücher.example", "international names are written as xn--"),
        ("DOMAIN", "a.example;b.example", "DOMAIN: a.example;b.example: not a host name"),
        ("EMAIL", "owner", "EMAIL: owner: not a mail address"),
        ("EMAIL", "$(id)@example.com", "EMAIL: $(id)@example.com: not a mail address"),
        ("STAGING", "maybe", "STAGING: maybe: neither true nor false"),
        ("ACME_SERVER", "http://ca.example/dir", "ACME_SERVER: http://ca.example/dir: not the https:// URL"),
        ("ACME_SERVER", "letsencrypt", "ACME_SERVER: letsencrypt: not the https:// URL"),
        ("ACME_CA_BUNDLE", "/nowhere.pem", "ACME_CA_BUNDLE: /nowhere.pem: not the absolute path of a file"),
        ("RENEW_DAYS", "0", "RENEW_DAYS: 0: not a number"),
        ("RENEW_DAYS", "thirty", "RENEW_DAYS: thirty: not a number"),
        ("ACME_PROFILE", 'tls"server', 'ACME_PROFILE: tls"server: not the name of a profile'),
        ("ACME_PROFILE", "a b", "ACME_PROFILE: a b: not the name of a profile"),
        ("RETRY_DELAYS", "60 x", "RETRY_DELAYS: x: not a number of seconds"),
        ("RETRY_DELAYS", "0", "RETRY_DELAYS: 0: not a number of seconds"),
        ("TARGET_ENDPOINT", "app:8080", "TARGET_ENDPOINT: app:8080: not of the form"),
        ("TARGET_ENDPOINT", "http://app:8080/path", "TARGET_ENDPOINT: http://app:8080/path: not of the form"),
        ("TARGET_ENDPOINT", "http://app:80800", "TARGET_ENDPOINT: http://app:80800: no such port"),
        ("TARGET_ENDPOINT", "http://app;}:80", "TARGET_ENDPOINT: http://app;}:80: not of the form"),
        ("LISTEN", "everywhere", "LISTEN: everywhere: not an address"),
        ("LISTEN", "127.0.0.1:80", "LISTEN: 127.0.0.1:80: not an address"),
        ("HTTP_PORT", "0", "HTTP_PORT: 0: not a port"),
        ("HTTPS_PORT", "65536", "HTTPS_PORT: 65536: not a port"),
        ("HTTPS_PORT", "80", "HTTP_PORT and HTTPS_PORT are the same"),
        ("STATE_DIR", "state", "STATE_DIR: state: not an absolute path"),
        ("WEBROOT", "/www root", "WEBROOT: /www root: not an absolute path"),
        ("STATE_DIR", "/proc/state", "STATE_DIR: /proc/state: not a directory that can be written"),
    ],
)
def test_a_wrong_variable_stops_it_with_a_message(workspace: Workspace, name: str, value: str, complaint: str) -> None:
    paths = {path: str(workspace.path / path) for path in ("STATE_DIR", "WEBROOT", "RUN_DIR")}
    done = run_to_end(paths | {name: value})
    assert (done.returncode, done.stdout) == (EXIT_CONFIG, "")
    assert [complaint in line for line in done.stderr.splitlines() if line.startswith("acme-client: ")] == [True]


def test_all_wrong_variables_are_reported_at_once(workspace: Workspace) -> None:
    done = run_to_end({"DOMAIN": "a b", "STAGING": "x", "ACME_SERVER": "y", "RUN_DIR": str(workspace.path)})
    assert done.returncode == EXIT_CONFIG
    names = [line.split(": ")[1] for line in done.stderr.splitlines()]
    assert names == ["DOMAIN", "DOMAIN", "STAGING", "ACME_SERVER"]


def test_staging_and_acme_server_exclude_each_other() -> None:
    done = run_to_end({"STAGING": "true", "ACME_SERVER": "https://ca.example/dir"})
    assert done.returncode == EXIT_CONFIG
    assert "STAGING and ACME_SERVER are both set" in done.stderr


@pytest.mark.parametrize("blank", [" ", "\t \n", " , ", ""], ids=repr)
def test_a_blank_variable_counts_as_unset(workspace: Workspace, blank: str) -> None:
    names = (
        "DOMAIN", "EMAIL", "STAGING", "ACME_SERVER", "ACME_CA_BUNDLE", "ACME_PROFILE", "TARGET_ENDPOINT", "RENEW_DAYS",
        "RETRY_DELAYS",
    )  # fmt: skip
    client = make(workspace)
    # Where no line of white space reaches the configuration, nginx would listen on its own port.
    client.variables |= dict.fromkeys(names, blank)
    client.start()
    client.wait_for_log("DOMAIN is not set")
    assert client.stop() == 0
    # Those that have a place to be are seen in what is complained of.
    paths = ("LISTEN", "HTTP_PORT", "HTTPS_PORT", "STATE_DIR", "WEBROOT", "RUN_DIR", "ACCESS_LOG")
    done = run_to_end(dict.fromkeys(names + paths, blank) | {"EMAIL": "nobody"})
    assert (done.returncode, done.stderr) == (EXIT_CONFIG, "acme-client: EMAIL: nobody: not a mail address\n")


def test_a_blank_retry_delays_leaves_the_default(workspace: Workspace) -> None:
    client = make(workspace, DOMAIN=DOMAIN, ACME_SERVER="https://127.0.0.1:1/dir", RETRY_DELAYS=" ")
    client.start()
    client.wait_for_log("does not answer; asking again in 1 s")
    assert client.stop() == 0


def a_dehydrated(workspace: Workspace, text: str) -> str:
    """A PATH on which this is dehydrated."""
    directory = workspace.fresh("bin")
    directory.mkdir()
    program = directory / "dehydrated"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return f"{directory}:{PATH}"


def test_a_profile_is_passed_on_to_a_dehydrated_that_can_ask_for_it(workspace: Workspace) -> None:
    variables = {"DOMAIN": DOMAIN, "ACME_SERVER": "https://127.0.0.1:1/dir", "ACME_PROFILE": "shortlived"}
    # As of 0.7.2.
    client = make(workspace, **variables, PATH=a_dehydrated(workspace, ': "$ACME_PROFILE"')).start()
    client.wait_for_log("does not answer")
    assert "\nACME_PROFILE=shortlived\n" in (client.run / "dehydrated.conf").read_text()
    assert client.stop() == 0
    # An older one would order without it.
    done = run_to_end(client.environment() | {"PATH": a_dehydrated(workspace, "")})
    assert done.returncode == EXIT_CONFIG
    assert "ACME_PROFILE: shortlived: this dehydrated cannot ask for a profile" in done.stderr


def test_the_image_has_every_script() -> None:
    scripts = {file.name for file in SHIPPED.glob("*.sh")}
    copied = re.search(r"^COPY ((?:\S+\.sh )+)", (SHIPPED / "Dockerfile").read_text(), re.MULTILINE)
    sourced = re.findall(r'^  \. "\$HERE/(\S+)"$', ENTRYPOINT.read_text(), re.MULTILINE)
    assert copied
    assert scripts == {*copied[1].split()} == {ENTRYPOINT.name, *sourced}


# ---- the process


def test_it_goes_on_where_its_log_is_full(workspace: Workspace) -> None:
    client = make(workspace, DOMAIN=DOMAIN, ACME_SERVER="https://127.0.0.1:1/dir")
    client.command = ("/bin/bash", "-c", 'exec "$0" >/dev/full 2>&1', str(ENTRYPOINT))
    client.start()
    # By now it has had much to say.
    wait_until(lambda: (client.state / "127.0.0.1_1_dir" / "certs").exists(), "what is written after the first line")
    assert client.process.running()
    assert client.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_it_and_all_it_has_started(workspace: Workspace, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"https://127.0.0.1:{silent.getsockname()[1]}/dir"
        client = make(workspace, DOMAIN=DOMAIN, ACME_SERVER=server).start()
        connection, _ = silent.accept()  # now curl waits for an answer
        with connection:
            assert client.stop(number) == 0
    assert client.process.output().endswith("acme-client: stopped\n")
    assert processes_of(client.process) == []
    assert not answers_at((client.address, client.http_port))
    assert not answers_at((client.address, client.https_port))


# Ctrl-C, and a shell that ends, signal all of the process group at once.
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_its_whole_process_group_stops_it(workspace: Workspace, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"https://127.0.0.1:{silent.getsockname()[1]}/dir"
        client = make(workspace, DOMAIN=DOMAIN, ACME_SERVER=server).start()
        connection, _ = silent.accept()
        with connection:
            os.killpg(client.process.pid, number)
            assert client.process.wait(5) == 0
    assert client.process.output().endswith("acme-client: stopped\n")
    assert processes_of(client.process) == []


def test_a_child_whose_end_bash_has_missed_does_not_keep_it(workspace: Workspace) -> None:
    """A signal and the end of a child at the same moment leave one in bash's list of jobs that is long gone. Here
    it is always there: bash takes functions from its environment."""
    client = make(workspace)
    # No process has this number (PID_MAX_LIMIT).
    client.variables["BASH_FUNC_jobs%%"] = '() { echo 4194305; builtin jobs "$@"; }'
    client.start()
    assert client.stop() == 0
    assert processes_of(client.process) == []


def test_it_ends_if_nginx_ends(workspace: Workspace) -> None:
    client = make(workspace).start()
    os.kill(client.nginx_pid(), signal.SIGKILL)
    assert client.process.wait() == 70
    assert "nginx has ended" in client.process.output()


def test_a_stop_lets_the_answers_under_way_finish(workspace: Workspace) -> None:
    client = make(workspace).start()
    size = 30 << 20  # more than the kernel takes of an answer that nobody reads
    with (client.webroot / CHALLENGE[1:]).open("wb") as file:
        file.truncate(size)
    with socket.create_connection((client.address, client.http_port), 10) as reader:
        reader.sendall(f"GET {CHALLENGE} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        octets = len(reader.recv(1))
        client.process.signal(signal.SIGTERM)
        wait_until(lambda: not answers_at((client.address, client.http_port)), "the port to be closed")
        while chunk := reader.recv(1 << 20):
            octets += len(chunk)
    assert octets > size
    assert client.process.wait(15) == 0


def test_an_nginx_that_hangs_keeps_it_for_eight_seconds(workspace: Workspace) -> None:
    client = make(workspace).start()
    master = client.nginx_pid()
    os.kill(master, signal.SIGSTOP)
    assert client.stop() == 0
    assert not Path(f"/proc/{master}").exists()


def test_a_worker_that_was_killed_leaves_the_state_to_the_next(workspace: Workspace) -> None:
    """nginx is left, and has no lock."""
    client = make(workspace).start()
    children = Path(f"/proc/{client.process.pid}/task/{client.process.pid}/children")
    os.kill(int(children.read_text()), signal.SIGKILL)
    assert client.process.wait() == 128 + signal.SIGKILL
    assert answers_at((client.address, client.http_port))
    make(workspace, STATE_DIR=str(client.state)).start()


def test_two_cannot_share_a_state(workspace: Workspace) -> None:
    client = make(workspace).start()
    other = run_to_end(client.environment() | {"RUN_DIR": f"{client.directory}/run-2"})
    assert other.returncode == 75
    assert "another process works in STATE_DIR" in other.stderr


def test_the_end_of_a_command_is_noticed_whenever_it_comes(workspace: Workspace) -> None:
    """Where bash waits for either of two children, as it did for the command and nginx, one that ends just before it
    sleeps leaves it asleep for as long as the other lives. Here there is time for that before each wait, and the
    commands take all times around it."""
    run = re.search(r"^run\(\) \{\n.*?^\}\n", ENTRYPOINT.read_text(), re.MULTILINE | re.DOTALL)
    assert run
    script = f"""{run[0]}
      sleep 60 & NGINX_PID=$!
      for thousandths in {{000..058..2}}; do run sleep 0.$thousandths; done
      kill $NGINX_PID"""
    rules = ("trace=rt_sigprocmask", "inject=rt_sigprocmask:delay_exit=4000")
    command, _ = strace.command(workspace, ["/bin/bash", "-c", script], *rules, with_children=False)
    assert workspace.start("bash", command).wait(20) == 0
