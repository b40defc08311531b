/**
 * From whom content is rather taken: one scored list of sources, and what is learned about them.
 *
 * @example
 * const router = createSourceRouter({ config: config.content.router, state, capabilities, trust, privateMark, latencyMs, log })
 * const [best] = router.rank(root, [{ kind: 'peer', id: peer }, { kind: 'ipfs', id: 'ipfs' }], { sizeBytes })
 * router.report(root, { kind: 'peer', id: peer, result: 'served', bytes, transferMs, latencyMs })
 *
 * Reading order: `types.ts` (the contract), `score.ts` and `rules.ts` (pure), `learn.ts` (what is remembered), `router.ts`.
 */
export { factsOf } from './facts.ts'
export { SourceGuide } from './guide.ts'
export { createSourceRouter, type RunningSourceRouter } from './router.ts'
export type * from './types.ts'
