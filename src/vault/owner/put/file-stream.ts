import type { JobSource } from '../../../jobs/types.ts'
import { PullReader } from '../../../tar/pull-reader.ts'
import { MIME_SAMPLE_BYTES, mimeOf } from '../../codec/index.ts'
import type { AtRest } from '../at-rest.ts'
import { FileHash } from './file-hash.ts'
import type { FileStreamCheckpoint, PutContents, PutStream } from './stream.ts'

export interface FileStreamOptions {
  source: JobSource
  name: string
  atRest: AtRest
  /** Of the put: part of what seals its checkpoints. */
  id: string
  saved: FileStreamCheckpoint | undefined
}

interface Sealed {
  hash: string
  mime: string | null
}

/** The whole source as one file. */
export class FileStream implements PutStream {
  readonly #reader: PullReader
  readonly #hash: FileHash
  readonly #options: FileStreamOptions
  #size = 0
  /** The first bytes, until they tell the format. */
  #sample: Buffer = Buffer.alloc(0)
  #mime: string | null = null

  private constructor(options: FileStreamOptions, hash: FileHash) {
    this.#options = options
    this.#reader = new PullReader(options.source)
    this.#hash = hash
  }

  /** @throws ERR_CHECKPOINT_LOST */
  static async open(options: FileStreamOptions): Promise<FileStream> {
    const { atRest, id, saved } = options
    const stream = new FileStream(options, await FileHash.create())
    if (saved !== undefined) {
      const plain = atRest.open('put-checkpoint', id, Buffer.from(saved.sealed, 'base64'))
      const { hash, mime } = JSON.parse(Buffer.from(plain).toString('utf8')) as Sealed
      stream.#hash.load(hash)
      stream.#size = saved.size
      stream.#mime = mime
    }
    return stream
  }

  get offset(): number {
    return this.#reader.offset
  }

  get size(): number {
    return this.#size
  }

  get files(): number {
    return 1
  }

  async take(target: Uint8Array): Promise<number> {
    let filled = 0
    while (filled < target.length) {
      const part = await this.#reader.some(target.length - filled)
      if (part === undefined) break
      target.set(part, filled)
      filled += part.length
      await this.#hash.update(part)
    }
    this.#size += filled
    if (this.#mime === null) await this.#look(target.subarray(0, filled), filled < target.length)
    return filled
  }

  save(): FileStreamCheckpoint {
    const { atRest, id } = this.#options
    // The hash's state ends in up to 63 bytes of the file.
    const secrets: Sealed = { hash: this.#hash.save(), mime: this.#mime }
    const sealed = atRest.seal('put-checkpoint', id, Buffer.from(JSON.stringify(secrets)))
    return { source: 'file', size: this.#size, sealed: Buffer.from(sealed).toString('base64') }
  }

  async sync(): Promise<void> {}

  async contents(): Promise<PutContents> {
    return {
      size: this.#size,
      sha256: this.#hash.digest(),
      mime: this.#mime ?? (await mimeOf(this.#options.name, this.#sample)),
      files: 1,
      entries: [],
    }
  }

  close(): Promise<void> {
    return this.#reader.close()
  }

  async #look(bytes: Uint8Array, ended: boolean): Promise<void> {
    this.#sample = Buffer.concat([this.#sample, bytes.subarray(0, MIME_SAMPLE_BYTES - this.#sample.length)])
    if (this.#sample.length === MIME_SAMPLE_BYTES || ended)
      this.#mime = await mimeOf(this.#options.name, this.#sample)
  }
}
