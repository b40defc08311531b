import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import type { LoggerOptions } from '../../../src/telemetry/logger.ts'
import type { Logger } from '../../../src/telemetry/types.ts'

const LOGGER = new URL('../../../src/telemetry/logger.ts', import.meta.url).href

function capture(options: Partial<LoggerOptions> = {}): {
  log: Logger
  lines: string[]
  records(): Record<string, unknown>[]
} {
  const lines: string[] = []
  const stream = { write: (line: string) => lines.push(line) }
  const log = createLogger({ level: 'info', pretty: false, stream, ...options })
  return { log, lines, records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

/** Runs a script that logs to standard error, as a process of its own. */
function run(script: string): { stderr: string; status: number | null } {
  const source = `import { createLogger } from '${LOGGER}'\nconst log = createLogger({ level: 'info', pretty: false })\n${script}`
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
}

describe('the logger', () => {
  it('writes one JSON line each, from its level on', () => {
    const { log, lines, records } = capture({ level: 'warn' })
    log.info('not this')
    log.warn({ blocks: 3 }, 'this')
    log.error('and this')
    expect(lines.every((line) => line.endsWith('\n') && !line.slice(0, -1).includes('\n'))).toBe(true)
    expect(records()).toMatchObject([
      { level: 40, blocks: 3, msg: 'this' },
      { level: 50, msg: 'and this' },
    ])
    const silent = capture({ level: 'silent' })
    silent.log.error('nothing')
    expect(silent.lines).toEqual([])
  })

  it('adds the bindings of children and of theirs', () => {
    const { log, records } = capture()
    log.child({ part: 'storage' }).child({ shard: 2 }).info({ blocks: 1 }, 'open')
    expect(records()).toMatchObject([{ part: 'storage', shard: 2, blocks: 1, msg: 'open' }])
  })

  it('writes errors with what a program and a person need', () => {
    const { log, records } = capture()
    const cause = new TypeError('inner')
    log.error(
      { err: new P2pnodeError('ERR_QUOTA', 'no-space', 'full', { details: { missing: 5 }, cause }) },
      'put failed',
    )
    expect(records()).toMatchObject([
      {
        err: {
          code: 'ERR_QUOTA',
          kind: 'no-space',
          message: 'full',
          details: { missing: 5 },
          cause: { type: 'TypeError' },
        },
      },
    ])
    expect(records()).toMatchObject([{ err: { stack: expect.stringContaining('logger.test.ts') } }])
  })

  it('survives whatever is logged', () => {
    const { log, records } = capture()
    const cycle: Record<string, unknown> = { name: 'a' }
    cycle['self'] = cycle
    const getter = Object.defineProperty({}, 'x', { get: () => 1n, enumerable: true })
    log.info({
      cycle,
      getter,
      bytes: new Uint8Array(1000),
      map: new Map([['a', 1]]),
      many: Array.from({ length: 500 }),
      url: new URL('http://a/'),
    })
    log.info({ text: 'x'.repeat(100_000), nothing: undefined, empty: null, when: new Date(Number.NaN) })
    log.info({ err: Object.assign(new Error('a'), { self: cycle }) })
    const noText = {
      toString: () => {
        throw new TypeError('no text')
      },
      blocks: 3,
    }
    log.info({ noText, map: new Map([[[{ toString: new Date(0) }], 1]]), bare: Object.create(null) })
    expect(records()).toHaveLength(4)
    expect(records()[3]).toMatchObject({ noText: { blocks: 3 }, map: { '<object>': 1 }, bare: {} })
    expect(records()[0]).toMatchObject({ bytes: '<1000 bytes>', map: { a: 1 }, url: 'http://a/' })
    expect(JSON.stringify(records()).length).toBeLessThan(20_000)
    fc.assert(
      fc.property(
        fc.object({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
        (record) => {
          const { log: other, lines } = capture()
          other.info(record, 'any')
          expect(lines).toHaveLength(1)
          expect(JSON.parse(lines[0] as string)).toBeTypeOf('object')
        },
      ),
    )
  })
})

describe('redaction', () => {
  const SECRET = 'hunter2-hunter2-hunter2'
  const names = [
    'token',
    'apiToken',
    'P2PNODE_TOKEN',
    'passphrase',
    'password',
    'privateKey',
    'private_key',
    'seed',
    'Authorization',
    'set-cookie',
    'ownerSecret',
    'readKey',
  ]

  it.each(names)('hides what stands under "%s", at any depth, in children, errors and both forms', (name) => {
    for (const pretty of [false, true]) {
      const { log, lines } = capture({ pretty })
      log.info({ [name]: SECRET, nested: { list: [{ [name]: SECRET }] } }, 'record')
      log
        .child({ part: 'api', [name]: SECRET, deep: { [name]: SECRET } })
        .child({ [name]: SECRET })
        .info('child')
      log.error({ err: Object.assign(new Error('failed'), { details: { [name]: SECRET } }) })
      log.error({ [name]: { raw: SECRET } })
      log.error({ [name]: Buffer.from(SECRET) })
      expect(lines).toHaveLength(5)
      expect(lines.join('')).not.toContain('hunter2')
      expect(lines.join('')).toContain('[hidden]')
    }
  })

  it.each([
    ['a bearer token', `request with Bearer ${SECRET} refused`],
    ['credentials in a URL', `GET https://user:${SECRET}@gateway.example/x failed`],
    ['credentials with an @', `GET https://us@er:p@${SECRET}@gateway.example/x failed`],
    ['a capability link', 'get p2pnode:3mJr7AoUXx2Wqdhunter2AAAAA failed'],
  ])('hides %s in messages, values and errors', (_, text) => {
    const { log, lines } = capture()
    log.info(text)
    log.info({ text, list: [text] }, 'value')
    log.error({ err: new Error(text) }, 'error')
    log.error(new Error(text))
    expect(lines).toHaveLength(4)
    expect(lines.join('')).not.toContain('hunter2')
  })

  it('leaves counts and other words alone', () => {
    const { log, records } = capture()
    const plain = {
      tokens: 3,
      seed: 42,
      tokenCount: 'three',
      path: '/seed/token',
      peer: '12D3KooWBtg3aaRMjxwedh83aGiUk',
    }
    log.info(plain)
    expect(records()).toMatchObject([plain])
  })

  it.each(['a', ':', '://', 'Bearer ', 'p2pnode:', 'a@', '://@', ' '])(
    'takes linear time in text made of "%s"',
    (piece) => {
      const { log, lines } = capture()
      const text = piece.repeat(8192 / piece.length)
      const started = performance.now()
      for (let i = 0; i < 200; i++) log.info({ text })
      // Quadratic time would be 6 s and more; this is a few milliseconds on a quiet machine.
      expect(performance.now() - started).toBeLessThan(3000)
      expect(lines).toHaveLength(200)
    },
  )

  it('changes nothing of what it was given', () => {
    const record = { token: SECRET, nested: { seed: 'x' } }
    capture().log.info(record)
    expect(record).toEqual({ token: SECRET, nested: { seed: 'x' } })
  })
})

describe('pretty lines', () => {
  it('have time, level, part, message and fields on one line', () => {
    const { log, lines } = capture({ pretty: true, color: false })
    log
      .child({ part: 'storage' })
      .warn({ path: '/data', blocks: 12, text: 'two words', list: [1] }, 'nearly full')
    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} WARN {2}storage: nearly full path=\/data blocks=12 text="two words" list=\[1\]\n$/,
    )
  })

  it('show stack and causes of what is unexpected, and only code and message of what is not', () => {
    const { log, lines } = capture({ pretty: true, color: false })
    log.error({ err: new P2pnodeError('ERR_QUOTA', 'no-space', 'full') })
    log.error({ err: new TypeError('broken', { cause: new RangeError('deeper') }) })
    expect(lines[0]).toMatch(/err=ERR_QUOTA: full\n$/)
    expect(lines[1]).toMatch(
      /err=TypeError: broken \| at .*logger\.test\.ts.* \| caused by RangeError: deeper\n$/,
    )
  })

  it('never let a control character through to the terminal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (key, text) => {
        const { log, lines } = capture({ pretty: true, color: false })
        log.child({ part: text }).info({ [key]: text, err: new Error(text) }, text)
        // oxlint-disable-next-line no-control-regex
        expect(lines.join('')).toMatch(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*\n$/)
      }),
    )
  })

  it('are coloured only where asked', () => {
    const colored = capture({ pretty: true, color: true })
    const plain = capture({ pretty: true })
    for (const { log } of [colored, plain]) log.info('x')
    expect(colored.lines[0]).toContain('\u001b[')
    expect(plain.lines[0]).not.toContain('\u001b[')
  })
})

