/** Parses the tests in a file, for tests that check that others keep a promise. */

import { parseAst } from 'rolldown/parseAst'

export interface WrittenTest {
  /** The title as written, with `%s` for the values of a table. */
  readonly title: string
  /** The whole call, including its table. */
  readonly text: string
}

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

export class TestFile {
  readonly tests: WrittenTest[] = []
  /** Declarations outside the tests, by name. */
  readonly #declarations = new Map<string, string>()
  readonly #text: string

  constructor(text: string) {
    this.#text = text
    this.#walk(parseAst(text, { lang: 'ts' }) as unknown as Node, false)
  }

  /** Whether a test contains a word itself, or uses a declaration of its file that does, directly or indirectly. */
  isAbout(word: string, { text }: WrittenTest): boolean {
    const seen = new Set<string>()
    const says = (part: string): boolean => {
      if (new RegExp(`(?:\\b|\\\\n)${word}\\b`).test(part)) return true
      for (const [name, declaration] of this.#declarations) {
        if (seen.has(name) || !new RegExp(`\\b${name}\\b`).test(part)) continue
        seen.add(name)
        if (says(declaration)) return true
      }
      return false
    }
    return says(text)
  }

  #walk(node: Node, isInTest: boolean): void {
    const title = isInTest ? null : titleOf(node, this.#text)
    if (title !== null) this.tests.push({ title, text: this.#text.slice(node.start, node.end) })
    // Declarations within a test are part of its text.
    else if (!isInTest) this.#noteDeclaration(node)
    for (const child of childrenOf(node)) this.#walk(child, isInTest || title !== null)
  }

  #noteDeclaration(node: Node): void {
    if (node.type !== 'VariableDeclarator' && node.type !== 'FunctionDeclaration') return
    const { name } = node['id'] as { readonly name?: string }
    if (name !== undefined) this.#declarations.set(name, this.#text.slice(node.start, node.end))
  }
}

/** Returns the title of `test('…', …)` or `test.each(…)('…', …)`; null for other nodes. */
function titleOf(node: Node, text: string): string | null {
  if (node.type !== 'CallExpression') return null
  const callee = text.slice((node['callee'] as Node).start, (node['callee'] as Node).end)
  if (!/^test(?:\.each\b[\s\S]*\))?$/.test(callee)) return null
  const [first] = node['arguments'] as readonly Node[]
  if (first === undefined || !['Literal', 'TemplateLiteral'].includes(first.type)) return null
  return first.type === 'Literal' ? String(first['value']) : text.slice(first.start + 1, first.end - 1)
}

function childrenOf(node: Node): Node[] {
  return Object.values(node)
    .flat()
    .filter((value): value is Node => typeof value === 'object' && value !== null && 'type' in value)
}
