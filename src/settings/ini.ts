/** Parses ini files into entries with their file and line, and follows `%include`. Does not know which keys exist. */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, normalize } from 'node:path'
import { error, type Place, type Problem, quote, warning } from './problem.ts'

export interface Entry extends Place {
  /** The name of the section, without brackets. */
  readonly section: string
  readonly key: string
  /** The rest of the line. `;` and `#` are ordinary characters in it. */
  readonly value: string
}

/** A `[name]` line. Recorded separately from entries, so that a section without entries is checked, too. */
export interface Heading extends Place {
  readonly section: string
}

export interface Ini {
  readonly headings: readonly Heading[]
  readonly entries: readonly Entry[]
}

/** The file system functions that the parser needs; tests replace them. */
export interface Files {
  /** Null if there is nothing at `path`, or if the system does not say what it is. */
  kind(path: string): 'file' | 'folder' | null
  /** Throws the system's error if the file cannot be read. */
  read(path: string): string
  /** The names inside a folder. Throws the system's error if it cannot be read. */
  list(path: string): readonly string[]
}

export const diskFiles: Files = {
  kind(path) {
    try {
      return statSync(path).isDirectory() ? 'folder' : 'file'
    } catch {
      return null
    }
  },
  read: (path) => readFileSync(path, 'utf8'),
  list: (path) => readdirSync(path),
}

/** Which files of a folder are included. Hidden files, such as an editor's, are not. */
const IS_PART = /^[^.].*\.(ini|conf)$/

/** PgBouncer's limit. */
const MAX_INCLUDE_DEPTH = 10

export function readIni(path: string, files: Files, problems: Problem[]): Ini {
  const reader = new IniReader(files, problems)
  reader.readFile(path, { file: path, line: null })
  return reader
}

/** Splits `name = value` or `"odd name" = value`, where a quote inside quotes is doubled. Returns null for any other text. */
export function splitEntry(text: string): { readonly key: string; readonly value: string } | null {
  const [, plain, quoted, value] = /^(?:([\w.\-*]+)|"((?:[^"]|"")+)")[ \t]*=(.*)$/s.exec(text.trim()) ?? []
  const key = plain ?? quoted?.replaceAll('""', '"')
  return key === undefined || value === undefined ? null : { key, value: value.trim() }
}

class IniReader implements Ini {
  readonly headings: Heading[] = []
  readonly entries: Entry[] = []
  readonly #files: Files
  readonly #problems: Problem[]
  /** The files being read; each is included by the one before it. */
  readonly #open: string[] = []
  /** As in PgBouncer, an included file starts in the section of its `%include` line, and the section in which it ends continues after it. */
  #section: string | null = null

  constructor(files: Files, problems: Problem[]) {
    this.#files = files
    this.#problems = problems
  }

  readFile(path: string, askedAt: Place): void {
    let text: string
    try {
      text = this.#files.read(path)
    } catch (cause) {
      this.#problems.push(error(askedAt, `${quote(path)} cannot be read: ${systemSentence(cause)}`))
      return
    }
    if (text.includes('\0')) {
      this.#problems.push(error({ file: path, line: 1 }, 'the file is not UTF-8; save it as UTF-8'))
      return
    }
    this.#open.push(normalize(path))
    const lines = text.replace(/^\uFEFF/, '').split('\n')
    for (const [index, line] of lines.entries()) this.#readLine(line.trim(), { file: path, line: index + 1 })
    this.#open.pop()
  }

  #readLine(line: string, place: Place): void {
    if (line === '' || line.startsWith(';') || line.startsWith('#')) return
    if (line.startsWith('%')) this.#readDirective(line, place)
    else if (line.startsWith('[')) this.#readHeading(line, place)
    else this.#readEntry(line, place)
  }

  #readHeading(line: string, place: Place): void {
    const [, name, rest] = /^\[([^\]]*)\](.*)$/.exec(line) ?? []
    if (name === undefined || rest === undefined) {
      this.#problems.push(error(place, 'this heading has no closing bracket'))
      return
    }
    this.#section = name.trim()
    this.headings.push({ section: this.#section, ...place })
    this.#readLine(rest.trim(), place)
  }

  #readEntry(line: string, place: Place): void {
    const entry = splitEntry(line)
    // The message does not repeat the line, since it may contain a password.
    if (entry === null) {
      this.#problems.push(
        error(
          place,
          'this line is not "key = value"; a name with characters other than letters, digits and _.-* needs double quotes',
        ),
      )
    } else if (this.#section === null) {
      this.#problems.push(error(place, 'this line is before the first section; settings belong under [pgbouncer]'))
    } else {
      if (line.includes('\ufffd'))
        this.#problems.push(warning(place, 'this line is not valid UTF-8; its invalid bytes were replaced'))
      this.entries.push({ section: this.#section, ...entry, ...place })
    }
  }

  #readDirective(line: string, place: Place): void {
    const [, target] = /^%include[ \t]+(.+)$/.exec(line) ?? []
    if (target === undefined) {
      this.#problems.push(error(place, 'the only directive is "%include FILE"'))
      return
    }
    const path = this.#locate(target)
    if (this.#files.kind(path) !== 'folder') {
      this.#include(path, place)
      return
    }
    for (const name of this.#partsOf(path, place)) this.#include(join(path, name), place)
  }

  #partsOf(folder: string, askedAt: Place): string[] {
    try {
      return this.#files
        .list(folder)
        .filter((name) => IS_PART.test(name))
        .sort()
    } catch (cause) {
      this.#problems.push(error(askedAt, `${quote(folder)} cannot be read: ${systemSentence(cause)}`))
      return []
    }
  }

  #include(path: string, place: Place): void {
    if (this.#open.includes(normalize(path))) this.#problems.push(error(place, `${quote(path)} includes itself`))
    else if (this.#open.length > MAX_INCLUDE_DEPTH)
      this.#problems.push(error(place, `%include is nested more than ${MAX_INCLUDE_DEPTH} files deep`))
    else this.readFile(path, place)
  }

  /** Looks in the working directory first, as PgBouncer does, and then in the directory of the including file. */
  #locate(target: string): string {
    const parent = this.#open.at(-1)
    const beside = parent === undefined || isAbsolute(target) ? target : join(dirname(parent), target)
    return this.#files.kind(target) === null && this.#files.kind(beside) !== null ? beside : target
  }
}

export function systemSentence(cause: unknown): string {
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'ENOENT':
      return 'there is no such file'
    case 'EACCES':
      return 'permission denied'
    case 'EISDIR':
      return 'it is a folder'
    default:
      return cause instanceof Error ? cause.message : String(cause)
  }
}
