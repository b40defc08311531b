/** A plain file server to compare the gateway with: whole files and single ranges out of one file, straight from `node:http`. */
import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const [path = ''] = process.argv.slice(2)
const { size } = statSync(path)
const server = createServer((request, response) => {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  const [start, end] = first === undefined ? [0, size - 1] : [Number(first), Number(last)]
  response.writeHead(first === undefined ? 200 : 206, { 'content-length': end - start + 1 })
  createReadStream(path, { start, end, highWaterMark: 256 * 1024 }).pipe(response)
})
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }))
})
