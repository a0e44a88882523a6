/** Reads the documents for people: their code blocks, the commands in these, their links and headings. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** Their paths, relative to the root. */
export const DOCUMENTS: readonly string[] = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'deploy/helm/pgweir/README.md'],
  ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`),
  ...readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' }).map((name) => `examples/${name}`),
].filter((path) => path.endsWith('.md') && !path.includes('node_modules'))

export interface Block {
  /** Such as `docs/running.md:12`. */
  readonly place: string
  /** The language after the opening fence; may be empty. */
  readonly kind: string
  readonly text: string
}

export interface Command {
  readonly place: string
  /** The command as written, joined into one line. */
  readonly line: string
  /** Assignments before the command: `NAME=value`. */
  readonly variables: Readonly<Record<string, string>>
  readonly words: readonly string[]
  /** The output that is shown below the command. */
  readonly output: string
}

export function readDocument(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export function blocksOf(document: string, text = readDocument(document)): Block[] {
  const blocks: Block[] = []
  let open: { readonly indent: string; readonly line: number; readonly kind: string; lines: string[] } | null = null
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^( *)```(.*)$/.exec(line)
    if (open === null) {
      if (fence) open = { indent: fence[1] ?? '', line: index + 1, kind: (fence[2] ?? '').trim(), lines: [] }
    } else if (fence && fence[1] === open.indent) {
      blocks.push({ place: `${document}:${open.line}`, kind: open.kind, text: `${open.lines.join('\n')}\n` })
      open = null
    } else {
      open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line)
    }
  }
  if (open !== null) throw new Error(`${document}:${open.line}: a block without an end`)
  return blocks
}

/** Returns the commands to type: each line of an `sh` block, and the lines of a `console` block that begin with its prompt. */
export function commandsOf({ kind, place, text }: Block): Command[] {
  if (kind !== 'sh' && kind !== 'console') return []
  const commands: Command[] = []
  let isOutput = false
  for (const line of text.trimEnd().replaceAll('\\\n', ' ').split('\n')) {
    const typed = kind === 'sh' ? line : PROMPT.exec(line)?.[1]
    if (typed === undefined) {
      const last = commands.at(-1)
      if (STATEMENT.test(line)) isOutput = false
      else if (isOutput && last) commands[commands.length - 1] = { ...last, output: `${last.output}${line}\n` }
      continue
    }
    isOutput = true
    for (const words of splitCommands(typed)) {
      const named = words.findIndex((word) => !ASSIGNMENT.test(word))
      const assigned = words.slice(0, named).map((word) => ASSIGNMENT.exec(word)?.slice(1) ?? [])
      commands.push({
        ...{ place, line: words.join(' '), output: '' },
        ...{ variables: Object.fromEntries(assigned), words: words.slice(named) },
      })
    }
  }
  return commands
}

const PROMPT = /^\$ (.*)$/
const STATEMENT = /^(\w+)=[#>] (.*)$/
const ASSIGNMENT = /^([A-Z_]+)=(.*)$/

/** Splits a line like a shell, as far as our documents need it: quotes, comments, and `&&` between commands. A pipe is a word. */
export function splitCommands(line: string): string[][] {
  const commands: string[][] = [[]]
  for (const [token] of line.matchAll(/(?:"(?:\$\([^)]*\)|[^"])*"|'[^']*'|[^\s"'])+/g)) {
    if (token.startsWith('#')) break
    if (token === '&&') commands.push([])
    else commands.at(-1)?.push(token.replace(/"((?:\$\([^)]*\)|[^"])*)"|'([^']*)'/g, (_, one, other) => one ?? other))
  }
  return commands.filter((words) => words.length > 0)
}

/** Returns the statements after a prompt of psql (`pgweir=#` or `app=>`), and the database in the prompt. */
export function statementsOf({ kind, text }: Block): { readonly database: string; readonly statement: string }[] {
  if (kind !== 'console') return []
  return text.split('\n').flatMap((line) => {
    const [, database = '', statement = ''] = STATEMENT.exec(line) ?? []
    return database === '' ? [] : [{ database, statement }]
  })
}

export interface Link {
  readonly file: string
  readonly anchor: string
}

/** Returns the links within the project. */
export function linksOf(text: string): Link[] {
  return [...withoutBlocks(text).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?[^)]*\)/g)].map(
    ([, file = '', anchor = '']) => ({ file, anchor }),
  )
}

/** Returns the anchors that GitHub makes for the headings. */
export function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>()
  return [...withoutBlocks(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => {
    const anchor = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
    const count = seen.get(anchor) ?? 0
    seen.set(anchor, count + 1)
    return count === 0 ? anchor : `${anchor}-${count}`
  })
}

export function withoutBlocks(text: string): string {
  return text.replace(/^( *)```[^\n]*\n[\s\S]*?^\1```$/gm, '')
}
