import { setTimeout as sleep } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import { addContent, fetchFile, named, putContent, readFile, type SimulatedFile } from '../files.ts'
import type { Member } from '../network.ts'
import type { Fetch, Fetcher, Run } from '../run.ts'
import { readableShare } from './bound.ts'
import { Cast, REDUNDANCY } from './cast.ts'
import { holdsOf } from './holds.ts'
import {
  BAIT_BYTES,
  MAX_OWNERS,
  MEASURED_ROUNDS,
  MIN_OWNERS,
  NODES_PER_OWNER,
  OLDER_FILES_READ,
  PRIVATE_FILE_BYTES,
  PUBLIC_FILE_BYTES,
  READERS_PER_FILE,
  WARM_UP_ROUNDS,
} from './limits.ts'
import { type SeededRandom, seededRandom } from './random.ts'
import { scoresOf } from './scores.ts'
import type { HostileOptions, HostileReport, Reads, RoundSample } from './types.ts'

/** A file, and the round in which it came. */
interface Dated {
  file: SimulatedFile
  round: number
}

/** With a third of its peers hostile: what a network keeps, what it finds, and what its nodes come to think of each other. */
export class Experiment {
  readonly #run: Run
  readonly #options: HostileOptions
  readonly #random: SeededRandom
  readonly #cast: Cast
  readonly #warmUpRounds: number
  readonly #measuredRounds: number
  readonly #private: Dated[] = []
  readonly #public: Dated[] = []

  constructor(run: Run, options: HostileOptions) {
    this.#run = run
    this.#options = options
    this.#warmUpRounds = options.warmUpRounds ?? WARM_UP_ROUNDS
    this.#measuredRounds = options.measuredRounds ?? MEASURED_ROUNDS
    this.#random = seededRandom(options.seed)
    this.#cast = new Cast(run.network.members, options, this.#random)
  }

