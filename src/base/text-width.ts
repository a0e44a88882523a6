/** How wide a text is on a terminal, where East Asian characters and emoji take two columns, and combining marks none. Pure. */

const PLAIN = /^[\u0020-\u007e]*$/
const NONE = /[\p{Mn}\p{Me}\p{Cf}]/u
// https://www.unicode.org/reports/tr11/
const TWO =
  /[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{17000}-\u{18cff}\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]/u

/** Returns the width in columns of a terminal. */
export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

/** Returns as much of the text's beginning as fits into `room` columns. */
export function cutToWidth(text: string, room: number): string {
  if (PLAIN.test(text)) return text.slice(0, room)
  let width = 0
  let length = 0
  for (const character of text) {
    width += characterWidth(character)
    if (width > room) break
    length += character.length
  }
  return text.slice(0, length)
}

export function padStartToWidth(text: string, width: number): string {
  return ' '.repeat(Math.max(width - textWidth(text), 0)) + text
}

export function padEndToWidth(text: string, width: number): string {
  return text + ' '.repeat(Math.max(width - textWidth(text), 0))
}

function characterWidth(character: string): number {
  return NONE.test(character) ? 0 : TWO.test(character) ? 2 : 1
}
