"""Says hello, and to a POST how long its body was."""

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.types import (
    Fields, IncomingRequest, Method_Post, OutgoingBody, OutgoingResponse, ResponseOutparam,
)
from wit_world.imports.streams import StreamError_Closed


def length(request: IncomingRequest) -> int:
    """Reads the body of a request, and returns its number of bytes."""
    body = request.consume()
    total = 0
    with body.stream() as stream:
        while True:
            try:
                total += len(stream.blocking_read(65_536))
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return total
                raise


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        is_post = isinstance(request.method(), Method_Post)
        text = f"{length(request)} bytes\n" if is_post else "hello\n"
        response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain")]))
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        with body.write() as stream:
            stream.blocking_write_and_flush(text.encode())
        OutgoingBody.finish(body, None)
