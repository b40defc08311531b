import type { JobSource } from '../../../jobs/types.ts'
import { PullReader } from '../../../tar/pull-reader.ts'
import { MIME_SAMPLE_BYTES, mimeOf } from '../../codec/index.ts'
import { FileHash } from './file-hash.ts'
import type { FileStreamCheckpoint, PutContents, PutStream } from './stream.ts'

/** The whole source as one file. */
export class FileStream implements PutStream {
  readonly #reader: PullReader
  readonly #hash: FileHash
  readonly #name: string
  #size = 0
  /** The first bytes, until they tell the format. */
  #sample: Buffer = Buffer.alloc(0)
  #mime: string | null = null

  private constructor(reader: PullReader, hash: FileHash, name: string) {
    this.#reader = reader
    this.#hash = hash
    this.#name = name
  }

  /** @throws ERR_CHECKPOINT_LOST */
  static async open(
    source: JobSource,
    name: string,
    saved: FileStreamCheckpoint | undefined,
  ): Promise<FileStream> {
    const stream = new FileStream(new PullReader(source), await FileHash.create(), name)
    if (saved !== undefined) {
      stream.#hash.load(saved.hash)
      stream.#size = saved.size
      stream.#mime = saved.mime
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
      this.#hash.update(part)
    }
    this.#size += filled
    if (this.#mime === null) await this.#look(target.subarray(0, filled), filled < target.length)
    return filled
  }

  save(): FileStreamCheckpoint {
    return { source: 'file', size: this.#size, hash: this.#hash.save(), mime: this.#mime }
  }

  async sync(): Promise<void> {}

  async contents(): Promise<PutContents> {
    return {
      size: this.#size,
      sha256: this.#hash.digest(),
      mime: this.#mime ?? (await mimeOf(this.#name, this.#sample)),
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
      this.#mime = await mimeOf(this.#name, this.#sample)
  }
}
