"""The Kubernetes manifest: what Kubernetes' own schemas say of it, and that its parts fit one another and the image."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import http_client
import jsonschema  # type: ignore[import]
import pytest
import yaml  # type: ignore[import]
from injector import Behaviour, Injector
from processes import REPOSITORY, Workspace
from relay import run, said_of
from test_container_entrypoint import start_in_its_place

MANIFEST = REPOSITORY / "deploy" / "kubernetes" / "http01-relay.yaml"
SCHEMA = REPOSITORY / "tests" / "data" / "kubernetes" / "schema-1.37.json"
IMAGE = REPOSITORY / "Dockerfile"
ENTRYPOINT = REPOSITORY / "deploy" / "docker" / "entrypoint"

DEFINITIONS = {
    "ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "Deployment": "io.k8s.api.apps.v1.Deployment",
    "PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
    "Service": "io.k8s.api.core.v1.Service",
}

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")

Document = dict[str, Any]


def documents() -> dict[str, Document]:
    return {document["kind"]: document for document in yaml.safe_load_all(MANIFEST.read_text())}


def faults(document: Document) -> list[str]:
    """What the schema has against it, each with its place."""
    schema = json.loads(SCHEMA.read_text())
    schema["$ref"] = f"#/$defs/{DEFINITIONS[document['kind']]}"
    # Beside "$ref" nothing counts in draft 7, so that what is referred to is found from the top.
    found = jsonschema.Draft7Validator(schema).iter_errors(document)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def pod() -> Document:
    spec: Document = documents()["Deployment"]["spec"]["template"]["spec"]
    return spec


def container() -> Document:
    (only,) = pod()["containers"]
    found: Document = only
    return found


def annotations() -> dict[str, str]:
    found: dict[str, str] = documents()["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    return found


def variables() -> dict[str, str]:
    """The container's environment, but for the port."""
    return {name: value for name, value in documents()["ConfigMap"]["data"].items() if name.isupper() and name != "PORT"}


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_kubernetes_takes_it(kind: str) -> None:
    assert faults(documents()[kind]) == []


def test_a_fault_would_be_seen() -> None:
    deployment = documents()["Deployment"]

    def with_container(**changes: Any) -> Document:
        changed = copy.deepcopy(deployment)
        changed["spec"]["template"]["spec"]["containers"][0].update(changes)
        return changed

    assert "'readynessProbe' was unexpected" in faults(with_container(readynessProbe={}))[0]
    assert "is not of type" in faults(with_container(image=7))[0]
    assert "'name' is a required property" in faults(with_container(env=[{"value": "x"}]))[0]
    budget = copy.deepcopy(documents()["PodDisruptionBudget"])
    budget["spec"]["maxUnavaliable"] = 1
    assert "'maxUnavaliable' was unexpected" in faults(budget)[0]


