"""The relay on a shared host: Apache runs it by CGI, and all there is of it are the files of
deploy/shared-hosting and the program. Apache allows .htaccess no more than they say they need."""

from __future__ import annotations

import os
import shutil

import http_client
import pytest
from conftest import World
from dns_servers import start_on_free_port
from http_client import Response
from processes import REPOSITORY, Process, Workspace
from relay import CHALLENGE
from static_program import PORTABLE
from zones import APP_ID, GATEWAY

SHIPPED = REPOSITORY / "deploy" / "shared-hosting"
CHALLENGES = "/.well-known/acme-challenge/"
GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"
SITE_PAGE = "the site's own page"
BLOG = "RewriteEngine On\nRewriteRule ^index.html$ - [L]\nRewriteRule . /index.html [L]\n"

# The multi-processing module that each goes with in Debian.
CGI_MODULES = {"cgid": "mpm_event", "cgi": "mpm_prefork"}
MODULES = ("authz_core", "dir", "env", "rewrite")


class SharedHost:
    """Apache with one site, a blog that sends every address to its own page."""

    def __init__(self, workspace: Workspace, dns_server: str, cgi: str) -> None:
        self.root = workspace.fresh("site")
        self.challenges = self.root / CHALLENGES.strip("/")
        self.challenges.mkdir(parents=True)
        (self.root / "index.html").write_text(SITE_PAGE)
        (self.root / ".htaccess").write_text(BLOG)
        shutil.copy(SHIPPED / ".htaccess", self.challenges)
        self.config = self.challenges / "http01-relay.toml"
        text = (SHIPPED / "http01-relay.toml").read_text()
        for old, new in {"servers = []": f'servers = ["{dns_server}"]', '"example.com"': '"example.test"'}.items():
            assert old in text
            text = text.replace(old, new)
        self.config.write_text(text)
        self.program = self.challenges / "http01-relay.cgi"
        shutil.copy(PORTABLE, self.program)
        self.error_log = workspace.fresh("apache-error.log")
        self.process, self.port = start_on_free_port(
            lambda port: self._start(workspace, port, cgi), lambda port: self._answers(port)
        )

    def _start(self, workspace: Workspace, port: int, cgi: str) -> Process:
        modules = "".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
            for name in (CGI_MODULES[cgi], *MODULES, cgi)
        )
        config = f"""
ServerRoot {workspace.path}
ServerName shared.host.test
PidFile {workspace.path}/apache-{port}.pid
DefaultRuntimeDir {workspace.path}
ErrorLog {self.error_log}
Listen 127.0.0.1:{port}
{modules}
{"User www-data" if os.geteuid() == 0 else ""}
{"Group www-data" if os.geteuid() == 0 else ""}
{f"ScriptSock {workspace.path}/cgid-{port}.sock" if cgi == "cgid" else ""}
DocumentRoot {self.root}
<Directory />
  AllowOverride None
  Require all denied
</Directory>
<Directory {self.root}>
  AllowOverride FileInfo Options=ExecCGI
  Require all granted
</Directory>
"""
        path = workspace.write("apache.conf", config)
        return workspace.start("apache", ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", path])

    @staticmethod
    def _answers(port: int) -> bool:
        try:
            return SITE_PAGE in http_client.request(port, "/", host="app.example.test").text
        except (OSError, AssertionError):
            return False

    def get(self, path: str, host: str | None = "app.example.test", method: str = "GET", **options: str) -> Response:
        return http_client.request(self.port, path, host=host, method=method, **options)  # type: ignore[arg-type]


@pytest.fixture(name="host", scope="module", params=CGI_MODULES)
def host_fixture(world: World, request: pytest.FixtureRequest) -> SharedHost:
    return SharedHost(world.workspace, world.unbound.server, request.param)


def test_a_challenge_is_redirected(host: SharedHost) -> None:
    response = host.get(CHALLENGE)
    assert (response.status, response.all("Location"), response.reason) == (307, [GOOD], "ok")
    assert response.header("Cache-Control") == "no-store"


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("no-txt.example.test", 404, "txt-missing"),
        ("elsewhere.example.test", 307, "ok"),  # by the fallback
        ("ambiguous.example.test", 502, "txt-ambiguous"),
        ("app.elsewhere.test", 403, "domain-refused"),
        (GATEWAY, 421, "gateway-name"),
        ("APP.example.test.:80", 307, "ok"),
    ],
)
def test_the_configuration_beside_the_program_holds(host: SharedHost, name: str, status: int, reason: str) -> None:
    response = host.get(CHALLENGE, name)
    assert (response.status, response.reason) == (status, reason)


@pytest.mark.parametrize("path", ["/", "/health", "/metrics", "/a/page?x=y", "/.well-known/x", "/http01-relay.toml"])
def test_the_rest_of_the_site_stays_as_it_is(host: SharedHost, path: str) -> None:
    response = host.get(path)
    assert (response.status, response.text) == (200, SITE_PAGE)


