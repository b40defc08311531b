/** One play of the experiment, in a process of its own: node hostile-peer.ts NODES WAY,… on|off SEED [SECONDS]. Prints its report as a line. */
import { simulate } from '../../src/simulation/index.ts'
import { hostileScenario } from '../../src/simulation/scenarios/hostile.ts'
import { WAYS } from '../../src/simulation/hostile/ways.ts'

const [nodes, wanted = '', trust, seed = 'a third', intervalS] = process.argv.slice(2)
const ways = WAYS.filter((way) => wanted.split(',').includes(way))
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort(new Error('ended by the benchmark')))
const began = performance.now()
const report = await simulate({
  count: Number(nodes),
  scenario: hostileScenario({
    ways,
    isTrusting: trust === 'on',
    seed,
    ...(intervalS === undefined ? {} : { intervalMs: Number(intervalS) * 1_000 }),
  }),
  signal: stop.signal,
  onProgress({ label, done, total }) {
    if (done === total)
      console.error(`${Math.round((performance.now() - began) / 1_000)} s: ${label} ${total}`)
  },
})
console.log(JSON.stringify(report))
process.exit(0)
