"""How a service's routes come about: late, when each of them is first asked for."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import compile_path, get_name

from aidmesh_chassis.middleware import extend_time

BULK_BODY_BYTES_MAX: Final = 64 * 1024 * 1024
BULK_REQUEST_MS_MAX: Final = 600_000


class LateRoute(APIRoute):
    """A route that knows its path at once, and all else as soon as anybody wants to know it.

    What it takes and answers is read off a function's annotations, and schemas are made of that.
    For the 400 routes of a region that is two fifths of the processor's time of a start, and most
    of them are not asked for on most days. One that cannot be completed says why whenever it is
    asked for; a test completes every route of every service.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path = path
        self.endpoint = endpoint
        self.name = options.get("name") or get_name(endpoint)
        self.methods = {method.upper() for method in options.get("methods") or ("GET",)}
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self._options: dict[str, Any] | None = options

    def __getattr__(self, name: str) -> object:
        """Python asks here for what is not there: it is, once the route is complete."""
        options = self.__dict__.pop("_options", None)
        if options is None:
            raise AttributeError(name, name=name, obj=self)
        try:
            super().__init__(self.path, self.endpoint, **options)
        except BaseException:
            self._options = options  # whoever asks next is to hear the reason too
            raise
        return getattr(self, name)


class BulkRoute(LateRoute):
    """Routes that take many rows at once: `Routes(route_class=BulkRoute)`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["max_body_size"] = options.get("max_body_size") or BULK_BODY_BYTES_MAX
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def handle_bulk(request: Request) -> Response:
            extend_time(request, BULK_REQUEST_MS_MAX)
            return await handle(request)

        return handle_bulk
