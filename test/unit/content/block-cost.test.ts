import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import * as dagPb from '@ipld/dag-pb'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { describe, expect, it } from 'vitest'
import {
  isTooDear,
  MAX_LINKS_PER_BLOCK,
  MAX_VALUES_PER_BLOCK,
} from '../../../protocols/content/block-cost.ts'
import { links } from '../../../protocols/content/index.ts'

const BLOCK_BYTES = 2 * 1024 * 1024
const codecs = { cbor: dagCbor, json: dagJson }

const cidOf = async (code: number, bytes: Uint8Array): Promise<CID> =>
  CID.createV1(code, await sha256.digest(bytes))

/** A list as text: as many of `item` as a block has room for. */
const listOf = (item: string): Uint8Array =>
  Buffer.from(
    `[${Array.from({ length: Math.floor((BLOCK_BYTES - 2) / (item.length + 1)) }, () => item).join(',')}]`,
  )

describe('what a block would cost to decode', () => {
  it.each([
    ['lists in a list', [0x9a, 0, 0x1f, 0xff, 0x00], 0x80],
    ['maps in a list', [0x9a, 0, 0x1f, 0xff, 0x00], 0xa0],
    ['numbers in a list', [0x9a, 0, 0x1f, 0xff, 0x00], 0x01],
    ['lists one in the other', [], 0x81],
  ])('is too much for a dag-cbor block of %s', async (_name, head, item) => {
    const bytes = new Uint8Array(head.length + 0x1fff00).fill(item)
    bytes.set(head)
    const cid = await cidOf(dagCbor.code, bytes)
    expect(() => links(cid, bytes)).toThrow(expect.objectContaining({ code: 'ERR_DAG_INVALID' }))
  })

  it.each([['[]'], ['{}'], ['1']])('is too much for a dag-json block of %s', async (item) => {
    const bytes = listOf(item)
    const cid = await cidOf(dagJson.code, bytes)
    expect(() => links(cid, bytes)).toThrow(expect.objectContaining({ code: 'ERR_DAG_INVALID' }))
  })

  it('is too much for a dag-pb block of many short links, and not for the largest directory', async () => {
    const Hash = await cidOf(0x55, new Uint8Array(1))
    const node = (count: number, Name: string): Uint8Array =>
      dagPb.encode(dagPb.prepare({ Links: Array.from({ length: count }, () => ({ Hash, Name, Tsize: 1 })) }))
    const small = node(MAX_LINKS_PER_BLOCK + 1, '')
    expect(small.length).toBeLessThan(BLOCK_BYTES)
    expect(isTooDear(dagPb.code, small)).toBe(true)
    const directory = node(25_000, 'a name of a file, about as long as they are')
    expect(isTooDear(dagPb.code, directory)).toBe(false)
    expect(links(await cidOf(dagPb.code, directory), directory)).toHaveLength(25_000)
  })

  it('is counted without a mistake: what is below the bound is decoded, and long strings are one value', () => {
    const value = {
      list: Array.from({ length: MAX_VALUES_PER_BLOCK / 2 - 10 }, () => ['a,[{"\\']),
      text: ',[{'.repeat(400_000),
    }
    for (const codec of Object.values(codecs)) expect(isTooDear(codec.code, codec.encode(value))).toBe(false)
    expect(isTooDear(0x55, new Uint8Array(BLOCK_BYTES).fill(0x80))).toBe(false)
  })

  it('never calls a small block dear, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 4_096 }),
        fc.constantFrom(dagPb.code, dagCbor.code, dagJson.code),
        (bytes, code) => {
          expect(isTooDear(code, bytes)).toBe(false)
        },
      ),
    )
  })
})