  /** @throws the signal's reason. Undefined: the nodes did not become one network. */
  async play(): Promise<HostileReport | undefined> {
    const { network } = this.#run
    network.direct(this.#cast.direction)
    if (!(await this.#run.startAll())) return undefined
    const rounds: RoundSample[] = []
    const beganMs = performance.now()
    for (let round = 0; round < this.#warmUpRounds + this.#measuredRounds; round++) {
      const endsMs = performance.now() + this.#cast.intervalMs
      rounds.push(await this.#round(round, beganMs))
      // A round is an interval at the least: what was put in it is audited before the next one.
      const restMs = endsMs - performance.now()
      if (restMs > 0) await sleep(restMs, undefined, { signal: this.#run.signal })
    }
    return this.#report(rounds)
  }

  async #round(round: number, beganMs: number): Promise<RoundSample> {
    const { book } = this.#cast
    const owners = this.#owners()
    const label = `round ${round + 1}`
    const put = await this.#make(owners, `${label}: putting private files`, PRIVATE_FILE_BYTES, putContent)
    const added = await this.#make(owners, `${label}: adding public files`, PUBLIC_FILE_BYTES, addContent)
    if (round === 0 || round === this.#warmUpRounds) await this.#lie(added)
    this.#slander()
    const isMeasured = round >= this.#warmUpRounds
    // The network is asked before it has looked at what is new: whoever was given a column a moment ago has to have it.
    const reads = await this.#read(put, `${label}: reading what is new`, readFile, false)
    const older = this.#random.some(
      this.#private.filter((dated) => dated.round >= this.#warmUpRounds),
      OLDER_FILES_READ,
    )
    const again = await this.#read(
      filesOf(older),
      `${label}: reading what was put after the warm-up`,
      readFile,
      false,
    )
    const early = this.#random.some(
      this.#private.filter((dated) => dated.round < this.#warmUpRounds),
      OLDER_FILES_READ,
    )
    const earlyReads = await this.#read(filesOf(early), `${label}: reading early files`, readFile, false)
    const someAdded = this.#random.some(this.#public, OLDER_FILES_READ)
    const publicFiles = [...added, ...filesOf(someAdded)]
    const publicReads = await this.#read(publicFiles, `${label}: fetching public files`, fetchFile, true)
    this.#private.push(...put.map((file) => ({ file, round })))
    this.#public.push(...added.map((file) => ({ file, round })))
    const placed = book.turn()
    return {
      round,
      atMs: Math.round(performance.now() - beganMs),
      reads: isMeasured ? plus(reads, again) : reads,
      earlyReads,
      publicReads,
      failedPuts: 2 * owners.length - put.length - added.length,
      placed: placed.columns,
      placedHostile: placed.lostColumns,
      mostUnproven: placed.mostUnproven,
      falseBytes: placed.falseBytes,
      falseAnswers: placed.falseAnswers,
      lostBytes: placed.lostBytes,
      repairedBytes: placed.repairedBytes,
      scores: this.#scores(),
    }
  }

  /** The same honest nodes every time. */
  #owners(): readonly Member[] {
    const { honest } = this.#cast
    const count = Math.min(MAX_OWNERS, Math.max(MIN_OWNERS, Math.round(honest.length / NODES_PER_OWNER)))
    const step = honest.length / count
    return Array.from({ length: count }, (_, at) => honest[Math.floor(at * step)] as Member)
  }

  async #make(
    owners: readonly Member[],
    label: string,
    sizeBytes: number,
    make: typeof putContent,
  ): Promise<SimulatedFile[]> {
    return this.#run.make(
      owners,
      label,
      (member, services, index, signal) => {
        const name = `${label}, ${index + 1}`
        return make(member, services, named(name, this.#random.bytes(name, sizeBytes)), signal)
      },
      { mayFail: true },
    )
  }

  /** Hostile peers say that they have what honest ones have added; a small file of their own makes them tell everybody. */
  async #lie(added: readonly SimulatedFile[]): Promise<void> {
    const { network, signal } = this.#run
    const roots = [...filesOf(this.#public), ...added].map(({ address }) => CID.parse(address))
    for (const member of this.#cast.hostile) {
      const claim = this.#cast.hostileOf(member)?.claim
      if (claim === undefined) continue
      await claim(roots, signal)
      const bait = `of ${member.name}, ${roots.length}`
      const file = named(bait, this.#random.bytes(bait, BAIT_BYTES))
      try {
        await addContent(member, network.services(member), file, this.#run.operationSignal())
      } catch {
        // It is stored, which is what its node tells others of; that the DHT was told as well is nothing to the experiment.
        signal.throwIfAborted()
      }
    }
  }

  /** Who slanders does so in every round, of everybody. */
  #slander(): void {
    const peers = this.#run.network.members.map(({ peer }) => peer)
    for (const member of this.#cast.hostile)
      this.#cast.hostileOf(member)?.slander?.(peers.filter((peer) => peer !== member.peer))
  }

  async #read(
    files: readonly SimulatedFile[],
    label: string,
    fetcher: Fetcher,
    isPublic: boolean,
  ): Promise<Reads> {
    const fetches = files.flatMap((file): Fetch[] => {
      const others = this.#cast.honest.filter((member) => !file.holders.has(member))
      return this.#random.some(others, READERS_PER_FILE).map((member) => ({ member, file }))
    })
    const right = await this.#run.fetchAll(fetches, label, fetcher, { isPublic, mayFail: true })
    return { attempted: fetches.length, right: right.size }
  }

  #scores(): RoundSample['scores'] {
    const { network } = this.#run
    const honest = this.#cast.honest.map((member) => network.services(member).trust)
    return scoresOf(honest, (peer) => this.#cast.isHostile(peer))
  }

  async #report(rounds: RoundSample[]): Promise<HostileReport> {
    const { holders, hostile, intervalMs } = this.#cast
    const first = filesOf(this.#private.filter(({ round }) => round === 0))
    const firstReads = await this.#read(first, 'reading the first files', readFile, false)
    const losers = holders.filter((member) => this.#cast.isLoser(member)).length
    const report = {
      ways: this.#options.ways,
      isTrusting: this.#options.isTrusting,
      seed: this.#options.seed,
      nodes: this.#run.network.members.length,
      hostile: hostile.length,
      holders: holders.length,
      losers,
      ...REDUNDANCY,
      intervalMs,
      rounds,
      firstFiles: {
        ...firstReads,
        bound: readableShare({ holders: holders.length, lost: losers, ...REDUNDANCY }),
      },
    }
    return { ...report, holds: holdsOf(report, this.#warmUpRounds) }
  }
}

function filesOf(dated: readonly Dated[]): SimulatedFile[] {
  return dated.map(({ file }) => file)
}

function plus(a: Reads, b: Reads): Reads {
  return { attempted: a.attempted + b.attempted, right: a.right + b.right }
}
