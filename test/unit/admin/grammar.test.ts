import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonical, hasParameters, nameIn, splitStatements } from '../../../src/admin/grammar.ts'

function wordsOf(text: string): string[] {
  return splitStatements(text).flatMap(({ words }) => words.map((word) => word.text))
}

describe('statements', () => {
  test('are cut at semicolons, and those without words are left out', () => {
    expect(splitStatements('show pools; ;show lists;').map(({ text }) => text)).toEqual(['show pools', 'show lists'])
    for (const nothing of ['', '  \n\t', ';', ' ;; ', '-- only a comment', '/* and another */ ;'])
      expect(splitStatements(nothing)).toEqual([])
  })

  test('keep their text as it was typed, without what surrounds it', () => {
    expect(splitStatements('\n  PAUSE\t"My DB" -- now\n;').map(({ text }) => text)).toEqual(['PAUSE\t"My DB"'])
  })

  test('may have a semicolon within quotes', () => {
    expect(splitStatements(`set a = 'x;y'; pause "d;b"`).map(({ text }) => text)).toEqual([
      `set a = 'x;y'`,
      `pause "d;b"`,
    ])
  })
})

describe('words', () => {
  test('are parted by space, comments and symbols', () => {
    expect(wordsOf('set  a=b')).toEqual(['set', 'a', '=', 'b'])
    expect(wordsOf('show/* all */pools--end')).toEqual(['show', 'pools'])
    expect(wordsOf('select version()')).toEqual(['select', 'version', '(', ')'])
    expect(wordsOf('pause my-app.eu_1')).toEqual(['pause', 'my-app.eu_1'])
  })

  test('lose their quotes, and two quotes within are one', () => {
    expect(splitStatements(`set "a""b" = 'it''s'`)[0]?.words).toEqual([
      { kind: 'plain', text: 'set' },
      { kind: 'quoted', text: 'a"b' },
      { kind: 'symbol', text: '=' },
      { kind: 'string', text: "it's" },
    ])
  })

  test('in quotes and comments that are never closed are cut all the same, so that the statement is refused as a whole', () => {
    expect(wordsOf(`show 'pools`)).toEqual(['show', "'", 'pools'])
    expect(wordsOf('show "pools')).toEqual(['show', '"', 'pools'])
    expect(wordsOf('show /* pools')).toEqual(['show', '/* pools'])
  })

  test('are names whatever their capitals, but not if they are values or symbols', () => {
    const [statement] = splitStatements(`SHOW "Pools" 'x' =`)
    expect(statement?.words.map(nameIn)).toEqual(['show', 'pools', null, null])
    expect(nameIn(undefined)).toBe(null)
  })

  test('are recognised without regard to capitals and space, but for what stands in quotes', () => {
    const [statement] = splitStatements(`SELECT  Version( )  'It' "Is"`)
    expect(canonical(statement?.words ?? [])).toBe(`select version ( ) 'It' Is`)
  })

  test('may ask for a parameter', () => {
    expect(hasParameters(splitStatements('pause $1')[0]?.words ?? [])).toBe(true)
    expect(hasParameters(splitStatements(`pause '$1'`)[0]?.words ?? [])).toBe(false)
  })
})

test('any text at all is cut without a failure, and in time that grows with its length', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...`a; '"-/*=$1\n`), maxLength: 60 }), (text) => {
      for (const { words } of splitStatements(text)) expect(words.length).toBeGreaterThan(0)
    }),
  )
  for (const piece of [`'`, '"', '/*', 'a/*', '--', '(', `''x`, ' ']) {
    const startedMs = performance.now()
    splitStatements(piece.repeat(1_000_000 / piece.length))
    expect(performance.now() - startedMs, `${piece} over and over`).toBeLessThan(10_000)
  }
})
