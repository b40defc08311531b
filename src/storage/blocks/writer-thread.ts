import { Worker } from 'node:worker_threads'

/**
 * The thread that writes blocks.db, on its way up; `openWriter` tells it which. It takes about as long to come up as libp2p
 * takes to load, so that a process which will open a store begins with this. It keeps no process until it is told.
 */
export function startWriterThread(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const thread = new Worker(new URL(`./writer.worker${extension}`, import.meta.url), {
    name: 'blocks-writer',
  })
  thread.unref()
  return thread
}
