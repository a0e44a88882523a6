import { expect, test } from 'vitest'
import { bytesFor, isForeign, readReported, understand } from '../../../src/wire/reported-text.ts'

/** Returns the text that a report with these bytes means if `encoding` is the client’s encoding. */
function reported(bytes: Buffer, encoding: string): string {
  return understand(readReported(bytes, 0, bytes.length), encoding)
}

const GROESSE = { utf8: Buffer.from('größe'), latin1: Buffer.from('größe', 'latin1') }

test('ASCII is the same in all encodings', () => {
  for (const encoding of ['UTF8', 'LATIN1', 'LATIN9', 'SQL_ASCII', 'EUC_JP']) {
    expect(reported(Buffer.from('"$user", public'), encoding)).toBe('"$user", public')
    expect(bytesFor('"$user", public', encoding)).toEqual(Buffer.from('"$user", public'))
  }
})

test('UTF-8 and LATIN1 are decoded, so that equal values are equal texts', () => {
  expect(reported(GROESSE.utf8, 'UTF8')).toBe('größe')
  expect(reported(GROESSE.latin1, 'LATIN1')).toBe('größe')
  expect(bytesFor('größe', 'UTF8')).toEqual(GROESSE.utf8)
  expect(bytesFor('größe', 'LATIN1')).toEqual(GROESSE.latin1)
})

test('in any other encoding the bytes are kept with the encoding’s name and can be written only in that encoding', () => {
  for (const encoding of ['LATIN9', 'EUC_JP', 'SQL_ASCII']) {
    const value = reported(GROESSE.latin1, encoding)
    expect(isForeign(value)).toBe(true)
    expect(bytesFor(value, encoding)).toEqual(GROESSE.latin1)
    expect(bytesFor(value, 'UTF8')).toBe(null)
    expect(value).not.toBe(reported(GROESSE.latin1, 'WIN1252'))
  }
})

test('bytes that are not valid UTF-8 although they should be are kept unchanged', () => {
  expect(bytesFor(reported(GROESSE.latin1, 'UTF8'), 'UTF8')).toEqual(GROESSE.latin1)
})

test('a text that an encoding cannot represent is not written', () => {
  expect(bytesFor('größe', 'EUC_JP')).toBe(null)
  expect(bytesFor('日本', 'LATIN1')).toBe(null)
})