describe('standard error', () => {
  it.each([
    ['process.exit', 'process.exit(3)', 3],
    ['an uncaught error', 'throw new Error("out")', 1],
    ['the end of the program', '', 0],
    ['flush and an abrupt end', 'log.flush(); process.kill(process.pid, "SIGKILL")', null],
  ])('gets every line before the process ends by %s', (_, end, status) => {
    const result = run(
      `for (let i = 0; i < 2000; i++) log.info({ i, padding: 'x'.repeat(100) }, 'line')\n${end}`,
    )
    const numbers = result.stderr
      .split('\n')
      .flatMap((line) => (line.startsWith('{"level":30') ? [(JSON.parse(line) as { i: number }).i] : []))
    expect(numbers).toEqual(Array.from({ length: 2000 }, (__, i) => i))
    expect(result.status).toBe(status)
  })

  it('never blocks the process when nobody reads it, and says later how much was lost', async () => {
    const script = `import { createLogger } from '${LOGGER}'
      const log = createLogger({ level: 'info', pretty: false })
      const started = performance.now()
      for (let i = 0; i < 20000; i++) { log.info({ padding: 'x'.repeat(1000) }, 'line'); if (i % 100 === 0) await new Promise(setImmediate) }
      console.log(JSON.stringify({ rssMiB: process.memoryUsage.rss() / 2 ** 20 }))
      process.stdin.resume()`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const [report] = (await once(child.stdout, 'data')) as [Buffer]
    expect((JSON.parse(String(report)) as { rssMiB: number }).rssMiB).toBeLessThan(250)
    let text = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('droppedLines')) child.stdin.destroy()
    })
    await once(child, 'close')
    expect(text).toMatch(/"droppedLines":\d+,"msg":"lines were lost/)
  })
})
