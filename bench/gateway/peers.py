"""Other gateways, installed by their own package managers into a cache folder, to stand in front of the same upstream.

What can't be installed is reported, with the reason, and left out.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tollgate-bench"
MASTER_KEY = "sk-" + "bench" * 8


class NotInstalled(Exception):
    """The package can't be had here."""


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise NotInstalled((done.stderr or done.stdout).strip().splitlines()[-1][:200])


def python_with(*packages: str) -> str:
    """The Python of an environment that has the packages; made at the first call."""
    folder = CACHE / packages[0].partition("[")[0].partition("=")[0]
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", *packages)
        (folder / ".installed").touch()
    return str(python)


def litellm(upstream: str, port: int) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """LiteLLM's proxy, without a database (its keys and budgets need a downloaded engine)."""
    python = python_with("litellm[proxy]")
    config = CACHE / "litellm.yaml"
    config.write_text(
        json.dumps(
            {
                "model_list": [
                    {
                        "model_name": "bench",
                        "litellm_params": {
                            "model": "openai/bench",
                            "api_base": f"{upstream}/v1",
                            "api_key": "fake",
                        },
                    }
                ],
                "general_settings": {"master_key": MASTER_KEY},
            }
        )
    )
    command = [
        str(Path(python).with_name("litellm")),
        "--config",
        str(config),
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
    ]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    return command, environment, {"authorization": f"Bearer {MASTER_KEY}"}


def portkey(upstream: str, port: int) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """Portkey's gateway; on Node 20 its streams need these versions of what it stands on."""
    folder = CACHE / "portkey"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".installed").exists():
        (folder / "package.json").write_text(
            json.dumps(
                {
                    "private": True,
                    "dependencies": {"@portkey-ai/gateway": "*"},
                    "overrides": {"hono": "4.9.7", "@hono/node-server": "1.13.8"},
                }
            )
        )
        _run("npm", "install", "--no-audit", "--no-fund", cwd=folder)
        (folder / ".installed").touch()
    command = [
        "node",
        str(folder / "node_modules/@portkey-ai/gateway/build/start-server.js"),
        "--headless",
        f"--port={port}",
    ]
    headers = {
        "authorization": "Bearer fake",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"{upstream}/v1",
    }
    return command, {}, headers


# The port of a gateway that chooses its own.
PORT_FILE = CACHE / "port"


def tensorzero(upstream: str, port: int) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """TensorZero's gateway as its Python package embeds it, without a database; it chooses its port itself."""
    python = python_with("tensorzero")
    config = CACHE / "tensorzero.toml"
    config.write_text(
        "[gateway]\n"
        "observability.enabled = false\n"
        "[models.bench]\n"
        'routing = ["fake"]\n'
        "[models.bench.providers.fake]\n"
        'type = "openai"\n'
        'model_name = "bench"\n'
        f'api_base = "{upstream}/v1/"\n'
        'api_key_location = "env::FAKE_KEY"\n'
    )
    script = (
        "import pathlib, tensorzero, time\n"
        f"gateway = tensorzero._start_http_gateway(config_file={str(config)!r}, clickhouse_url=None, "
        "postgres_url=None, valkey_url=None, async_setup=False)\n"
        f"pathlib.Path({str(PORT_FILE)!r}).write_text(gateway.base_url.partition('//')[2].partition(':')[2].partition('/')[0])\n"
        "time.sleep(3600)\n"
    )
    return [python, "-c", script], {"FAKE_KEY": "fake"}, {"authorization": "Bearer fake"}
