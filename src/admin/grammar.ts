/** Splits what a client sends to the console into statements, and statements into words. Pure. */

export interface Word {
  /** The word without its quotes. */
  readonly text: string
  /** `quoted` is a "name", `string` is a 'value', `symbol` is one of = , ( ) *, an unclosed quote or an unclosed comment. */
  readonly kind: 'plain' | 'quoted' | 'string' | 'symbol'
}

export interface Statement {
  /** The text as typed, from its first to its last word. */
  readonly text: string
  readonly words: readonly Word[]
}

const TOKEN = new RegExp(
  [
    String.raw`\s+|--[^\n]*|/\*[\s\S]*?\*/`,
    '(?<end>;)',
    `'(?<string>(?:[^']|'')*)'`,
    '"(?<quoted>(?:[^"]|"")*)"',
    // An unclosed comment is one symbol up to the end of the text. If only its `/*` were one, the search for `*/` would run to the end of the
    // text again for every further `/*`: quadratic time.
    String.raw`(?<symbol>[=,()*'"]|/\*[\s\S]*)`,
    // Anything else, so that names such as my-app need no quotes. But -- and /* begin comments.
    String.raw`(?<plain>(?:(?!--|/\*)[^\s;'"=,()*])+|\S)`,
  ].join('|'),
  'y',
)

/** Splits a script into statements. Statements without words are left out, so an empty query returns none. */
export function splitStatements(script: string): Statement[] {
  const statements: Statement[] = []
  let words: Word[] = []
  let start = 0
  let end = 0
  const finish = () => {
    if (words.length > 0) statements.push({ text: script.slice(start, end), words })
    words = []
  }
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < script.length; ) {
    const at = TOKEN.lastIndex
    const groups = TOKEN.exec(script)?.groups
    if (!groups) break
    if (groups['end'] !== undefined) finish()
    const word = wordOf(groups)
    if (word === null) continue
    if (words.length === 0) start = at
    words.push(word)
    end = TOKEN.lastIndex
  }
  finish()
  return statements
}

function wordOf(groups: Readonly<Record<string, string | undefined>>): Word | null {
  const { string, quoted, symbol, plain } = groups
  if (string !== undefined) return { kind: 'string', text: string.replaceAll("''", "'") }
  if (quoted !== undefined) return { kind: 'quoted', text: quoted.replaceAll('""', '"') }
  if (symbol !== undefined) return { kind: 'symbol', text: symbol }
  return plain === undefined ? null : { kind: 'plain', text: plain }
}

/**
 * The words in lower case with one space between them, for recognizing statements. Strings keep their quotes and case; quoted names keep only
 * their case.
 */
export function canonical(words: readonly Word[]): string {
  return words
    .map(({ kind, text }) => (kind === 'string' ? `'${text}'` : isKeyword(kind) ? text.toLowerCase() : text))
    .join(' ')
}

function isKeyword(kind: Word['kind']): boolean {
  return kind === 'plain' || kind === 'symbol'
}

/** The word as the name of a command, setting or topic, in lower case, since these are not case-sensitive even in quotes. null for other words. */
export function nameIn(word: Word | undefined): string | null {
  return word === undefined || word.kind === 'string' || word.kind === 'symbol' ? null : word.text.toLowerCase()
}

/** Whether there is a parameter such as `$1`. */
export function hasParameters(words: readonly Word[]): boolean {
  return words.some(({ kind, text }) => kind === 'plain' && /^\$\d+$/.test(text))
}
