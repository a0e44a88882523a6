/** What a value may refer to instead of saying it: a variable of the environment by `${NAME}`, and, for secrets, a file by `file:PATH`. */

import { type Files, systemSentence } from './ini.ts'
import { type Place, quote } from './problem.ts'
import type { Parsed } from './values.ts'

/** As long as a password may be. */
const MAX_SECRET_FILE_BYTES = 65_530

const FILE = 'file:'

export class References {
  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #files: Files

  /** What was read before, by path: who has given up the right to read it goes on with that. */
  readonly #kept: Map<string, string>
  /** What went on so. */
  readonly unreadable = new Set<string>()
  /** Of values that are not what is written. */
  readonly places: Place[] = []

  constructor(env: Readonly<Record<string, string | undefined>>, files: Files, kept = new Map<string, string>()) {
    this.#env = env
    this.#files = files
    this.#kept = kept
  }

  /** What `written` stands for. A problem completes the sentence "x …"; it names the variable or the file, and nothing of what is in it. */
  resolve(written: string, isSecret: boolean, place: Place | null = null): Parsed<string> {
    const resolved = this.#resolve(written, isSecret)
    if (place !== null && 'value' in resolved && resolved.value !== written) this.places.push(place)
    return resolved
  }

  #resolve(written: string, isSecret: boolean): Parsed<string> {
    let problem: string | null = null
    // A second dollar takes the meaning away.
    const value = written.replace(/\$(\$?)\{([A-Za-z_]\w*)\}/g, (_, second: string, name: string) => {
      if (second !== '') return `\${${name}}`
      const text = this.#env[name]
      if (text === undefined || text === '')
        problem ??= `refers to \${${name}}, which is ${text === '' ? 'empty' : 'not set'} in the environment`
      return text ?? ''
    })
    if (problem !== null) return { problem }
    // Only what is written so: the value of a variable is never looked into.
    if (!isSecret || !written.startsWith(FILE)) return { value }
    return this.#contentOf(value.slice(FILE.length), written.slice(FILE.length))
  }

  #contentOf(path: string, written: string): Parsed<string> {
    const failed = (why: string) => ({ problem: `is to be read from ${quote(written)}: ${why}` })
    let content: string
    try {
      content = this.#files.read(path)
      this.#kept.set(path, content)
    } catch (cause) {
      const kept = (cause as NodeJS.ErrnoException).code === 'EACCES' ? this.#kept.get(path) : undefined
      // The system repeats the path.
      if (kept === undefined) return failed(systemSentence(cause).replaceAll(`'${path}'`, () => `'${written}'`))
      this.unreadable.add(written)
      content = kept
    }
    // Editors and `echo` end a file with a line's end, which nobody means to be part of a password.
    const value = content.replace(/\r?\n$/, '')
    if (value === '') return failed('the file is empty')
    if (value.includes('\0')) return failed('it is no text')
    if (Buffer.byteLength(value) > MAX_SECRET_FILE_BYTES)
      return failed(`it is over ${MAX_SECRET_FILE_BYTES} bytes long`)
    return { value }
  }
}
