import { randomBytes } from 'node:crypto'

const BINDING_REQUEST = 0x0001
const MAGIC_COOKIE = 0x2112_a442
const USERNAME = 0x0006
const MESSAGE_INTEGRITY = 0x0008

/** What a WebRTC-direct dialler sends first: a binding request of RFC 8489 by its name, a new one where none is given. */
export function knock(ufrag = `libp2p+webrtc+v1/${randomBytes(12).toString('hex')}`): Buffer {
  const username = Buffer.from(`${ufrag}:${ufrag}`)
  const attributes = Buffer.concat([
    attribute(USERNAME, username),
    // The code is of the name's owner, and nobody has asked for it yet.
    attribute(MESSAGE_INTEGRITY, randomBytes(20)),
  ])
  const header = Buffer.alloc(20)
  header.writeUInt16BE(BINDING_REQUEST, 0)
  header.writeUInt16BE(attributes.length, 2)
  header.writeUInt32BE(MAGIC_COOKIE, 4)
  randomBytes(12).copy(header, 8)
  return Buffer.concat([header, attributes])
}

function attribute(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt16BE(type, 0)
  header.writeUInt16BE(value.length, 2)
  return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)])
}
