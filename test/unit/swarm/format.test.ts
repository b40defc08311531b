import { readFile } from 'node:fs/promises'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ed25519Signer } from '../../../protocols/chunk/format/index.ts'
import type { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'
import {
  formatInvitation,
  isName,
  parseInvitation,
  signStatement,
  type Standing,
  verifyStatement,
} from '../../../protocols/swarm/index.ts'
import { MAX_ADMIN_NUMBER, MAX_STATEMENT_BYTES } from '../../../protocols/swarm/limits.ts'
import { decodeKnock, decodeWelcome, encodeKnock, encodeWelcome } from '../../../protocols/swarm/messages.ts'

interface Vectors {
  ownerSeed: string
  adminSeed: string
  swarm: string
  statements: {
    signer: 'owner' | 'admin'
    subject: string
    standing: Standing
    number: number
    under: number
    timeMs: number
    name: string
    bytes: string
    id: string
  }[]
  refused: Record<string, string>
  invitation: {
    door: string
    addresses: string[]
    secret: string
    expiresMs: number
    network: string
    text: string
  }
  knock: { secret: string; name: string; bytes: string }
}

const vectors = JSON.parse(
  await readFile(new URL('../../../protocols/swarm/vectors/swarm.json', import.meta.url), 'utf8'),
) as Vectors
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const owner = ed25519Signer(unhex(vectors.ownerSeed))
const admin = ed25519Signer(unhex(vectors.adminSeed))
const swarm = unhex(vectors.swarm)

describe('statements', () => {
  it.each(vectors.statements)(
    'are as the vectors say: $standing by the $signer',
    ({ signer, bytes, id, ...said }) => {
      const statement = { ...said, subject: unhex(said.subject) }
      const made = signStatement(swarm, signer === 'owner' ? owner : admin, statement)
      expect(hex(made.bytes)).toBe(bytes)
      const read = verifyStatement(swarm, unhex(bytes))
      expect(hex(read.id)).toBe(id)
      expect(read).toMatchObject({ standing: said.standing, number: said.number, name: said.name })
      expect(hex(read.subject)).toBe(said.subject)
    },
  )

  it.each(Object.entries(vectors.refused))('are refused: %s', (_, bytes) => {
    expect(() => verifyStatement(swarm, unhex(bytes))).toThrow(ProtocolViolationError)
  })

  it('hold in their own swarm alone, and as they were signed', () => {
    const bytes = unhex(vectors.statements[0]!.bytes)
    expect(() => verifyStatement(admin.publicKey, bytes)).toThrow(ProtocolViolationError)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const altered = Uint8Array.from(bytes)
        altered[at]! ^= change
        expect(() => verifyStatement(swarm, altered)).toThrow(ProtocolViolationError)
      }),
    )
  })

  it('stay within their bound with the longest of everything', () => {
    const { bytes } = signStatement(swarm, admin, {
      subject: owner.publicKey,
      standing: 'out',
      number: MAX_ADMIN_NUMBER,
      under: Number.MAX_SAFE_INTEGER,
      timeMs: Number.MAX_SAFE_INTEGER,
      name: '😀'.repeat(32),
    })
    expect(bytes.length).toBeLessThanOrEqual(MAX_STATEMENT_BYTES)
    expect(verifyStatement(swarm, bytes).name).toBe('😀'.repeat(32))
  })

  it('of an admin leave the owner the last word: not of itself, and not with its numbers', () => {
    const said = { standing: 'out', under: 1, timeMs: 1, name: '' } as const
    const verified = (signer: typeof owner, subject: Uint8Array, number: number) => () =>
      verifyStatement(
        swarm,
        signStatement(swarm, signer, { ...said, subject, number, under: signer === owner ? 0 : 1 }).bytes,
      )
    const subject = unhex(vectors.statements[1]!.subject)
    expect(verified(admin, subject, MAX_ADMIN_NUMBER)().number).toBe(MAX_ADMIN_NUMBER)
    for (const refused of [
      verified(admin, admin.publicKey, 1),
      verified(admin, subject, MAX_ADMIN_NUMBER + 1),
      verified(admin, subject, Number.MAX_SAFE_INTEGER),
    ])
      expect(refused).toThrow(expect.objectContaining({ rule: 'bad-statement' }))
    expect(verified(owner, admin.publicKey, Number.MAX_SAFE_INTEGER)().number).toBe(Number.MAX_SAFE_INTEGER)
    expect(verified(owner, owner.publicKey, 1)().standing).toBe('out')
  })

  it('have names of one line', () => {
    for (const name of ['', ' a', 'a ', 'a\nb', 'a\0', '\u2028', 'x'.repeat(65), '\ud800'])
      expect(isName(name), JSON.stringify(name)).toBe(false)
    for (const name of ['a', 'Küche', "Ann's laptop", 'x'.repeat(64)]) expect(isName(name)).toBe(true)
  })
})

