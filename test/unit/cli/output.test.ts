import { describe, expect, it, vi } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { reportFailure } from '../../../src/cli/failure.ts'
import {
  formatBytes,
  formatCount,
  formatDuration,
  printable,
  printableLines,
  shellWord,
} from '../../../src/cli/format.ts'
import { tableText } from '../../../src/cli/table.ts'
import { memoryOutput } from '../../support/cli.ts'

const ESCAPE = '\u001B'

describe('output', () => {
  it('is one JSON line on standard output, whatever else is told', () => {
    const { output, out, err } = memoryOutput({ json: true })
    output.note('a note')
    output.warn('a warning')
    output.progress({ label: 'adding', done: 1, total: 2, unit: 'bytes' })
    output.result({ cid: 'x', text: 'two\nlines' }, () => 'never shown')
    expect(out()).toBe('{"cid":"x","text":"two\\nlines"}\n')
    const lines = err()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object)
    expect(lines.flatMap((line) => Object.keys(line))).toEqual(['note', 'warning', 'progress'])
  })

  it('says less when quiet, but not less than warnings and errors', () => {
    const { output, out, err } = memoryOutput({ quiet: true, terminal: true })
    output.note('a note')
    output.progress({ label: 'adding', done: 1, unit: 'bytes' })
    output.warn('a warning')
    output.result({}, () => 'result')
    expect(out()).toBe('result\n')
    expect(err()).toContain('a warning')
    expect(memoryOutput({ quiet: true }).err()).not.toContain('note')
  })

  it('draws no bar in a pipe, and nothing at all for what ends at once', () => {
    const { output, out, err } = memoryOutput()
    output.progress({ label: 'adding', done: 1, total: 2, unit: 'bytes' })
    output.result({}, () => 'done')
    expect(out()).toBe('done\n')
    expect(err()).toBe('')
  })

  it('writes a line of progress in a pipe now and then', () => {
    const now = vi.spyOn(performance, 'now')
    try {
      const { output, err } = memoryOutput()
      for (const atMs of [10_000, 12_000, 16_000, 17_000, 22_000]) {
        now.mockReturnValue(atMs)
        output.progress({ label: 'adding x', done: atMs * 1024, total: 32_000 * 1024, unit: 'bytes' })
      }
      expect(err().trim().split('\n')).toEqual([
        'adding x 50 % 15.6 MiB of 31.3 MiB',
        'adding x 68 % 21.5 MiB of 31.3 MiB, 1000.0 KiB/s',
      ])
    } finally {
      now.mockRestore()
    }
  })

  it('takes the bar of a terminal away before anything else is written', () => {
    const { output, err } = memoryOutput({ terminal: true })
    output.progress({ label: 'adding', done: 1, total: 2, unit: 'bytes' })
    expect(err()).toContain('50 %')
    output.error('it failed')
    expect(err()).toMatch(new RegExp(`^\\r${ESCAPE}\\[2K.*it failed\\n$`, 's'))
  })

  it('shows no escape sequence of a stranger', () => {
    const { output, err } = memoryOutput({ terminal: true })
    const evil = 'x\u001B]0;title\u0007\u001B[2J\u202Etxt.exe'
    output.progress({ label: evil, done: 1, unit: 'items', note: evil })
    const bar = err().replaceAll('\r\u001B[2K', '')
    output.endProgress()
    err()
    output.error(evil)
    output.note(evil)
    output.warn(evil)
    // What is left are the colours of our own words.
    const shown = (bar + err()).replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')
    for (const character of ['\u001B', '\u0007', '\u202E']) expect(shown).not.toContain(character)
    expect(shown).toContain('\\u001b[2J')
  })

  it('leaves standard output to the bytes of a file', async () => {
    const { output, out, err } = memoryOutput({ json: true })
    await output.raw(Buffer.from('bytes'), new AbortController().signal)
    output.result({ size: 5 }, () => '')
    expect(out()).toBe('bytes')
    expect(err()).toBe('{"size":5}\n')
  })

  it('waits for a slow reader, and for one that went away no longer', async () => {
    const { output, stdout } = memoryOutput()
    const writing = output.raw(Buffer.alloc(1_000_000), new AbortController().signal)
    const first = await Promise.race([writing.then(() => 'written'), Promise.resolve('waiting')])
    expect(first).toBe('waiting')
    stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    const failure: unknown = await writing.catch((error: unknown) => error)
    expect(output.closed.aborted).toBe(true)
    expect(reportFailure(failure, output)).toBe(0)
    await expect(output.raw(Buffer.from('x'), new AbortController().signal)).rejects.toMatchObject({
      code: 'EPIPE',
    })
  })

  it('fails when the disk below standard output is full', async () => {
    const { output, stdout, err } = memoryOutput({ json: true })
    stdout.destroy(
      Object.assign(new Error('ENOSPC: no space left on device, write'), {
        code: 'ENOSPC',
        syscall: 'write',
      }),
    )
    await vi.waitFor(() => expect(output.closed.aborted).toBe(true), { timeout: 10_000 })
    await output.flush()
    expect(reportFailure(output.closed.reason, output)).toBe(1)
    expect(err()).toContain('no space left')
  })
})

