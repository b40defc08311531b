import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { execForm, type Instruction, readDockerfile } from '../../support/dockerfile.ts'

// No container engine is at hand: the steps of the Dockerfile run as they are written, in a folder that stands for the image's
// root. What only an engine has (base images, packages of Debian, users) is left out, and said.
const checkout = fileURLToPath(new URL('../../..', import.meta.url))
const instructions = readDockerfile(join(checkout, 'Dockerfile'))

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'p2pnode-image-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** The machine's environment less what configures a node, with the image's programs and no cache of ours. */
function environment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(P2PNODE_|npm_|NODE_OPTIONS|VITEST)/.test(name),
  )
  return {
    ...Object.fromEntries(kept),
    PATH: `${join(root, 'usr/local/bin')}:${dirname(process.execPath)}:/usr/bin:/bin`,
    npm_config_prefix: join(root, 'usr/local'),
    ...extra,
  }
}

/** Absolute paths of the image as paths below the folder. */
const inRoot = (text: string): string => text.replaceAll(/(^|[\s=])\/(?=[a-z])/g, `$1${root}/`)

function copyIn({ words }: Instruction, folder: string): void {
  const isFromStage = words[0]?.startsWith('--from=') === true
  const [target = '', ...sources] = words.filter((word) => !word.startsWith('--')).reverse()
  const to = target.startsWith('/') ? join(root, target) : resolve(folder, target)
  for (const source of sources) {
    if (isFromStage) {
      // Both stages share the folder: what one made is where the other looks for it.
      expect(existsSync(join(root, source))).toBe(true)
    } else if (source === '.') {
      for (const name of wanted()) cpSync(join(checkout, name), join(to, name), { recursive: true })
    } else {
      const isFolder = target.endsWith('/')
      cpSync(join(checkout, source), isFolder ? join(to, source) : to, { recursive: true })
    }
  }
}

/** What the engine would be given of the checkout. */
function wanted(): string[] {
  return readFileSync(join(checkout, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
    .filter((name) => existsSync(join(checkout, name)))
}

it('the steps of the Dockerfile make a node that serves, says that it is healthy, and stops', async () => {
  let folder = root
  for (const instruction of instructions) {
    const { name, text } = instruction
    if (name === 'FROM') folder = root
    else if (name === 'WORKDIR') {
      folder = join(root, text)
      mkdirSync(folder, { recursive: true })
    } else if (name === 'COPY') copyIn(instruction, folder)
    else if (name === 'RUN' && text.includes('apt-get')) console.warn(`left out: RUN ${text}`)
    else if (name === 'RUN') {
      const script = inRoot(text).replace(/chown \S+/, 'true')
      const ran = spawnSync('sh', ['-ec', script], { cwd: folder, env: environment(), encoding: 'utf8' })
      expect(ran.status, `${script}\n${ran.stdout}\n${ran.stderr}`).toBe(0)
    }
  }
  // Nothing of the build is left in what ships.
  const installed = readdirSync(join(root, 'usr/local/lib/node_modules/p2pnode'))
  expect(installed).toContain('dist')
  expect(installed).not.toContain('src')

  const exec = (name: string) => execForm(instructions.find((one) => one.name === name)!)
  const env = environment({
    P2PNODE_HOME: join(root, 'data'),
    P2PNODE_API_PORT: '0',
    P2PNODE_GATEWAY_PORT: '0',
  })
  const [program = '', ...args] = [...exec('ENTRYPOINT').slice(2), ...exec('CMD')]
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0', '--set', 'network.mdns=false']
  const node: ChildProcess = spawn(program, [...args, ...listen], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [line] = (await once(createInterface({ input: node.stdout! }), 'line')) as [string]
    expect(JSON.parse(line)).toMatchObject({ role: 'worker', home: join(root, 'data') })
    const check = () =>
      spawnSync(exec('HEALTHCHECK')[0]!, exec('HEALTHCHECK').slice(1), { env, encoding: 'utf8' })
    const healthy = check()
    expect(healthy.status, healthy.stderr).toBe(0)
    const closed = once(node, 'close')
    node.kill(instructions.find(({ name }) => name === 'STOPSIGNAL')!.text as NodeJS.Signals)
    expect(await closed).toEqual([0, null])
    expect(check().status).not.toBe(0)
  } finally {
    if (node.exitCode === null) node.kill('SIGKILL')
  }
})
