/** Cuts what a client sends to the console into statements, and statements into words. Pure. */

export interface Word {
  /** Without its quotes. */
  readonly text: string
  /** `quoted` is a "name", `string` a 'value', `symbol` one of = , ( ) *, a quote that is never closed, or a comment that is not. */
  readonly kind: 'plain' | 'quoted' | 'string' | 'symbol'
}

export interface Statement {
  /** As it was typed, without what surrounds it. */
  readonly text: string
  readonly words: readonly Word[]
}

const TOKEN = new RegExp(
  [
    String.raw`\s+|--[^\n]*|/\*[\s\S]*?\*/`,
    '(?<end>;)',
    `'(?<string>(?:[^']|'')*)'`,
    '"(?<quoted>(?:[^"]|"")*)"',
    // The comment whole: if it were cut, each one inside would be looked for the end of, to the end of the text.
    String.raw`(?<symbol>[=,()*'"]|/\*[\s\S]*)`,
    // All the rest, so that names such as my-app need no quotes; but -- and /* begin comments.
    String.raw`(?<plain>(?:(?!--|/\*)[^\s;'"=,()*])+|\S)`,
  ].join('|'),
  'y',
)

/** Statements without words are left out, so an empty query gives none. */
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

/** A statement with one space between words and no capitals, to be recognised by. Strings keep their quotes, and names those they need. */
export function canonical(words: readonly Word[]): string {
  return words
    .map(({ kind, text }) => (kind === 'string' ? `'${text}'` : isKeyword(kind) ? text.toLowerCase() : text))
    .join(' ')
}

function isKeyword(kind: Word['kind']): boolean {
  return kind === 'plain' || kind === 'symbol'
}

/** The word as the name of a command, setting or topic: these know no capitals, with or without quotes. */
export function nameIn(word: Word | undefined): string | null {
  return word === undefined || word.kind === 'string' || word.kind === 'symbol' ? null : word.text.toLowerCase()
}

/** `$1`: a place for a parameter. */
export function hasParameters(words: readonly Word[]): boolean {
  return words.some(({ kind, text }) => kind === 'plain' && /^\$\d+$/.test(text))
}
