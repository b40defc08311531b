/** Pages that the gateway makes itself: no scripts, nothing loaded from anywhere, every text from outside escaped. */

/** Changes with what the pages look like, so that no cache keeps an old one. */
export const PAGE_VERSION = '1'

export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
}

const STYLE = [
  'body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222;background:#fff}',
  'h1{font-size:1.2rem;overflow-wrap:anywhere}',
  'table{border-collapse:collapse;width:100%}',
  'td{padding:.2rem .5rem;border-top:1px solid #ddd;overflow-wrap:anywhere}',
  'td:last-child{text-align:right;white-space:nowrap}',
  'pre{overflow:auto;background:#f5f5f5;padding:1rem}',
  '.ipfs-hash{color:#777;font:12px monospace}',
  '@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}a{color:#8bf}td{border-color:#444}pre{background:#222}}',
].join('')

export function pageStart(title: string): string {
  return `<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n<title>${escapeHtml(title)}</title>\n<style>${STYLE}</style>\n</head>\n<body>\n`
}

export const PAGE_END = '</body>\n</html>\n'

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** For text and for attributes in double quotes. */
export function escapeHtml(text: string): string {
  return text.toWellFormed().replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
}

/** One name of a path, as part of a link: nothing in it can end the attribute or begin another path. */
export function linkName(name: string): string {
  return escapeHtml(encodeURIComponent(name.toWellFormed()))
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** A size for people: three digits and a unit. */
export function sizeText(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${UNITS[unit]}`
}
