"""REST: queries, configurations, and content applied to one device."""

from collections.abc import Callable

from aiohttp import web

from taktgate.standin.azure.errors import QuerySyntaxError
from taktgate.standin.azure.http_serving import json_object
from taktgate.standin.azure.iothub import bodies, query_language
from taktgate.standin.azure.iothub.bodies import ContentBody, QueryBody, TestQueriesBody
from taktgate.standin.azure.iothub.configurations import Configuration
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.iothub.policies import Right
from taktgate.standin.azure.iothub.requests import DEVICE, Route, count_of, json_answer


class ManagementCalls:
    """The handlers."""

    def __init__(self, hub: IotHub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        """Return the calls."""
        read, write = Right.REGISTRY_READ, Right.REGISTRY_WRITE
        one, reads, writes = "/configurations/{id}", "ConfigurationRead", "ConfigurationWrite"
        apply, test = DEVICE + "/applyConfigurationContent", "/configurations/testQueries"
        return [
            Route("POST", "/devices/query", Right.SERVICE_CONNECT, "Query", self._query),
            Route("POST", apply, write, writes, self._apply_content),
            Route("POST", test, read, reads, self._test_queries),
            Route("GET", "/configurations", read, reads, self._list),
            Route("PUT", one, write, writes, self._put),
            Route("GET", one, read, reads, self._get),
            Route("DELETE", one, write, writes, self._delete),
        ]

    async def _query(self, request: web.Request) -> web.Response:
        text = bodies.parse(QueryBody, await json_object(request)).query
        limit = count_of(request.headers.get("x-ms-max-item-count"), "x-ms-max-item-count")
        page = self._hub.queries.page(text, request.headers.get("x-ms-continuation") or None, limit)
        headers = {"x-ms-item-type": page.item_type}
        if page.continuation is not None:
            headers["x-ms-continuation"] = page.continuation
        return json_answer(page.rows, **headers)

    async def _apply_content(self, request: web.Request) -> web.Response:
        content = bodies.parse(ContentBody, await json_object(request))
        self._hub.apply_content(request.match_info["device"], content.modules_content)
        return web.Response(status=204)

    async def _test_queries(self, request: web.Request) -> web.Response:
        """Say what is wrong with a condition and queries; `*` is refused here, unlike in a PUT.

        Source: mwalser/terraform-provider-iothub CONCEPT.md, appendix D, "Configuration".
        """
        body = bodies.parse(TestQueriesBody, await json_object(request))
        target = body.target_condition or ""
        target_error = (
            "'*' at character 0; rule: a condition"
            if target.strip() == "*"
            else _error_of(query_language.parse_target_condition, target)
        )
        queries = body.custom_metric_queries or {}
        errors = {name: _error_of(query_language.parse_query, q) for name, q in queries.items()}
        return json_answer(
            {
                "targetConditionError": target_error,
                "customMetricQueryErrors": {name: e for name, e in errors.items() if e},
            }
        )

    async def _list(self, request: web.Request) -> web.Response:
        """Return all configurations; the hub ignores `top`, and so does this one."""
        run = self._hub.queries.runner()
        return json_answer([each.to_json(run) for each in self._hub.configurations.all()])

    async def _get(self, request: web.Request) -> web.Response:
        return self._answer(self._hub.configurations.get(request.match_info["id"]))

    async def _put(self, request: web.Request) -> web.Response:
        stored = self._hub.put_configuration(
            request.match_info["id"], await json_object(request), request.headers.get("If-Match")
        )
        return self._answer(stored)

    async def _delete(self, request: web.Request) -> web.Response:
        self._hub.delete_configuration(request.match_info["id"], request.headers.get("If-Match"))
        return web.Response(status=204)

    def _answer(self, configuration: Configuration) -> web.Response:
        document = configuration.to_json(self._hub.queries.runner())
        return json_answer(document, ETag=f'"{configuration.etag}"')


def _error_of(parse: Callable[[str], object], text: str) -> str | None:
    try:
        parse(text)
    except QuerySyntaxError as error:
        return str(error)
    return None
