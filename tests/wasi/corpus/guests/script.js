// For QuickJS: the language, and the modules `std` and `os`, below the folder /data.
import * as std from 'qjs:std';
import * as os from 'qjs:os';

print(scriptArgs.slice(1).join());
print(std.getenv('NAME'), std.getenv('NONE'));
class Matrix {
  #rows;
  constructor(rows) { this.#rows = rows; }
  times(other) {
    return new Matrix(this.#rows.map(row => other.#rows[0].map((_, c) =>
      row.reduce((sum, value, k) => sum + value * other.#rows[k][c], 0))));
  }
  toString() { return JSON.stringify(this.#rows); }
}
let power = new Matrix([[1, 1], [1, 0]]);
for (let n = 0; n < 5; n++) power = power.times(power);
print(power);
print(2n ** 200n, 0.1 + 0.2, (1234.5678).toFixed(2), [3, 1, 2].toSorted());
print('aé🦀'.length, [...'aé🦀'].length, '2026-01-31'.replace(/(\d+)-(\d+)/u, '$2/$1'));
const map = new Map(Array.from({ length: 10000 }, (_, n) => [`key${n}`, n]));
print(map.size, map.get('key777'));
try { null.x; } catch (error) { print(error.name, error.message); }

const file = std.open('/data/data.txt', 'w');
for (let n = 0; n < 1000; n++) file.puts(`${n}\n`);
file.close();
print(std.loadFile('/data/data.txt').length);
print(os.rename('/data/data.txt', '/data/kept.txt'), os.mkdir('/data/folder', 0o755));
const [names, error] = os.readdir('/data');
print(names.filter(name => name[0] !== '.').sort(), error);
const [status] = os.stat('/data/kept.txt');
print(status.size, (status.mode & os.S_IFMT) === os.S_IFREG);
print(os.stat('/data/none')[1] !== 0, std.open('/data/none/x', 'w'));
print(std.in.getline(), std.in.getline(), std.in.getline());

const before = os.now();
await new Promise(done => os.setTimeout(done, 20));
print('waited', os.now() - before >= 20000);
print(Date.now() > Date.UTC(2020));
std.err.puts('to standard error\n');
std.exit(Number(scriptArgs[1]));
