import { isMarkedAsUntransferable } from 'node:worker_threads'

/**
 * The array with the buffer that may move to another thread with it. A view of a part of a buffer is copied: moving would take the
 * rest from whoever uses it, and cloning a view clones the whole buffer behind it.
 */
export function movable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes
  const whole =
    buffer instanceof ArrayBuffer && bytes.byteOffset === 0 && bytes.byteLength === buffer.byteLength
  // A plain array in either case: a Buffer arrives as one anyhow.
  return whole ? new Uint8Array(buffer) : new Uint8Array(bytes)
}

/**
 * Gives an array's memory back now, where nothing else uses its buffer; the array is empty afterwards. A worker thread makes
 * megabytes of garbage with each call and hardly any objects, so that it collects only after hundreds of MiB (measured: 1.2 GiB
 * in a node that put 1 GiB). A small one lies in the pool that Node shares between buffers, marked as not to be moved, and stays.
 */
export function discard(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && !isMarkedAsUntransferable(buffer)) buffer.transfer(0)
}
