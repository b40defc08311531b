/**
 * The public compliance suite of the Pinning Service API against a daemon of this checkout: `npm run compliance`.
 *
 * The suite comes by npm with a hundred megabytes of its own tools, so that it is installed for the run, into a folder that
 * is removed; where it cannot be, the script says so and ends well. Its checks must pass but for the exemptions below, and
 * what is exempt must fail.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Lab } from '../test/support/daemon.ts'

const SUITE = '@ipfs-shipyard/pinning-service-compliance'
const VERSION = '1.8.1'
const SUITE_TIMEOUT_MS = 180_000
/** The suite fetches the specification from GitHub; it is given the schemas of the same version from here. */
const SCHEMAS = fileURLToPath(new URL('./compliance/pinning-service.yaml', import.meta.url))

/** The suite's reader of schemas uses functions that Node 23 has dropped. */
const OLD_UTIL = `
import util from 'node:util'
const of = (type) => (value) => typeof value === type
util.isObject ??= (value) => value !== null && typeof value === 'object'
util.isFunction ??= of('function')
util.isString ??= of('string')
util.isNumber ??= of('number')
util.isBoolean ??= of('boolean')
util.isUndefined ??= of('undefined')
util.isNull ??= (value) => value === null
util.isNullOrUndefined ??= (value) => value === null || value === undefined
`

/** Checks that fail, by the beginning of their titles, and why that is meant. */
const EXEMPTIONS: Readonly<Record<string, string>> = {
  "Can create a pin with name='":
    'the suite looks for the request among the pinned ones at once; but its CID is the hash of a clock reading that nobody has, so that an honest service can never have pinned it',
}

/** The suite in a folder, or undefined where it cannot be had. */
async function install(folder: string): Promise<string | undefined> {
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const args = [
    'install',
    `${SUITE}@${VERSION}`,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: 'ignore' })
  if (status !== 0) return undefined
  const home = join(folder, 'node_modules', ...SUITE.split('/'))
  const constants = join(home, 'dist', 'src', 'utils', 'constants.js')
  const text = await readFile(constants, 'utf8')
  const local = text.replace(/^const specLocation = .*$/m, `const specLocation = ${JSON.stringify(SCHEMAS)};`)
  if (local === text) throw new Error(`${constants} names no place of the specification`)
  await writeFile(constants, local)
  return home
}

/** Titles of the checks in the suite's report, with whether each passed. */
function checksOf(output: string): { title: string; passed: boolean }[] {
  const summary = output.slice(output.lastIndexOf('Summary ('))
  return [...summary.matchAll(/^ *(🟢|❌|⚠️) (.+)$/gmu)].map(([, icon, title]) => ({
    title: (title ?? '').trim(),
    passed: icon === '🟢',
  }))
}

/**
 * What a script of Node printed on both streams, and its exit code or the signal that ended it. The daemon is a child of
 * this process too: its log must be read meanwhile, or it would stand still at a full pipe.
 */
async function output(args: readonly string[], cwd: string): Promise<{ stdout: string; end: string }> {
  const child = spawn(process.execPath, args, {
    cwd,
    timeout: SUITE_TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { stdout, end: String(code ?? signal) }
}

async function run(home: string): Promise<boolean> {
  const lab = new Lab()
  try {
    const daemon = await lab.daemon()
    const { token } = await daemon.json<{ token: string }>([
      'token',
      'create',
      'compliance',
      '--scope',
      'write',
    ])
    const preload = `data:text/javascript,${encodeURIComponent(OLD_UTIL)}`
    const main = join(home, 'dist', 'src', 'index.js')
    const { stdout, end } = await output(['--import', preload, main, '-s', daemon.ready.api, token], home)
    const checks = checksOf(stdout)
    if (checks.length === 0)
      throw new Error(
        `the suite made no report and ended with ${end}:\n${stdout}\nthe daemon logged:\n${daemon.log}`,
      )
    const passed = checks.filter((check) => check.passed).length
    console.log(`pinning-service-compliance ${VERSION}: ${passed} of ${checks.length} checks pass`)
    const exemptOf = (title: string): string | undefined =>
      Object.keys(EXEMPTIONS).find((beginning) => title.startsWith(beginning))
    const unmeant = checks.filter((check) => check.passed === (exemptOf(check.title) !== undefined))
    for (const { title, passed } of checks) {
      if (!passed)
        console.log(`  fails: ${title}\n    ${EXEMPTIONS[exemptOf(title) ?? ''] ?? 'this is not meant'}`)
    }
    for (const { title } of unmeant.filter(({ passed }) => passed))
      console.error(`is exempt and passes: ${title}`)
    return unmeant.length === 0
  } finally {
    await lab.close()
  }
}

const folder = await mkdtemp(join(tmpdir(), 'p2pnode-compliance-'))
try {
  const home = await install(folder)
  if (home === undefined) {
    console.log(`pinning-service-compliance was left out: ${SUITE} could not be installed from npm`)
  } else {
    execFileSync(process.execPath, [fileURLToPath(new URL('./prepare.mjs', import.meta.url))], {
      stdio: 'inherit',
    })
    if (!(await run(home))) process.exitCode = 1
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
