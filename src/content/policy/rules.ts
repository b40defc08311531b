import { CID } from 'multiformats/cid'
import { peerIdFromString } from '@libp2p/peer-id'
import { policyInvalid } from './errors.ts'
import { MAX_COPIES } from './limits.ts'
import type { PolicyRule } from './types.ts'

/** A rule with nothing in it but what belongs there. @throws ERR_POLICY_INVALID */
export function checkedRule(rule: PolicyRule): PolicyRule {
  switch (rule.kind) {
    case 'auto': {
      const { minScore, budgetBytes, peer } = rule
      assertScore(minScore)
      assertBudget(budgetBytes)
      if (peer === undefined) return { kind: 'auto', minScore, budgetBytes }
      try {
        return { kind: 'auto', minScore, budgetBytes, peer: peerIdFromString(peer).toString() }
      } catch {
        throw policyInvalid(`"${peer}" is not a peer id`)
      }
    }
    case 'recent': {
      const { windowMs, budgetBytes } = rule
      if (!Number.isSafeInteger(windowMs) || windowMs < 1_000)
        throw policyInvalid('the window is at least 1s')
      assertBudget(budgetBytes)
      return { kind: 'recent', windowMs, budgetBytes }
    }
    case 'copies': {
      const { copies, minScore, cid } = rule
      if (!Number.isSafeInteger(copies) || copies < 1 || copies > MAX_COPIES)
        throw policyInvalid(`copies are 1 to ${MAX_COPIES}`)
      assertScore(minScore)
      if (cid === undefined) return { kind: 'copies', copies, minScore }
      try {
        return { kind: 'copies', copies, minScore, cid: CID.parse(cid).toString() }
      } catch {
        throw policyInvalid(`"${cid}" is not a CID`)
      }
    }
    default:
      throw policyInvalid('kinds are auto, recent and copies')
  }
}

function assertScore(score: number): void {
  if (!(score >= 0 && score <= 1)) throw policyInvalid('a score lies between 0 and 1')
}

function assertBudget(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 1) throw policyInvalid('a budget is at least one byte')
}
