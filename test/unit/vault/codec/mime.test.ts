import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mimeOf } from '../../../../src/vault/codec/index.ts'

const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex')
const zip = Buffer.from('504b0304140000000800', 'hex')

test('first bytes tell more than the name, and the name more than a container', async () => {
  expect(await mimeOf('picture.txt', png)).toBe('image/png')
  expect(await mimeOf('notes.txt', Buffer.from('hello'))).toBe('text/plain')
  expect(await mimeOf('notes.MD', Buffer.from('# hello'))).toBe('text/markdown')
  expect(await mimeOf('data.json', Buffer.from('{}'))).toBe('application/json')
  expect(await mimeOf('pack.zip', zip)).toBe('application/zip')
  expect(await mimeOf('noname', zip)).toBe('application/zip')
  expect(await mimeOf('book.epub', zip)).toBe('application/epub+zip')
  expect(await mimeOf('noname', new Uint8Array(0))).toBe('application/octet-stream')
  expect(await mimeOf('', Buffer.from('x'))).toBe('application/octet-stream')
})

test('a name that every object has is no type', async () => {
  for (const name of ['__proto__', 'a.constructor', 'toString'])
    expect(await mimeOf(name, Buffer.from('x'))).toBe('application/octet-stream')
})

test('whatever the bytes are, there is an answer', async () => {
  const starts = [
    png,
    zip,
    Buffer.from('%PDF-'),
    Buffer.from('ID3'),
    Buffer.from('RIFF'),
    Buffer.from('<?xml'),
    Buffer.alloc(0),
  ]
  await fc.assert(
    fc.asyncProperty(
      fc.string(),
      fc.constantFrom(...starts),
      fc.uint8Array({ maxLength: 2_000 }),
      async (name, start, rest) => {
        expect(await mimeOf(name, Buffer.concat([start, rest]))).toMatch(/^[\w.+-]+\/[\w.+-]+/)
      },
    ),
    { numRuns: 200 },
  )
})
