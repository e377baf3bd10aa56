// The guest of the SpiderMonkey example and of the benchmarks: see greet.wit for its world.

export function greet(name) {
  return `Hello, ${name}!`;
}

// Computes the nth Fibonacci number modulo 2^32 by n additions in a loop. Both terms stay numbers,
// wrapped to 32 bits after each step, so that the time is that of the interpreter's own arithmetic
// and not of BigInt allocation; the u64 result wants a BigInt, made once at the end.
export function fib(n) {
  let current = 0;
  let next = 1;
  for (let step = 0; step < n; step++) {
    const sum = (current + next) >>> 0;
    current = next;
    next = sum;
  }
  return BigInt(current);
}

// The functions below are workloads of the benchmarks. Each does the same work `n` times and answers a checksum.

// Writes a list of records as JSON and reads it back.
export function json(n) {
  const records = Array.from({ length: 40 }, (_, id) => ({
    id,
    name: `record ${id}`,
    tags: ['red', 'green', 'blue'].slice(id % 3),
    place: { x: id * 1.5, y: -id / 4, visible: id % 2 === 0 },
    note: id % 5 === 0 ? null : 'a "quoted" word\n',
  }));
  let sum = 0;
  for (let turn = 0; turn < n; turn++) {
    records[turn % records.length].id += turn;
    const text = JSON.stringify(records);
    for (const record of JSON.parse(text)) {
      sum += record.id + record.tags.length + record.place.x;
    }
    sum += text.length;
  }
  return BigInt(Math.trunc(sum));
}

// Finds dates and addresses in a text, and rewrites the dates.
export function regex(n) {
  const line = 'On 2024-05-17 anna@example.org wrote to bob.smith@mail.example.com; due 2025-11-03, not 20250-1-1. ';
  const text = line.repeat(20);
  let sum = 0;
  for (let turn = 0; turn < n; turn++) {
    for (const match of text.matchAll(/([\w.]+)@((?:\w+\.)+(?:org|com))/g)) {
      sum += match[1].length + match[2].length;
    }
    const swapped = text.replace(/\b(\d{4})-(\d{2})-(\d{2})\b/g, '$3.$2.$1');
    sum += swapped.indexOf('03.11.2025') + swapped.length;
  }
  return BigInt(sum);
}

// Sorts numbers with a comparison of its own, and words without.
export function sort(n) {
  let sum = 0;
  for (let turn = 0; turn < n; turn++) {
    let state = turn + 1;
    const numbers = Array.from({ length: 300 }, () => (state = (Math.imul(state, 1664525) + 1013904223) | 0));
    const words = numbers.map((number) => (number >>> 8).toString(36));
    numbers.sort((a, b) => a - b);
    words.sort();
    sum += (numbers[0] >>> 16) + (numbers[299] >>> 16) + words[150].charCodeAt(1);
  }
  return BigInt(sum);
}