def test_it_has_no_privileges() -> None:
    """What the "restricted" pod security standard asks for, and a root that cannot be written to."""
    context = pod()["securityContext"] | container()["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod())
    assert {"configMap", "emptyDir"} == {kind for volume in pod()["volumes"] for kind in set(volume) - {"name"}}
    assert pod()["automountServiceAccountToken"] is False


def test_its_parts_fit_one_another() -> None:
    config, deployment, budget, service = (documents()[kind] for kind in DEFINITIONS)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    assert budget["spec"] == {"maxUnavailable": 1, "selector": deployment["spec"]["selector"]}
    assert deployment["spec"]["replicas"] > 1

    (port,) = container()["ports"]
    assert config["data"]["PORT"] == str(port["containerPort"])
    assert [(entry["port"], entry["targetPort"]) for entry in service["spec"]["ports"]] == [(80, port["name"])]
    assert annotations()["prometheus.io/port"] == str(port["containerPort"])
    for probe in PROBES:
        request = container()[probe]["httpGet"]
        assert (request["path"], request["port"]) == ("/health", port["name"])
        assert request["httpHeaders"] == [{"name": "Host", "value": "localhost"}]

    for variable in container()["env"]:
        reference = variable["valueFrom"]["configMapKeyRef"]
        assert reference["name"] == config["metadata"]["name"]
        assert reference["key"] in config["data"]
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    for mount in container()["volumeMounts"]:
        volume = volumes.pop(mount["name"])
        if "configMap" in volume:
            assert volume["configMap"]["name"] == config["metadata"]["name"]
            (item,) = volume["configMap"]["items"]
            assert item["key"] in config["data"]
            assert item["path"] == mount["subPath"]
    assert not volumes


def test_it_fits_the_image() -> None:
    recipe, entrypoint = IMAGE.read_text(), ENTRYPOINT.read_text()
    assert f"USER {pod()['securityContext']['runAsUser']}:{pod()['securityContext']['runAsGroup']}\n" in recipe
    assert f"EXPOSE {container()['ports'][0]['containerPort']}\n" in recipe
    mounts = {mount["mountPath"] for mount in container()["volumeMounts"]}
    assert " /etc/http01-relay/http01-relay.toml\n" in recipe
    writable = re.search(r"for directory in (.*); do", entrypoint)
    assert writable
    assert mounts == {"/etc/http01-relay/http01-relay.toml", "/tmp"}
    assert "/tmp" in writable[1].split()
    # What the entrypoint makes nothing of, lighttpd hands on to the relay.
    lighttpd = (ENTRYPOINT.parent / "lighttpd.conf").read_text()
    for variable in container()["env"]:
        assert f"${{{variable['name']}:-" in entrypoint or f'"{variable["name"]}"' in lighttpd


def test_the_relay_takes_its_configuration(workspace: Workspace) -> None:
    config = workspace.write("http01-relay.toml", documents()["ConfigMap"]["data"]["http01-relay.toml"])
    checked = run("config", "-c", config, environment={"PORT": documents()["ConfigMap"]["data"]["PORT"]} | variables())
    assert (checked.returncode, said_of(checked)) == (0, ["environment: METRICS_FROM overrides the file"])
    assert "prod5.relay.example.net" in checked.stdout
    # The container itself, and the pods' network, in which Prometheus is.
    assert 'metrics_from = ["127.0.0.0/8", "::1", "10.0.0.0/8"]' in checked.stdout


# ---- what the cluster asks, of the container's own lighttpd and relay

# The one from which an address in X-Forwarded-For counts: the kernel here gives nobody an address of a pod.
NODE = "127.0.0.9"


def answer_to(port: int, path: str, host: str, client: str) -> int:
    forwarded = {"X-Forwarded-For": client}
    return http_client.request(port, path, host=host, headers=forwarded, source=NODE).status


def test_a_resolver_that_is_down_takes_no_pod_away(workspace: Workspace) -> None:
    with Injector(lambda query, tcp: Behaviour(drop=True)) as dns:
        port = start_in_its_place(
            workspace, dns.server, {"dns": {"timeout_ms": 100, "deadline_ms": 300}}, TRUSTED_PROXY=NODE, **variables()
        )
        # Nodes probe from addresses that METRICS_FROM need not have.
        for probe in PROBES:
            request = container()[probe]["httpGet"]
            (header,) = request["httpHeaders"]
            assert answer_to(port, request["path"], header["value"], "198.51.100.1") == 200
        assert answer_to(port, "/ready", "localhost", "10.244.0.1") == 503


def test_prometheus_gets_what_it_scrapes_by_the_annotations(workspace: Workspace) -> None:
    with Injector() as dns:
        port = start_in_its_place(workspace, dns.server, TRUSTED_PROXY=NODE, **variables())
        assert annotations()["prometheus.io/scrape"] == "true"
        path, pod_port = annotations()["prometheus.io/path"], annotations()["prometheus.io/port"]
        for address in (f"10.244.1.9:{pod_port}", f"[fd00:10:244::9]:{pod_port}"):
            assert answer_to(port, path, address, "10.244.2.7") == 200
            assert answer_to(port, path, address, "203.0.113.7") == 403
            # What the comment says of a cluster with other addresses.
            assert answer_to(port, path, address, "192.168.2.7") == 403
