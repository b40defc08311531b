import { createReadStream, existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StreamAnswer } from './streaming.ts'

/**
 * The page is Swagger UI as it is distributed, read from disk when somebody opens it: it costs neither start time nor
 * memory before. Nothing is loaded from elsewhere, and the policy says so.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  // Swagger UI sets style attributes.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const PAGE = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>p2pnode API</title>
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <main id="api"></main>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
`

const START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', deepLinking: true, validatorUrl: null })
`

const TYPES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
}

export function docsPage(): StreamAnswer {
  return new StreamAnswer(
    200,
    { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': POLICY },
    [PAGE],
  )
}

/** One file of the page, or undefined where there is none of that name. */
export async function docsAsset(name: string): Promise<StreamAnswer | undefined> {
  if (name === 'start.js') {
    return new StreamAnswer(200, { 'content-type': 'text/javascript; charset=utf-8' }, [START])
  }
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined
  if (type === undefined) return undefined
  const path = join(assetFolder(), name)
  const { size } = await stat(path)
  return new StreamAnswer(
    200,
    { 'content-type': type, 'content-length': size, 'cache-control': 'private, max-age=3600' },
    createReadStream(path),
  )
}

/** In a bundle the files lie in `swagger-ui` beside it; in a checkout in the package they come from. */
function assetFolder(): string {
  const beside = join(dirname(fileURLToPath(import.meta.url)), 'swagger-ui')
  if (existsSync(beside)) return beside
  return join(dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui')), 'static')
}
