"""nginx, Caddy and Apache with a site of the test's own, which includes the file for challenges alone that is shipped."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from front_servers import DEPLOY, SHIPPED_SOCKET, start_apache, start_caddy, start_nginx
from processes import Process, Workspace
from web_servers import shipped_config


def _nginx_site(workspace: Workspace, snippet: Path) -> str:
    temporary = "".join(
        f"{kind}_temp_path {workspace.path}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user www-data;\n" if os.geteuid() == 0 else ""
    return f"""
{user}pid {workspace.path}/site.pid;
error_log stderr;
events {{ }}
http {{
{temporary}  access_log off;
  server {{
    listen 127.0.0.1:PORT;
    root {workspace.path}/site;
    location ~ known {{ return 418; }}
    include {snippet};
  }}
}}
"""


def _caddy_site(workspace: Workspace, snippet: Path) -> str:
    return f"""
{{
	admin off
	auto_https off
}}
import {snippet}
http://:PORT {{
	bind 127.0.0.1
	import http01-relay
	root * {workspace.path}/site
	file_server
}}
"""


def apache_site(workspace: Workspace, snippet: Path, directives: str = "Redirect /.well-known /new") -> str:
    return f"""
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule setenvif_module /usr/lib/apache2/modules/mod_setenvif.so
LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
Include {snippet}
<VirtualHost *:PORT>
  DocumentRoot {workspace.path}/site
{directives}
</VirtualHost>
"""


BESIDE: dict[str, tuple[str, Callable[[Workspace, Path], str]]] = {
    "nginx": ("nginx/challenge-only.conf", _nginx_site),
    "Caddy": ("caddy/challenge-only.caddy", _caddy_site),
    "Apache": ("apache/challenge-only.conf", apache_site),
}


def shipped_snippet(workspace: Workspace, socket: str, file: str) -> Path:
    """Of the file only the socket is changed."""
    shipped = shipped_config((DEPLOY / file).read_text(), {SHIPPED_SOCKET: socket})
    return workspace.write("http01-relay.conf", shipped)


def start_beside(name: str, workspace: Workspace, port: int, text: str) -> Process:
    text = text.replace("PORT", str(port))
    if name == "Apache":
        return start_apache(workspace, port, text)
    config = workspace.write("site.conf", text)
    return start_nginx(workspace, config) if name == "nginx" else start_caddy(workspace, config)
