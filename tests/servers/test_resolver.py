"""deploy/unbound/http01-relay.conf, installed as its first lines say, beside the files that Debian's unbound comes with;
and Debian's unbound without it, which would not do."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from acme_clients import private_mounts
from dns_message import Query, parse_query, probe, question
from dns_servers import SHIPPED_RESOLVER, Nsd, on_loopback, start_on_free_port
from injector import Behaviour, Injector
from processes import REPOSITORY, SLOWNESS, Process, Workspace, free_port, wait_until
from relay import CHALLENGE, Relay, config_text
from web_servers import shipped_config
from zones import APP_ID, GATEWAY, domain

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"
ETC = Path("/etc/unbound")
DEBIANS = ("unbound.conf", "unbound.conf.d/remote-control.conf", "unbound.conf.d/root-auto-trust-anchor-file.conf")
ROOT_KEY = "/var/lib/unbound/root.key"

# A provider's zone: what is not there may be remembered for an hour, what is there for a day.
ZONE = """
$TTL 86400
@ 3600 SOA ns.test. admin.test. 1 3600 600 86400 3600
@ NS ns.test.
a.parent A 192.0.2.1
www A 192.0.2.1
""" + domain("old", f"{APP_ID}:80")
# Asked before they are there. The relay asks for the wildcard's record too, at the parent's name.
EARLY = ("app", "b.parent")
# Never asked before, but in a signed zone an answer for "app" has said that it is missing too.
LATER = "bravo"


def signed(workspace: Workspace, key: str, text: str) -> str:
    zone = workspace.write("signed.zone", f"$ORIGIN signed.test.\n{text}")
    output = workspace.fresh("signed.out")
    subprocess.run(["ldns-signzone", "-f", output, zone, key], cwd=workspace.path, check=True)
    return output.read_text()


def new_key(workspace: Workspace) -> str:
    command = ["ldns-keygen", "-a", "ECDSAP256SHA256", "signed.test"]
    made = subprocess.run(command, cwd=workspace.path, capture_output=True, text=True, check=True)
    return made.stdout.strip()


class DebiansUnbound:
    """As Debian starts it, with or without the shipped file. It takes the zone's key for the root's."""

    def __init__(self, workspace: Workspace, ports: dict[str, int], key: Path, *, shipped: bool) -> None:
        def start(port: int) -> Process:
            etc = workspace.fresh("etc-unbound")
            (etc / "unbound.conf.d").mkdir(parents=True)
            changes = {"unbound.conf": {str(ETC): str(etc)}}
            changes["unbound.conf.d/remote-control.conf"] = {"/run/unbound.ctl": str(etc / "ctl")}
            changes["unbound.conf.d/root-auto-trust-anchor-file.conf"] = {ROOT_KEY: str(etc / "root.key")}
            for name in DEBIANS:
                (etc / name).write_text(shipped_config((ETC / name).read_text(), changes[name]))
            (etc / "root.key").write_text(key.read_text())
            if shipped:
                (etc / "unbound.conf.d/http01-relay.conf").write_text(SHIPPED_RESOLVER.read_text())
            own = on_loopback(port, ports, {})
            own += f'server:\n    username: ""\n    directory: "{etc}"\n    pidfile: ""\n    use-syslog: no\n'
            (etc / "unbound.conf.d/test.conf").write_text(own)
            self.config = etc / "unbound.conf"
            return workspace.start("unbound", ["/usr/sbin/unbound", "-d", "-p", "-c", self.config])

        self.process, self.port = start_on_free_port(start, lambda port: probe(port, "plain.test", "SOA"))
        self.relay = Relay(workspace, config_text(f"127.0.0.1:{self.port}"))

    def ttl(self, name: str, record: str) -> int:
        """How long it will remember what it says of this name; the SOA record's, if that is nothing."""
        command = ["drill", "-p", str(self.port), "@127.0.0.1", name, record]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        (ttl,) = re.findall(rf"^\S+\t(\d+)\tIN\t(?:{record}|SOA)\t", answer, re.MULTILINE)
        return int(ttl)

    def control(self, command: str) -> str:
        ended = subprocess.run(
            ["/usr/sbin/unbound-control", "-c", self.config, command], capture_output=True, text=True, check=True
        )
        return ended.stdout

    def leads(self, host: str) -> bool:
        return self.relay.challenge(host).location == GOOD


