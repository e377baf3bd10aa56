// Does the same as `hello.js`, by the functions of wasi:http. An instance can answer any number of
// requests: the event of `hello.js` can be answered once.
import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from 'wasi:http/types@0.2.10';

const bytes = text => new TextEncoder().encode(text);

// Reads a body to its end, and returns its length.
function length(request) {
  const stream = request.consume().stream();
  let sum = 0;
  for (;;) {
    try {
      sum += stream.blockingRead(65536n).byteLength;
    } catch {
      return sum;
    }
  }
}

export const incomingHandler = {
  handle(request, out) {
    const text = request.method().tag === 'post' ? `${length(request)} bytes\n` : 'hello\n';
    const fields = Fields.fromList([['content-type', bytes('text/plain')]]);
    const response = new OutgoingResponse(fields);
    const body = response.body();
    ResponseOutparam.set(out, { tag: 'ok', val: response });
    const stream = body.write();
    stream.blockingWriteAndFlush(bytes(text));
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
  },
};