describe('invitations', () => {
  const { text, ...parts } = vectors.invitation
  const invitation = {
    swarm,
    door: unhex(parts.door),
    addresses: parts.addresses.map((address) => multiaddr(address)),
    secret: unhex(parts.secret),
    expiresMs: parts.expiresMs,
    network: parts.network,
  }

  it('are as the vectors say', () => {
    expect(formatInvitation(invitation)).toBe(text)
    const read = parseInvitation(text)
    expect(read.addresses.map(String)).toEqual(parts.addresses)
    expect(hex(read.secret)).toBe(parts.secret)
    expect(read).toMatchObject({ expiresMs: parts.expiresMs, network: parts.network })
  })

  it('are refused where anything was changed, without a word of what they hold', () => {
    const refused = (given: string): P2pnodeError => {
      try {
        parseInvitation(given)
      } catch (error) {
        return error as P2pnodeError
      }
      throw new Error(`taken: ${given}`)
    }
    fc.assert(
      fc.property(
        fc.integer({ min: 14, max: text.length - 1 }),
        fc.constantFrom('1', '2', 'x', 'y', 'z', '0', 'I', 'l', '+'),
        (at, other) => {
          fc.pre(text[at] !== other)
          const error = refused(text.slice(0, at) + other + text.slice(at + 1))
          expect(error).toMatchObject({ code: 'ERR_INVITATION_INVALID', kind: 'usage' })
          expect(error.message).not.toContain(text.slice(20, 40))
        },
      ),
    )
    for (const given of [
      '',
      'p2pnode-swarm:',
      'p2pnode-swarm:1',
      text.slice(0, -1),
      `${text}1`,
      text.slice(1),
    ])
      expect(refused(given).code).toBe('ERR_INVITATION_INVALID')
    expect(refused(`p2pnode-swarm:${'z'.repeat(5_000)}`).code).toBe('ERR_INVITATION_INVALID')
  })
})

describe('messages at the door', () => {
  it('are as the vectors say', () => {
    const { secret, name, bytes } = vectors.knock
    expect(hex(encodeKnock({ secret: unhex(secret), name }))).toBe(bytes)
    expect(decodeKnock(unhex(bytes)).name).toBe(name)
  })

  it('come out as they went in', () => {
    const statements = vectors.statements.map(({ bytes }) => verifyStatement(swarm, unhex(bytes)))
    const contacts = [multiaddr('/ip4/192.0.2.7/tcp/4700')]
    const networkKey = new Uint8Array(32).fill(7)
    const { status, welcome } = decodeWelcome(swarm, encodeWelcome(0, { statements, contacts, networkKey }))
    expect(status).toBe(0)
    expect(welcome?.statements.map(({ id }) => hex(id))).toEqual(statements.map(({ id }) => hex(id)))
    expect(welcome?.contacts.map(String)).toEqual(contacts.map(String))
    expect(hex(welcome?.networkKey ?? new Uint8Array())).toBe(hex(networkKey))
    expect(decodeWelcome(swarm, encodeWelcome(3))).toEqual({ status: 3 })
  })

  it('are either read or refused as a violation, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        for (const decode of [
          decodeKnock,
          (given: Uint8Array) => decodeWelcome(swarm, given),
          (given: Uint8Array) => verifyStatement(swarm, given),
        ]) {
          try {
            decode(bytes)
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolViolationError)
          }
        }
      }),
    )
  })

  it('are not taken with statements that do not hold', () => {
    const forged = { ...verifyStatement(swarm, unhex(vectors.statements[0]!.bytes)) }
    const bytes = Uint8Array.from(forged.bytes)
    bytes[0]! ^= 1
    const welcome = encodeWelcome(0, { statements: [{ ...forged, bytes }], contacts: [] })
    expect(() => decodeWelcome(swarm, welcome)).toThrow(ProtocolViolationError)
  })
})
