/** A file that every browser plays and seeks in: PCM of 8 bits, one channel, with a tone that changes each second. */
export function wavFile(seconds: number, samplesPerSecond = 44_100): Buffer {
  const samples = seconds * samplesPerSecond
  const header = Buffer.alloc(44)
  header.write('RIFF', 0)
  header.writeUInt32LE(36 + samples, 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20)
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(samplesPerSecond, 24)
  header.writeUInt32LE(samplesPerSecond, 28)
  header.writeUInt16LE(1, 32)
  header.writeUInt16LE(8, 34)
  header.write('data', 36)
  header.writeUInt32LE(samples, 40)
  const body = Buffer.alloc(samples)
  for (let at = 0; at < samples; at += 1) {
    const hertz = 200 + (((at / samplesPerSecond) | 0) % 400)
    body[at] = 128 + Math.round(100 * Math.sin((2 * Math.PI * hertz * at) / samplesPerSecond))
  }
  return Buffer.concat([header, body])
}
