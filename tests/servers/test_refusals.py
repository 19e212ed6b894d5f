"""No refusal of the system ends the relay: at start it is a message and an exit, under CGI a 500, while it serves,
reloads and stops the relay goes on without, and is well again within a second of the refusals' end.

What is tried comes from the calls that the program makes in a run without faults. SWEEP=all (make sweep) tries them
all, each with all errors that it may have; else a choice is tried, of which each once was an abort, a hang, or a
connection closed without an answer."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fastcgi_client
import pytest
import strace
from held import SilentInjector, answer, begin, hold
from injector import Injector
from processes import BUILD, RELAY, SLOWNESS, Process, Workspace, answers_at, wait_until
from refusals import (
    Fault,
    ask,
    attached,
    comes_true,
    command,
    count_calls,
    ends_within,
    faults_of,
    fresh_name,
    processor_seconds,
    serves_within,
    settings,
    start_traced,
)
from relay import CHALLENGE, EXIT_CONFIG, EXIT_UNAVAILABLE, Relay, clean_environment

ALL = os.environ.get("SWEEP") == "all"
# So many times of each call one after the other, and so many faults at once.
WHENS = 12
AT_ONCE = 4

pytestmark = pytest.mark.skipif("san" in BUILD.name, reason="a sanitizer makes calls of its own, and ends by itself")


def sweep(faults: list[Fault], attempt: Callable[[Fault], str]) -> None:
    """`attempt` returns what is wrong, "" for nothing."""

    def one(fault: Fault) -> str:
        try:
            wrong = attempt(fault)
        except Exception as error:  # noqa: BLE001
            wrong = f"{type(error).__name__}: {error}"
        return f"{fault}: {wrong}" if wrong else ""

    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = [text for text in pool.map(one, faults) if text]
    print(f"\n{len(faults)} faults in {time.monotonic() - began:.0f} s")
    assert not wrong, "\n".join(wrong)


def ended_well(process: Process, *statuses: int) -> str:
    status = process.popen.returncode
    if status in statuses and "terminate called" not in process.output():
        return ""
    return f"ended with {status}: {process.output()[-300:]}"


def kill(process: Process) -> None:
    """A program under strace, which passes no signal on."""
    if process.running():
        os.killpg(process.pid, signal.SIGKILL)
    process.popen.wait()


def before_main(trace: Path) -> dict[str, int]:
    """How often each call is made by the dynamic linker, whose refusals are not ours."""
    text = trace.read_text().partition("[PIPE ")[0]
    return {line.split("(")[0].split()[-1]: 0 for line in text.splitlines()} | _counted(text)


def _counted(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in text.splitlines():
        name = line.split("(")[0].split()[-1]
        counts[name] = counts.get(name, 0) + 1
    return counts


def shifted(faults: list[Fault], linker: dict[str, int]) -> list[Fault]:
    """The same, counted from main()."""
    moved = []
    for fault in faults:
        skip = max(linker.get(call, 0) for call in fault.call.split(","))
        plus = "+" if fault.when.endswith("+") else ""
        moved.append(Fault(fault.call, fault.error, f"{int(fault.when.rstrip('+')) + skip}{plus}"))
    return moved


# ---- start


def test_what_is_refused_at_start_is_a_message_and_an_exit(workspace: Workspace, injector: Injector) -> None:
    config = workspace.write("relay.toml", settings(workspace, injector.server))

    def start(options: list[str]) -> tuple[Process, Path]:
        sock = workspace.fresh("relay.sock")
        return start_traced(workspace, options, command(config, sock)), sock

    trace = strace.command(workspace, [])[1]
    process, sock = start(["-o", str(trace)])
    process.wait_until_ready(lambda: answers_at(str(sock)))
    assert serves_within(str(sock), 5)
    kill(process)
    linker = before_main(trace)
    calls = {call: count - linker.get(call, 0) for call, count in count_calls(trace).items()}
    calls = {call: count for call, count in calls.items() if count > 0}
    if ALL:
        # Those of serving, for good, are no matter of the start.
        faults = [
            fault
            for fault in faults_of(calls, WHENS)
            if fault.when != "1+" or fault.call not in ("accept4", "recvfrom", "sendto", "epoll_wait")
        ]
    else:
        assert {"epoll_create1", "signalfd4", "getrandom", "epoll_ctl"} <= calls.keys()
        faults = [
            Fault("clone,clone3", "EAGAIN"),
            Fault("epoll_create1", "EMFILE"),
            Fault("epoll_ctl", "ENOSPC"),
            Fault("signalfd4", "ENOMEM"),
            Fault("getrandom", "ENOSYS"),
            Fault("brk,mmap", "ENOMEM", "1+"),
        ]

    def attempt(fault: Fault) -> str:
        process, sock = start(["-o", str(workspace.fresh("trace")), *fault.options])
        try:
            return outcome(process, sock)
        finally:
            kill(process)

    def outcome(process: Process, sock: Path) -> str:
        def serves() -> bool:
            try:
                response = ask(str(sock), "localhost", "/health")
            except OSError:
                return False
            return response is not None and response.status == 200

        if not comes_true(lambda: serves() or not process.running(), 8):
            return "neither serves nor ends"
        if process.running():
            return ""  # it serves without
        if "error while loading shared libraries" in process.output():
            return ""
        if not process.output():
            return "no message"
        return ended_well(process, EXIT_UNAVAILABLE, EXIT_CONFIG)

    sweep(shifted(faults, linker), attempt)


# ---- CGI


def test_what_is_refused_under_cgi_has_an_answer(workspace: Workspace, injector: Injector) -> None:
    config = workspace.write("relay.toml", settings(workspace, injector.server))

    def run(options: list[str]) -> subprocess.CompletedProcess[bytes]:
        variables = fastcgi_client.cgi_variables(CHALLENGE, fresh_name())
        return subprocess.run(
            ["/usr/bin/strace", "-f", "-qq", *options, str(RELAY)],
            env=clean_environment(variables | {"HTTP01_RELAY_CONFIG": str(config)}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=15 * SLOWNESS,
            check=False,
        )

    trace = strace.command(workspace, [])[1]
    assert b"307" in run(["-o", str(trace)]).stdout
    linker = before_main(trace)
    calls = {call: count - linker.get(call, 0) for call, count in count_calls(trace).items()}
    calls = {call: count for call, count in calls.items() if count > 0}
    if ALL:
        faults = faults_of(calls, WHENS)
    else:
        faults = [
            Fault("epoll_create1", "EMFILE"),
            Fault("poll", "ENOMEM", "1"),
            Fault("poll", "ENOMEM"),
            Fault("getrandom", "ENOSYS"),
        ]

    def attempt(fault: Fault) -> str:
        done = run(["-o", str(workspace.fresh("trace")), *fault.options])
        if done.returncode < 0 or done.returncode > 128 or b"terminate called" in done.stderr:
            return f"ended with {done.returncode}: {done.stderr[-300:]!r}"
        if done.stdout.startswith(b"Status: ") or fault.call == "write" or b"shared libraries" in done.stderr:
            return ""
        return f"no answer, status {done.returncode}: {done.stderr[-300:]!r}"

    sweep(shifted(faults, linker), attempt)


# ---- serving


def traffic(relay: Relay) -> list[int]:
    """What is done while the system refuses: names never asked for, one over TCP, the counters, four at a time. The
    statuses; 0 for a connection that was closed."""
    hosts = [(fresh_name(), CHALLENGE) for _ in range(4)]
    hosts += [(fresh_name("truncate"), CHALLENGE), ("127.0.0.1", "/metrics"), ("localhost", "/health")]
    with ThreadPoolExecutor(len(hosts)) as pool:
        return [r.status if r else 0 for r in pool.map(lambda host: ask(relay.address, *host), hosts)]


# Of these, nothing gets to the relay, or from it, until they have ended.
DEAF = {("accept4", error) for error in ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPERM")}
DEAF |= {("recvfrom", "ENOMEM"), ("sendto", "ENOMEM"), ("sendto", "ENOBUFS"), ("epoll_wait", "ENOMEM")}
# Of these, the connection is no more.
BROKEN = {("recvfrom", "ECONNRESET"), ("recvfrom", "ECONNREFUSED"), ("sendto", "EPIPE"), ("sendto", "EPERM")}
BROKEN |= {("sendto", "ENETUNREACH")}


def test_what_is_refused_while_it_serves_costs_nothing_but_its_request(workspace: Workspace, injector: Injector) -> None:
    if ALL:
        relay = Relay(workspace, settings(workspace, injector.server))
        assert serves_within(relay.address, 5)
        with attached(workspace, relay.process.pid, ["-e", "trace=all"]) as trace:
            traffic(relay)
        faults = faults_of(count_calls(trace), 2)
        relay.process.stop()
    else:
        faults = [
            Fault("accept4", "EMFILE"),
            Fault("epoll_ctl", "ENOSPC"),
            Fault("getrandom", "ENOSYS"),
            Fault("recvfrom", "ENOMEM", "1..3"),
            Fault("brk,mmap", "ENOMEM"),
        ]

    def attempt(fault: Fault) -> str:
        config = settings(workspace, injector.server)
        relay = Relay(workspace, config)
        pid = relay.process.pid
        wait_until(lambda: "serving" in log_of(config), "it to serve")
        statuses: list[int] = []
        with ThreadPoolExecutor(1) as pool, attached(workspace, pid, fault.options):
            began, used = time.monotonic(), processor_seconds(pid)
            deaf = (fault.call, fault.error) in DEAF
            if deaf:
                task = pool.submit(traffic, relay)
            else:
                statuses = traffic(relay)
            if ends_within(relay.process, 0.3 if deaf else 0.1):
                return ended_well(relay.process)
            waited, used = time.monotonic() - began, processor_seconds(pid) - used
        if not serves_within(relay.address, 1):
            return "does not serve within a second"
        if deaf:
            statuses = task.result()
        if used > 0.1 + 0.3 * waited:
            return f"{used:.2f} s of processor time in {waited:.2f} s"
        if 0 in statuses and (fault.call, fault.error) not in BROKEN:
            return f"closed without an answer: {statuses}"
        if fault.error in ("ENOSPC", "ENOSYS") and fault.when == "1+" and fault.call in ("epoll_ctl", "getrandom"):
            if statuses[:5] != [503] * 5 or statuses[5:] != [200, 200]:
                return f"not refused as overloaded: {statuses}"
        status = relay.terminate()
        return "" if status == 0 else f"stopped with {status}"

    sweep(faults, attempt)


def log_of(config: str) -> str:
    path = Path(config.partition('target = "')[2].partition('"')[0])
    return path.read_text() if path.exists() else ""


# ---- reload and stop


def test_what_is_refused_at_a_reload_leaves_the_old_or_takes_the_new(workspace: Workspace, injector: Injector) -> None:
    def reload_once(relay: Relay, own_log: Path) -> None:
        before = own_log.read_text().count("reloaded")
        relay.process.signal(signal.SIGHUP)
        wait_until(lambda: own_log.read_text().count("reloaded") > before, "a reload", 3)

    def start() -> tuple[Relay, Path]:
        config = settings(workspace, injector.server)
        relay = Relay(workspace, config)
        wait_until(lambda: "serving" in log_of(config), "it to serve")
        return relay, Path(config.partition('target = "')[2].partition('"')[0])

    faults = [Fault("openat", "EMFILE"), Fault("read", "EIO", "1"), Fault("clone,clone3", "EAGAIN")]
    if ALL:
        relay, own_log = start()
        with attached(workspace, relay.process.pid, ["-e", "trace=all"]) as trace:
            reload_once(relay, own_log)
        faults = faults_of(count_calls(trace), WHENS)

    def attempt(fault: Fault) -> str:
        relay, own_log = start()
        with attached(workspace, relay.process.pid, fault.options):
            used = processor_seconds(relay.process.pid)
            relay.process.signal(signal.SIGHUP)
            if ends_within(relay.process, 0.3):
                return ended_well(relay.process)
            used = processor_seconds(relay.process.pid) - used
        if used > 0.2:
            return f"{used:.2f} s of processor time"
        if not serves_within(relay.address, 1):
            return "does not serve within a second"
        reload_once(relay, own_log)
        status = relay.terminate()
        return "" if status == 0 else f"stopped with {status}"

    sweep(faults, attempt)


def test_what_is_refused_at_a_stop_does_not_keep_it_from_stopping(workspace: Workspace, injector: Injector) -> None:
    config = settings(workspace, injector.server)
    faults = [Fault("clone,clone3", "EAGAIN"), Fault("write", "ENOSPC"), Fault("accept4", "EMFILE")]
    if ALL:
        relay = Relay(workspace, config)
        assert serves_within(relay.address, 5)
        with attached(workspace, relay.process.pid, ["-e", "trace=all"]) as trace:
            relay.terminate()
        faults = faults_of(count_calls(trace), 3)

    def attempt(fault: Fault) -> str:
        relay = Relay(workspace, config)
        assert serves_within(relay.address, 5)
        with attached(workspace, relay.process.pid, fault.options):
            connection = begin(str(relay.address), fresh_name("drop"))
            relay.process.signal(signal.SIGTERM)
            # Where the signal itself cannot be seen, it is once it can.
            used = 0.0

            def ended() -> bool:
                nonlocal used
                with contextlib.suppress(FileNotFoundError):
                    used = processor_seconds(relay.process.pid)
                return not relay.process.running()

            comes_true(ended, 1 if fault.call in ("epoll_wait", "read") else 5)
        status = relay.process.wait(2)
        answered = answer(connection)
        if status != 0:
            return ended_well(relay.process)
        if used > 0.5:
            return f"{used:.2f} s of processor time"
        refused = fault.call in ("accept4", "recvfrom", "sendto", "epoll_wait", "epoll_ctl")
        return "" if answered or refused else "the request that was held has no answer"

    sweep(faults, attempt)


# ---- memory


def test_out_of_memory_new_requests_are_refused_and_those_that_are_held_are_answered(workspace: Workspace) -> None:
    with SilentInjector() as dns:
        relay = Relay(workspace, settings(workspace, dns.server))
        pid = relay.process.pid
        assert serves_within(relay.address, 5)
        size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
        resource.prlimit(pid, resource.RLIMIT_AS, (size + 65536, hard))
        connections = [begin(str(relay.address), f"held.n{number}", number % 250) for number in range(2000)]
        answers = [answer(connection) for connection in connections]
        statuses = {response.status if response else 0 for response in answers}
        assert relay.process.running(), relay.process.output()
        assert statuses == {503, 504}, statuses
        resource.prlimit(pid, resource.RLIMIT_AS, (hard, hard))
        assert serves_within(relay.address, 1)
        assert relay.terminate() == 0
