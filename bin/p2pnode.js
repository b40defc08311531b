#!/usr/bin/env node
// Parses on any Node, so that an old one gets a sentence in place of a stack trace. Nothing newer than ES5 may stand
// above the version check.
/* eslint-disable no-var */
var current = process.versions.node.split('.').map(Number)
var tooOld = current[0] < 22 || (current[0] === 22 && current[1] < 19)

if (tooOld) {
  process.stderr.write(
    'p2pnode needs Node.js 22.19 or newer; this is ' +
      process.versions.node +
      ' (' +
      process.execPath +
      ').\nIn a checkout, `npm start` and `npx p2pnode` bring their own; elsewhere install a newer Node.js.\n',
  )
  process.exit(2)
} else {
  void import('./run.js')
}
