import { describe, expect, it } from 'vitest'
import { MAX_SILENCE_MS, MAX_SILENT_PEERS } from '../../../../src/vault/holder/limits.ts'
import { SilentPeers } from '../../../../src/vault/holder/silent-peers.ts'

describe('peers that could not be reached', () => {
  it('are left alone for a while, or until they answer', () => {
    let nowMs = 1
    const silent = new SilentPeers(1_000, () => nowMs)
    expect(silent.isSilent('a')).toBe(false)
    silent.failed('a')
    expect(silent.isSilent('a')).toBe(true)
    silent.answered('a')
    expect(silent.isSilent('a')).toBe(false)
    silent.failed('a')
    nowMs = 1_002
    expect(silent.isSilent('a')).toBe(false)
  })

  it('never for longer than the bound, and a bounded number of them', () => {
    let nowMs = 1
    const silent = new SilentPeers(Number.POSITIVE_INFINITY, () => nowMs)
    for (let peer = 0; peer <= MAX_SILENT_PEERS; peer++) silent.failed(`peer-${peer}`)
    expect(silent.isSilent('peer-0')).toBe(false)
    expect(silent.isSilent('peer-1')).toBe(true)
    nowMs += MAX_SILENCE_MS + 1
    expect(silent.isSilent('peer-1')).toBe(false)
  })
})