@pytest.mark.parametrize(
    "query", ["--help", "-V", "config", "check+app.example.test", "-c+/etc/passwd", "--listen+127.0.0.1:1", "x=1"]
)
def test_arguments_never_come_from_the_url(host: SharedHost, query: str) -> None:
    response = host.get(f"{CHALLENGE}?{query}")
    assert (response.status, response.all("Location")) == (307, [GOOD])
    response = host.get(f"{CHALLENGES}http01-relay.cgi?{query}")
    assert (response.status, response.reason) == (404, "bad-token")


@pytest.mark.parametrize(
    "header", ["01-Relay-Config", "01_RELAY_CONFIG", "HTTP01-RELAY-CONFIG", "Fallback-Gateway-Domain", "Proxy"]
)
def test_settings_never_come_from_a_header(host: SharedHost, header: str) -> None:
    octets = f"GET {CHALLENGE} HTTP/1.1\r\nHost: app.example.test\r\n{header}: /etc/passwd\r\nConnection: close\r\n\r\n"
    response = http_client.raw(host.port, octets.encode())
    assert (response.status, response.location) == (307, GOOD)


@pytest.mark.parametrize("name", ["http01-relay.toml", "http01-relay.cgi", ".htaccess"])
@pytest.mark.parametrize(
    "form",
    [
        CHALLENGES + "{}",
        CHALLENGES + "{}/",
        CHALLENGES + "{}/more",
        CHALLENGES + "{}?x",
        CHALLENGES + "./{}",
        CHALLENGES + "x/../{}",
        CHALLENGES + "/{}",
        "//.well-known//acme-challenge/{}",
        "/%2Ewell-known/acme%2Dchallenge/{}",
        "/.well-known/acme-challenge%2F{}",
        "http://app.example.test" + CHALLENGES + "{}",
    ],
)
def test_none_of_the_three_files_can_be_downloaded(host: SharedHost, form: str, name: str) -> None:
    response = host.get(form.format(name))
    # Apache answers %2F by itself; where the path begins otherwise for the relay, it redirects to https.
    assert response.status in (307, 404)
    assert len(response.body) < 1000
    for part in ("gateways", "RewriteRule", "ELF"):
        assert part not in response.body.decode("latin-1")
    if response.location:
        assert response.location.startswith("https://app.example.test/")


@pytest.mark.parametrize("path", [CHALLENGES, f"{CHALLENGES}a.b", f"{CHALLENGES}a/b", f"{CHALLENGES}{'x' * 129}"])
def test_what_is_no_token_is_not_found(host: SharedHost, path: str) -> None:
    response = host.get(path)
    assert (response.status, response.reason) == (404, "bad-token")


def test_odd_requests(host: SharedHost) -> None:
    response = host.get(CHALLENGE, method="HEAD")
    assert (response.status, response.location, response.body) == (307, GOOD, b"")
    response = host.get(CHALLENGE, method="DELETE")
    assert (response.status, response.header("Allow")) == (405, "GET, HEAD")
    post = http_client.request(host.port, CHALLENGE, host="app.example.test", method="POST", body=b"x" * 30_000)
    assert post.status == 405
    assert host.get(CHALLENGE, None, version="HTTP/1.0").reason == "bad-host"
    assert host.get(CHALLENGE, "a_b.example.test").reason == "bad-host"
    assert host.get(f"http://app.example.test{CHALLENGE}").location == GOOD
    large = http_client.request(host.port, CHALLENGE, host="app.example.test", headers={"X-Large": "x" * 7900})
    assert large.location == GOOD


def test_a_faulty_configuration_is_a_500_with_the_reason_in_the_error_log_only(host: SharedHost) -> None:
    text = host.config.read_text()
    host.config.write_text(text + "[cache]\nentrys = 1\n")
    try:
        response = host.get(CHALLENGE)
    finally:
        host.config.write_text(text)
    assert (response.status, response.location) == (500, None)
    assert "entrys" not in response.text and str(host.root) not in response.text
    assert "cache.entrys: unknown key" in host.error_log.read_text()
    assert host.get(CHALLENGE).location == GOOD


def shipped_script() -> str:
    """The script that README.md has for hosts with suexec."""
    return (SHIPPED / "README.md").read_text().split("```sh\n")[1].split("```")[0]


def test_where_suexec_takes_the_variable_away_a_script_sets_it(host: SharedHost) -> None:
    htaccess = host.challenges / ".htaccess"
    text = htaccess.read_text()
    variable = "SetEnv HTTP01_RELAY_CONFIG http01-relay.toml\n"
    assert variable in text
    program = host.program.rename(host.challenges / "http01-relay")
    try:
        htaccess.write_text(text.replace(variable, ""))
        host.program.write_text(shipped_script())
        host.program.chmod(0o755)
        assert host.get(f"{CHALLENGE}?--help").location == GOOD
        assert host.get(CHALLENGE, "app.elsewhere.test").reason == "domain-refused"
        for name in ("http01-relay", "http01-relay.toml", "http01-relay.cgi"):
            assert host.get(CHALLENGES + name).status in (404, 307)
            assert "HTTP01" not in host.get(CHALLENGES + name).text
    finally:
        program.rename(host.program)
        htaccess.write_text(text)


def test_the_files_are_these() -> None:
    assert sorted(path.name for path in SHIPPED.iterdir()) == [".htaccess", "README.md", "http01-relay.toml"]
