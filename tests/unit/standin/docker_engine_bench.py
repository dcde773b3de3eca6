"""A small Docker Engine on a unix socket: API v1.43, with containers that only remember.

Shapes: docs.docker.com/reference/api/engine/version/v1.43. It checks what it is asked as an engine
does (unknown image, name taken, state), so that a wrong order of calls is answered as there.
"""

import asyncio
import base64
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

DIGEST = "sha256:6f2b4d"


@dataclass(slots=True, kw_only=True)
class EngineContainer:
    name: str
    body: dict[str, Any]
    state: str = "created"
    exit_code: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    log: list[tuple[int, str]] = field(default_factory=list)


class FakeEngine:
    """Answers as an engine whose registry has the images of *registry*."""

    def __init__(self, registry: set[str], *, api: str = "1.43", oldest: str = "1.24") -> None:
        self.registry = registry
        self.images: set[str] = set()
        self.containers: dict[str, EngineContainer] = {}
        self.networks = {"bridge", "host", "none"}
        self.requests: list[str] = []
        self.logins: list[dict[str, Any]] = []
        self.pull_error: str | None = None
        self.tty = False
        self._about = {
            "Version": "24.0.7",
            "ApiVersion": api,
            "MinAPIVersion": oldest,
            "Os": "linux",
            "Arch": "amd64",
        }
        self._runner: web.AppRunner | None = None

    async def start(self, socket: Path) -> None:
        app = web.Application()
        app.router.add_get("/version", self._version)
        v = f"/v{self._about['ApiVersion']}"
        app.router.add_post(v + "/images/create", self._pull)
        app.router.add_get(v + "/images/{image:.+}/json", self._image)
        app.router.add_post(v + "/containers/create", self._create)
        app.router.add_get(v + "/containers/{name}/json", self._inspect)
        app.router.add_post(v + "/containers/{name}/start", self._start)
        app.router.add_post(v + "/containers/{name}/wait", self._wait)
        app.router.add_post(v + "/containers/{name}/stop", self._stop)
        app.router.add_post(v + "/containers/{name}/kill", self._kill)
        app.router.add_get(v + "/containers/{name}/logs", self._logs)
        app.router.add_delete(v + "/containers/{name}", self._remove)
        app.router.add_get(v + "/networks/{name}", self._network)
        app.router.add_post(v + "/networks/create", self._create_network)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(socket)).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response(self._about)

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        if auth := request.headers.get("X-Registry-Auth"):
            self.logins.append(json.loads(base64.urlsafe_b64decode(auth)))
        name = request.query["fromImage"]
        tag = request.query.get("tag")
        image = f"{name}:{tag}" if tag else name
        self.requests.append(f"pull {image}")
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        await answer.write(b'{"status":"Pulling from team/a","id":"1"}\r\n{"status":"Down')
        await answer.write(b'loading","progressDetail":{"current":1,"total":2},"id":"2"}\r\n')
        error = self.pull_error or (None if image in self.registry else "manifest unknown")
        if error is None:
            self.images.add(image)
            await answer.write(b'{"status":"Status: Downloaded newer image"}\r\n')
        else:
            detail = {"errorDetail": {"message": error}, "error": error}
            await answer.write(json.dumps(detail).encode() + b"\r\n")
        await answer.write_eof()
        return answer

    async def _image(self, request: web.Request) -> web.Response:
        image = request.match_info["image"]
        if image not in self.images:
            return refusal(404, f"No such image: {image}")
        return web.json_response({"Id": DIGEST})

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = request.query["name"]
        self.requests.append(f"create {name}")
        if body["Image"] not in self.images:
            return refusal(404, f"No such image: {body['Image']}")
        if name in self.containers:
            return refusal(409, f'Conflict. The container name "/{name}" is already in use')
        if body.get("HostConfig", {}).get("Memory") == "much":
            return refusal(400, "json: cannot unmarshal string into Go struct field")
        self.containers[name] = EngineContainer(name=name, body=body)
        return web.json_response({"Id": name, "Warnings": []}, status=201)

    async def _inspect(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return self._nobody(request)
        running = found.state == "running"
        return web.json_response(
            {
                "Id": found.name,
                "Name": f"/{found.name}",
                "Image": DIGEST,
                "Config": {"Labels": found.body.get("Labels") or {}},
                "State": {
                    "Status": found.state,
                    "Running": running,
                    "Pid": 4711 if running else 0,
                    "ExitCode": found.exit_code,
                },
            }
        )

    async def _start(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return self._nobody(request)
        if found.state == "running":
            return web.Response(status=304)
        found.state = "running"
        found.ended.clear()
        return web.Response(status=204)

    async def _wait(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return self._nobody(request)
        assert request.query["condition"] == "not-running"
        if found.state == "running":
            await found.ended.wait()
        return web.json_response({"StatusCode": found.exit_code})

    async def _stop(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return self._nobody(request)
        self.requests.append(f"stop {found.name} {request.query['t']}")
        if found.state != "running":
            return web.Response(status=304)
        self.end(found.name, 143)
        return web.Response(status=204)

    async def _kill(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return self._nobody(request)
        if found.state != "running":
            return refusal(409, f"Container {found.name} is not running")
        self.end(found.name, 137)
        return web.Response(status=204)

    async def _remove(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return self._nobody(request)
        self.requests.append(f"remove {found.name}")
        del self.containers[found.name]
        return web.Response(status=204)

    async def _logs(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return self._nobody(request)
        assert request.query["timestamps"] == "1"
        if self.tty:
            text = "".join(line for _, line in found.log).encode()
            kind = "application/vnd.docker.raw-stream"
            return web.Response(body=text, headers={"Content-Type": kind})
        frames = b"".join(
            struct.pack(">BxxxL", stream, len(line.encode())) + line.encode()
            for stream, line in found.log
        )
        kind = "application/vnd.docker.multiplexed-stream"
        return web.Response(body=frames, headers={"Content-Type": kind})

    async def _network(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.networks:
            return refusal(404, f"network {name} not found")
        return web.json_response({"Name": name})

    async def _create_network(self, request: web.Request) -> web.Response:
        self.networks.add((await request.json())["Name"])
        return web.json_response({"Id": "n", "Warning": ""}, status=201)

    def end(self, name: str, exit_code: int) -> None:
        found = self.containers[name]
        found.state = "exited"
        found.exit_code = exit_code
        found.ended.set()

    def _find(self, request: web.Request) -> EngineContainer | None:
        return self.containers.get(request.match_info["name"])

    def _nobody(self, request: web.Request) -> web.Response:
        return refusal(404, f"No such container: {request.match_info['name']}")


def refusal(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
