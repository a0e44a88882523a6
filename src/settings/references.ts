/** Resolves references in values: `${NAME}` to an environment variable and, for secrets, `file:PATH` to the content of a file. */

import { type Files, systemSentence } from './ini.ts'
import { type Place, quote } from './problem.ts'
import type { Parsed } from './values.ts'

/** The longest password allowed. */
const MAX_SECRET_FILE_BYTES = 65_530

const FILE = 'file:'

export class References {
  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #files: Files

  /** The content of files read before, by path. Used if the process has since given up the right to read a file. */
  readonly #kept: Map<string, string>
  /** The files for which kept content was used, as written in the settings. */
  readonly unreadable = new Set<string>()
  /** The places of values that differ from their text. */
  readonly places: Place[] = []

  constructor(env: Readonly<Record<string, string | undefined>>, files: Files, kept = new Map<string, string>()) {
    this.#env = env
    this.#files = files
    this.#kept = kept
  }

  /**
   * Returns the value that `written` stands for. A problem completes the sentence "x …"; it names the variable or the file, but never repeats
   * its content.
   */
  resolve(written: string, isSecret: boolean, place: Place | null = null): Parsed<string> {
    const resolved = this.#resolve(written, isSecret)
    if (place !== null && 'value' in resolved && resolved.value !== written) this.places.push(place)
    return resolved
  }

  #resolve(written: string, isSecret: boolean): Parsed<string> {
    let problem: string | null = null
    // `$${NAME}` stands for the text `${NAME}`.
    const value = written.replace(/\$(\$?)\{([A-Za-z_]\w*)\}/g, (_, second: string, name: string) => {
      if (second !== '') return `\${${name}}`
      const text = this.#env[name]
      if (text === undefined || text === '')
        problem ??= `refers to \${${name}}, which is ${text === '' ? 'empty' : 'not set'} in the environment`
      return text ?? ''
    })
    if (problem !== null) return { problem }
    // `file:` counts only in the written text, not in the value of a variable.
    if (!isSecret || !written.startsWith(FILE)) return { value }
    return this.#contentOf(value.slice(FILE.length), written.slice(FILE.length))
  }

  #contentOf(path: string, written: string): Parsed<string> {
    const failed = (why: string) => ({ problem: `cannot be read from ${quote(written)}: ${why}` })
    let content: string
    try {
      content = this.#files.read(path)
      this.#kept.set(path, content)
    } catch (cause) {
      const kept = (cause as NodeJS.ErrnoException).code === 'EACCES' ? this.#kept.get(path) : undefined
      // The system's message contains the resolved path; show the path as written.
      if (kept === undefined) return failed(systemSentence(cause).replaceAll(`'${path}'`, () => `'${written}'`))
      this.unreadable.add(written)
      content = kept
    }
    // Editors and `echo` end a file with a newline, which is not part of the password.
    const value = content.replace(/\r?\n$/, '')
    if (value === '') return failed('the file is empty')
    if (value.includes('\0')) return failed('the file is not text')
    if (Buffer.byteLength(value) > MAX_SECRET_FILE_BYTES)
      return failed(`the file is longer than ${MAX_SECRET_FILE_BYTES} bytes`)
    return { value }
  }
}
