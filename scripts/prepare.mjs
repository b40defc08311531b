// `prepare` runs after `npm ci` in a checkout, before `npm pack`, and again at the first `npx p2pnode`. It must be
// quiet, must do nothing where `dist` is newer than every source, and must not fail where the tools are missing
// (`npm ci --omit=dev`): such a checkout runs what was built before, or is told to build by bin/p2pnode.js.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

function newestChangeMs(path) {
  const entry = statSync(path)
  if (!entry.isDirectory()) return entry.mtimeMs
  return Math.max(0, ...readdirSync(path).map((name) => newestChangeMs(join(path, name))))
}

function isFresh() {
  const stamp = join(root, 'dist', 'built.json')
  if (!existsSync(stamp)) return false
  const sources = ['src', 'config', 'protocols', 'package-lock.json', 'package.json', 'scripts/build.ts'].map(
    (name) => join(root, name),
  )
  return sources.every((path) => !existsSync(path) || newestChangeMs(path) <= statSync(stamp).mtimeMs)
}

function hasTools() {
  try {
    createRequire(import.meta.url).resolve('rolldown')
    return true
  } catch {
    return false
  }
}

// npm puts node_modules/.bin first on PATH for its scripts, so `node` here is the pinned one even where the machine's
// own is too old to read TypeScript.
if (existsSync(join(root, 'src')) && !isFresh() && hasTools()) {
  const built = spawnSync('node', [join(root, 'scripts', 'build.ts'), '--quiet'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  process.exitCode = built.status ?? 1
}
