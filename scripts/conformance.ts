/**
 * The public conformance suite of IPFS gateways against a daemon of this checkout: `npm run conformance`.
 *
 * The suite (https://github.com/ipfs/gateway-conformance) is written in Go and does not come by npm. It is taken from a checkout that
 * GATEWAY_CONFORMANCE_HOME names, or else fetched as a Go module; where there is no Go, or no suite, the script says so and
 * ends well. What fails must be among the exemptions of `docs/gateway-conformance.json`, each with its reason, and what
 * is exempt must fail: the list can only be right. `--summary` writes the counts there.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Daemon, Lab } from '../test/support/daemon.ts'

const VERSION = 'v0.13.1'
const RECORD = fileURLToPath(new URL('../docs/gateway-conformance.json', import.meta.url))

interface Report {
  suite: string
  /** Checks, each of them one header, status or body of a request. */
  passed: number
  failed: number
  skipped: number
  /** Tests that fail, and why that is meant. */
  exemptions: Record<string, string>
}

const { values } = parseArgs({ options: { summary: { type: 'boolean', default: false } } })

/** Where the suite is, or why there is none. */
function findSuite(): { home: string } | { missing: string } {
  if (spawnSync('go', ['version']).status !== 0) return { missing: 'there is no Go on the PATH' }
  const home = process.env['GATEWAY_CONFORMANCE_HOME']
  if (home !== undefined) return { home }
  const module = `github.com/ipfs/gateway-conformance@${VERSION}`
  const { status, stdout } = spawnSync('go', ['mod', 'download', '-json', module], {
    cwd: tmpdir(),
    encoding: 'utf8',
  })
  if (status !== 0) return { missing: `${module} could not be downloaded` }
  return { home: (JSON.parse(stdout) as { Dir: string }).Dir }
}

/** The fixtures' blocks, and those names whose records are whole; the others must not resolve. */
async function importFixtures(daemon: Daemon, folder: string): Promise<void> {
  await daemon.json(['car', 'import', join(folder, 'fixtures.car'), '--no-pin'])
  for (const file of await readdir(folder)) {
    const [, name] = /^([^_]+)_.*\.ipns-record$/.exec(file) ?? []
    // Some of them are broken on purpose, and refused.
    if (name !== undefined)
      await daemon.run(['name', 'import', join(folder, file), '--name', name, '--no-keep'])
  }
}

async function run(home: string): Promise<Report> {
  const folder = await mkdtemp(join(tmpdir(), 'p2pnode-conformance-'))
  const lab = new Lab()
  try {
    const env = { ...process.env, GATEWAY_CONFORMANCE_HOME: home }
    const binary = join(folder, 'suite')
    execFileSync('go', ['test', '-c', '-o', binary, './tests'], { cwd: home, env, stdio: 'inherit' })
    const extract = ['run', './cmd/gateway-conformance', 'extract-fixtures', '--merged', '--dir', folder]
    execFileSync('go', extract, { cwd: home, env, stdio: ['ignore', 'ignore', 'inherit'] })
    const links = JSON.parse(await readFile(join(folder, 'dnslinks.json'), 'utf8')) as {
      domains: Record<string, string>
    }
    const dnslink = Object.entries(links.domains).map(([domain, path]) => `${domain}=${path}`)
    const daemon = await lab.daemon({ set: { 'content.dnslink': JSON.stringify(dnslink) } })
    await importFixtures(daemon, folder)
    const { gateway } = daemon.ready
    if (gateway === null) throw new Error('the daemon has no gateway')
    const result = spawnSync(binary, ['-test.v'], {
      cwd: join(home, 'tests'),
      env: {
        ...env,
        GATEWAY_URL: gateway,
        SUBDOMAIN_GATEWAY_URL: `http://localhost:${new URL(gateway).port}`,
      },
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
    })
    if (result.error !== undefined) throw result.error
    return judged(result.stdout)
  } finally {
    await lab.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Counts what has nothing below it, and holds failures against the list. */
async function judged(output: string): Promise<Report> {
  const verdicts = new Map<string, string>()
  for (const [, verdict, name] of output.matchAll(/^ *--- (PASS|FAIL|SKIP): (\S+) \(/gm)) {
    verdicts.set(name as string, verdict as string)
  }
  const inner = new Set([...verdicts.keys()].map((name) => name.split('/').slice(0, -1).join('/')))
  const leaves = [...verdicts].filter(([name]) => !inner.has(name))
  const count = (verdict: string): number => leaves.filter(([, of]) => of === verdict).length
  const { exemptions } = JSON.parse(await readFile(RECORD, 'utf8')) as Report
  const failed = leaves.filter(([, verdict]) => verdict === 'FAIL').map(([name]) => decodeURIComponent(name))
  const exempt = Object.keys(exemptions)
  const unmeant = failed.filter((name) => !exempt.some((one) => name.startsWith(one)))
  const stale = exempt.filter((one) => !failed.some((name) => name.startsWith(one)))
  for (const name of unmeant) console.error(`fails: ${name}`)
  for (const name of stale) console.error(`is exempt and passes: ${name}`)
  if (unmeant.length + stale.length > 0 || count('PASS') === 0) process.exitCode = 1
  return { suite: VERSION, passed: count('PASS'), failed: count('FAIL'), skipped: count('SKIP'), exemptions }
}

const suite = findSuite()
if ('missing' in suite) {
  console.log(`gateway-conformance was left out: ${suite.missing}`)
} else {
  execFileSync(process.execPath, [fileURLToPath(new URL('./prepare.mjs', import.meta.url))], {
    stdio: 'inherit',
  })
  const report = await run(suite.home)
  const { passed, failed, skipped, exemptions } = report
  console.log(
    `gateway-conformance ${VERSION}: ${passed} checks pass, ${failed} fail (${Object.keys(exemptions).length} exemptions), ${skipped} skipped`,
  )
  if (values.summary) await writeFile(RECORD, `${JSON.stringify(report, null, 2)}\n`)
}
