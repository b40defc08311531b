/**
 * Makes `dist/`: what users start. Sources run unbuilt under Node 24 for development, but the bundle starts in a tenth
 * of the time and half the memory of the tree of packages (docs/decisions/0003).
 *
 * Native addons stay outside as real dependencies, and so does piscina, which looks for its own worker file; everything
 * else is bundled, with the licences of what was bundled in `dist/LICENSES.txt`. Worker files are entries of their own and
 * lie beside the chunks that start them, and so does the WebAssembly that they load.
 */
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { builtinModules, createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))
const quiet = process.argv.includes('--quiet')
const outputFolder = join(root, 'dist')
// Built beside and moved into place, so that a daemon that starts meanwhile never sees half a build.
const workFolder = join(root, `dist.new-${process.pid}`)

const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string
  dependencies: Record<string, string>
  optionalDependencies: Record<string, string>
}
/** By pattern with subpaths: a native package imported as `name/sub` must not be pulled in either. */
const externals = [
  // QUIC's own code is bundled and only its addons are outside: it would load half of libp2p again from the tree of packages.
  ...Object.keys({ ...packageJson.dependencies, ...packageJson.optionalDependencies }).map(
    (name) => new RegExp(`^${name}(/|$)`),
  ),
  /^node-datachannel(\/|$)/,
  /^@node-datachannel\//,
  /^node:/,
  ...builtinModules.map((name) => new RegExp(`^${name}$`)),
]

const workers = globSync('src/**/*.worker.ts', { cwd: root }).map((path) => join(root, path))
const input = Object.fromEntries([
  ['main', join(root, 'src', 'main.ts')],
  ...workers.map((path) => [basename(path, '.ts'), path] as const),
])

/** What packages look for beside themselves, where a bundle has none of it: each with what stands for it. */
const RELOCATED: readonly { file: string; find: string; put: (folder: string) => string }[] = [
  {
    file: '/@achingbrain/ssdp/dist/src/ssdp.js',
    find: "req('../../package.json')",
    put: (folder) => {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        name: string
        version: string
      }
      return JSON.stringify({ name, version })
    },
  },
]

const relocate = {
  name: 'relocate',
  transform(code: string, id: string): string | undefined {
    const relocated = RELOCATED.find(({ file }) => id.endsWith(file))
    if (relocated === undefined) return undefined
    if (!code.includes(relocated.find)) throw new Error(`${id} has no ${relocated.find} any more`)
    return code.replace(relocated.find, relocated.put(packageFolder(id) ?? ''))
  },
}

/** The package folder of a bundled module, or undefined for our own sources. */
function packageFolder(modulePath: string): string | undefined {
  const clean = modulePath.replace(/\0/g, '').split('?')[0] ?? ''
  const at = clean.lastIndexOf('/node_modules/')
  if (at < 0) return undefined
  const start = at + '/node_modules/'.length
  const rest = clean.slice(start).split('/')
  const name = rest[0]?.startsWith('@') ? `${rest[0]}/${rest[1]}` : (rest[0] ?? '')
  return clean.slice(0, start) + name
}

function licenceOf(folder: string): string {
  const meta = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    name?: string
    version?: string
    license?: unknown
  }
  const files = readdirSync(folder).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name))
  const texts = files.map((name) => readFileSync(join(folder, name), 'utf8').trim())
  const licence =
    typeof meta.license === 'string' ? meta.license : JSON.stringify(meta.license ?? 'see below')
  return [`${meta.name} ${meta.version} (${licence})`, ...texts].join('\n\n')
}

rmSync(workFolder, { recursive: true, force: true })
mkdirSync(workFolder, { recursive: true })
const folders = new Set<string>()
try {
  const bundle = await rolldown({
    input,
    cwd: root,
    platform: 'node',
    external: externals,
    plugins: [relocate],
    logLevel: 'silent',
    transform: { target: 'node22.19', define: { __P2PNODE_VERSION__: JSON.stringify(packageJson.version) } },
    treeshake: true,
  })
  const { output } = await bundle.write({
    dir: workFolder,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    sourcemap: true,
    // Without comments and in ASCII alone a daemon takes 8 MiB less: V8 keeps a source with one letter beyond Latin-1 in two
    // bytes a letter. Lines and names stay, for the traces of operators.
    comments: false,
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: false, asciiOnly: true } },
  })
  await bundle.close()
  for (const part of output) {
    if (part.type !== 'chunk') continue
    for (const id of part.moduleIds) {
      const folder = packageFolder(id)
      if (folder !== undefined && existsSync(join(folder, 'package.json'))) folders.add(folder)
    }
  }
  // The page of the API's documentation: two files as they are, read only when somebody opens it.
  const swaggerFolder = dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui'))
  mkdirSync(join(workFolder, 'swagger-ui'))
  for (const name of ['swagger-ui.css', 'swagger-ui-bundle.js']) {
    copyFileSync(join(swaggerFolder, 'static', name), join(workFolder, 'swagger-ui', name))
  }
  folders.add(swaggerFolder)
  // The erasure code's WebAssembly, loaded from beside the worker that runs it.
  const wasmPath = createRequire(import.meta.url).resolve(
    '@subspace/reed-solomon-erasure.wasm/dist/reed_solomon_erasure_bg.wasm',
  )
  copyFileSync(wasmPath, join(workFolder, basename(wasmPath)))
  folders.add(dirname(dirname(wasmPath)))
  const rule = `\n\n${'-'.repeat(80)}\n\n`
  writeFileSync(join(workFolder, 'LICENSES.txt'), [...folders].sort().map(licenceOf).join(rule))
  writeFileSync(
    join(workFolder, 'built.json'),
    `${JSON.stringify({ version: packageJson.version, builtAt: new Date().toISOString() })}\n`,
  )
  rmSync(outputFolder, { recursive: true, force: true })
  renameSync(workFolder, outputFolder)
} finally {
  rmSync(workFolder, { recursive: true, force: true })
}
if (!quiet) {
  const bytes = globSync('*.js', { cwd: outputFolder }).reduce(
    (sum, name) => sum + readFileSync(join(outputFolder, name)).length,
    0,
  )
  console.log(
    `dist/: ${(bytes / 2 ** 20).toFixed(1)} MiB of code from ${folders.size} packages; workers: ${workers.map((path) => basename(dirname(path)) + '/' + basename(path)).join(', ') || 'none'}`,
  )
}
