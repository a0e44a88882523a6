/** Parses the `key=value` pairs of [databases], [users] and [peers], and the URL given to `--upstream`. */

export interface Pair {
  readonly key: string
  readonly value: string
}

export interface Pairs {
  /** All pairs, or those before the problem. */
  readonly pairs: readonly Pair[]
  /** What is wrong. Gives only a position, because the text there may be part of a password. */
  readonly problem: string | null
}

/**
 * Parses PgBouncer's format: pairs separated by spaces, optional spaces around `=`, a value with spaces in single quotes, and a quote inside
 * quotes doubled. Unlike in libpq, a backslash is an ordinary character, so that passwords mean the same as in PgBouncer.
 */
export function parseConnectionString(text: string): Pairs {
  const pairs: Pair[] = []
  const failed = (problem: string): Pairs => ({ pairs, problem })
  let at = skipBlanks(text, 0)
  if (/^postgres(ql)?:\/\//i.test(text))
    return failed('only --upstream takes a URL; write host=… port=… dbname=… instead')

  while (at < text.length) {
    const start = at
    const key = matchAt(/[^\s=']*/y, text, at)
    at = skipBlanks(text, at + key.length)
    if (key === '' || text[at] !== '=') {
      if (/[;#]/.test(text[start] ?? ''))
        return failed(`expected key=value at character ${start + 1}; a comment needs its own line`)
      return failed(`expected key=value at character ${start + 1}; a value with spaces needs single quotes`)
    }
    at = skipBlanks(text, at + 1)

    if (text[at] !== "'") {
      const value = matchAt(/\S*/y, text, at)
      if (value === '')
        return failed(`the value of the pair at character ${start + 1} is empty; write '' for an empty value`)
      pairs.push({ key, value })
      at = skipBlanks(text, at + value.length)
      continue
    }

    const quoted = matchAt(/'(?:[^']|'')*'/y, text, at)
    if (quoted === '')
      return failed(`the quote at character ${at + 1} is never closed; write a quote inside quotes twice`)
    pairs.push({ key, value: quoted.slice(1, -1).replaceAll("''", "'") })
    const next = skipBlanks(text, at + quoted.length)
    if (next === at + quoted.length && next < text.length)
      return failed(`expected a space after the quote at character ${next}`)
    at = next
  }
  return { pairs, problem: null }
}

/** Parses `postgres://user:password@host:5432/database?key=value` into pairs. */
export function parseUpstreamUrl(text: string): Pairs {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return { pairs: [], problem: NOT_A_URL }
  }
  // Refuse a `#` that is not percent-encoded: it is common in passwords, and as the start of a fragment it would cut off the rest.
  if ((url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') || url.hash !== '')
    return { pairs: [], problem: NOT_A_URL }

  const pairs: Pair[] = []
  const add = (key: string, value: string) => value !== '' && pairs.push({ key, value })
  try {
    add('host', decodeURIComponent(url.hostname.replace(/^\[(.*)\]$/, '$1')))
    add('port', url.port)
    add('user', decodeURIComponent(url.username))
    add('password', decodeURIComponent(url.password))
    add('dbname', decodeURIComponent(url.pathname.replace(/^\//, '')))
    // Not URLSearchParams, which turns `+` into a space; libpq does not.
    for (const pair of url.search
      .replace(/^\?/, '')
      .split('&')
      .filter((part) => part !== '')) {
      const [key = '', value = ''] = pair.split(/=(.*)/s)
      pairs.push({ key: decodeURIComponent(key), value: decodeURIComponent(value) })
    }
  } catch {
    return { pairs: [], problem: NOT_A_URL }
  }
  return { pairs, problem: null }
}

const NOT_A_URL =
  'expected a URL of the form postgres://user:password@host:5432/database, with special characters in the password percent-encoded'

function skipBlanks(text: string, at: number): number {
  return at + matchAt(/\s*/y, text, at).length
}

/** Returns what the sticky pattern matches at this position, or an empty text. */
function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? ''
}
