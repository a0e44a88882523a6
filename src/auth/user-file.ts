/** Reads PgBouncer's `auth_file` (userlist.txt): lines of `"user" "secret"`. */

import { PoolerError } from '../problems.ts'
import { looksLikeBrokenSecret, parseSecret, type Secret } from './secrets.ts'

/** The same limit as in PgBouncer; Postgres truncates names to 63 bytes. */
export const MAX_USER_NAME_BYTES = 127

export interface UserFileProblem {
  /** After an error the line is ignored; after a warning it is not. */
  readonly severity: 'error' | 'warning'
  /** For people and logs; never contains a secret. */
  readonly sentence: string
  readonly file: string
  readonly line: number
}

export interface UserFile {
  readonly users: Map<string, Secret>
  readonly problems: UserFileProblem[]
}

/** PgBouncer stops at the first broken line and silently ignores all users after it. Here, only the broken line itself is ignored. */
export function parseUserFile(text: string, fileName: string): UserFile {
  const users = new Map<string, Secret>()
  const lineOf = new Map<string, number>()
  const problems: UserFileProblem[] = []

  text
    .replace(/^\ufeff/, '')
    .split('\n')
    .forEach((content, index) => {
      const line = index + 1
      const tell = (severity: UserFileProblem['severity'], sentence: string) =>
        problems.push({ severity, sentence, file: fileName, line })

      if (/^\s*(;|$)/.test(content)) return
      const entry = parseLine(content)
      if ('problem' in entry) {
        tell('error', entry.problem)
        return
      }
      const { name, secret } = entry
      const before = lineOf.get(name)
      if (before !== undefined)
        tell('warning', `user "${name}" already appears on line ${before}; this line overrides it`)
      if (secret.kind === 'plain' && secret.isEmpty)
        tell('warning', `user "${name}" has an empty password, so password logins fail`)
      if (looksLikeBrokenSecret(secret)) {
        tell('warning', `the secret of user "${name}" looks like a malformed hash; it is used as a plain password`)
      }
      if (content.includes('\ufffd'))
        tell('warning', `the line of user "${name}" is not valid UTF-8, so the user may be unable to log in`)
      users.set(name, secret)
      lineOf.set(name, line)
    })

  return { users, problems }
}

/** The sentences do not even contain the name: if a quote is missing, what looks like the name may contain the secret. */
function parseLine(content: string): { name: string; secret: Secret } | { problem: string } {
  const opening = content.indexOf('"')
  if (opening === -1 || content.slice(0, opening).trim() !== '') {
    return { problem: 'a line must begin with a user name in double quotes' }
  }
  const name = readQuoted(content, opening)
  if (name === null) return { problem: 'the user name has no closing quote' }
  if (name.value === '') return { problem: 'the user name is empty' }
  const length = Buffer.byteLength(name.value)
  if (length > MAX_USER_NAME_BYTES) {
    return { problem: `a user name of ${length} bytes is over the limit of ${MAX_USER_NAME_BYTES} bytes` }
  }
  // Like PgBouncer, accept any text between the two and after them.
  const second = content.indexOf('"', name.end)
  if (second === -1) return { problem: 'a secret in double quotes must follow the user name' }
  const secret = readQuoted(content, second)
  if (secret === null) return { problem: 'the secret has no closing quote (write a quote inside it twice)' }
  try {
    return { name: name.value, secret: parseSecret(secret.value) }
  } catch (error) {
    if (error instanceof PoolerError) return { problem: `${error.message}: ${error.hint}` }
    throw error
  }
}

/** Reads a quoted text; `from` is its opening quote. Two quotes in a row stand for one. Returns null if there is no closing quote. */
function readQuoted(text: string, from: number): { value: string; end: number } | null {
  let at = from + 1
  for (;;) {
    const quote = text.indexOf('"', at)
    if (quote === -1) return null
    if (text[quote + 1] !== '"') return { value: text.slice(from + 1, quote).replaceAll('""', '"'), end: quote + 1 }
    at = quote + 2
  }
}