describe('a failure', () => {
  const cases: [unknown, string, number][] = [
    [new P2pnodeError('ERR_X', 'failed', 'm'), 'ERR_X', 1],
    [new P2pnodeError('ERR_X', 'usage', 'm'), 'ERR_X', 2],
    [new P2pnodeError('ERR_NO_DAEMON', 'unavailable', 'm'), 'ERR_NO_DAEMON', 3],
    [new P2pnodeError('ERR_X', 'not-found', 'm'), 'ERR_X', 4],
    [new P2pnodeError('ERR_X', 'verification', 'm'), 'ERR_X', 5],
    [new P2pnodeError('ERR_X', 'denied', 'm'), 'ERR_X', 6],
    [new P2pnodeError('ERR_X', 'timeout', 'm'), 'ERR_X', 7],
    [new DOMException('gone', 'AbortError'), 'ERR_CANCELLED', 7],
    [Object.assign(new Error('EMFILE: too many'), { code: 'EMFILE', syscall: 'open' }), 'ERR_SYSTEM', 1],
    [new TypeError('a bug'), 'ERR_INTERNAL', 1],
    ['thrown text', 'ERR_INTERNAL', 1],
  ]
  it.each(cases)('%s is told as %s with exit code %i', (error, code, exitCode) => {
    const { output, out, err } = memoryOutput({ json: true })
    expect(reportFailure(error, output)).toBe(exitCode)
    expect(err()).toBe('')
    const text = out()
    expect(text.trim().split('\n')).toHaveLength(1)
    expect(JSON.parse(text)).toMatchObject({ error: { code, message: expect.any(String) as string } })
  })

  it('is a sentence for people; only a bug shows its stack', () => {
    const { output, out, err } = memoryOutput()
    reportFailure(new P2pnodeError('ERR_X', 'failed', 'what is wrong and what to do'), output)
    expect(err()).toBe('error: what is wrong and what to do\n')
    reportFailure(new TypeError('a bug'), output)
    expect(err()).toMatch(/TypeError: a bug\n\s+at /)
    expect(out()).toBe('')
  })
})

describe('formats', () => {
  it('of numbers', () => {
    expect([0, 1, 1023, 1024, 1536, 20 * 2 ** 20, 2 ** 50].map(formatBytes)).toEqual([
      '0 B',
      '1 B',
      '1023 B',
      '1.00 KiB',
      '1.50 KiB',
      '20.0 MiB',
      '1.00 PiB',
    ])
    expect([0, 999, 1_000, 1_234_567].map(formatCount)).toEqual(['0', '999', '1 000', '1 234 567'])
    expect([5, 1_500, 60_000, 3_725_000, 90_061_000].map(formatDuration)).toEqual([
      '5 ms',
      '1 s',
      '1 min',
      '1 h 2 min',
      '1 d 1 h',
    ])
  })

  it('of texts from elsewhere', () => {
    expect(printable('häuser 日本 🦉 "\'\\')).toBe('häuser 日本 🦉 "\'\\')
    expect(printable('a\nb\u0000\u009B31m\u2028\u2066')).toBe('a\\u000ab\\u0000\\u009b31m\\u2028\\u2066')
    expect(printableLines('a\nb\u001B')).toBe('a\nb\\u001b')
    expect(shellWord('/home/me/p2p')).toBe('/home/me/p2p')
    expect(shellWord("it's here")).toBe(`'it'\\''s here'`)
  })

  it('of tables that awk can read', () => {
    const { output } = memoryOutput()
    expect(
      tableText(
        output,
        ['ID', 'NAME'],
        [
          ['1', 'a\nb'],
          [22, 'c'],
        ],
      ),
    ).toBe('ID  NAME\n1   a\\u000ab\n22  c')
  })
})