class Resolvers:
    def __init__(self, workspace: Workspace, elsewhere: dict[str, int]) -> None:
        self.workspace = workspace
        self.key = new_key(workspace)
        self.nsd = Nsd(workspace, {"plain.test": ZONE, "signed.test": signed(workspace, self.key, ZONE)})
        ports = {zone: self.nsd.port for zone in self.nsd.zones} | elsewhere
        key = workspace.path / f"{self.key}.key"
        self.shipped = DebiansUnbound(workspace, ports, key, shipped=True)
        self.debians = DebiansUnbound(workspace, ports, key, shipped=False)
        self.both = (self.shipped, self.debians)

    def set_records(self) -> None:
        """The owner does; it is done once the zones' own server has them."""
        text = ZONE.replace("admin.test. 1 ", "admin.test. 2 ")
        text += "".join(domain(name, f"{APP_ID}:443") for name in (*EARLY, LATER))
        self.nsd.change({"plain.test": text, "signed.test": signed(self.workspace, self.key, text)})
        names = [f"_dstack-app-address.{LATER}.{zone}" for zone in ("plain.test", "signed.test")]
        wait_until(lambda: all(probe(self.nsd.port, name, "TXT") for name in names), "nsd to have the records")


class Late:
    """A name server's rule: for two seconds it does not answer, then it does."""

    def __init__(self) -> None:
        self.since = 0.0

    def __call__(self, query: Query, tcp: bool) -> Behaviour:
        self.since = self.since or time.monotonic()
        return Behaviour(drop=time.monotonic() < self.since + 2.2)


class Dead:
    """A name server that is asked and never answers."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", free_port()))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.names: set[str] = set()

    def asked(self) -> int:
        """For how many names so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.names.add(parse_query(self.socket.recv(4096)).name)
        return len(self.names)


@pytest.fixture(name="dead", scope="module")
def dead_fixture() -> Iterator[Dead]:
    dead = Dead()
    with dead.socket:
        yield dead


@pytest.fixture(name="resolvers", scope="module")
def resolvers_fixture(module_workspace: Workspace, injector: Injector, dead: Dead) -> Iterator[Resolvers]:
    with Injector(Late()) as late, Injector(Late()) as late_too:
        ports = {"good.test": injector.port, "dead.test": dead.port}
        ports |= {"late.test": late.port, "late-too.test": late_too.port}
        yield Resolvers(module_workspace, ports)


def test_a_record_that_was_asked_for_before_it_was_set_counts_within_20_seconds(resolvers: Resolvers) -> None:
    early = [f"{name}.{zone}" for name in EARLY for zone in ("plain.test", "signed.test")]
    later = f"{LATER}.signed.test"
    for resolver in resolvers.both:
        for host in early:
            assert not resolver.leads(host)
    for host in early:
        assert resolvers.shipped.ttl(f"_dstack-app-address.{host}", "TXT") <= 10
    resolvers.set_records()

    # Nothing has been asked about this one.
    assert resolvers.shipped.leads(later)
    assert not resolvers.debians.leads(later), "Debian's unbound makes its absence from another's"
    wait_until(lambda: all(resolvers.shipped.leads(host) for host in early), "the records to count", 20 / SLOWNESS)

    # The relay has forgotten, and has asked again.
    for host in early:
        assert not resolvers.debians.leads(host)
        assert resolvers.debians.ttl(f"_dstack-app-address.{host}", "TXT") > 3000


def test_a_value_of_a_day_is_remembered_for_a_minute(resolvers: Resolvers) -> None:
    for zone in ("plain.test", "signed.test"):
        for name, record in ((f"old.{zone}", "CNAME"), (f"_dstack-app-address.old.{zone}", "TXT")):
            assert resolvers.shipped.ttl(name, record) <= 60
            assert resolvers.debians.ttl(name, record) > 86000


def test_a_name_server_that_was_down_is_tried_again_within_a_minute(resolvers: Resolvers) -> None:
    def remembered(resolver: DebiansUnbound) -> list[int]:
        return [int(ttl) for ttl in re.findall(r" ttl (\d+) ", resolver.control("dump_infra"))]

    for resolver in resolvers.both:
        assert not resolver.leads("nobody.plain.test")
    assert max(remembered(resolvers.shipped)) <= 60
    assert max(remembered(resolvers.debians)) > 600


