import { expect, test } from 'vitest'
import { cutToWidth, padEndToWidth, padStartToWidth, textWidth } from '../../../src/base/text-width.ts'

test.each([
  ['app', 3],
  ['größe', 5],
  // With a combining diaeresis after the u.
  ['u\u0308ber', 4],
  ['日本語', 6],
  ['한국어', 6],
  ['ａｂｃ', 6],
  ['🐘x', 3],
  ['a\u200bb', 2],
  ['', 0],
])('%s takes up %i columns', (text, width) => {
  expect(textWidth(text)).toBe(width)
})

test('a text is cut between characters, where the next one would no longer fit', () => {
  expect(cutToWidth('application', 3)).toBe('app')
  expect(cutToWidth('日本語', 5)).toBe('日本')
  expect(cutToWidth('a🐘b', 2)).toBe('a')
  expect(cutToWidth('a🐘b', 3)).toBe('a🐘')
  expect(cutToWidth('u\u0308ber', 1)).toBe('u\u0308')
  expect(cutToWidth('app', 0)).toBe('')
})

test('a text is padded to a width in columns', () => {
  expect(padEndToWidth('日本', 6)).toBe('日本  ')
  expect(padStartToWidth('日本', 6)).toBe('  日本')
  expect(padEndToWidth('日本語', 3)).toBe('日本語')
})
