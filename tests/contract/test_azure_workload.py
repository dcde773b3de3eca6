"""The workload API over its unix socket: versions, calls, refusals, and the unmodified SDK."""

import asyncio
import base64
import hmac
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.iot.device.iothub.edge_hsm import IoTEdgeHsm
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taktgate.standin.azure.certificates import CertificateAuthority, create_authority
from taktgate.standin.azure.edgeagent.workload import (
    API_VERSIONS,
    WorkloadApi,
    WorkloadSettings,
)

KEY = b"module key"
SIGN = "/modules/probe/genid/1/sign"
ENCRYPT, DECRYPT = "/modules/probe/genid/1/encrypt", "/modules/probe/genid/1/decrypt"
SERVER = "/modules/probe/genid/1/certificate/server"
IDENTITY = "/modules/probe/certificate/identity"
EDGELET = "Azure/iotedge edgelet/edgelet-http-workload/src/module/"
HTTP = "Azure/iot-identity-service http-common/src/server.rs"

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return create_authority(tmp_path_factory.mktemp("ca"))


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def serve(
    tmp_path: Path, job: Callable[[Ask], Awaitable[None]], authority: CertificateAuthority | None
) -> None:
    async def main() -> None:
        socket = tmp_path / "probe"
        api = WorkloadApi(workload_settings(socket, authority))
        await api.start()
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session:

            async def ask(
                method: str, path: str, body: Any = None, **options: Any
            ) -> tuple[int, Any]:
                query = options.pop("query", "?api-version=2019-01-30")
                text = json.dumps(body) if isinstance(body, dict | list) else body
                data = None if text is None else io.BytesIO(text.encode())
                async with session.request(
                    method,
                    f"http://x{path}{query}",
                    data=data,
                    skip_auto_headers=["Content-Type"],
                    **options,
                ) as answer:
                    return answer.status, await answer.json()

            try:
                await job(ask)
            finally:
                await api.stop()
        assert not socket.exists()

    asyncio.run(main())


def workload_settings(socket: Path, authority: CertificateAuthority | None) -> WorkloadSettings:
    return WorkloadSettings(
        socket_path=socket,
        module="probe",
        uri="azureiot://hub/devices/d/modules/probe",
        key=KEY,
        trust_bundle=lambda: "PEM",
        issuer=authority,
    )


@pytest.mark.azure(
    "workload API",
    "sign answers the HMAC-SHA256 of the data under the module's key",
    source=EDGELET + "data/sign.rs",
)
def test_sign_is_the_hmac_under_the_modules_key(tmp_path: Path) -> None:
    async def job(ask: Ask) -> None:
        body = {"keyId": "primary", "algo": "HMACSHA256", "data": b64(b"\xff\x00")}
        status, answer = await ask("POST", SIGN, body)
        assert (status, answer) == (200, {"digest": b64(hmac.digest(KEY, b"\xff\x00", "sha256"))})
        again, _ = await ask("POST", SIGN, body, headers={"Content-Type": "application/json"})
        assert again == 200

    serve(tmp_path, job, None)


@pytest.mark.azure(
    "workload API",
    "trust-bundle answers the CA certificates",
    source="Azure/iotedge edgelet/edgelet-http-workload/src/trust_bundle.rs",
)
def test_trust_bundles(tmp_path: Path) -> None:
    async def job(ask: Ask) -> None:
        assert await ask("GET", "/trust-bundle") == (200, {"certificate": "PEM"})
        assert await ask("GET", "/manifest-trust-bundle") == (200, {"certificate": ""})

    serve(tmp_path, job, None)


@pytest.mark.azure(
    "workload API",
    "A missing or unknown api-version gets 400 and a message, a known one is served",
    source=HTTP,
)
def test_api_version_is_checked(tmp_path: Path) -> None:
    async def job(ask: Ask) -> None:
        missing = await ask("GET", "/trust-bundle", query="")
        assert missing == (400, {"message": "api-version not specified"})
        unknown = await ask("GET", "/trust-bundle", query="?api-version=2018-06-27")
        assert unknown == (400, {"message": 'invalid api-version "2018-06-27"'})
        for version in API_VERSIONS:
            status, _ = await ask("GET", "/trust-bundle", query=f"?api-version={version}")
            assert status == 200

    serve(tmp_path, job, None)


@pytest.mark.azure(
    "workload API",
    "A module's socket refuses another module's name with 403",
    source="Azure/iotedge edgelet/edgelet-http/src/auth.rs",
)
@pytest.mark.parametrize(
    "path",
    [
        "/modules/other/genid/1/sign",
        "/modules/other/certificate/identity",
        "/modules/o%20p/genid/1/sign",
    ],
)
def test_another_modules_name_is_refused(tmp_path: Path, path: str) -> None:
    async def job(ask: Ask) -> None:
        assert await ask("POST", path, {"data": ""}) == (403, {"message": "forbidden"})

    serve(tmp_path, job, None)