def test_a_slow_answer_is_used_for_as_long_as_the_relay_waits(workspace: Workspace, resolvers: Resolvers) -> None:
    def ask(resolver: DebiansUnbound, host: str) -> str | None:
        relay = Relay(workspace, config_text(f"127.0.0.1:{resolver.port}", {"dns": {"attempts": 1}}))
        return relay.challenge(host).location

    with ThreadPoolExecutor() as pool:
        shipped = pool.submit(ask, resolvers.shipped, "app.late.test")
        debians = pool.submit(ask, resolvers.debians, "app.late-too.test")
        assert shipped.result() == GOOD
        assert debians.result() is None


def test_dead_names_do_not_keep_good_ones_from_being_answered(resolvers: Resolvers, dead: Dead) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for resolver in resolvers.both:
            assert probe(resolver.port, "_dstack-app-address.first.good.test", "TXT")
            before = dead.asked()
            for number in range(1050):
                client.sendto(question(f"n{number}-{resolver.port}.dead.test"), ("127.0.0.1", resolver.port))
                if number % 50 == 49 and number < 1000:
                    wait_until(lambda: dead.asked() > before + number, "the dead names to be asked for")
        stats = resolvers.shipped.control("stats_noreset")
        for count in ("exceeded", "overwritten"):
            assert f"total.requestlist.{count}=0\n" in stats, "none is dropped for another"
        for number in range(20):
            assert resolvers.shipped.leads(f"app{number}.good.test")
        version = subprocess.run(["/usr/sbin/unbound", "-V"], capture_output=True, text=True, check=False).stdout
        if version.startswith("Version 1.17."):  # later ones do not limit loopback
            assert not probe(resolvers.debians.port, "_dstack-app-address.second.good.test", "TXT")


# ---- as its first lines say


def first_lines(pattern: str) -> str:
    (found,) = re.findall(rf"^#   ({pattern})", SHIPPED_RESOLVER.read_text(), re.MULTILINE)
    return str(found)


def test_who_follows_its_first_lines_has_it_on_port_53_of_this_machine_alone(workspace: Workspace) -> None:
    unshare = private_mounts() if os.geteuid() == 0 else None
    if unshare is None:
        pytest.skip("no mount namespace can be made here")
    etc, lib, run = (workspace.path / name for name in ("etc", "lib", "run"))
    (etc / "unbound.conf.d").mkdir(parents=True)
    for name in DEBIANS:
        (etc / name).write_text((ETC / name).read_text())
    for directory in (lib, run):
        directory.mkdir()
    (lib / "root.key").write_text(f". DS 20326 8 2 {'ab' * 32}\n")
    shutil.chown(lib, "unbound")
    script = f"""
        mount --bind {etc} {ETC} && mount --bind {lib} {Path(ROOT_KEY).parent} && mount --bind {run} /run
        ip link set lo up
        cd {SHIPPED_RESOLVER.parent}
        {first_lines("install -m 644 .*")}
        {first_lines("unbound-checkconf")}
        exec /usr/sbin/unbound -d -p"""
    process = workspace.start("unbound", [*unshare, "--net", "sh", "-euc", script])
    inside = ["nsenter", "--mount", "--net", "--root", "--target", str(process.pid)]

    def said(command: str) -> str:
        return subprocess.run([*inside, *command.split()], capture_output=True, text=True, check=False).stdout

    process.wait_until_ready(lambda: "is running" in said("unbound-control status"))
    assert "127.0.0.1" in said("drill @127.0.0.1 localhost A")
    command, _, answer = first_lines("unbound-control .*").rpartition(" ")
    assert said(command).strip() == answer
    listening = {line.split()[4] for line in said("ss --no-header --listening --tcp --udp --numeric").splitlines()}
    assert listening - {"[::1]:53"} == {"127.0.0.1:53"}


# What a reader may want: the file, and no second copy of what is in it.
PAGES = ["README.md", *(str(p.relative_to(REPOSITORY)) for d in ("deploy", "etc") for p in (REPOSITORY / d).rglob("*"))]


@pytest.mark.parametrize("page", [page for page in PAGES if (REPOSITORY / page).is_file()])
def test_a_page_that_speaks_of_unbound_leads_to_the_file(page: str) -> None:
    text = (REPOSITORY / page).read_text()
    if REPOSITORY / page == SHIPPED_RESOLVER:
        return
    for option in re.findall(r"^    ([a-z-]+): ", SHIPPED_RESOLVER.read_text(), re.MULTILINE):
        assert option not in text
    if "unbound" in text and page != "deploy/debian/control":
        assert "unbound/http01-relay.conf" in text
