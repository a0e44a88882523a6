/** Splits HBA and ident files into lines, fields and words. */

/** A line that is invalid. The message is a sentence for the operator. */
export class HbaError extends Error {}

/** A quoted word is no keyword, role or included file. */
export interface Word {
  readonly text: string
  readonly isQuoted: boolean
}

export interface Line {
  readonly text: string
  /** The number of its first line in the file, from 1. */
  readonly number: number
}

/** A backslash at the end of a line joins the next line to it, without anything in between. */
export function linesOf(text: string): Line[] {
  const lines: Line[] = []
  let begun: Line | null = null
  text.split(/\r?\n/).forEach((content, index) => {
    const line: Line = { text: (begun?.text ?? '') + content, number: begun?.number ?? index + 1 }
    const goesOn = content.endsWith('\\')
    begun = goesOn ? { ...line, text: line.text.slice(0, -1) } : null
    if (!goesOn) lines.push(line)
  })
  return begun === null ? lines : [...lines, begun]
}

/** Splits a line into fields, which are separated by spaces, and each field into words, which are separated by commas. `#` begins a comment. */
export function fieldsOf(line: string): Word[][] {
  const fields: Word[][] = []
  const pattern = /\s*(?:#.*$|"((?:[^"]|"")*)"?|([^\s,"#]+)|(,))/gy
  let continues = false
  let end = 0
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line)) {
    const [whole, quoted, plain, comma] = match
    const isApart = /^\s/.test(whole) || end === 0
    end = pattern.lastIndex
    if (comma !== undefined) continues = true
    else if (quoted !== undefined || plain !== undefined) {
      const word =
        quoted === undefined
          ? { text: plain as string, isQuoted: false }
          : { text: quoted.replaceAll('""', '"'), isQuoted: true }
      const last = fields.at(-1)
      if (continues && last) last.push(word)
      else if (!isApart && last) last[last.length - 1] = joined(last.at(-1) as Word, word)
      else fields.push([word])
      continues = false
    }
  }
  return fields
}

/** Joins the parts of a word that is quoted only in part, such as `map="a b"`. As in PostgreSQL, it counts as quoted if it begins with a quote. */
function joined(one: Word, other: Word): Word {
  return { text: one.text + other.text, isQuoted: one.isQuoted }
}
