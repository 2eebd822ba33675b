"""deploy/: what the compose file, the Kubernetes manifests and the systemd unit promise."""

from __future__ import annotations

import configparser
from typing import Any

import pytest
import yaml

from proxy.config.values import Listen
from tests.deploy.image import FILE, read

DEPLOY = FILE.parent
HEALTHCHECK = next(i for i in read(FILE.read_text()) if i.word == "HEALTHCHECK").listed()


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


COMPOSE = documents("compose.yaml")[0]
SIDECAR = documents("kubernetes/sidecar.yaml")[0]["spec"]["template"]["spec"]
SERVICE = documents("kubernetes/service.yaml")[0]["spec"]["template"]["spec"]
UNIT = configparser.RawConfigParser(strict=False)
UNIT.read(DEPLOY / "wayline.service")


@pytest.mark.parametrize("service", ["wayline", "app"])
def test_compose_gives_no_container_a_right_that_it_does_not_need(service: str) -> None:
    locked = COMPOSE["services"][service]
    assert locked["read_only"] is True
    assert locked["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in locked["security_opt"]


def test_in_compose_the_app_shares_waylines_network_and_no_port_is_open_to_anyone_else() -> None:
    assert COMPOSE["services"]["app"]["network_mode"] == "service:wayline"
    assert not any("ports" in service for service in COMPOSE["services"].values())


def test_in_compose_the_app_waits_until_wayline_is_healthy() -> None:
    assert COMPOSE["services"]["app"]["depends_on"]["wayline"] == {"condition": "service_healthy"}


def test_in_compose_the_ledger_outlives_the_container() -> None:
    assert "ledger:/data" in COMPOSE["services"]["wayline"]["volumes"]
    assert "ledger" in COMPOSE["volumes"]


def test_every_file_that_compose_mounts_is_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).is_file()


def test_everywhere_there_is_more_time_to_stop_than_open_streams_get() -> None:
    grace = Listen().drain
    assert float(COMPOSE["services"]["wayline"]["stop_grace_period"].removesuffix("s")) > grace
    assert SIDECAR["terminationGracePeriodSeconds"] > grace
    pause = SERVICE["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert SERVICE["terminationGracePeriodSeconds"] > grace + pause
    assert float(UNIT["Service"]["TimeoutStopSec"]) > grace


@pytest.mark.parametrize("pod", [SIDECAR, SERVICE], ids=["sidecar", "service"])
def test_no_pod_runs_as_root_or_may_become_it_or_write_to_its_image(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["automountServiceAccountToken"] is False
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        locked = container["securityContext"]
        assert locked["allowPrivilegeEscalation"] is False
        assert locked["readOnlyRootFilesystem"] is True
        assert locked["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("pod", [SIDECAR, SERVICE], ids=["sidecar", "service"])
def test_wayline_has_a_place_to_write_wherever_it_writes(pod: dict[str, Any]) -> None:
    container = next(c for c in [*pod.get("initContainers", []), *pod["containers"]] if c["name"] == "wayline")
    assert {"/data", "/tmp"} <= {mount["mountPath"] for mount in container["volumeMounts"]}


def test_the_sidecar_starts_before_the_app_and_is_probed_from_inside_as_it_listens_on_loopback() -> None:
    (wayline,) = SIDECAR["initContainers"]
    assert wayline["restartPolicy"] == "Always"
    assert wayline["startupProbe"]["exec"]["command"] == HEALTHCHECK
    assert wayline["livenessProbe"]["exec"]["command"] == HEALTHCHECK
    assert "ports" not in wayline


def test_the_service_is_restarted_for_its_own_health_only_and_left_out_of_traffic_when_nothing_can_serve() -> None:
    (wayline,) = SERVICE["containers"]
    assert wayline["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert wayline["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert wayline["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_service_sends_to_the_pods_that_are_there() -> None:
    workload, service, budget = documents("kubernetes/service.yaml")
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels == budget["spec"]["selector"]["matchLabels"]
    assert workload["spec"]["selector"]["matchLabels"] == labels
    names = {port["name"] for port in SERVICE["containers"][0]["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


def test_the_unit_runs_as_a_user_of_its_own_without_capabilities_on_a_read_only_system() -> None:
    service = UNIT["Service"]
    assert service["DynamicUser"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "wayline"


def test_the_unit_checks_the_configuration_before_it_serves_it_and_reloads_by_sighup() -> None:
    service = UNIT["Service"]
    assert service["ExecStartPre"].split()[1] == "check"
    assert service["ExecStart"].split()[1:] == ["serve", "--config", service["ExecStartPre"].split()[2]]
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_no_manifest_holds_a_key() -> None:
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file():
            text = path.read_text()
            assert "sk-" not in text.replace("task-", ""), path
            assert "Bearer ey" not in text, path


def test_every_image_is_named_with_a_version_but_the_one_that_is_built_here() -> None:
    images = [service["image"] for service in COMPOSE["services"].values()]
    images += [c["image"] for pod in (SIDECAR, SERVICE) for c in [*pod.get("initContainers", []), *pod["containers"]]]
    assert all(":" in image and not image.endswith(":latest") for image in images if image != "wayline")


def test_the_base_image_is_the_same_everywhere() -> None:
    base = next(i for i in read(FILE.read_text()) if i.word == "ARG").value.split("=")[1]
    assert COMPOSE["services"]["app"]["image"] == f"python:{base}"
