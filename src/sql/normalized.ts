/**
 * Prepares a query for the log: removes values and comments, so that it holds nothing confidential and equal queries look equal.
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */

/** Replaces a value. */
const VALUE = '?'

/** Replaces the rest of a query if it is not known which parts of it are values. */
const REST = '…'

/**
 * Strings whose end is uncertain. If a quote follows a backslash, the end depends on standard_conforming_strings. If a backslash follows a
 * character that is not UTF-8 (U+FFFD by now), it may be the second byte of that character, in an encoding such as SJIS, BIG5 or GBK.
 */
const DOUBTFUL = /(?:^|[^\\])(?:\\\\)*\\'|\ufffd\\/
const ESCAPED_DOUBTFUL = /\ufffd\\/

/** Matched at the scanner's position; the first pattern that matches counts. A token that was cut off at the end of the text counts as ended. */
const TOKENS: readonly (readonly [RegExp, 'space' | 'value' | 'text'])[] = [
  [/\s+/y, 'space'],
  [/--[^\r\n]*/y, 'space'],
  // In E'…' a backslash escapes the next character.
  [/[eE]'(?:[^'\\]|''|\\[\s\S])*(?:'|\\?$)/y, 'value'],
  [/(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)/y, 'value'],
  [/\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y, 'value'],
  [/(?:[uU]&)?"(?:[^"]|"")*(?:"|$)/y, 'text'],
  // A parameter is not a value.
  [/\$\d+/y, 'text'],
  [/[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y, 'text'],
  [/(?:0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)/y, 'value'],
  [/[\s\S]/y, 'text'],
]

export function normalizedQuery(query: string): string {
  let text = ''
  let isSpaceDue = false
  const add = (part: string) => {
    if (isSpaceDue && text !== '') text += ' '
    isSpaceDue = false
    text += part
  }
  for (let at = 0; at < query.length; ) {
    if (query.startsWith('/*', at)) {
      at = endOfComment(query, at)
      isSpaceDue = true
      continue
    }
    const [token, kind] = tokenAt(query, at)
    at += token.length
    if (kind === 'space') isSpaceDue = true
    else if (kind === 'text') add(token)
    else {
      // A dollar-quoted string ends with the tag that it began with.
      if (token.startsWith('$')) {
        const end = query.indexOf(token, at)
        at = end === -1 ? query.length : end + token.length
      }
      add(VALUE)
      if (isDoubtful(token)) {
        isSpaceDue = true
        add(REST)
        break
      }
    }
  }
  // IN lists and VALUES look the same whatever their length.
  return text
    .replaceAll(/\(\s*\?(?:\s*,\s*\?)+\s*\)/g, '(?, …)')
    .replaceAll(/\(\?, …\)(?:\s*,\s*\(\?, …\))+/g, '(?, …), …')
}

function isDoubtful(token: string): boolean {
  if (!token.endsWith("'")) return false
  return (/^e/i.test(token) ? ESCAPED_DOUBTFUL : DOUBTFUL).test(token)
}

function tokenAt(query: string, at: number): readonly [string, 'space' | 'value' | 'text'] {
  for (const [pattern, kind] of TOKENS) {
    pattern.lastIndex = at
    const match = pattern.exec(query)
    if (match !== null && match[0] !== '') return [match[0], kind]
  }
  return [query.charAt(at), 'text']
}

/** Comments may be nested. */
function endOfComment(query: string, start: number): number {
  let depth = 0
  for (let at = start; at < query.length; ) {
    const two = query.slice(at, at + 2)
    if (two === '/*') depth++
    else if (two === '*/') depth--
    at += two === '/*' || two === '*/' ? 2 : 1
    if (depth === 0) return at
  }
  return query.length
}

/**
 * Returns the traceparent of a query if the application gives it in a comment, as SQLCommenter does: `/*traceparent='00-…-01'…`.
 * https://www.w3.org/TR/trace-context/#traceparent-header
 */
export function traceparentOf(query: string): string | null {
  return /traceparent='([\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2})'/.exec(query)?.[1] ?? null
}
