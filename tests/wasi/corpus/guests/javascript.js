// Arguments, environment, clocks, random bytes, and files below the folder `/data`. With the
// argument `fail`, the exit code is 1, and with `exit` it is 1, too, by another function.
import { getArguments, getEnvironment } from 'wasi:cli/environment@0.2.12';
import { exit } from 'wasi:cli/exit@0.2.12';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.12';

function files() {
  const [work, name] = getDirectories()[0];
  console.log('folder', name);
  work.createDirectoryAt('made');
  const access = { read: true, write: true };
  const file = work.openAt({ symlinkFollow: true }, 'made/file', { create: true }, access);
  const bytes = new TextEncoder().encode('text of JavaScript');
  console.log('written', Number(file.write(bytes, 0n)));
  const [read, isEnd] = file.read(100n, 8n);
  console.log('read', new TextDecoder().decode(read), isEnd);
  const { type, size } = file.stat();
  console.log(type.tag ?? type, Number(size));
  try {
    work.openAt({ symlinkFollow: true }, '../outside', {}, { read: true });
  } catch (error) {
    console.log('error', error.payload ?? error.message ?? error);
  }
  const names = [];
  const entries = work.readDirectory();
  for (let entry; (entry = entries.readDirectoryEntry()); ) names.push(entry.name);
  console.log(names.sort().join(' '));
}

export const run = {
  run() {
    const args = getArguments().slice(1);
    console.log(JSON.stringify(args), JSON.stringify(getEnvironment()));
    if (args[0] === 'fail') throw undefined;
    if (args[0] === 'exit') exit({ tag: 'err' });
    const before = performance.now();
    console.log('after 2020', Date.now() > Date.UTC(2020));
    console.log('random differs', Math.random() !== Math.random());
    const sorted = Array.from({ length: 1000 }, (_, n) => (n * 7919) % 1009).sort((a, b) => a - b);
    console.log(sorted[0], sorted[500], sorted[999], [...'a1b22c333'.matchAll(/\d+/g)].join());
    console.log('monotonic', performance.now() >= before);
    files();
    console.error('to standard error');
  },
};
