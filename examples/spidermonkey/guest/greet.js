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
