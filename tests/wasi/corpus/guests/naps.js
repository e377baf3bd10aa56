// Promises that end in another order than they began. componentize-qjs cannot build a component
// that imports an `async` function, so a nap is a number of turns of the queue.

async function nap(turns) {
  for (let turn = 0; turn < turns; turn++) {
    await Promise.resolve();
  }
}

export async function naps(names) {
  const ended = [];
  await Promise.all(
    names.map(async (name, at) => {
      await nap(10 * (names.length - at));
      ended.push(name);
    }),
  );
  return ended;
}
