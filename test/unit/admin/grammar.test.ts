import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonical, hasParameters, nameIn, splitStatements } from '../../../src/admin/grammar.ts'

function wordsOf(text: string): string[] {
  return splitStatements(text).flatMap(({ words }) => words.map((word) => word.text))
}

describe('statements', () => {
  test('are separated by semicolons, and empty ones are omitted', () => {
    expect(splitStatements('show pools; ;show lists;').map(({ text }) => text)).toEqual(['show pools', 'show lists'])
    for (const nothing of ['', '  \n\t', ';', ' ;; ', '-- only a comment', '/* and another */ ;'])
      expect(splitStatements(nothing)).toEqual([])
  })

  test('keep their text as typed, without surrounding space and comments', () => {
    expect(splitStatements('\n  PAUSE\t"My DB" -- now\n;').map(({ text }) => text)).toEqual(['PAUSE\t"My DB"'])
  })

  test('may contain a semicolon in quotes', () => {
    expect(splitStatements(`set a = 'x;y'; pause "d;b"`).map(({ text }) => text)).toEqual([
      `set a = 'x;y'`,
      `pause "d;b"`,
    ])
  })
})

describe('words', () => {
  test('are separated by spaces, comments and symbols', () => {
    expect(wordsOf('set  a=b')).toEqual(['set', 'a', '=', 'b'])
    expect(wordsOf('show/* all */pools--end')).toEqual(['show', 'pools'])
    expect(wordsOf('select version()')).toEqual(['select', 'version', '(', ')'])
    expect(wordsOf('pause my-app.eu_1')).toEqual(['pause', 'my-app.eu_1'])
  })

  test('lose their quotes, and a doubled quote becomes one', () => {
    expect(splitStatements(`set "a""b" = 'it''s'`)[0]?.words).toEqual([
      { kind: 'plain', text: 'set' },
      { kind: 'quoted', text: 'a"b' },
      { kind: 'symbol', text: '=' },
      { kind: 'string', text: "it's" },
    ])
  })

  test('with unterminated quotes or comments are still split, so that the whole statement is refused', () => {
    expect(wordsOf(`show 'pools`)).toEqual(['show', "'", 'pools'])
    expect(wordsOf('show "pools')).toEqual(['show', '"', 'pools'])
    expect(wordsOf('show /* pools')).toEqual(['show', '/* pools'])
  })

  test('are names in any letter case, but string values and symbols are not', () => {
    const [statement] = splitStatements(`SHOW "Pools" 'x' =`)
    expect(statement?.words.map(nameIn)).toEqual(['show', 'pools', null, null])
    expect(nameIn(undefined)).toBe(null)
  })

  test('are compared in any letter case and spacing, except in quotes', () => {
    const [statement] = splitStatements(`SELECT  Version( )  'It' "Is"`)
    expect(canonical(statement?.words ?? [])).toBe(`select version ( ) 'It' Is`)
  })

  test('may contain a parameter', () => {
    expect(hasParameters(splitStatements('pause $1')[0]?.words ?? [])).toBe(true)
    expect(hasParameters(splitStatements(`pause '$1'`)[0]?.words ?? [])).toBe(false)
  })
})

test('any text can be split without an exception, in time that grows with its length', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...`a; '"-/*=$1\n`), maxLength: 60 }), (text) => {
      for (const { words } of splitStatements(text)) expect(words.length).toBeGreaterThan(0)
    }),
  )
  for (const piece of [`'`, '"', '/*', 'a/*', '--', '(', `''x`, ' ']) {
    const startedMs = performance.now()
    splitStatements(piece.repeat(1_000_000 / piece.length))
    expect(performance.now() - startedMs, `splitting many ${piece}`).toBeLessThan(10_000)
  }
})
