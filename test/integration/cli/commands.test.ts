import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Folders } from '../../support/cli.ts'
import { type CommandResult, p2pnode } from '../../support/daemon.ts'

const folders = new Folders()
let folder: string
let home: string
beforeAll(async () => {
  folder = await folders.make()
  home = join(folder, 'a home')
})
afterAll(() => folders.remove())

const run = (...args: string[]): Promise<CommandResult> => p2pnode(['--home', home, ...args], { cwd: folder })

/** With `--json`, whatever happens, standard output is one line of JSON. */
function expectFailure(result: CommandResult, exitCode: number, code: string): void {
  expect(result.stdout).toMatch(/^\{.*\}\n$/)
  expect(result.json()).toMatchObject({ error: { code } })
  expect(result.code).toBe(exitCode)
}

describe('wrong usage', () => {
  it.each([
    ['get'],
    ['nonsense'],
    ['status', 'too', 'many'],
    ['start', '--role', 'king'],
    ['cat', 'CID', '--offset', '-1'],
    ['pin'],
    ['--nonsense', 'status'],
    [],
  ])('%s %s ends with 2 and one line of JSON', async (...args: string[]) => {
    expectFailure(await run(...args, '--json'), 2, 'ERR_USAGE')
  })

  it('suggests what was meant, and where to look', async () => {
    const result = await run('statsu')
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toContain('status')
    expect(result.stderr).toContain('--help')
    expect((await run()).stderr).toContain('Commands:')
  })

  it('is not asking for help or the version', async () => {
    const asked = await Promise.all([
      run('--help'),
      run('help', 'get'),
      run('get', '--help'),
      run('--version'),
    ])
    for (const result of asked) expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(asked[1]?.stdout).toBe(asked[2]?.stdout)
    expect(asked[1]?.stdout).toContain('Examples:')
    expect(asked[1]?.stdout).toContain('--home <DIR>')
  })

  it('of --api says how it must look', async () => {
    expectFailure(await run('status', '--api', '127.0.0.1:4780', '--json'), 2, 'ERR_API_URL')
    expectFailure(await run('status', '--api', 'localhost:4780', '--json'), 2, 'ERR_API_URL')
  })

  it('of start names every wrong key', async () => {
    const result = await run('start', '--json', '--set', 'no.such=1', '--set', 'api.port=x')
    expectFailure(result, 2, 'ERR_CONFIG_INVALID')
    expect(result.json<{ error: { message: string } }>().error.message).toMatch(/no\.such[\s\S]*api\.port/)
  })
})

describe('without a daemon', () => {
  it('a command ends with 3 and says how to start one, before and after its options', async () => {
    const result = await run('status')
    expect(result).toMatchObject({ code: 3, stdout: '' })
    expect(result.stderr).toContain(`start one with: p2pnode --home '${home}' start`)
    const after = await p2pnode(['status', '--json', '--home', home])
    expectFailure(after, 3, 'ERR_NO_DAEMON')
  })

  it('the same holds where one was killed and left its address', async () => {
    const left = join(folder, 'left')
    await mkdir(left)
    await writeFile(join(left, 'api.json'), JSON.stringify({ url: 'http://127.0.0.1:1' }))
    await writeFile(join(left, 'api.token'), 'x')
    const result = await p2pnode(['--home', left, 'peers', '--json'])
    expectFailure(result, 3, 'ERR_NO_DAEMON')
    expect(result.json<{ error: { message: string } }>().error.message).toContain('http://127.0.0.1:1')
    await rm(join(left, 'api.token'))
    expectFailure(await p2pnode(['--home', left, 'peers', '--json']), 6, 'ERR_NO_TOKEN')
  })

  it('add looks at its source first', async () => {
    expectFailure(await run('add', 'missing', '--json'), 4, 'ERR_SOURCE_NOT_FOUND')
  })

  it('doctor looks at what would keep a node from starting', async () => {
    const sick = join(folder, 'sick')
    await mkdir(sick)
    await writeFile(join(sick, 'identity.key'), 'x')
    await chmod(join(sick, 'identity.key'), 0o644)
    await writeFile(join(sick, 'config.yaml'), 'api: {port: x}\n')
    const result = await p2pnode(['--home', sick, 'doctor', '--json'])
    expect(result.code).toBe(1)
    const { checks } = result.json<{ checks: { name: string; state: string; fix?: string }[] }>()
    const failed = checks.filter((check) => check.state === 'fail')
    expect(failed.map((check) => check.name)).toEqual(['configuration', 'identity.key'])
    expect(failed.every((check) => check.fix !== undefined)).toBe(true)
  })
})

describe('config', () => {
  it('is written once, changed, checked and shown with where it comes from', async () => {
    const path = join(home, 'config.yaml')
    expect((await run('config', 'init', '--role', 'worker', '--json')).json()).toEqual({ path })
    expect((await run('config', 'init', '--json')).code).toBe(1)
    expect((await run('config', 'set', 'storage.quota', '200GiB')).code).toBe(0)
    expect(await readFile(path, 'utf8')).toMatch(/quota: 200GiB/)
    expect((await run('config', 'set', 'storage.quota', 'much', '--json')).code).toBe(2)
    expect(await readFile(path, 'utf8')).toMatch(/quota: 200GiB/)
    expect((await run('config', 'validate')).stdout).toContain('is valid')
    const shown = (await run('config', 'show', 'storage.quota', '--json')).json<{ values: object[] }>()
    expect(shown.values).toMatchObject([{ key: 'storage.quota' }])
    expect((await run('config', 'show', 'no.such', '--json')).code).toBe(4)
    await writeFile(path, 'api: {port: x, nothing: 1}\n')
    const invalid = await run('config', 'validate')
    expect(invalid.code).toBe(2)
    expect(invalid.stderr).toMatch(/port[\s\S]*nothing|nothing[\s\S]*port/)
  })
})

describe('standard output', () => {
  it('that nobody reads, and a full disk below it', async () => {
    const { execFileSync } = await import('node:child_process')
    const command = `"${process.execPath}" bin/p2pnode.js completion bash`
    const status = (line: string): string => execFileSync('bash', ['-c', line], { encoding: 'utf8' }).trim()
    expect(status(`${command} | true; echo "\${PIPESTATUS[0]}"`)).toBe('0')
    if (process.platform === 'linux')
      expect(status(`${command} 2>&1 > /dev/full; echo $?`)).toMatch(/no space left on device.*\n1$/)
  })
})
