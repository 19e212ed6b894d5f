"""What happens to a service over the months, under load: no request is lost, and none is answered wrong."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fastcgi_client
import pytest
from crowd import Crowd, client_address
from dns_message import parse_query, txt
from fastcgi_client import Connection
from held import answer, begin, locations
from injector import Behaviour, Injector, Rule, respond
from load import CACHED, COLD, GOOD, Load
from processes import BUILD, RELAY, SLOWNESS, Process, Workspace, answers_at, descriptors_of, wait_until
from quick_dns import QuickDns
from relay import CHALLENGE, Relay, clean_environment, config_text, listening_socket, start_on_stdin

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
MIXED = {COLD: 1, CACHED: 1}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may")


@pytest.fixture(name="dns")
def dns_fixture(workspace: Workspace) -> QuickDns:
    return QuickDns(workspace)


def start(workspace: Workspace, *command: str | Path, environment: dict[str, str] | None = None) -> tuple[Process, str]:
    """The relay by another program, on a socket of its own."""
    path = workspace.fresh("relay.sock")
    process = workspace.start(
        "relay", [*command, "--listen", f"unix:{path}"], environment=clean_environment(environment)
    )
    process.wait_until_ready(lambda: answers_at(str(path)))
    return process, str(path)


def test_a_hundred_reloads(workspace: Workspace, dns: QuickDns) -> None:
    log = workspace.fresh("file.log")
    relay = Relay(workspace, config_text(dns.server, {"log": {"target": str(log)}}))
    wait_until(log.exists, "the log")
    descriptors = 0
    with Load(relay.address, MIXED) as load:
        for number in range(1, 101):
            relay.process.signal(signal.SIGHUP)
            wait_until(lambda number=number: log.read_text().count("reloaded") >= number, "the reload")  # type: ignore[misc]
            load.goes_on(5)
            if number == 10:
                descriptors = len(descriptors_of(relay.process.pid))
    assert load.total() >= 500
    # What it opens for a reload it closes; the load itself takes a few.
    assert len(descriptors_of(relay.process.pid)) <= descriptors + 20
    lines = load.total()
    wait_until(lambda: log.read_text().count("reason=ok") >= lines, "a line for each request")
    assert log.read_text().count("reason=ok") == lines


def test_restarts_on_the_socket_of_systemd(workspace: Workspace, dns: QuickDns) -> None:
    """The socket stays; those that come while nobody accepts wait for the next one."""
    path = workspace.fresh("relay.sock")
    config = workspace.write("relay.toml", config_text(dns.server))
    with listening_socket(path) as listener:
        running = start_on_stdin(workspace, config, listener)
        with Load(str(path), MIXED) as load:
            for _ in range(10):
                load.goes_on(50)
                running.signal(signal.SIGTERM)
                assert running.wait() == 0
                running = start_on_stdin(workspace, config, listener)
            load.goes_on(50)


def test_restarts_that_overlap(workspace: Workspace, dns: QuickDns) -> None:
    """The next one is there before the last one has gone: both accept from one socket."""
    path = workspace.fresh("relay.sock")
    config = workspace.write("relay.toml", config_text(dns.server))
    with listening_socket(path) as listener:
        running = start_on_stdin(workspace, config, listener)
        with Load(str(path), MIXED) as load:
            for _ in range(10):
                following = start_on_stdin(workspace, config, listener)
                wait_until(lambda following=following: "serving" in following.output(), "the next one")  # type: ignore[misc]
                load.goes_on(20)
                running.signal(signal.SIGTERM)
                assert running.wait() == 0
                running = following


def test_a_process_that_is_killed_takes_only_what_it_holds(workspace: Workspace, dns: QuickDns) -> None:
    path = workspace.fresh("relay.sock")
    config = workspace.write("relay.toml", config_text(dns.server))
    with listening_socket(path) as listener:
        processes = [start_on_stdin(workspace, config, listener) for _ in range(3)]
        load = Load(str(path), MIXED).start()
        load.goes_on(100)
        processes[0].signal(signal.SIGKILL)
        processes[0].wait()
        load.goes_on(200)
        load.stop()
    # Four threads have four requests at a time.
    assert len(load.wrong) <= 4, load.wrong
    assert all("Error" in fault for fault in load.wrong), f"not answered is one thing, wrong another: {load.wrong}"


def test_a_resolver_that_is_restarted(workspace: Workspace, dns: QuickDns) -> None:
    relay = Relay(workspace, config_text(dns.server))
    with Load(relay.address, MIXED) as load:
        for _ in range(3):
            load.goes_on(50)
            dns.process.signal(signal.SIGKILL)
            dns.process.wait()
            # Somebody asks while nobody is there.
            with begin(str(relay.address), "meanwhile") as waiting:
                dns = QuickDns(workspace, dns.port)
                assert waiting.read_response().location == GOOD
            # A look-up that meets all three restarts with its three tries has no answer, and rightly.
            load.ends_what_it_has_begun()
        load.goes_on(50)


# ---- /etc/resolv.conf


def says(app_id: str) -> Rule:
    return lambda query, tcp: Behaviour(answers=(txt(query.name, f"{app_id}:443"),)) if query.type == "TXT" else Behaviour()


@pytest.fixture(name="resolvers")
def resolvers_fixture() -> Iterator[tuple[Injector, Injector]]:
    """Two with answers of their own, on port 53, which is the only one that resolv.conf knows."""
    net = f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 256}"
    for last in (1, 2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((f"{net}.{last}", 53))
            except OSError as error:
                pytest.skip(f"port 53 of a loopback address: {error.strerror}")
    with Injector(says("a" * 40), address=f"{net}.1", port=53) as one:
        with Injector(says("b" * 40), address=f"{net}.2", port=53) as other:
            yield one, other


@as_root
@pytest.mark.parametrize("how", ["written again", "replaced", "gone and back"])
def test_another_resolv_conf_is_noticed(
    workspace: Workspace, resolvers: tuple[Injector, Injector], how: str
) -> None:
    """In a name space in which /etc is a directory of the test."""
    etc = workspace.fresh("etc")
    etc.mkdir()
    resolv_conf = etc / "resolv.conf"
    one, other = resolvers
    resolv_conf.write_text(f"nameserver {one.address}\n")
    config = workspace.write("relay.toml", "[redirect]\ntarget = \"https://{app_id}.gateway.test\"\n")
    script = f"mount --bind {etc} /etc && exec \"$0\" \"$@\""
    probe = subprocess.run(["/usr/bin/unshare", "-m", "/bin/true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no mount name space here: {probe.stderr.strip()}")
    process, address = start(workspace, "/usr/bin/unshare", "-m", "/bin/sh", "-c", script, RELAY, "-c", config)

    asked = iter(range(10_000))

    def app_id() -> str:
        (location,) = locations([begin(address, f"n{next(asked)}")])
        assert location
        return location[len("https://")]

    assert app_id() == "a"
    new = f"nameserver {other.address}\noptions use-vc\n"
    if how == "written again":
        resolv_conf.write_text(new)
    elif how == "replaced":
        (etc / "new").write_text(new)
        (etc / "new").rename(resolv_conf)
    else:
        resolv_conf.unlink()
        assert app_id() == "a", "what was read stays"
        resolv_conf.write_text(new)
    wait_until(lambda: app_id() == "b", "the other resolver to be asked", 3)
    assert other.total() == sum(other.tcp_counts.values()), "use-vc is over TCP alone"
    assert process.running()
    assert "reloaded" not in process.output()


@as_root
def test_a_configuration_that_has_gone_is_not_the_defaults(workspace: Workspace, dns: QuickDns) -> None:
    """The one file that may be missing is where it is by default: again an /etc of the test's own."""
    etc = workspace.fresh("etc")
    config = etc / "http01-relay" / "http01-relay.toml"
    config.parent.mkdir(parents=True)
    text = config_text(dns.server, {"redirect": {"status": 302}})
    config.write_text(text)
    script = f"mount --bind {etc} /etc && exec \"$0\" \"$@\""
    probe = subprocess.run(["/usr/bin/unshare", "-m", "/bin/true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no mount name space here: {probe.stderr.strip()}")
    process, address = start(workspace, "/usr/bin/unshare", "-m", "/bin/sh", "-c", script, RELAY)

    def reload(line: str) -> None:
        process.signal(signal.SIGHUP)
        wait_until(lambda: line in process.output(), "the reload")

    reload('configuration reloaded"')
    config.unlink()
    reload("http01-relay.toml: cannot be read: No such file or directory")
    assert "not reloaded, the old one stays" in process.output()
    with begin(address, "n1") as waiting:
        assert waiting.read_response().status == 302
    config.write_text(text.replace("302", "308"))
    reload("redirect.status: was 302, now 308")

    # Who has begun with the defaults may go on with them.
    config.unlink()
    process, _ = start(workspace, "/usr/bin/unshare", "-m", "/bin/sh", "-c", script, RELAY)
    wait_until(lambda: "serving" in process.output(), "it to serve")
    reload("configuration reloaded: /etc/http01-relay/http01-relay.toml is not there, the defaults hold")


# ---- what a machine runs out of, and what it loses


@pytest.mark.serial
@pytest.mark.skipif("san" in BUILD.name, reason="a sanitizer must be the first library")
@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed")
def test_jumps_of_the_clock_move_no_deadline(workspace: Workspace, dns: QuickDns) -> None:
    """The wall clock is in the log's lines and nowhere else."""
    offset = workspace.write("offset", "+0d\n")
    environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    sections = {"dns": {"timeout_ms": 1500, "attempts": 1, "deadline_ms": 1500}}
    config = workspace.write("relay.toml", config_text(dns.server, sections))
    process, address = start(workspace, RELAY, "-c", config, environment=environment)
    days = set()

    def ask(name: str) -> tuple[str | None, float]:
        began = time.monotonic()
        with begin(address, name) as held:
            return held.read_response().reason, time.monotonic() - began

    with Load(address, MIXED) as load, ThreadPoolExecutor(1) as pool:
        for number, jump in enumerate(("+400d", "-400d", "+0d", "+4000d")):
            held = pool.submit(ask, f"n{number}.drop")
            load.goes_on(5)
            # The program reads it at each look at the clock, and would end at an empty one.
            workspace.write("new-offset", f"{jump}\n").replace(offset)
            load.goes_on(50)
            reason, took = held.result()
            assert reason == "dns-timeout"
            assert 1.4 < took < 1.5 + 0.5 * SLOWNESS
            days.add(re.findall(r"time=(\d{4}-\d\d-\d\d)", process.output())[-1])
    assert len(days) == 4, f"the clock did jump: {days}"


@pytest.mark.skipif("san" in BUILD.name, reason="a sanitizer cannot look at memory without a descriptor")
def test_without_descriptors_connections_wait_and_nobody_spins(workspace: Workspace, dns: QuickDns) -> None:
    config = workspace.write("relay.toml", config_text(dns.server))
    process, address = start(workspace, "/usr/bin/prlimit", "--nofile=64:64", RELAY, "-c", config)
    wait_until(lambda: "only 64 file descriptors are allowed" in process.output(), "the warning")

    def seconds_of_cpu() -> float:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with Crowd(address) as crowd:
        for _ in range(100):
            crowd.join(b"")
        spent = seconds_of_cpu()
        # These stand in the queue until the others' time is over, and may then find no socket for their look-ups.
        waiting = [crowd.ask(f"n{number}.cold.d{number}.test", client_address(number)) for number in range(100)]
        crowd.read_all(20 * SLOWNESS)
        assert seconds_of_cpu() - spent < 0.5 * SLOWNESS
        told = Counter(member.response().reason for member in waiting)
    assert told["ok"] > 0
    assert told["ok"] + told["overloaded"] == 100, told
    assert locations([begin(address, f"after{number}", number) for number in range(10)]) == [GOOD] * 10


@pytest.mark.skipif("san" in BUILD.name, reason="a sanitizer has descriptors of its own")
def test_with_one_descriptor_to_spare_it_serves_one_connection_at_a_time(workspace: Workspace, dns: QuickDns) -> None:
    """It said "serving" and accepted none, at full speed. Three standard streams, its socket, epoll and signals are six."""
    config = workspace.write("relay.toml", config_text(dns.server))
    _, address = start(workspace, "/usr/bin/prlimit", "--nofile=7:7", RELAY, "-c", config)
    for _ in range(3):
        with Connection(address) as connection:
            connection.socket.sendall(fastcgi_client.whole_request(fastcgi_client.cgi_variables("/health", "localhost")))
            assert connection.read_response().status == 200


@pytest.mark.parametrize("reload", [False, True], ids=["from the start", "after a reload"])
def test_a_full_disk_costs_log_lines_and_no_request(workspace: Workspace, dns: QuickDns, reload: bool) -> None:
    full = config_text(dns.server, {"log": {"target": "/dev/full"}})
    relay = Relay(workspace, config_text(dns.server) if reload else full)
    with Load(relay.address, MIXED) as load:
        load.goes_on(100)
        if reload:
            relay.config.write_text(full)
            relay.process.signal(signal.SIGHUP)
            load.goes_on(500)
    assert relay.metrics()['redirects_total{status="307"}'] == load.total()


CLOSED = 'exec "$0" "$@" 2>&-'
GONE = '{ "$0" "$@" 2>&3; } 3>&1 >/dev/null | true'


@pytest.mark.parametrize("script", [CLOSED, GONE], ids=["closed", "a pipe that nobody reads"])
def test_without_standard_error(workspace: Workspace, dns: QuickDns, script: str) -> None:
    config = workspace.write("relay.toml", config_text(dns.server))
    process, address = start(workspace, "/bin/sh", "-c", script, RELAY, "-c", config)
    with Load(address, MIXED) as load:
        load.goes_on(300)
    assert process.running()


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def half_a_request(address: str) -> tuple[Connection, bytes]:
    """One that has begun, and what is left of it."""
    octets = fastcgi_client.whole_request(fastcgi_client.cgi_variables("/health", "localhost"))
    connection = Connection(address)
    connection.send(octets[:20])
    return connection, octets[20:]


def test_what_comes_while_the_process_is_stopped_is_served(workspace: Workspace) -> None:
    """For longer than a request, or an answer of the DNS, may take: a virtual machine that is moved, a laptop's lid."""
    count = 50
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        dns = {"timeout_ms": 2000, "attempts": 1, "deadline_ms": 2000}
        relay = Relay(workspace, config_text(f"127.0.0.1:{server.getsockname()[1]}", {"dns": dns}))
        address = str(relay.address)
        begun = [half_a_request(address) for _ in range(count)]
        # Accepted in their order: once these are asked for, those have begun.
        held = [begin(address, f"n{number}") for number in range(count)]
        queries = [server.recvfrom(4096) for _ in range(2 * count)]
        wait_until(lambda: state_of(relay.process.pid) == "S", "it to wait")
        relay.process.signal(signal.SIGSTOP)
        wait_until(lambda: state_of(relay.process.pid) == "T", "it to stop")
        stopped = time.monotonic()
        for connection, rest in begun:
            connection.send(rest)
        for octets, asker in queries:
            query = parse_query(octets)
            for packet in respond(query, Behaviour(), False):
                server.sendto(packet.octets, asker)
        wait_until(lambda: time.monotonic() - stopped > 3.5, "the times of all of them to be over")
        relay.process.signal(signal.SIGCONT)
        assert [response and response.status for response in map(answer, (one for one, _ in begun))] == [200] * count
        assert locations(held) == [GOOD] * count
