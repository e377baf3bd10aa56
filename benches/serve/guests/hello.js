// Says hello, and to a POST how long its body was.
addEventListener('fetch', event => event.respondWith(answer(event.request)));

async function answer(request) {
  let text = 'hello\n';
  if (request.method === 'POST') {
    const body = await request.arrayBuffer();
    text = `${body.byteLength} bytes\n`;
  }
  return new Response(text, { headers: { 'content-type': 'text/plain' } });
}
