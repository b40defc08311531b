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
