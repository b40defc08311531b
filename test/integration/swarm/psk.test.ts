import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/network.ts'
import { LISTEN, soon, SwarmLab, type WholeNodeOptions } from '../../support/swarm.ts'

const lab = new SwarmLab()
afterEach(() => lab.close())

const UNDER_KEY: WholeNodeOptions = {
  ways: ['tcp', 'websocket'],
  set: {
    'network.psk': 'true',
    'network.transports.quic': 'false',
    'network.transports.webrtcDirect': 'false',
    'network.transports.webrtc': 'false',
  },
}

describe('a network under a pre-shared key', () => {
  it('gives the key to whoever joins, in the form that Kubo has, and is closed without it', async () => {
    const first = await lab.node()
    expect(await first.swarm.create({ name: '', withNetworkKey: true })).toMatchObject({ restart: true })
    const text = await readFile(join(first.home, 'swarm.key'), 'utf8')
    expect(text).toMatch(/^\/key\/swarm\/psk\/1\.0\.0\/\n\/base16\/\n[0-9a-f]{64}\n$/)
    await first.stop()
    const owner = await lab.node({ home: first.home, ...UNDER_KEY })
    expect(owner.swarm.status()).toMatchObject({ networkKey: true, role: 'owner' })

    const guest = await lab.node()
    const { token } = await owner.swarm.invite({ name: 'guest', standing: 'member', termMs: 60_000 })
    expect(await guest.swarm.join(token, '', soon())).toMatchObject({ restart: true, connected: null })
    expect(await readFile(join(guest.home, 'swarm.key'), 'utf8')).toBe(text)
    // A member, but without the key on its connections.
    await expect(guest.network.connect(owner.at('tcp'), AbortSignal.timeout(1_000))).rejects.toThrow()
    await guest.stop()
    const member = await lab.node({ home: guest.home, ...UNDER_KEY })
    await eventually('connected', () => member.peers().includes(owner.peer))
    for (const way of ['tcp', 'websocket'] as const) await member.network.connect(owner.at(way), soon())
    expect(owner.peers()).toEqual([member.peer])
  })

  it('does not start without the key or with a file that is none, and overwrites no other key', async () => {
    await expect(lab.node(UNDER_KEY)).rejects.toMatchObject({
      code: 'ERR_NETWORK_KEY_MISSING',
      kind: 'usage',
    })
    const node = await lab.node()
    await writeFile(join(node.home, 'swarm.key'), `/key/swarm/psk/1.0.0/\n/base16/\n${'0'.repeat(63)}\n`, {
      mode: 0o600,
    })
    await node.stop()
    await expect(lab.node({ home: node.home, ...UNDER_KEY })).rejects.toMatchObject({
      code: 'ERR_NETWORK_KEY_INVALID',
    })

    const owner = await lab.node()
    await owner.swarm.create({ name: '', withNetworkKey: true })
    const guest = await lab.node()
    await writeFile(join(guest.home, 'swarm.key'), `/key/swarm/psk/1.0.0/\n/base16/\n${'0'.repeat(64)}\n`, {
      mode: 0o600,
    })
    const { token } = await owner.swarm.invite({ name: '', standing: 'member', termMs: 60_000 })
    await expect(guest.swarm.join(token, '', soon())).rejects.toMatchObject({ code: 'ERR_NETWORK_KEY_OTHER' })
    expect(guest.swarm.status()).toBeNull()
  })

  it('is refused with what ignores the key, by name', async () => {
    for (const [key, spoken] of [
      ['network.transports.quic', 'QUIC'],
      ['network.transports.webrtcDirect', 'WebRTC-direct'],
      ['network.transports.webrtc', 'WebRTC'],
    ] as const)
      await expect(
        lab.node({ ...UNDER_KEY, listen: [LISTEN.tcp], set: { ...UNDER_KEY.set, [key]: 'true' } }),
      ).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining(spoken) })
    await expect(
      lab.node({ ...UNDER_KEY, set: { ...UNDER_KEY.set, 'network.mode': 'public' } }),
    ).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining('network.psk') })
  })
})