@pytest.mark.azure(
    "workload API",
    "Errors are {message}: 400 without a body, 422 for a body of another shape, 404 for no call",
    source=HTTP,
)
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", SIGN, None, 400, "missing request body"),
        ("POST", SIGN, "{", 422, "body is not JSON"),
        ("POST", SIGN, {}, 422, "field data; rule: a text"),
        ("POST", SIGN, [], 422, "field data; rule: a text"),
        ("POST", SIGN, {"data": 7}, 422, "field data; rule: a text"),
        ("POST", SIGN, {"data": "~"}, 400, "field data is not base64"),
        ("POST", SIGN, "x" * 2_000_000, 400, "too large"),
        ("GET", SIGN, None, 400, "method not allowed"),
        ("DELETE", "/trust-bundle", None, 400, "method not allowed"),
        ("GET", "/modules", None, 404, "not found"),
        ("GET", "/trust-bundle/", None, 404, "not found"),
        ("POST", ENCRYPT, {"plaintext": ""}, 422, "initializationVector"),
        ("POST", DECRYPT, {"ciphertext": "AA==", "initializationVector": ""}, 400, "ciphertext"),
        ("POST", SERVER, {"commonName": "x" * 80}, 500, "failed to create cert"),
        ("POST", SERVER, {"commonName": ""}, 500, "failed to create cert"),
        ("POST", SERVER, {}, 422, "field commonName"),
    ],
)
def test_bad_request_gets_a_message(
    tmp_path: Path,
    authority: CertificateAuthority,
    method: str,
    path: str,
    body: Any,
    status: int,
    message: str,
) -> None:
    async def job(ask: Ask) -> None:
        headers = {"Content-Type": "application/json"}
        found, answer = await ask(method, path, body, headers=headers)
        assert (found, message in answer["message"]) == (status, True), answer

    serve(tmp_path, job, authority)


def test_body_of_another_type_counts_as_none(tmp_path: Path) -> None:
    async def job(ask: Ask) -> None:
        headers = {"Content-Type": "text/plain"}
        status, answer = await ask("POST", SIGN, {"data": ""}, headers=headers)
        assert (status, answer["message"]) == (400, "missing request body")

    serve(tmp_path, job, None)


@pytest.mark.azure(
    "workload API",
    "What a module encrypts it decrypts again, also after a restart; another generation does not",
    source=EDGELET + "data/encrypt.rs",
)
def test_what_is_encrypted_can_be_decrypted(tmp_path: Path) -> None:
    vector = b64(b"any length")
    kept = {}

    async def first(ask: Ask) -> None:
        body = {"plaintext": b64(b"secret"), "initializationVector": vector}
        status, answer = await ask("POST", ENCRYPT, body)
        kept.update(answer)
        assert status == 200
        assert b"secret" not in base64.b64decode(answer["ciphertext"])

    async def second(ask: Ask) -> None:
        body = {**kept, "initializationVector": vector}
        assert await ask("POST", DECRYPT, body) == (200, {"plaintext": b64(b"secret")})
        status, _ = await ask("POST", "/modules/probe/genid/2/decrypt", body)
        assert status == 400

    serve(tmp_path, first, None)
    serve(tmp_path, second, None)


@pytest.mark.azure(
    "workload API",
    "certificate/server and certificate/identity answer 201 with key, certificate and expiration",
    source=EDGELET + "cert/mod.rs",
)
def test_certificates_are_issued(tmp_path: Path, authority: CertificateAuthority) -> None:
    async def job(ask: Ask) -> None:
        status, server = await ask("POST", SERVER, {"commonName": "127.0.0.2"})
        assert status == 201
        certificate = x509.load_pem_x509_certificate(server["certificate"].encode())
        certificate.verify_directly_issued_by(authority.certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.2"]
        assert names.get_values_for_type(x509.DNSName) == ["probe"]
        key = serialization.load_pem_private_key(server["privateKey"]["bytes"].encode(), None)
        assert key.public_key() == certificate.public_key()
        assert server["expiration"] == certificate.not_valid_after_utc.isoformat()
        status, identity = await ask("POST", IDENTITY)
        assert status == 201
        own = x509.load_pem_x509_certificate(identity["certificate"].encode())
        use = own.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
        assert use == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])

    serve(tmp_path, job, authority)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    path=st.sampled_from((SIGN, ENCRYPT, DECRYPT, SERVER)),
    body=st.dictionaries(
        st.sampled_from(("data", "plaintext", "ciphertext", "initializationVector", "commonName")),
        st.none() | st.integers() | st.text(max_size=20),
    ),
)
def test_any_body_gets_an_answer(
    tmp_path: Path, authority: CertificateAuthority, path: str, body: dict[str, Any]
) -> None:
    async def job(ask: Ask) -> None:
        status, answer = await ask("POST", path, body)
        assert status in (200, 201) or answer["message"]

    serve(tmp_path, job, authority)


def test_unmodified_sdk_signs_and_reads_the_bundle(tmp_path: Path) -> None:
    socket = tmp_path / "probe"

    def use_sdk() -> tuple[str, str]:
        hsm: Any = IoTEdgeHsm(  # type: ignore[no-untyped-call]
            module_id="probe",
            generation_id="1",
            workload_uri=f"unix://{socket}",
            api_version="2019-01-30",
        )
        return hsm.get_certificate(), hsm.sign("text")

    async def main() -> tuple[str, str]:
        api = WorkloadApi(workload_settings(socket, None))
        await api.start()
        try:
            return await asyncio.to_thread(use_sdk)
        finally:
            await api.stop()

    bundle, digest = asyncio.run(main())
    assert bundle == "PEM"
    assert b64(hmac.digest(KEY, b"text", "sha256")) in (digest, digest.replace("%3D", "="))
