// Builds the guest component: node build.mjs OUTPUT
//
// Every WASI feature is disabled, so the component imports nothing and any host can instantiate it
// with an empty linker.

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { componentize } from '@bytecodealliance/componentize-js';

const output = process.argv[2];
if (output === undefined) {
  console.error('usage: node build.mjs OUTPUT');
  process.exit(2);
}

const beside = (name) => fileURLToPath(new URL(name, import.meta.url));

const { component } = await componentize({
  sourcePath: beside('greet.js'),
  witPath: beside('greet.wit'),
  worldName: 'greet',
  disableFeatures: ['stdio', 'random', 'clocks', 'http', 'fetch-event'],
});
await writeFile(output, component);
