import { randomBytes } from 'node:crypto'
import { encode as encodeCbor } from '@ipld/dag-cbor'
import type { CID } from 'multiformats/cid'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { links } from '../../../../protocols/content/links.ts'
import { gatewaysStep } from '../../../../src/content/flow/gateways.ts'
import { FAILURES_BEFORE_REST } from '../../../../src/content/flow/limits.ts'
import type { StepPlan } from '../../../../src/content/flow/types.ts'
import {
  cidOf,
  importFiles,
  importRandomFile,
  MemoryBlocks,
  rawCid,
} from '../../../support/content-protocol.ts'
import { startGateway, type TestGateway } from '../../../support/trustless-gateway.ts'

const blocks = new MemoryBlocks()
const gateways: TestGateway[] = []
const never = new AbortController().signal

async function gateway(over: MemoryBlocks = blocks): Promise<TestGateway> {
  const started = await startGateway(over)
  gateways.push(started)
  return started
}

function open(plan: Partial<StepPlan> & { dag: CID }, addresses: string[], deadlineMs = 2_000) {
  return gatewaysStep({ addresses, deadlineMs }).open({ providersOf: plan.dag, scope: 'all', ...plan })
}

/** Everything below, asked for as a fetch does: parents first, some at once. */
async function fetchAll(run: ReturnType<typeof open>, root: CID): Promise<number> {
  let count = 0
  let level = [root]
  const seen = new Set<string>()
  while (level.length > 0) {
    const found = await Promise.all(level.map((cid) => run.fetch(cid, { signal: never })))
    count += found.length
    const below: CID[] = level.flatMap((cid, index) => links(cid, found[index]!.bytes))
    level = below.filter((cid) => {
      const isNew = !seen.has(cid.toString())
      seen.add(cid.toString())
      return isNew
    })
  }
  return count
}

let served: TestGateway
beforeEach(async () => {
  served = await gateway()
})
afterEach(async () => {
  await Promise.all(gateways.splice(0).map((one) => one.stop()))
})

describe('a DAG from a gateway', () => {
  it('comes in one CAR', async () => {
    const { root } = await importRandomFile(blocks, 1_000_000, 32 * 1024)
    const run = open({ dag: root }, [served.url])
    expect(await fetchAll(run, root)).toBe(32)
    expect(served.requests.map(({ format }) => format)).toEqual(['car'])
    expect(served.requests[0]).toMatchObject({ scope: 'all', headers: { 'accept-encoding': 'identity' } })
    expect(served.requests[0]?.headers['cookie']).toBeUndefined()
    run.close()
  })

  it('comes block by block where the gateway makes no CARs', async () => {
    served.script = ({ format }, response) => {
      if (format !== 'car') return false
      response.writeHead(406).end()
      return true
    }
    const { root } = await importRandomFile(blocks, 100_000, 32 * 1024)
    expect(await fetchAll(open({ dag: root }, [served.url]), root)).toBe(5)
    expect(served.requests.filter(({ format }) => format === 'car')).toHaveLength(1)
  })

  it('goes on block by block where the CAR breaks off', async () => {
    const { root } = await importRandomFile(blocks, 200_000, 32 * 1024)
    served.script = ({ format }, response) => {
      if (format !== 'car') return false
      response.writeHead(200, { 'content-type': 'application/vnd.ipld.car' })
      response.write(Buffer.from('3aa265726f6f747381d82a', 'hex'))
      setImmediate(() => response.destroy())
      return true
    }
    expect(await fetchAll(open({ dag: root }, [served.url]), root)).toBe(8)
  })

  it('asks for one block only, where no more is wanted', async () => {
    const { root } = await importRandomFile(blocks, 100_000, 32 * 1024)
    const { bytes, from } = await open({ dag: root, scope: 'block' }, [served.url]).fetch(root, {
      signal: never,
    })
    expect(Buffer.from(bytes).equals(blocks.peek(root)!)).toBe(true)
    expect(from).toBe(new URL(served.url).host)
    expect(served.requests.map(({ format }) => format)).toEqual(['raw'])
  })

  it('comes from the gateway that has it', async () => {
    const empty = await gateway(new MemoryBlocks())
    const { root } = await importRandomFile(blocks, 100_000, 32 * 1024)
    expect(await fetchAll(open({ dag: root }, [empty.url, served.url]), root)).toBe(5)
  })

  it('is told apart by what each gateway answered where none has it', async () => {
    const nowhere = rawCid(randomBytes(10))
    const empty = await gateway(new MemoryBlocks())
    empty.script = (_request, response) => {
      response.writeHead(500).end()
      return true
    }
    const asking = open({ dag: nowhere }, [served.url, empty.url]).fetch(nowhere, { signal: never })
    await expect(asking).rejects.toThrow(/status 404, 127.*status 500/)
  })

  it('sends credentials as a header, below the path of the address', async () => {
    const bytes = randomBytes(20)
    const cid = rawCid(bytes)
    blocks.add(cid, bytes)
    const address = served.url.replace('http://', 'http://me:secret@')
    await open({ dag: cid }, [`${address}/below/`]).fetch(cid, { signal: never })
    expect(served.requests[0]?.headers.authorization).toBe(`Basic ${btoa('me:secret')}`)
  })
})

