/**
 * Control characters in texts that strangers have chosen: on a terminal they would paint, move the cursor and type. The controls of
 * bidirectional text would reverse all that comes behind them in the line. Pure.
 */

export const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** Replaces control characters, for one line on a terminal. The length stays the same. */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, '?')
}

/** The same for several lines, which may be indented. */
export function linesWithoutControls(text: string): string {
  return text.replace(CONTROLS, (character) => (character === '\n' || character === '\t' ? character : '?'))
}

/** Escapes control characters in a JSON text, where JSON itself leaves DEL and the controls of Latin-1 as they are. */
export function escapedControls(json: string): string {
  return json.replace(CONTROLS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