describe('a hostile gateway', () => {
  const asks = async (script: TestGateway['script'], deadlineMs = 2_000): Promise<unknown> => {
    const bytes = randomBytes(40_000)
    const cid = rawCid(bytes)
    blocks.add(cid, bytes)
    served.script = script
    const run = open({ dag: cid, scope: 'block' }, [served.url], deadlineMs)
    return run.fetch(cid, { signal: never }).then(
      () => 'answered',
      (error: unknown) => (error as Error).message,
    )
  }
  const raw = { 'content-type': 'application/vnd.ipld.raw' }

  it('is not followed elsewhere', async () => {
    const elsewhere = await gateway()
    const answer = await asks((_request, response) => {
      response.writeHead(302, { location: elsewhere.url }).end()
      return true
    })
    expect(answer).toMatch(/redirect \(302\)/)
    expect(elsewhere.requests).toHaveLength(0)
  })

  it('sends other bytes in vain', async () => {
    const answer = await asks((_request, response) => {
      response.writeHead(200, raw).end(randomBytes(100))
      return true
    })
    expect(answer).toMatch(/wrong bytes/)
  })

  it('sends without end only up to the size of a block', async () => {
    let sentBytes = 0
    const answer = await asks((_request, response) => {
      response.writeHead(200, raw)
      const send = (): void => {
        while (!response.destroyed && response.write(randomBytes(65_536))) sentBytes += 65_536
      }
      response.on('drain', send)
      send()
      return true
    })
    expect(answer).toMatch(/too large/)
    expect(sentBytes).toBeLessThan(64 * 1024 * 1024)
  })

  it('is given up in silence', async () => {
    const answer = await asks((_request, response) => {
      response.writeHead(200, raw)
      response.flushHeaders()
      return true
    }, 150)
    expect(answer).toMatch(/silence/)
  })

  it('is not unpacked', async () => {
    const answer = await asks((_request, response) => {
      response.writeHead(200, { ...raw, 'content-encoding': 'gzip' }).end(Buffer.from('1f8b', 'hex'))
      return true
    })
    expect(answer).toMatch(/compressed/)
  })

  it('does not pass off a web page', async () => {
    const answer = await asks((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<p>welcome')
      return true
    })
    expect(answer).toMatch(/content type/)
  })

  it('rests after failures in a row, and is not asked meanwhile', async () => {
    served.script = (_request, response) => {
      response.writeHead(500).end()
      return true
    }
    const run = open({ dag: rawCid(randomBytes(9)), scope: 'block' }, [served.url])
    for (let turn = 0; turn < FAILURES_BEFORE_REST; turn += 1) {
      await run.fetch(rawCid(randomBytes(9)), { signal: never }).catch(() => {})
    }
    const before = served.requests.length
    await expect(run.fetch(rawCid(randomBytes(9)), { signal: never })).rejects.toThrow(/rest/)
    expect(served.requests.length).toBe(before)
  })

  it('sends a CAR with garbage, foreign blocks, wrong bytes or impossible lengths: the blocks come one by one', async () => {
    const { root } = await importRandomFile(blocks, 60_000, 32 * 1024)
    const header = Buffer.from(encodeCbor({ version: 1, roots: [root] }))
    const framed = (bytes: Uint8Array): Buffer => Buffer.concat([Buffer.from([bytes.length]), bytes])
    const stranger = randomBytes(50)
    const bodies = [
      randomBytes(500),
      Buffer.concat([framed(header), framed(Buffer.concat([rawCid(stranger).bytes, stranger]))]),
      Buffer.concat([framed(header), framed(Buffer.concat([root.bytes, randomBytes(30)]))]),
      Buffer.concat([framed(header), Buffer.from('ffffffff0f', 'hex')]),
      framed(Buffer.from(encodeCbor({ version: 9 }))),
      Buffer.alloc(0),
    ]
    for (const body of bodies) {
      served.script = ({ format }, response) => {
        if (format !== 'car') return false
        response.writeHead(200, { 'content-type': 'application/vnd.ipld.car' }).end(body)
        return true
      }
      // Its own step each time: one that sends such things five times in a row rests.
      expect(await fetchAll(open({ dag: root }, [served.url]), root)).toBe(3)
    }
  })
})

describe('a DAG that is deep or wide', () => {
  it('is taken as it is asked for, whatever lies below', async () => {
    let cid = rawCid(Buffer.from('end'))
    blocks.add(cid, Buffer.from('end'))
    for (let depth = 0; depth < 200; depth += 1) {
      const bytes = encodeCbor({ below: cid, depth })
      cid = cidOf(0x71, bytes)
      blocks.add(cid, bytes)
    }
    expect(await fetchAll(open({ dag: cid }, [served.url]), cid)).toBe(201)
  })

  it('comes as a directory of many files', async () => {
    const files = Array.from({ length: 300 }, (_, index) => ({
      path: `f${index}`,
      content: randomBytes(100),
    }))
    const root = (await importFiles(blocks, files, { shardAbove: 1_000 })).get('')!
    const run = open({ dag: root }, [served.url])
    expect(await fetchAll(run, root)).toBeGreaterThan(300)
    expect(served.requests.filter(({ format }) => format === 'car').length).toBe(1)
  })
})
